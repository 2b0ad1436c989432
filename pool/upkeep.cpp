// The chores of a pool: limits that pass with time, administration, new settings.
#include <algorithm>

#include "pool/net/log.hpp"
#include "pool/pool.hpp"
#include "pool/registry.hpp"

namespace pgweir::pool {

namespace {

protocol::Error wait_timeout() {
    return {protocol::sqlstate::too_many_connections, protocol::Origin::proxy,
            "query_wait_timeout"};
}

}  // namespace

std::shared_ptr<const PoolSettings> make_pool_settings(const config::Config& config,
                                                       const config::Database& database,
                                                       const std::string& user) {
    const config::Settings& s = config.settings;
    auto settings = std::make_shared<PoolSettings>();
    settings->database = database;
    if (settings->database.dbname.empty()) settings->database.dbname = database.name;
    settings->limits = config::limits_of(config, database, config.user(user));
    if (database.user.value_or(user) != user) settings->limits.min_size = 0;  // nobody comes here
    const bool session = settings->limits.mode == config::PoolMode::session;
    if (session || s.server_reset_query_always) settings->reset_query = s.server_reset_query;
    if (!s.server_check_query.empty())
        settings->check_query = s.server_check_query == "<empty>" ? "" : s.server_check_query;
    settings->check_delay_us = s.server_check_delay.count();
    settings->login_retry_us = s.server_login_retry.count();
    settings->unix_socket_dir = s.unix_socket_dir;
    settings->round_robin = s.server_round_robin;
    if (const config::Cluster* const cluster = config.cluster(database.cluster)) {
        settings->hold_us = cluster->failover.hold.count();
        settings->held_max = cluster->failover.max_held;
    }
    settings->tracked = tracked_parameters(s);
    return settings;
}

std::vector<std::string> tracked_parameters(const config::Settings& settings) {
    std::vector<std::string> names{"client_encoding", "DateStyle", "TimeZone",
                                   "standard_conforming_strings", "application_name"};
    names.insert(names.end(), settings.track_extra_parameters.begin(),
                 settings.track_extra_parameters.end());
    return names;
}

void Pool::tick(Worker& worker) {
    refuse_held(worker);
    refuse_expired(worker);
    close_expired(worker);
    if (worker.index != 0) return;
    while (auto opening = begin_opening(worker, true)) open_on(std::move(*opening), worker);
    open_wanted(worker);
}

void Pool::refuse_expired(Worker& worker) {
    const std::int64_t timeout_us = settings(worker).limits.query_wait_timeout.count();
    if (timeout_us > 0) refuse(worker, worker.loop.now_us() - timeout_us, wait_timeout());
}

/// Those whose servers are to be opened with `startup`; nullptr: everybody.
void Pool::refuse_all(const protocol::Vars& startup, const protocol::Error& error) {
    for (Worker* const worker : registry_.workers()) {
        worker->loop.post([this, worker, startup, error] {
            refuse(*worker, worker->loop.now_us(), error, startup);
        });
    }
}

/// Those of a worker's queue that have waited since `since_us` or longer.
void Pool::refuse(Worker& worker, std::int64_t since_us, const protocol::Error& error,
                  const protocol::Vars& startup) {
    const auto is_meant = [&startup](const WaiterPlace& waiter) {
        return !startup || static_cast<const Peer&>(waiter).startup() == startup;
    };
    while (true) {
        WaiterPlace* next;
        {
            const std::lock_guard lock(mutex_);
            next = ledger_.find_waiting(worker.index, is_meant);
            if (!next || next->since_us > since_us) return;
            ledger_.stop_waiting(*next);
        }
        static_cast<Peer*>(next)->refused(error);
    }
}

bool Pool::expired(const Server& server, std::int64_t now_us) const {
    const auto& limits = settings(server.worker()).limits;
    return now_us - server.connected_us() >= limits.server_lifetime.count();
}

void Pool::close_expired(Worker& worker) {
    const std::int64_t now_us = worker.loop.now_us();
    const auto& limits = settings(worker).limits;
    const std::int64_t idle_timeout_us = limits.server_idle_timeout.count();
    std::vector<std::pair<Server*, std::string_view>> done;
    {
        const std::lock_guard lock(mutex_);
        // Connections made together are not closed together: one each gap, so that the pool stays
        // warm.
        const std::int64_t lifetime_us = limits.server_lifetime.count();
        const std::int64_t gap_us = limits.size > 0 ? lifetime_us / limits.size : 0;
        int spare = ledger_.total() - limits.min_size;
        ledger_.for_each_idle(worker.index, [&](ServerPlace& place) {
            auto& server = static_cast<Server&>(place);
            if (server.close_needed) {
                done.emplace_back(&server, "obsolete connection");
            } else if (now_us - server.connected_us() >= lifetime_us &&
                       now_us - last_lifetime_close_us_ >= gap_us) {
                last_lifetime_close_us_ = now_us;
                done.emplace_back(&server, "server lifetime over");
            } else if (idle_timeout_us > 0 && spare > 0 &&
                       now_us - place.idle_since_us > idle_timeout_us) {
                --spare;
                done.emplace_back(&server, "server idle timeout");
            }
        });
        for (auto& [server, reason] : done) ledger_.withdraw(*server);
    }
    for (auto& [server, reason] : done) server->close(reason);
    // Servers that do not come through their log-in.
    const std::int64_t connect_us = worker.config->settings.server_connect_timeout.count();
    std::vector<Server*> late;
    for (auto& [id, server] : worker.servers) {
        if (&server->pool() == this && server->state() == ServerState::login && connect_us > 0 &&
            now_us - server->connected_us() > connect_us) {
            late.push_back(server.get());
        }
    }
    for (Server* const server : late)
        server->close(server->fd() < 0 ? "connect failed" : "connect timeout");
}

bool Pool::evict(Worker& here) {
    for (Worker* const worker : registry_.workers()) {
        Server* victim = nullptr;
        std::uint32_t id = 0;
        {
            const std::lock_guard lock(mutex_);
            ledger_.for_each_idle(worker->index, [&](ServerPlace& place) {
                if (!victim) victim = &static_cast<Server&>(place);
            });
            if (!victim) continue;
            id = victim->id();
            ledger_.withdraw(*victim);
        }
        const auto close = [worker, id] {
            const auto found = worker->servers.find(id);
            if (found != worker->servers.end()) found->second->close("evicted");
        };
        if (worker == &here) {
            close();
        } else {
            worker->loop.post(close);
        }
        return true;
    }
    return false;
}

void Pool::pause() {
    {
        const std::lock_guard lock(mutex_);
        ledger_.pause();
    }
    reconnect();
}

void Pool::resume() {
    {
        const std::lock_guard lock(mutex_);
        ledger_.resume();
    }
    Worker& first = *registry_.workers().front();
    first.loop.post([this, &first] { open_wanted(first); });
}

bool Pool::paused() const {
    const std::lock_guard lock(mutex_);
    return ledger_.paused();
}

void Pool::reconnect() {
    epoch_.fetch_add(1, std::memory_order_relaxed);
    {
        const std::lock_guard lock(mutex_);
        startups_.clear();
        failures_ = 0;
        retry_at_us_ = 0;
    }
    for (Worker* const worker : registry_.workers()) {
        worker->loop.post([this, worker, live = registry_.loops_live] {
            if (Registry::ended(live)) return;
            for (auto& [id, server] : worker->servers) {
                if (&server->pool() == this) server->close_needed = true;
            }
            close_expired(*worker);
        });
    }
}

void Pool::apply(std::shared_ptr<const PoolSettings> settings) {
    bool changed, of_another;
    {
        const std::lock_guard lock(mutex_);
        changed = !(current_->database == settings->database);
        of_another = current_->database.cluster != settings->database.cluster;
        if (of_another) {
            aim_ = {};  // the next one is due
            ledger_.hold(settings->of_cluster());
        }
        current_ = settings;
        set_ledger_limits();
    }
    for (Worker* const worker : registry_.workers()) {
        worker->loop.post([this, worker, settings, of_another, live = registry_.loops_live] {
            if (Registry::ended(live)) return;
            settings_[worker->index] = settings;
            for (const auto& [id, server] : worker->servers) {
                if (&server->pool() == this) server->obey(*settings);
            }
            // Nobody says any more whether what they have been asked may be answered.
            if (of_another) doubt_servers(*worker, false);
        });
    }
    if (changed) reconnect();
}

void Pool::retire() {
    std::shared_ptr<PoolSettings> last;
    {
        const std::lock_guard lock(mutex_);
        last = std::make_shared<PoolSettings>(*current_);
    }
    last->limits.min_size = 0;
    apply(std::move(last));
    reconnect();
}

void Pool::look_for_use(std::int64_t now_us, std::int64_t after_us) {
    const std::lock_guard lock(mutex_);
    const bool used = current_->of_cluster() || clients.load(std::memory_order_relaxed) > 0 ||
                      ledger_.total() > 0 || ledger_.waiting() > 0 ||
                      (current_->database.user && current_->limits.min_size > 0);
    if (used) {
        unused_since_us_ = 0;
        return dormant_.store(false, std::memory_order_relaxed);
    }
    if (unused_since_us_ == 0) unused_since_us_ = now_us;
    if (dormant() || after_us == 0 || now_us - unused_since_us_ < after_us) return;
    dormant_.store(true, std::memory_order_relaxed);
}

void Pool::wake() {
    unused_since_us_ = 0;
    if (!dormant()) return;
    const std::size_t workers = stats_.size();
    stats_.clear();  // nobody has clients or servers to count for
    while (stats_.size() < workers) stats_.emplace_back();
    dormant_.store(false, std::memory_order_relaxed);
}

Pool::Counts Pool::counts(std::int64_t now_us) const {
    const std::lock_guard lock(mutex_);
    const WaiterPlace* const eldest = ledger_.oldest();
    return {.total = ledger_.total(),
            .idle = ledger_.idle(),
            .in_use = ledger_.in_use(),
            .opening = ledger_.opening(),
            .waiting = ledger_.waiting(),
            .oldest_wait_us = eldest ? now_us - eldest->since_us : 0};
}

}  // namespace pgweir::pool
