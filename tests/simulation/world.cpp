#include "tests/simulation/world.hpp"

#include <csignal>
#include <cstdlib>
#include <iostream>

#include "config/load.hpp"
#include "pool/net/log.hpp"
#include "pool/tls_contexts.hpp"
#include "tests/simulation/backend.hpp"

namespace pgweir::simulation {

namespace {

constexpr std::int64_t second_us = 1'000'000;
constexpr std::int64_t patience_us = 60 * second_us;  // for a client, once all is well again
constexpr std::uint64_t turns_max = 3'000'000;

}  // namespace

World::World(std::uint64_t seed, bool traced)
    : seed_(seed),
      traced_(traced),
      kernel_(seed, *this),
      clustered_(!kernel_.dice.one_in(3)),
      session_mode_(kernel_.dice.one_in(5)),
      drops_(kernel_.dice.one_in(2)),
      pins_(kernel_.dice.one_in(3)),
      listens_(kernel_.dice.one_in(3)),
      calm_(kernel_.dice.one_in(5)),
      threads_(static_cast<unsigned>(kernel_.dice.between(1, 3))),
      pool_size_(static_cast<int>(kernel_.dice.between(1, 5))),
      io_uring_(!kernel_.dice.one_in(4)) {
    cluster_ = std::make_unique<Cluster>(kernel_, clustered_ ? 3 : 1);
}

World::~World() = default;

void World::violation(const std::string& what) const {
    std::cout << fmt::format("seed {}: after {} ms: {}\n", seed_,
                             (kernel_.now_us() - second_us * 1'000) / 1'000, what)
              << "replay it with: simulation --seed " << seed_ << " --trace" << std::endl;
    std::_Exit(1);
}

void World::print_trace(const std::string& text) const {
    std::cerr << fmt::format("{:10.3f} ", static_cast<double>(kernel_.now_us()) / 1'000 - 1e6)
              << text << "\n";
}

void World::settle(const std::string& write, Fate fate) { fates_[write] = fate; }

// ---------------------------------------------------------------- the program

config::ConfigPtr World::make_config() {
    std::string text = fmt::format(
        "[listen]\nhost = \"10.0.0.100\"\nport = 6432\nunix_socket_dir = \"\"\n"
        "[workers]\nthreads = {}\nio_uring = {}\n[auth]\nmethod = \"trust\"\nfile = \"users\"\n"
        "[pool]\nmode = \"{}\"\nsize = {}\nmax_prepared_statements = {}\n",
        threads_, io_uring_, session_mode_ ? "session" : "transaction", pool_size_,
        kernel_.dice.one_in(3) ? 2 : 100);
    if (kernel_.dice.one_in(3)) text += "idle_timeout = \"100ms\"\n";
    if (kernel_.dice.one_in(3)) text += "lifetime = \"300ms\"\n";
    if (kernel_.dice.one_in(3)) text += "reserve_size = 2\nreserve_timeout = \"5ms\"\n";
    if (!kernel_.dice.one_in(4)) text += "[tls.server]\nmode = \"disable\"\n";
    if (clustered_) {
        text += "[clusters.main]\nnodes = [\n";
        for (const auto& node : cluster_->nodes)
            text += fmt::format("  {{ host = \"{}\", port = 5432 }},\n",
                                node->address.substr(0, node->address.find(':')));
        text += "]\n[clusters.main.health]\nuser = \"monitor\"\n"
                "[databases.app]\ncluster = \"main\"\n";
    } else {
        text += "[databases.app]\nhost = \"10.0.0.1\"\n";
    }
    const auto read = [&](const std::string& path) -> protocol::Result<std::optional<std::string>> {
        if (path == "simulation.toml") return std::optional(text);
        if (path == "users") return std::optional<std::string>("\"app\" \"\"\n");
        return std::optional<std::string>();
    };
    const config::Loaded loaded = config::load("simulation.toml", {read, {}});
    for (const auto& problem : loaded.problems) std::cout << config::text(problem) << "\n";
    if (!loaded.config) violation("the configuration does not load");
    return loaded.config;
}

void World::run() {
    net::log::Sink sink;
    sink.standard_error = traced_;
    sink.verbose = traced_ ? 2 : 0;
    net::log::configure(sink);
    const config::ConfigPtr config = make_config();
    const auto tls = pool::make_tls_contexts(*config);
    if (tls.has_error()) violation(tls.error().message);
    {
        proxy::Options options;
        options.quiet = !traced_;
        options.verbose = traced_ ? 2 : 0;
        options.config = "simulation.toml";
        proxy::Process process(options, config, *tls);
        process_ = &process;
        const int code = process.run([this] { begin(); });
        process_ = nullptr;
        if (code != 0) violation("the program does not start");
    }
    digest_ = kernel_.digest();
    if (kernel_.open_fds() > 0) violation("descriptors are left open:" + kernel_.open_text());
}

void World::begin() {
    const auto count = kernel_.dice.between(2, 10);
    for (int i = 0; i < count; ++i) {
        const int requests = static_cast<int>(kernel_.dice.between(5, 50));
        clients_.push_back(std::make_unique<Client>(*this, i + 1, "app", requests));
        kernel_.in(kernel_.dice.below(50'000),
                   [client = clients_.back().get()] { client->begin(); });
    }
    if (!calm_) plan_trouble();
    kernel_.in(second_us / 10, [this] { look_whether_done(); });
}

void World::on_main(std::function<void()> job) {
    process_->main().worker.loop.post([job = std::move(job)] { job(); });
}

/// The clients have gone: so do the nodes' worries and the program.
void World::look_whether_done() {
    const bool done = std::ranges::all_of(clients_, [](const auto& one) { return one->done(); });
    if (done && !healed_) heal();
    if (done && !ending_) {
        ending_ = true;
        kernel_.in(5 * second_us, [this] {
            check_accounts();
            kernel_.signal(SIGINT);
        });
        return;
    }
    if (kernel_.turns() > turns_max) violation("the loops never rest");
    if (healed_ && kernel_.now_us() > end_us_ + patience_us) {
        for (const auto& client : clients_) {
            if (!client->done()) violation("stuck: " + client->text() + pools_text());
        }
    }
    kernel_.in(second_us / 10, [this] { look_whether_done(); });
}

// ---------------------------------------------------------------- trouble

void World::plan_trouble() {
    const auto count = kernel_.dice.between(1, 6);
    for (int i = 0; i < count; ++i)
        kernel_.in(kernel_.dice.below(second_us), [this] { trouble(); });
    kernel_.in(3 * second_us, [this] {
        if (!healed_) heal();
    });
}

void World::trouble() {
    if (healed_) return;
    if (kernel_.dice.one_in(2)) return chore();
    outage();
}

/// What an operator does, of which no client may notice anything.
void World::chore() {
    const auto kind = kernel_.dice.below(3);
    trace("-- chore {}", kind);
    if (kind == 0) {
        on_main([this] { process_->pause(""); });
        kernel_.in(kernel_.dice.below(300'000), [this] { resume(); });
    } else if (kind == 1) {
        on_main([this] { process_->reconnect(""); });
    } else {
        pool_size_ = static_cast<int>(kernel_.dice.between(1, 6));
        on_main([this] {
            auto changed = std::make_shared<config::Config>(process_->settable());
            changed->settings.default_pool_size = pool_size_;
            process_->set(changed);
        });
    }
}

void World::outage() {
    troubled_ = true;
    Dice& dice = kernel_.dice;
    Node& node = dice.one_in(2) ? cluster_->primary() : *dice.pick(cluster_->nodes);
    const auto kind = dice.below(6);
    trace("-- trouble {} at {}", kind, node.address);
    kernel_.note("trouble");
    const auto after = [&](std::int64_t to_us, auto what) {
        kernel_.in(dice.between(1'000, to_us), [this, &node, what] {
            if (!healed_) what(node);
        });
    };
    switch (kind) {
        case 0:  // one connection breaks
            if (!node.backends().empty()) dice.pick(node.backends())->die(dice.one_in(2));
            return;
        case 1:
            node.crash();
            after(300'000, [](Node& one) { one.start(); });
            break;
        case 2:
            node.hang(true);
            after(900'000, [](Node& one) { one.hang(false); });
            break;
        case 3:
            node.cable->cut = true;
            after(900'000, [this](Node& one) { kernel_.mend(*one.cable); });
            break;
        case 4: cluster_->lag_us_max = dice.one_in(2) ? 200'000 : 2'000; return;
        default: break;  // the primary is replaced while it works
    }
    if (!clustered_ || &node != &cluster_->primary()) return;
    if (kind == 5 || dice.one_in(2)) {
        after(500'000, [this](Node& former) {
            if (&former != &cluster_->primary() || !cluster_->fail_over()) return;
            trace("-- {} is the primary", cluster_->primary().address);
            if (!former.up) former.primary = false;
        });
        after(1'200'000, [this](Node& former) { cluster_->follow(former); });
    }
}

void World::heal() {
    trace("-- all is well");
    healed_ = true;
    end_us_ = kernel_.now_us();
    cluster_->heal();
    resume();
}

void World::resume() {
    lent_at_pause_.clear();  // who is paused again may have lent some in between
    on_main([this] { process_->resume(""); });
}

}  // namespace pgweir::simulation
