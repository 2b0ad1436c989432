#include "proxy/process.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>

#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "pool/net/log.hpp"
#include "protocol/startup.hpp"
#include "proxy/http/site.hpp"
#include "proxy/peer_key.hpp"
#include "proxy/socket_peer.hpp"
#include "proxy/start.hpp"
#include "proxy/systemd.hpp"
#include "proxy/wall_clock.hpp"

namespace pgweir::proxy {

using net::log::Level;

namespace {

constexpr std::int64_t tick_us = 100'000;

unsigned thread_count(const config::Config& config) {
    if (config.native.threads > 0) return static_cast<unsigned>(config.native.threads);
    return std::max(1u, std::thread::hardware_concurrency());
}

/// Do more wait than will be served by the connections that are being made?
bool is_short_of_servers(const pool::Pool& pool, std::int64_t now_us) {
    const pool::Pool::Counts counts = pool.counts(now_us);
    return counts.waiting > counts.opening;
}

constexpr const char* console_database = "pgbouncer";
constexpr const char* full_database = "client connections exceeded (max_db_client_connections)";
constexpr const char* full_user = "client connections exceeded (max_user_client_connections)";

}  // namespace

/// Signals arrive as input on a descriptor of the main loop.
class Process::Signals final : private net::Watcher {
public:
    explicit Signals(Process& process) : process_(process) {
        const sigset_t set = hold_signals();
        fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        process_.main().worker.loop.watch(fd_, *this);
    }
    ~Signals() {
        process_.main().worker.loop.forget(fd_, *this);
        ::close(fd_);
    }
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

private:
    void ready(std::uint32_t) override {
        signalfd_siginfo info;
        while (::read(fd_, &info, sizeof info) == sizeof info) {
            process_.handle_signal(static_cast<int>(info.ssi_signo));
        }
    }

    Process& process_;
    int fd_;
};

/// Runs a shard's chores ten times a second.
class Process::Ticker final : private net::Timer {
public:
    Ticker(Process& process, Shard& shard)
        : net::Timer(shard.worker.loop),
          process_(process),
          shard_(shard) {
        expire_in(tick_us);
    }

private:
    void expired() override {
        expire_in(tick_us);
        process_.tick(shard_);
    }

    Process& process_;
    Shard& shard_;
};

Process::Process(const Options& options, config::ConfigPtr config, pool::TlsContextsPtr tls)
    : options_(options),
      started_us_(wall_us()),
      loaded_us_(started_us_),
      certificates_(http::certificate_ends(*config)) {
    std::vector<pool::Worker*> workers;
    for (unsigned i = 0; i < thread_count(*config); ++i) {
        shards_.push_back(std::make_unique<Shard>(i, shared_, config, *this));
        shards_.back()->worker.tls = tls;
        workers.push_back(&shards_.back()->worker);
    }
    registry_ = std::make_unique<pool::Registry>(std::move(workers));
    peers_ = std::make_unique<Peers>(main().worker);
    set_shared(*main().worker.config);
    signals_ = std::make_unique<Signals>(*this);
}

/// Threads that post to loops go first. The main shard last: a loop that ends runs what was posted
/// to it, and that may post there.
Process::~Process() {
    auth_shared_.slow.stop();
    shared_.offload.stop();
    shared_.catalogs.stop();
    while (shards_.size() > 1) shards_.pop_back();
}

bool Process::listen() {
    const auto accept = [this](int fd, net::Address address) { accepted(fd, address); };
    const std::vector<int> activated = systemd::listening_sockets();
    std::vector<int> inherited;
    if (!activated.empty()) {
        listeners_ = activated_listeners(main().worker.loop, activated, accept);
        return open_http(inherited);
    }
    inherited = inherit_listeners();
    if (!open_http(inherited)) return false;
    auto listeners = open_listeners(main().worker.loop, config()->settings, inherited, accept);
    if (listeners.has_error()) {
        net::log::print(Level::fatal, {}, "{}", listeners.error().message);
        return false;
    }
    listeners_ = std::move(*listeners);
    if (listeners_.empty()) net::log::print(Level::fatal, {}, "nowhere to listen on");
    return !listeners_.empty();
}

int Process::run(const std::function<void()>& up) {
    if (!listen()) return 1;
    net::log::print(Level::log, {}, "process up: {}, {} thread(s)", version_text(), shards_.size());
    start_threads();
    serve_http();
    up();
    inherit_clients();
    open_door();
    systemd::ready();
    main().worker.loop.run();
    stop_threads();
    return 0;
}

void Process::start_threads() {
    registry_->apply(config());
    for (const auto& shard : shards_) tickers_.push_back(std::make_unique<Ticker>(*this, *shard));
    monitor_ = std::make_unique<Monitor>(*this);
    registry_->loops_live = loops_live();
    registry_->on_trouble = [this](const std::string& cluster, const config::Endpoint& node) {
        monitor_->poke(cluster, node);
    };
    monitor_->apply(config());
    catalogs_.apply(*config());
    for (std::size_t i = 1; i < shards_.size(); ++i) {
        threads_.emplace_back([shard = shards_[i].get()] { shard->worker.loop.run(); });
    }
}

/// Every client has gone by now; the servers end with their shards' tables.
void Process::stop_threads() {
    for (std::size_t i = 1; i < shards_.size(); ++i) shards_[i]->worker.loop.stop();
    for (std::thread& thread : threads_) thread.join();
    loops_live_.reset();
    http_.reset();
    monitor_.reset();
    catalogs_.stop();
    peers_.reset();
    tickers_.clear();
    listeners_.clear();
    door_.reset();
    successor_.reset();
    predecessor_.reset();
    signals_.reset();
    for (const auto& shard : shards_) {
        while (!shard->worker.servers.empty()) {
            shard->worker.servers.begin()->second->close("pooler is shutting down");
        }
    }
}

void Process::accepted(int fd, net::Address address) {
    net::apply(pool::tcp_options(config()->settings), fd, address.is_unix());
    Shard* const fewest = &least_loaded();
    const auto begin = [fewest, fd, address] { fewest->add_client(fd, address).start(); };
    if (fewest == &main()) {
        begin();
    } else {
        fewest->worker.loop.post(begin);
    }
}

/// Counts one more connection there.
Shard& Process::least_loaded() {
    Shard* fewest = shards_.front().get();
    for (const auto& shard : shards_) {
        if (shard->load.load(std::memory_order_relaxed) <
            fewest->load.load(std::memory_order_relaxed)) {
            fewest = shard.get();
        }
    }
    fewest->load.fetch_add(1, std::memory_order_relaxed);
    connections_.fetch_add(1, std::memory_order_relaxed);
    return *fewest;
}

std::optional<config::Database> Process::database(const config::Config& config,
                                                  const std::string& name) const {
    return config.entry_for(name);
}

void Process::forget_functions() {
    const std::lock_guard lock(mutex_);
    for (auto& [database, book] : function_books_) book.forget();
}

FunctionBook& Process::function_book(const std::string& database) {
    const std::lock_guard lock(mutex_);
    return function_books_[database];
}

bool Process::disabled(const std::string& database) const {
    const std::lock_guard lock(mutex_);
    return disabled_.contains(database);
}

bool Process::is_console(const std::string& database) const {
    return database == "pgbouncer" || database == "pgweir";
}

bool Process::is_owner(const Client& client) const {
    return is_console(client.database()) && client.user() == "pgbouncer" &&
           uid_of(client) == geteuid();
}

ConsoleRole Process::console_role(const Client& client) const {
    const config::Settings& settings = client.shard().worker.config->settings;
    const auto listed = [&](const std::vector<std::string>& names) {
        return std::find(names.begin(), names.end(), client.user()) != names.end();
    };
    if (is_owner(client) || settings.auth_type == config::AuthType::any) return ConsoleRole::admin;
    if (listed(settings.admin_users)) return ConsoleRole::admin;
    if (listed(settings.stats_users)) return ConsoleRole::stats;
    return ConsoleRole::none;
}

const char* Process::client_came(Client& client) {
    const config::Settings& settings = client.shard().worker.config->settings;
    const config::PoolLimits& limits = client.pool()->settings(client.shard().worker).limits;
    const config::Config& config = *client.shard().worker.config;
    const config::User* const user = config.user(client.user());
    const int user_max = user && user->max_user_client_connections.value_or(0) > 0
                             ? *user->max_user_client_connections
                             : settings.max_user_client_connections;
    pool::Quota& of_database = client.pool()->database_totals().clients;
    pool::Quota& of_user = registry_->user_totals(client.user()).clients;
    if (clients_.fetch_add(1, std::memory_order_relaxed) >= settings.max_client_conn) {
        clients_.fetch_sub(1, std::memory_order_relaxed);
        return "no more connections allowed (max_client_conn)";
    }
    if (!of_database.acquire(limits.max_db_client_connections)) {
        clients_.fetch_sub(1, std::memory_order_relaxed);
        return full_database;
    }
    if (!of_user.acquire(user_max)) {
        of_database.release();
        clients_.fetch_sub(1, std::memory_order_relaxed);
        return full_user;
    }
    client.pool()->clients.fetch_add(1, std::memory_order_relaxed);
    client.count();
    return nullptr;
}

void Process::client_moved_in(Client& client) {
    constexpr int no_limit = 0;
    clients_.fetch_add(1, std::memory_order_relaxed);
    client.pool()->database_totals().clients.acquire(no_limit);
    registry_->user_totals(client.user()).clients.acquire(no_limit);
    client.pool()->clients.fetch_add(1, std::memory_order_relaxed);
    client.count();
}

const char* Process::console_came(Client& client, ConsoleRole role) {
    const config::Config& config = *client.shard().worker.config;
    config::PoolLimits limits = config::limits_of(config, {}, config.user(client.user()));
    if (role == ConsoleRole::admin)
        limits.max_db_client_connections = limits.max_user_client_connections = 0;
    pool::Quota& of_console = registry_->database_totals(console_database).clients;
    if (!of_console.acquire(limits.max_db_client_connections)) return full_database;
    if (!registry_->user_totals(client.user())
             .clients.acquire(limits.max_user_client_connections)) {
        of_console.release();
        return full_user;
    }
    client.count();
    return nullptr;
}

void Process::client_left(Client& client) {
    registry_->user_totals(client.user()).clients.release();
    if (!client.pool()) return registry_->database_totals(console_database).clients.release();
    clients_.fetch_sub(1, std::memory_order_relaxed);
    client.pool()->clients.fetch_sub(1, std::memory_order_relaxed);
    client.pool()->database_totals().clients.release();
}

void Process::client_gone() {
    connections_.fetch_sub(1, std::memory_order_relaxed);
    if (shutdown_ != Shutdown::none) main().worker.loop.post([this] { check_exit(); });
}

void Process::cancel(const protocol::CancelRequest& request, pool::CancelHold hold) {
    const auto place = cancel_keys_.find(request.pid, request.key);
    const int own = cancel_keys_.peer();
    if (!place && own > 0 && peer_key::owner_of(request.pid) != own &&
        request.key.size() >= CancelKeys::short_size) {
        main().worker.loop.post([this, request = request, hold = std::move(hold)]() mutable {
            if (peers_) peers_->forward(std::move(request), std::move(hold));
        });
        return;
    }
    if (!place && predecessor_) {
        std::string body(4, '\0');
        protocol::store_u32(body.data(), request.pid);
        body += request.key;
        predecessor_->send({TakeoverLink::Kind::cancel, std::move(body)});
    }
    if (!place) return;
    Shard& shard = *shards_[place->shard];
    shard.worker.loop.post([&shard, id = place->client, hold = std::move(hold)]() mutable {
        const auto found = shard.clients.find(id);
        if (found != shard.clients.end()) found->second->cancel(std::move(hold));
    });
}

void Process::reclaim(pool::Pool& pool) {
    if (pool.unasked.load(std::memory_order_relaxed) == 0 ||
        !is_short_of_servers(pool, net::monotonic_us()))
        return;
    for (const auto& shard : shards_) {
        shard->worker.loop.post([here = shard.get(), &pool] { here->reclaim(pool, false); });
    }
}

StatsHistory::ByDatabase Process::counters() const {
    StatsHistory::ByDatabase sums = StatsHistory::now(*registry_);
    for (const auto& shard : shards_) sums["pgbouncer"] += shard->console_stats;
    return sums;
}

/// What limits on time ask for, of this shard's clients and servers.
void Process::look_after(Shard& shard) {
    const std::int64_t now_us = shard.worker.loop.now_us();
    for (pool::Pool* const pool : registry_->pools()) {
        pool->tick(shard.worker);
        if (pool->unasked.load(std::memory_order_relaxed) == 0) continue;
        const bool all = pool->paused() || (shutdown_ != Shutdown::none && !hands_over());
        if (all || is_short_of_servers(*pool, now_us)) shard.reclaim(*pool, all);
    }
    hubs_.tick(shard);
    look_at_addresses(shard);
    if (moves_clients()) {
        shard.for_each_client([this](Client& client) {
            if (client.can_move()) hand_over(client);
        });
    }
    if (!shard.departed.empty()) forget_departed(shard);
    if (now_us >= shard.next_walk_us) {
        shard.for_each_client([now_us](Client& client) { client.check_timeouts(now_us); });
        // Idle clients are many: they are looked at seldom, unless a limit asks for more.
        const bool near_limit = memory_.count(shard);
        const bool often = near_limit || config::clients_may_end_soon(*shard.worker.config) ||
                           shutdown_ != Shutdown::none;
        shard.next_walk_us = now_us + (often ? 0 : 10 * tick_us);
    }
}

/// Connections to addresses that their host no longer has are closed when nobody uses them.
void Process::look_at_addresses(Shard& shard) {
    const std::int64_t now_us = shard.worker.loop.now_us();
    if (now_us < shard.next_look_us) return;
    shard.next_look_us = now_us + 10 * tick_us;
    for (const auto& [id, server] : shard.worker.servers) {
        if (server->fd() < 0 || server->address().is_unix()) continue;
        if (!shared_.dns.has(server->host(), server->address())) server->close_needed = true;
    }
}

void Process::tick(Shard& shard) {
    const std::int64_t now_us = shard.worker.loop.now_us();
    shard.ticked_us.store(now_us, std::memory_order_relaxed);
    if (!suspended_) look_after(shard);
    if (&shard != &main()) return;
    if (suspended_ && consoles_ == 0) {
        net::log::print(Level::log, {}, "admin disappeared when suspended, doing RESUME");
        resume({});
    }
    if (shutdown_ != Shutdown::none) check_exit();
    tell_watchdog(now_us);
    peers_->tick();
    memory_.tick(now_us);
    if (now_us >= next_look_us_) {
        next_look_us_ = now_us + 10 * tick_us;
        shared_.dns.refresh(shard.worker.loop);
        registry_->look_for_use(*config(), now_us);
    }
    if (now_us >= forget_functions_us_) {
        constexpr std::int64_t remembered_us = 60'000'000;
        forget_functions_us_ = now_us + remembered_us;
        forget_functions();
    }
    if (now_us >= next_stats_us_) {
        stats_history_.snapshot(counters(), now_us);
        if (next_stats_us_ > 0 && config()->settings.log_stats) log_stats();
        next_stats_us_ =
            now_us + std::max<std::int64_t>(config()->settings.stats_period.count(), tick_us);
    }
}

/// A worker that stands still must not be covered up by one that does not.
void Process::tell_watchdog(std::int64_t now_us) {
    static const std::int64_t interval_us = systemd::watchdog_us();
    if (interval_us == 0 || now_us < next_alive_us_) return;
    for (const auto& shard : shards_) {
        if (now_us - shard->ticked_us.load(std::memory_order_relaxed) > interval_us) return;
    }
    next_alive_us_ = now_us + interval_us / 2;
    systemd::alive();
}

void Process::log_stats() const {
    const StatsHistory::Window window = stats_history_.window();
    if (window.length_us == 0) return;
    pool::PoolTotals from, to;
    for (const auto& [name, totals] : window.from) from += totals;
    for (const auto& [name, totals] : window.to) to += totals;
    const pool::PoolTotals mean = pool::averages(from, to, window.length_us);
    net::log::print(Level::log, {},
                    "stats: {} xacts/s, {} queries/s, {} client parses/s, {} server parses/s, {} "
                    "binds/s, in {} B/s, "
                    "out {} B/s, xact {} us, query {} us, wait {} us",
                    mean.xact_count, mean.query_count, mean.client_parse_count,
                    mean.server_parse_count, mean.bind_count, mean.received, mean.sent,
                    mean.xact_time, mean.query_time, mean.wait_time);
}

void Process::visit_shards(std::function<void(Shard&)> visit, std::function<void()> done) {
    struct Round {
        std::function<void(Shard&)> visit;
        std::function<void()> done;
        std::atomic<std::size_t> left;
    };
    const auto round =
        std::shared_ptr<Round>(new Round{std::move(visit), std::move(done), shards_.size()});
    for (const auto& shard : shards_) {
        shard->worker.loop.post([this, round, here = shard.get()] {
            round->visit(*here);
            if (round->left.fetch_sub(1) == 1) {
                main().worker.loop.post([round] { round->done(); });
            }
        });
    }
}

}  // namespace pgweir::proxy
