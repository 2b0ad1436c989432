// What an operator may do to the running process: signals and the console's commands end here.
#include <csignal>

#include "pool/net/log.hpp"
#include "proxy/cluster_aims.hpp"
#include "proxy/process.hpp"
#include "proxy/start.hpp"
#include "proxy/systemd.hpp"
#include "proxy/wall_clock.hpp"

namespace pgweir::proxy {

using net::log::Level;

namespace {

protocol::Error going_down(const char* text) {
    return {protocol::sqlstate::admin_shutdown, protocol::Origin::proxy, text};
}

/// What a signal is going to do now, in PgBouncer's words.
const char* meaning_of(int signal, const Process& process) {
    const bool again = process.shutting_down() != Shutdown::none;
    const bool held = process.paused() || process.suspended();
    switch (signal) {
        case SIGHUP: return ", re-reading config";
        case SIGUSR1: return held ? ", but already paused/suspended" : ", pausing all activity";
        case SIGUSR2:
            if (again) return " while shutting down, ignoring";
            if (process.suspended()) return ", continuing from SUSPEND";
            return held ? ", continuing from PAUSE" : ", but not paused/suspended";
        case SIGINT:
            return again ? " while shutting down, fast exit"
                         : ", shutting down, waiting for all servers connections to be released";
        case SIGTERM:
            return again ? " while shutting down, fast exit"
                         : ", shutting down, waiting for all clients disconnect";
        default: return ", fast exit";
    }
}

}  // namespace

void Process::handle_signal(int signal) {
    const char* const name = sigabbrev_np(signal);
    net::log::print(Level::log, {}, "got SIG{}{}", name ? name : "?", meaning_of(signal, *this));
    switch (signal) {
        case SIGHUP: reload(); break;
        case SIGUSR1: pause({}); break;
        case SIGUSR2:
            if (shutdown_ == Shutdown::none) resume({});
            break;
        case SIGINT:
            shut_down(shutdown_ == Shutdown::none ? Shutdown::wait_for_servers : Shutdown::now);
            break;
        case SIGTERM:
            shut_down(shutdown_ == Shutdown::none ? Shutdown::wait_for_clients : Shutdown::now);
            break;
        default: shut_down(Shutdown::now); break;
    }
}

bool Process::reload() {
    systemd::reloading();
    const bool reloaded = load_again();
    ++(reloaded ? reloads_ : failed_reloads_);
    reload_failed_ = !reloaded;
    systemd::ready();
    return reloaded;
}

bool Process::load_again() {
    const config::Loaded loaded = config::reload(*config());
    log_problems(Level::warning, loaded.warnings);
    if (!loaded.config) {
        log_problems(Level::error, loaded.problems);
        net::log::print(Level::error, {}, "RELOAD failed: the configuration stays as it was");
        return false;
    }
    auto tls = pool::make_tls_contexts(*loaded.config);
    if (tls.has_error()) {
        net::log::print(Level::error, {}, "{}", tls.error().message);
        net::log::print(Level::error, {}, "RELOAD failed: the configuration stays as it was");
        return false;
    }
    if (!move_http(loaded.config->native.http)) {
        net::log::print(Level::error, {}, "RELOAD failed: the configuration stays as it was");
        return false;
    }
    loaded_us_ = wall_us();
    certificates_ = http::certificate_ends(*loaded.config);
    apply(loaded.config, std::move(*tls));
    forget_functions();
    net::log::print(Level::log, {}, "RELOAD: configuration loaded");
    return true;
}

config::Config Process::settable() const {
    config::Config copy = *config();
    if (waiting_tls_) std::tie(copy.settings.client_tls, copy.settings.server_tls) = *waiting_tls_;
    return copy;
}

void Process::set(config::ConfigPtr config) {
    const config::Settings& present = this->config()->settings;
    const config::Settings& next = config->settings;
    if (next.client_tls == present.client_tls && next.server_tls == present.server_tls) {
        waiting_tls_.reset();
        return apply(std::move(config), main().worker.tls);
    }
    auto made = pool::make_tls_contexts(*config);
    if (made.has_value()) return apply(std::move(config), std::move(*made));
    net::log::print(Level::error, {}, "{}", made.error().message);
    net::log::print(Level::error, {},
                    "TLS configuration could not be reloaded, keeping old configuration");
    auto kept = std::make_shared<config::Config>(*config);
    const auto wanted = std::pair(next.client_tls, next.server_tls);
    kept->settings.client_tls = present.client_tls;
    kept->settings.server_tls = present.server_tls;
    apply(std::move(kept), main().worker.tls);
    waiting_tls_ = wanted;
}

/// What all threads share.
void Process::set_shared(const config::Config& config) {
    cancel_keys_.set_peer(config.settings.peer_id);
    shared_.dns.set_times(config.settings.dns_max_ttl.count(),
                          config.settings.dns_nxdomain_ttl.count());
    shared_.dns.set_zone_period(config.settings.dns_zone_check_period.count());
    shared_.dns.set_resolv_conf(config.settings.resolv_conf);
}

void Process::apply(config::ConfigPtr config, pool::TlsContextsPtr tls) {
    waiting_tls_.reset();
    configure_log(*config);
    set_shared(*config);
    const bool other_tls = config->settings.server_tls != this->config()->settings.server_tls;
    const auto adopt = [config, tls](Shard& shard) {
        shard.worker.adopt(config);
        for (auto& [_, cluster] : shard.clusters) cluster.adopt(config);
        shard.queries.set_max(static_cast<std::size_t>(config->native.query_shapes));
        shard.worker.tls = tls;
    };
    visit_shards(adopt, [this, config, other_tls] {
        registry_->apply(config);
        monitor_->apply(config);
        catalogs_.apply(*config);
        if (other_tls) reconnect({});
        visit_shards(
            [](Shard& shard) {
                shard.greetings.clear();
                shard.for_each_client([](Client& client) { client.refresh(); });
            },
            [] {});
    });
}

/// Clients choose by the new one before their old choice is taken from them.
void Process::topology_changed(health::TopologyPtr topology) {
    for (const auto& shard : shards_) {
        shard->worker.loop.post([here = shard.get(), topology, live = loops_live()] {
            if (!live.expired()) here->take_topology(topology);
        });
    }
    std::uint64_t& system = systems_[topology->cluster];
    const bool replaced = system != 0 && topology->primary && topology->epoch.system != system;
    if (topology->primary) system = topology->epoch.system;
    pool::Aims aims = aims_of(*topology);
    catalogs_.aim(topology->cluster, aims.primary);
    registry_->aim(topology->cluster, std::move(aims));
    if (!replaced) return;
    catalogs_.renew(topology->cluster);
    forget_functions();
}

void Process::configure_log(const config::Config& config) {
    const net::log::Sink sink = log_sink(options_, config);
    if (!net::log::configure(sink)) {
        net::log::print(Level::error, {}, "cannot open logfile {}", sink.file);
    }
}

std::vector<pool::Pool*> Process::pools_of(const std::string& database) const {
    std::vector<pool::Pool*> pools = registry_->pools();
    if (!database.empty()) {
        std::erase_if(pools, [&](const pool::Pool* pool) { return pool->database() != database; });
    }
    return pools;
}

void Process::pause(const std::string& database) {
    if (database.empty()) paused_ = true;
    registry_->pause(database);
    net::log::print(Level::log, {}, "PAUSE {}", database.empty() ? "all" : database);
}

void Process::suspend() {
    suspended_ = true;
    freeze(true);
    net::log::print(Level::log, {}, "SUSPEND");
}

/// Whoever is accepted before this is among those a shard sees now.
void Process::freeze(bool frozen) {
    for (const auto& listener : listeners_) listener->hold(frozen);
    visit_shards(
        [frozen](Shard& shard) {
            shard.for_each_client([frozen](Client& client) {
                if (!client.is_console()) client.suspend(frozen);
            });
            for (const auto& [id, server] : shard.worker.servers) {
                if (!server->pool().internal) server->suspend(frozen);
            }
        },
        [] {});
}

void Process::count_unsent(bool close, std::function<void(int)> done) {
    const auto sum = std::make_shared<std::atomic<int>>(0);
    visit_shards(
        [sum, close](Shard& shard) {
            shard.worker.loop.submit_batch();
            shard.for_each_client([&](Client& client) {
                if (client.is_console() || client.unsent_bytes() == 0) return;
                sum->fetch_add(1);
                if (close) client.hang_up("suspend_timeout");
            });
            std::vector<pool::Server*> behind;
            for (const auto& [id, server] : shard.worker.servers) {
                if (server->unsent_bytes() > 0) behind.push_back(server.get());
            }
            sum->fetch_add(static_cast<int>(behind.size()));
            for (pool::Server* const server : behind) {
                if (close && server->state() != pool::ServerState::closed) {
                    server->close("suspend_timeout");
                }
            }
        },
        [sum, done = std::move(done)] { done(sum->load()); });
}

bool Process::resume(const std::string& database) {
    if (database.empty()) {
        if (!paused_ && !suspended_) return false;
        if (suspended_) freeze(false);
        paused_ = suspended_ = false;
    }
    const bool was = registry_->resume(database);
    net::log::print(Level::log, {}, "RESUME {}", database.empty() ? "all" : database);
    return was || database.empty();
}

void Process::reconnect(const std::string& database) {
    for (pool::Pool* const pool : pools_of(database)) pool->reconnect();
}

bool Process::servers_free(const std::string& database) const {
    const std::int64_t now_us = main().worker.loop.now_us();
    for (const pool::Pool* const pool : pools_of(database)) {
        if (pool->counts(now_us).total > 0) return false;
    }
    return true;
}

void Process::close_all_clients(const std::string& database, const protocol::Error& error) {
    visit_shards(
        [this, database, error](Shard& shard) {
            shard.for_each_client([&](Client& client) {
                const bool console = client.is_console() || is_console(client.database());
                if (database.empty() || (client.database() == database && !console)) {
                    client.close(error);
                }
            });
        },
        [] {});
}

void Process::kill(const std::string& database) {
    pause(database);
    for (const auto& name : database.empty() ? registry_->databases() : std::vector{database}) {
        close_all_clients(name, going_down("database removed"));
    }
}

void Process::set_disabled(const std::string& database, bool disabled) {
    const std::lock_guard lock(mutex_);
    if (disabled) {
        disabled_.insert(database);
    } else {
        disabled_.erase(database);
    }
}

void Process::shut_down(Shutdown how) {
    shutdown_ = how;
    if (!hands_over()) systemd::stopping();  // else the service goes on in the next process
    if (suspended_) resume({});              // what is left of it is to come to its end
    // New TCP clients are turned away; the Unix socket stays, so that an administrator still gets
    // in.
    std::erase_if(listeners_, [how](const auto& listener) {
        return how == Shutdown::now || !listener->is_unix();
    });
    switch (how) {
        case Shutdown::wait_for_servers:
            net::log::print(Level::log, {}, "shutting down: waiting for servers");
            pause({});
            break;
        case Shutdown::wait_for_clients:
            net::log::print(Level::log, {}, "shutting down: waiting for clients");
            break;
        default:
            net::log::print(Level::log, {}, "shutting down at once");
            close_all_clients({}, going_down("pooler is shutting down"));
            check_exit();
            break;
    }
    // Whether there is still something to wait for is looked at by the next tick: who asked is
    // answered first.
}

void Process::check_exit() {
    const bool clients_gone = connections_.load(std::memory_order_relaxed) == 0;
    // What the next process has not been given may come back.
    const bool given = !successor_ || successor_->has_sent_all();
    const bool needed = departed_.load(std::memory_order_relaxed) > 0;  // by who has moved
    switch (shutdown_) {
        case Shutdown::none: return;
        case Shutdown::wait_for_servers:
            if (servers_free({})) shut_down(Shutdown::now);
            return;
        case Shutdown::wait_for_clients:
            // The console's as well, as in PgBouncer: who asked may look on until the end.
            if (clients_gone && given && !needed) shut_down(Shutdown::now);
            return;
        case Shutdown::now:
            if (clients_gone) main().worker.loop.stop();
            return;
    }
}

}  // namespace pgweir::proxy
