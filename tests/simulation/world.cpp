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
      calm_(kernel_.dice.one_in(5)),
      threads_(static_cast<unsigned>(kernel_.dice.between(1, 3))),
      pool_size_(static_cast<int>(kernel_.dice.between(1, 5))) {
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
    std::string text =
        fmt::format("[listen]\nhost = \"10.0.0.100\"\nport = 6432\nunix_socket_dir = \"\"\n"
                    "[workers]\nthreads = {}\n[auth]\nmethod = \"trust\"\nfile = \"users\"\n"
                    "[pool]\nmode = \"{}\"\nsize = {}\nmax_prepared_statements = {}\n",
                    threads_, session_mode_ ? "session" : "transaction", pool_size_,
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
        kernel_.in(kernel_.dice.below(300'000),
                   [this] { on_main([this] { process_->resume(""); }); });
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
    on_main([this] { process_->resume(""); });
}

// ---------------------------------------------------------------- what holds

void World::connecting(const WirePtr& wire, const std::string& address) {
    Node* const node = cluster_->find(address);
    if (!node) return violation("connects to " + address);
    node->connected(wire);
}

/// No write goes to a node that the sending worker knows not to be the primary any more.
void World::sending(const Wire& wire, std::string_view bytes) {
    const Node* const node = wire.peer.empty() ? nullptr : cluster_->find(wire.peer);
    if (!node || !clustered_ || !node->primary) return;
    const bool writes = bytes.find("insert into") != std::string_view::npos ||
                        bytes.find("commit") != std::string_view::npos;
    if (!writes) return;
    const auto& shards = process_->shards();
    const health::Topology* const topology =
        shards[kernel_.running_loop()]->cluster("main").topology();
    if (topology && topology->epoch.timeline > node->timeline)
        violation(fmt::format("a write goes to {}, which is on timeline {}, and {} is known",
                              wire.peer, node->timeline, topology->epoch.timeline));
}

void World::step() {
    if (!cluster_->unknown.empty()) violation("PostgreSQL was asked: " + cluster_->unknown);
}

void World::quiet() {
    if (process_ && !ending_) check_pools();
}

std::string World::pools_text() const {
    std::string text;
    for (pool::Pool* const pool : process_->registry().pools()) {
        const auto counts = pool->counts(kernel_.now_us());
        text += fmt::format("; pool {}@{}: {} waiting, {} opening, {} idle, {} in use{}{}",
                            pool->database(), pool->node(), counts.waiting, counts.opening,
                            counts.idle, counts.in_use, pool->paused() ? ", paused" : "",
                            pool->held() ? ", held" : "");
    }
    for (const auto& shard : process_->shards()) {
        for (const auto& [id, server] : shard->worker.servers) {
            if (server->apart()) continue;
            std::string owed;
            server->backend().pipeline().for_each([&](const protocol::Outstanding& one) {
                owed += fmt::format(" {}/{}", static_cast<int>(one.request),
                                    static_cast<int>(one.reply));
            });
            text += fmt::format("; server {} of {} on worker {}: {}{}{}, status {}", id,
                                server->node_text(), shard->worker.index,
                                pool::state_text(server->state()), server->peer() ? ", held" : "",
                                server->backend().settled() ? "" : ", owes replies",
                                static_cast<char>(server->backend().tx()));
            text += fmt::format(", owed{}, {} bytes unsent, {} not read", owed,
                                server->unsent_bytes(), kernel_.unread(server->fd()));
        }
    }
    for (const auto& shard : process_->shards()) {
        for (const auto& [id, client] : shard->clients) {
            text += fmt::format(
                "; connection {} on worker {}: state {}, {} bytes kept, {} unsent, {} not read", id,
                shard->worker.index, static_cast<int>(client->state()), client->kept_bytes(),
                client->unsent_bytes(), kernel_.unread(client->fd()));
        }
    }
    for (const auto& node : cluster_->nodes) {
        for (const auto& backend : node->backends()) {
            if (backend->is_app()) text += "; " + node->address + " " + backend->text();
        }
    }
    return text;
}

void World::check_pools() const {
    for (pool::Pool* const pool : process_->registry().pools()) check_pool(*pool);
}

/// The books of a pool, against the connections there are.
void World::check_pool(pool::Pool& pool) const {
    const pool::Pool::Counts counts = pool.counts(kernel_.now_us());
    int opening = 0, idle = 0, lent = 0;
    for (const auto& shard : process_->shards()) {
        for (const auto& [id, server] : shard->worker.servers) {
            if (&server->pool() != &pool || server->apart()) continue;
            if (server->state() == pool::ServerState::login)
                ++opening;
            else if (server->state() == pool::ServerState::idle)
                ++idle;
            else
                ++lent;
        }
    }
    if (counts.opening != opening || counts.idle != idle || counts.in_use != lent)
        violation(fmt::format("the books of pool {}@{} say {} opening, {} idle, {} in use; there "
                              "are {}, {} and {}",
                              pool.database(), pool.node(), counts.opening, counts.idle,
                              counts.in_use, opening, idle, lent));
    if (counts.waiting > 0 && counts.idle > 0 && !pool.paused() && !pool.held())
        violation(fmt::format("{} wait in pool {}@{} while {} servers are idle{}", counts.waiting,
                              pool.database(), pool.node(), counts.idle, pools_text()));
    const auto& limits = pool.settings(process_->main().worker).limits;
    const int opened_max = std::max(6, limits.size) + limits.reserve_size;
    if (counts.total > opened_max)
        violation(fmt::format("pool {} has {} servers", pool.database(), counts.total));
}

/// When all clients have gone: what they were told of their writes, and what is in the log.
void World::check_accounts() const {
    const Node& primary = *std::ranges::find_if(cluster_->nodes, [&](const auto& node) {
                               return node.get() == &cluster_->primary();
                           })->get();
    for (const auto& [write, fate] : fates_) {
        const std::size_t count = primary.count(write);
        if (count > 1) violation(fmt::format("{} was carried out {} times", write, count));
        if (fate == Fate::done && count == 0) violation(write + " was acknowledged and is lost");
        if (fate == Fate::failed && count > 0)
            violation(write + " is there, and its client was told that it had failed");
    }
    if (process_->clients() != 0)
        violation(fmt::format("{} clients are left", process_->clients()));
    for (pool::Pool* const pool : process_->registry().pools()) {
        const auto counts = pool->counts(kernel_.now_us());
        if (counts.waiting > 0 || counts.in_use > 0)
            violation(
                fmt::format("nobody is there, and in pool {} {} wait and {} servers are lent{}",
                            pool->database(), counts.waiting, counts.in_use, pools_text()));
    }
}

}  // namespace pgweir::simulation
