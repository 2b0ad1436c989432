#include "pool/pool.hpp"

#include <algorithm>

#include "pool/net/log.hpp"
#include "pool/registry.hpp"

namespace pgweir::pool {

using net::log::Level;

namespace {

/// What we say when we cannot answer what a server asks begins with it.
constexpr std::string_view login_failed_text = "server login failed: ";

/// Is it final: the server's own word, or that we cannot answer its question? Otherwise trying
/// again may help, and clients wait.
bool is_refusal(const protocol::Error& error) {
    const std::string_view code = error.sqlstate.view();
    if (error.origin != protocol::Origin::server) return false;
    if (error.message.starts_with(login_failed_text)) return true;
    return code.starts_with("28") || code.starts_with("3D") || code.starts_with("42");
}

/// Is it the server's word about a client's start-up parameters? It says nothing about others'.
bool is_about_startup(const Server& server, const protocol::Error& error) {
    const std::string_view code = error.sqlstate.view();
    if (error.origin != protocol::Origin::server || server.startup()->entries().empty())
        return false;
    return code.starts_with("42") || code.starts_with("22") || code.starts_with("55") ||
           code.starts_with("0A");
}

void log_failure(const Server& server, const protocol::Error& error) {
    if (server.pool().internal && server.apart()) return;
    const bool told = error.message.starts_with(login_failed_text);
    net::log::print(Level::warning, server.log_context(), "{}{}{}", told ? "" : login_failed_text,
                    server.refused_login(error) ? "FATAL " : "", error.message);
}

/// Up to a quarter less than is due, by chance: those who were refused together, of several pools
/// and processes, do not come back together.
std::int64_t retry_delay_us(int failures, std::int64_t most_us, std::int64_t now_us) {
    const std::int64_t due_us = std::int64_t{50'000} << std::min(failures, 5);
    const std::int64_t delay_us =
        std::min({due_us, std::int64_t{1'000'000}, std::max<std::int64_t>(most_us, 1'000)});
    const auto chance = static_cast<std::uint32_t>(now_us) * 2654435761U;  // spreads near values
    return delay_us - (delay_us / 4) * (chance >> 16) / 65536;
}

/// Of an idle server: noted under the lock, sent for without it.
struct Whereabouts {
    unsigned worker;
    std::uint32_t id;
};

Whereabouts whereabouts(const ServerPlace& place) {
    return {place.worker, static_cast<const Server&>(place).id()};
}

}  // namespace

bool Quota::acquire(int max) {
    if (used.fetch_add(1, std::memory_order_relaxed) < max || max == 0) return true;
    release();
    return false;
}

Pool::Pool(Registry& registry, Key key, std::shared_ptr<const PoolSettings> settings,
           Totals& database_totals, Totals& user_totals)
    : registry_(registry),
      key_(std::move(key)),
      database_totals_(database_totals),
      user_totals_(user_totals),
      settings_(registry.workers().size(), settings),
      stats_(registry.workers().size()),
      current_(std::move(settings)),
      ledger_(static_cast<unsigned>(registry.workers().size())) {
    set_ledger_limits();
    held_since_us_ = net::monotonic_us();  // whichever thread makes it
    ledger_.hold(current_->of_cluster());  // until the first aim
}

void Pool::set_ledger_limits() {
    ledger_.set_limits({.size = current_->limits.size,
                        .reserve_size = current_->limits.reserve_size,
                        .reserve_timeout_us = current_->limits.reserve_timeout.count(),
                        .round_robin = current_->round_robin});
}

PoolTotals Pool::totals() const {
    PoolTotals sum;
    for (const PoolStats& stats : stats_) sum += stats;
    return sum;
}

Server* Pool::checkout(Worker& worker, Peer& peer) {
    while (true) {
        Server* const server = try_checkout(worker, peer);
        if (!server || server->epoch == epoch()) return server;
        server->close("obsolete connection");  // nobody has come by yet to close it
    }
}

Server* Pool::try_checkout(Worker& worker, Peer& peer) {
    peer.worker = worker.index;
    const bool session = settings(worker).limits.mode == config::PoolMode::session;
    peer.wants = (session ? peer.startup() : peer.vars()).get();
    const std::int64_t now_us = worker.loop.now_us();
    std::optional<Whereabouts> wanted;
    std::optional<protocol::Error> refusal;
    {
        const std::lock_guard lock(mutex_);
        // Of a replica's: others may do.
        const bool of_node = !key_.node.empty();
        const bool fails = failures_ > 0 && now_us < retry_at_us_ && ledger_.total() == 0;
        if (ledger_.held() && (of_node || ledger_.waiting() >= current_->held_max)) {
            refusal = no_node(0);
        } else if (of_node && fails) {
            refusal = no_node(0);
        } else {
            const Ledger::Checkout checkout = ledger_.checkout(peer, now_us);
            if (checkout.taken) return static_cast<Server*>(checkout.taken);
            if (ledger_.held()) stats(worker).held_count.add(1);
            if (checkout.wanted) wanted = whereabouts(*checkout.wanted);
        }
    }
    if (refusal) {
        peer.refused(*refusal);
        return nullptr;
    }
    if (wanted) {
        fetch(wanted->worker, wanted->id, worker.index);
    } else {
        open_wanted(worker);
    }
    return nullptr;
}

bool Pool::has_room() const {
    const std::lock_guard lock(mutex_);
    const config::PoolLimits& limits = current_->limits;
    if (ledger_.paused() || ledger_.held() || failures_ > 0 || limits.max_db_connections > 0 ||
        limits.max_user_connections > 0) {
        return false;
    }
    const int held = ledger_.total() - ledger_.opening() - ledger_.idle() - ledger_.moving();
    return limits.size == 0 || held + ledger_.apart() + ledger_.waiting() < limits.size;
}

void Pool::stop_waiting(Peer& peer) {
    const std::lock_guard lock(mutex_);
    ledger_.stop_waiting(peer);
}

void Pool::give_back(Server& server) {
    server.release();
    server.resume();  // its holder may have been too slow for its last reply; the next is not
    const PoolSettings& present = settings(server.worker());
    const Backend& backend = server.backend();
    if (server.soiled() && server.busy_with_own()) return server.tidy_all();
    if (!backend.settled() || server.full())
        return server.close("client left in the middle of a request");
    if (backend.tx() != protocol::TxStatus::idle)
        return server.close("client left in a transaction");
    if (server.close_needed || server.epoch != epoch()) return server.close("obsolete connection");
    if (expired(server, server.worker().loop.now_us())) return server.close("server lifetime over");
    if (server.soiled()) return server.tidy_all();
    if (!present.reset_query.empty()) return server.tidy(present.reset_query);
    shelve(server);
}

void Pool::shelve(Server& server) {
    if (server.cancels > 0) return server.set_state(ServerState::canceling);
    const bool session = settings(server.worker()).limits.mode == config::PoolMode::session;
    Ledger::Checkin checkin;
    {
        const std::lock_guard lock(mutex_);
        if (ledger_.paused() || server.close_needed || server.epoch != epoch()) {
            checkin.waiter = nullptr;
            server.close_needed = true;
        } else {
            server.set_state(ServerState::idle);
            server.fits = (session ? server.startup() : server.vars()).get();
            checkin = ledger_.checkin(server, server.worker().loop.now_us());
        }
    }
    if (server.close_needed) return server.close("pool paused or reconnecting");
    if (checkin.move) return move(server, checkin.move_to);
    if (checkin.waiter) static_cast<Peer*>(checkin.waiter)->granted(server);
}

void Pool::move(Server& server, unsigned to) {
    Worker& there = *registry_.workers()[to];
    there.loop.post([this, &there, self = server.depart()]() mutable {
        arrived(Server::arrive(std::move(self), there));
    });
}

void Pool::fetch(unsigned from, std::uint32_t server, unsigned to) {
    Worker& there = *registry_.workers()[from];
    there.loop.post([this, &there, server, to] {
        const auto found = there.servers.find(server);
        if (found != there.servers.end()) move(*found->second, to);  // else it has died meanwhile
    });
}

Server& Pool::move_in(Worker& worker, Peer& holder, const HandedServer& handed, int fd) {
    bool ours;
    {
        const std::lock_guard lock(mutex_);
        ledger_.begin_opening();
        ledger_.opened();
        const auto& endpoints = current_->database.endpoints;
        const auto is_there = [&handed](const config::Endpoint& at) {
            return at.host == handed.host;
        };
        ours = endpoints.empty() ? handed.host == current_->unix_socket_dir
                                 : std::ranges::any_of(endpoints, is_there);
    }
    database_totals_.servers.acquire(0);
    user_totals_.servers.acquire(0);
    const std::uint32_t id = worker.shared.next_id.fetch_add(1, std::memory_order_relaxed);
    auto server =
        std::make_unique<Server>(worker, *this, id, worker.shared.vars.of(handed.startup));
    Server& taken = *worker.servers.emplace(id, std::move(server)).first->second;
    taken.move_in(handed, fd, holder);
    taken.close_needed |= !ours;
    return taken;
}

void Pool::opened(Server& server) {
    if (server.apart()) {
        server.set_state(ServerState::active);
        return server.peer()->granted(server);
    }
    {
        const std::lock_guard lock(mutex_);
        ledger_.opened();
        failures_ = 0;
    }
    Worker& worker = server.worker();
    shelve(server);
    open_wanted(worker);  // where only one was to be tried
}

void Pool::closed(Server& server, ServerState was, const protocol::Error& error) {
    if (was == ServerState::login) stats(server.worker()).server_login_failures.add(1);
    if (was == ServerState::login) log_failure(server, error);
    if (server.apart()) return;
    tell_trouble(server, error);
    bool refused = false;
    std::optional<Whereabouts> instead;
    unsigned goes_to = 0;
    const bool about_startup = was == ServerState::login && is_about_startup(server, error);
    {
        const std::lock_guard lock(mutex_);
        if (about_startup || (was == ServerState::login && server.epoch != epoch())) {
            ledger_.opening_failed();
        } else if (was == ServerState::login) {
            ledger_.opening_failed();
            ++failures_;
            const std::int64_t now_us = server.worker().loop.now_us();
            retry_at_us_ = now_us + retry_delay_us(failures_, current_->login_retry_us, now_us);
            refused = is_refusal(error);
            next_host(server);
        } else {
            const Ledger::Move other = ledger_.closed(server);
            if (other.server) instead = whereabouts(*other.server);
            goes_to = other.to;
        }
    }
    if (instead) fetch(instead->worker, instead->id, goes_to);
    database_totals_.servers.release();
    user_totals_.servers.release();
    if (refused) refuse_all(nullptr, error);
    if (about_startup) refuse_all(server.startup(), error);
    open_wanted(server.worker());
    registry_.room_made(server.worker());
}

/// Whoever watches its node finds out what is the matter.
void Pool::tell_trouble(const Server& server, const protocol::Error& error) {
    const bool broke =
        error.sqlstate.view().starts_with("08") || error.sqlstate.view().starts_with("57P0");
    if (error.origin != protocol::Origin::server || !broke || !registry_.on_trouble) return;
    std::optional<config::Endpoint> at;
    std::string cluster;
    {
        const std::lock_guard lock(mutex_);
        if (server.epoch != epoch()) return;
        at = last_at_;
        cluster = current_->database.cluster;
    }
    if (at && !cluster.empty()) registry_.on_trouble(cluster, *at);
}

std::optional<Pool::Opening> Pool::begin_opening(Worker& here, bool for_min_size) {
    const std::int64_t now_us = here.loop.now_us();
    const std::lock_guard lock(mutex_);
    const bool careful = failures_ > 0 || seeks_host();
    if (careful && ledger_.opening() > 0) return std::nullopt;
    if (failures_ > 0 && now_us < retry_at_us_) return std::nullopt;
    const int size = current_->limits.size;
    const bool below_min = for_min_size && !ledger_.paused() && !ledger_.held() &&
                           ledger_.total() < current_->limits.min_size &&
                           (size == 0 || ledger_.total() < size);
    if (!below_min && !ledger_.wants_server(now_us)) return std::nullopt;
    if (!database_totals_.servers.acquire(current_->limits.max_db_connections)) {
        registry_.note_starved();
        return std::nullopt;
    }
    if (!user_totals_.servers.acquire(current_->limits.max_user_connections)) {
        database_totals_.servers.release();
        registry_.note_starved();
        return std::nullopt;
    }
    if (ledger_.from_reserve()) {
        net::log::print(Level::log, {}, "taking connection from reserve_pool");
    }
    ledger_.begin_opening();
    if (WaiterPlace* const eldest = ledger_.oldest()) {
        return Opening{eldest->worker, static_cast<Peer*>(eldest)->startup()};
    }
    return Opening{here.index, here.shared.vars.empty()};
}

void Pool::open_wanted(Worker& here) {
    while (auto opening = begin_opening(here, false)) open_on(std::move(*opening), here);
    bool blocked;
    {
        const std::lock_guard lock(mutex_);
        const auto& limits = current_->limits;
        const auto at_limit = [](const Quota& quota, int max) {
            return max > 0 && quota.used.load(std::memory_order_relaxed) >= max;
        };
        blocked = failures_ == 0 && ledger_.wants_server(here.loop.now_us()) &&
                  (at_limit(database_totals_.servers, limits.max_db_connections) ||
                   at_limit(user_totals_.servers, limits.max_user_connections));
    }
    if (blocked) registry_.make_room(*this, here);
}

void Pool::open_on(Opening opening, Worker& here) {
    Worker& worker = *registry_.workers()[opening.worker];
    const auto open = [this, &worker, startup = std::move(opening.startup)] {
        const std::uint32_t id = worker.shared.next_id.fetch_add(1, std::memory_order_relaxed);
        auto server = std::make_unique<Server>(worker, *this, id, startup);
        Server& fresh = *server;
        worker.servers.emplace(id, std::move(server));
        fresh.open();
    };
    if (&worker == &here) {
        open();
    } else {
        worker.loop.post(open);
    }
}

std::optional<config::Endpoint> Pool::next_endpoint() {
    const std::lock_guard lock(mutex_);
    if (current_->of_cluster()) return aim_.at;
    const config::Database& database = current_->database;
    if (database.endpoints.empty())
        return config::Endpoint{current_->unix_socket_dir, database.port};
    const config::Endpoint& chosen = database.endpoints[next_host_ % database.endpoints.size()];
    if (database.load_balance_hosts == config::LoadBalanceHosts::round_robin) ++next_host_;
    return chosen;
}

/// None of a list of hosts that are for when one fails has answered yet: they are tried in turn.
bool Pool::seeks_host() const {
    const config::Database& database = current_->database;
    return !current_->of_cluster() &&
           database.load_balance_hosts == config::LoadBalanceHosts::disable &&
           database.endpoints.size() > 1 && ledger_.total() == ledger_.opening();
}

/// Where a list of hosts is for when one fails: that one has.
void Pool::next_host(const Server& failed) {
    const config::Database& database = current_->database;
    if (database.load_balance_hosts == config::LoadBalanceHosts::round_robin ||
        database.endpoints.empty()) {
        return;
    }
    const auto& present = database.endpoints[next_host_ % database.endpoints.size()];
    if (present.host == failed.host()) ++next_host_;
}

ServerCredentials Pool::credentials() const {
    if (const Pool* const other = credentials_of_) return other->credentials();
    const std::lock_guard lock(mutex_);
    return credentials_;
}

void Pool::set_credentials(ServerCredentials credentials) {
    const std::lock_guard lock(mutex_);
    credentials_ = std::move(credentials);
}

void Pool::change_credentials(const std::function<ServerCredentials(ServerCredentials)>& change) {
    const std::lock_guard lock(mutex_);
    credentials_ = change(std::move(credentials_));
}

std::string Pool::server_database() const {
    const std::lock_guard lock(mutex_);
    return current_->database.dbname;
}

config::Database Pool::entry() const {
    const std::lock_guard lock(mutex_);
    return current_->database;
}

std::string Pool::cluster() const {
    const std::lock_guard lock(mutex_);
    return current_->database.cluster;
}

std::map<std::string, std::string> Pool::startup_parameters() const {
    const std::lock_guard lock(mutex_);
    return current_->database.startup_parameters;
}

std::string Pool::connect_query() const {
    const std::lock_guard lock(mutex_);
    return current_->database.connect_query;
}

bool Pool::tracks(std::string_view variable) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(
        current_->tracked.begin(), current_->tracked.end(),
        [&](const std::string& name) { return protocol::same_name(name, variable); });
}

Pool::Welcome Pool::welcome() const {
    const std::lock_guard lock(mutex_);
    return welcome_;
}

void Pool::learn_welcome(const protocol::VarSet::Entries& parameters) {
    const std::lock_guard lock(mutex_);
    if (!welcome_ || *welcome_ != parameters) {
        welcome_ = std::make_shared<const protocol::VarSet::Entries>(parameters);
    }
}

protocol::Vars Pool::known_startup(const protocol::Vars& asked) const {
    const std::lock_guard lock(mutex_);
    const auto found = startups_.find(asked);
    return found == startups_.end() ? nullptr : found->second;
}

void Pool::learn_startup(const protocol::Vars& asked, protocol::Vars made) {
    constexpr std::size_t startups_max = 1000;
    const std::lock_guard lock(mutex_);
    if (startups_.size() >= startups_max) startups_.clear();
    startups_[asked] = std::move(made);
}

}  // namespace pgweir::pool
