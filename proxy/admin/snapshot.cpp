#include "proxy/admin/snapshot.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <sys/socket.h>

#include "proxy/process.hpp"
#include "proxy/relay.hpp"
#include "proxy/socket_peer.hpp"
#include "proxy/wall_clock.hpp"

namespace pgweir::proxy::admin {

namespace {

/// Counts by the reasons' places, of the primary and of replicas.
using RoutesByEntry =
    std::map<std::string, std::array<std::array<std::uint64_t, 2>, RouteCounts::size>>;

/// By database, user and text.
using QueriesByText = std::map<std::tuple<std::string, std::string, std::string>, QueryFigures>;

/// What one shard's thread saw.
struct Part {
    std::vector<Connection> connections;
    std::map<const pool::Pool*, PoolCounts> pools;  // nullptr: the console's
    RoutesByEntry routes;
    QueriesByText queries;
    int clients = 0, clients_logging_in = 0, servers = 0;
};

/// In the queue for a server; at log-in too, when nothing is known of the pool's servers yet.
bool is_waiting(const Client& client) {
    return client.state() == ClientState::waiting ||
           (client.state() == ClientState::login && client.pool());
}

bool is_logging_in(const Client& client) {
    return client.state() == ClientState::login && !client.pool();
}

/// Not used for so long that it is checked before it is lent again.
bool is_stale(const pool::Server& server) {
    const pool::Worker& worker = server.worker();
    const pool::PoolSettings& settings = server.pool().settings(worker);
    return server.state() == pool::ServerState::idle && settings.check_query &&
           worker.loop.now_us() - server.idle_since_us >= settings.check_delay_us;
}

std::string_view state_of(const Client& client) {
    if (is_waiting(client)) return state_text(ClientState::waiting);
    return state_text(client.server() ? ClientState::active : client.state());
}

/// Who holds it; nullptr: nobody, or an errand of our own.
const Client* holder(const pool::Server& server) {
    if (const auto* const relay = dynamic_cast<const Relay*>(server.peer()))
        return &relay->client();
    return dynamic_cast<const Client*>(server.peer());
}

std::string_view replication_of(const pool::Server& server) {
    const std::string* const asked = server.replication();
    return !asked ? "none" : *asked == "database" ? "logical" : "physical";
}

std::string_view state_of(const pool::Server& server) {
    return is_stale(server) ? "used" : pool::state_text(server.state());
}

void set_addresses(Connection& to, const net::Address& address, int fd) {
    to.fd = fd;
    if (!address.empty()) {
        to.addr = address.host();
        to.port = address.port();
    }
    if (fd < 0) return;
    const net::Address local = net::local_address(fd);
    to.local_addr = local.host();
    to.local_port = local.port();
}

Connection describe(const Client& client, std::int64_t now_us) {
    Connection seen;
    seen.id = client.id();
    seen.user = client.user();
    seen.database = client.is_console() ? console_name : client.database();
    seen.state = state_of(client);
    set_addresses(seen, client.address(), client.fd());
    seen.connected_us = client.connected_us();
    seen.request_us = client.request_us() ? client.request_us() : client.connected_us();
    if (client.query_began_us()) seen.wait_us = now_us - client.query_began_us();
    seen.self = &client;
    switch (client.replication()) {
        case Replication::none: break;
        case Replication::logical: seen.replication = "logical"; break;
        case Replication::physical: seen.replication = "physical"; break;
    }
    if (const pool::Server* const server = client.server()) {
        seen.link = server;
        seen.link_fd = server->fd();
    }
    if (client.address().is_unix()) {  // the port is part of the socket's name
        seen.port = seen.local_port = client.shard().worker.config->settings.listen_port;
        seen.remote_pid = static_cast<std::uint32_t>(pid_of(client));
    }
    seen.vars = client.vars();
    seen.prepared_statements = client.frontend().statements().names().size();
    seen.pins = pin_text(client.pins());
    seen.pinned_since_us = client.pinned_since_us();
    seen.kept_bytes = client.kept_bytes();
    seen.unsent_bytes = client.unsent_bytes();
    if (client.tls()) seen.tls = client.tls()->description();
    return seen;
}

Connection describe(const pool::Server& server) {
    Connection seen;
    seen.is_server = true;
    seen.id = server.id();
    seen.user = server.pool().user();
    seen.database = server.pool().database();
    seen.state = state_of(server);
    set_addresses(seen, server.address(), server.fd());
    if (server.address().is_unix()) seen.local_port = server.worker().config->settings.listen_port;
    seen.connected_us = server.connected_us();
    seen.request_us = server.request_us ? server.request_us : server.connected_us();
    seen.close_needed = server.close_needed;
    seen.self = &server;
    seen.replication = replication_of(server);
    if (const Client* const client = holder(server)) {
        seen.link = client;
        seen.link_fd = client->fd();
    }
    seen.remote_pid = server.backend_pid();
    seen.vars = server.vars();
    seen.prepared_statements = server.backend().statements().size();
    seen.kept_bytes = server.kept_bytes();
    seen.unsent_bytes = server.unsent_bytes();
    if (server.tls()) seen.tls = server.tls()->description();
    return seen;
}

void count(const Client& client, std::int64_t now_us, Part& part) {
    ++part.clients;
    if (is_logging_in(client)) {
        ++part.clients_logging_in;
        return;
    }
    PoolCounts& counts = part.pools[client.pool()];
    if (is_waiting(client)) {
        ++counts.cl_waiting;
    } else {
        ++counts.cl_active;  // idle ones too, as in PgBouncer
        if (!client.server()) ++counts.cl_idle;
    }
    if (client.pins()) ++counts.cl_pinned;
    if (const std::int64_t began_us = client.xact_began_us())
        counts.oldest_xact_us = std::max(counts.oldest_xact_us, now_us - began_us);
}

void count(const pool::Server& server, Part& part) {
    ++part.servers;
    PoolCounts& counts = part.pools[&server.pool()];
    counts.cl_active_cancel_req +=
        server.cancels;  // each is forwarded over a connection of its own
    counts.sv_active_cancel += server.cancels;
    switch (server.state()) {
        case pool::ServerState::login: ++counts.sv_login; break;
        case pool::ServerState::idle: ++(is_stale(server) ? counts.sv_used : counts.sv_idle); break;
        case pool::ServerState::active: ++counts.sv_active; break;
        case pool::ServerState::tested: ++counts.sv_tested; break;
        case pool::ServerState::canceling: ++counts.sv_being_canceled; break;
        case pool::ServerState::closed: break;
    }
}

void add_routes(const Shard& shard, Part& part) {
    for (const auto& [database, counts] : shard.routes) {
        auto& sums = part.routes[database];
        for (std::size_t i = 0; i < RouteCounts::size; ++i)
            sums[i] = {counts.get(i, false), counts.get(i, true)};
    }
}

void add_queries(const Shard& shard, Part& part) {
    for (const QueryBook::Entry& entry : shard.queries.entries()) {
        if (entry.number == 0 || entry.figures.calls == 0) continue;
        part.queries[{entry.pool->database(), entry.pool->user(), entry.text}] += entry.figures;
    }
}

std::int64_t waits_since_us(const Client& client) {
    return client.query_began_us() ? client.query_began_us() : client.connected_us();
}

/// Of the clients that wait, those that have waited longest.
void add_longest(std::vector<const Client*>& waiting, std::int64_t now_us, Part& part) {
    const std::size_t size = std::min(waiting.size(), Snapshot::waiting_max);
    const auto end = waiting.begin() + static_cast<std::ptrdiff_t>(size);
    std::partial_sort(waiting.begin(), end, waiting.end(), [](const auto* a, const auto* b) {
        return waits_since_us(*a) < waits_since_us(*b);
    });
    std::for_each(waiting.begin(), end, [&](const Client* client) {
        part.connections.push_back(describe(*client, now_us));
    });
}

/// On the shard's own thread.
void look(const Shard& shard, unsigned parts, Part& part) {
    const std::int64_t now_us = shard.worker.loop.now_us();
    std::vector<const Client*> waiting;
    if (parts & Snapshot::connections_part)
        part.connections.reserve(shard.clients.size() + shard.worker.servers.size());
    for (const auto& [id, client] : shard.clients) {
        if (parts & Snapshot::pools_part) count(*client, now_us, part);
        if (parts & Snapshot::connections_part)
            part.connections.push_back(describe(*client, now_us));
        if (parts & Snapshot::waiting_part && is_waiting(*client)) waiting.push_back(client.get());
    }
    add_longest(waiting, now_us, part);
    for (const auto& [id, server] : shard.worker.servers) {
        if (server->pool().internal) continue;
        if (parts & Snapshot::pools_part) count(*server, part);
        if (parts & Snapshot::connections_part) part.connections.push_back(describe(*server));
    }
    if (parts & Snapshot::routes_part) add_routes(shard, part);
    if (parts & Snapshot::queries_part) add_queries(shard, part);
}

/// The console's own entry.
config::Database console_entry(const config::Config& config) {
    config::Database entry;
    entry.name = entry.dbname = console_name;
    entry.user = console_name;
    entry.port = config.settings.listen_port;
    entry.pool_size = 2;
    entry.pool_mode = config::PoolMode::statement;
    return entry;
}

void add_databases(Process& process, int console_clients, Snapshot& to) {
    std::map<std::string, config::Database> entries;
    for (const auto& [name, entry] : to.config->databases) {
        if (name != "*") entries.emplace(name, entry);
    }
    for (const std::string& name : process.registry().databases()) {  // made from "*"
        if (entries.contains(name)) continue;
        if (const auto entry = process.database(*to.config, name)) entries.emplace(name, *entry);
    }
    entries.insert_or_assign(console_name, console_entry(*to.config));
    for (auto& [name, entry] : entries) {
        const pool::Totals& totals = process.registry().database_totals(name);
        const bool console = name == console_name;
        to.databases.push_back({.entry = std::move(entry),
                                .servers = totals.servers.used.load(std::memory_order_relaxed),
                                .clients = console ? console_clients : totals.clients.used.load(),
                                .paused = process.registry().paused_by_name(name),
                                .disabled = process.disabled(name)});
    }
}

void add_users(Process& process, Snapshot& to) {
    std::set<std::string> names{console_name};
    for (const auto& [name, user] : to.config->users) names.insert(name);
    for (const auto& [name, credential] : to.config->userlist) names.insert(name);
    for (const pool::Pool* const pool : process.registry().pools()) names.insert(pool->user());
    for (const std::string& name : names) {
        const pool::Totals& totals = process.registry().user_totals(name);
        to.users.push_back({.name = name,
                            .servers = totals.servers.used.load(std::memory_order_relaxed),
                            .clients = totals.clients.used.load(std::memory_order_relaxed)});
    }
}

void add_pools(Process& process, const std::map<const pool::Pool*, PoolCounts>& counts,
               Snapshot& to) {
    const auto counts_of = [&](const pool::Pool* pool) {
        const auto found = counts.find(pool);
        return found == counts.end() ? PoolCounts() : found->second;
    };
    const pool::Worker& here = process.main().worker;
    for (const pool::Pool* const pool : process.registry().pools()) {
        const pool::PoolSettings& settings = pool->settings(here);
        if (!pool->node().empty()) {  // behind its primary's
            to.pools.back().counts += counts_of(pool);
            continue;
        }
        PoolState state{.database = pool->database(),
                        .user = pool->user(),
                        .counts = counts_of(pool),
                        .oldest_wait_us = pool->counts(here.loop.now_us()).oldest_wait_us,
                        .mode = settings.limits.mode,
                        .load_balance_hosts = {}};
        if (settings.database.hosts.size() > 1) {
            state.load_balance_hosts = settings.database.load_balance_hosts;
        }
        to.pools.push_back(std::move(state));
    }
    to.pools.push_back({.database = console_name,
                        .user = console_name,
                        .counts = counts_of(nullptr),
                        .oldest_wait_us = 0,
                        .mode = config::PoolMode::statement,
                        .load_balance_hosts = {}});
    std::sort(to.pools.begin(), to.pools.end(), [](const PoolState& a, const PoolState& b) {
        return std::tie(a.database, a.user) < std::tie(b.database, b.user);
    });
}

void add_figures(Process& process, const std::map<const pool::Pool*, PoolCounts>& counts,
                 Snapshot& to) {
    const pool::Worker& here = process.main().worker;
    const std::int64_t now_us = here.loop.now_us();
    for (const pool::Pool* const pool : process.registry().pools()) {
        if (pool->internal) continue;
        const pool::PoolSettings& settings = pool->settings(here);
        const auto found = counts.find(pool);
        const pool::Pool::Counts books = pool->counts(now_us);
        to.figures.push_back({.database = pool->database(),
                              .user = pool->user(),
                              .cluster = pool->cluster(),
                              .node = pool->node(),
                              .counts = found == counts.end() ? PoolCounts() : found->second,
                              .limits = settings.limits,
                              .paused = pool->paused(),
                              .held = pool->held(),
                              .waiting = books.waiting,
                              .oldest_wait_us = books.oldest_wait_us,
                              .totals = pool->totals()});
    }
    for (const auto& shard : process.shards()) to.errors += shard->errors;
    to.process = process.state();
}

void add_routes(const std::vector<Part>& seen, Snapshot& to) {
    RoutesByEntry sums;
    for (const Part& part : seen) {
        for (const auto& [database, counts] : part.routes) {
            auto& sum = sums[database];
            for (std::size_t i = 0; i < counts.size(); ++i) {
                sum[i][0] += counts[i][0];
                sum[i][1] += counts[i][1];
            }
        }
    }
    for (const auto& [database, counts] : sums) {
        for (std::size_t i = 0; i < counts.size(); ++i) {
            for (const bool replica : {false, true}) {
                const std::uint64_t count = counts[i][replica ? 1 : 0];
                if (count > 0)
                    to.routes.push_back({database, RouteCounts::reason(i), replica, count});
            }
        }
    }
}

void add_queries(std::vector<Part>& seen, Snapshot& to) {
    QueriesByText sums;
    for (Part& part : seen) {
        for (const auto& [key, figures] : part.queries) sums[key] += figures;
        part.queries.clear();
    }
    for (const auto& [key, figures] : sums)
        to.queries.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), figures});
    std::ranges::stable_sort(to.queries, std::ranges::greater(),
                             [](const QueryFigure& query) { return query.figures.total_us; });
}

/// What one shard saw is in no order. Connections are large: their places are sorted first.
std::vector<Connection> by_id(std::vector<Part>& seen) {
    std::vector<Connection*> order;
    for (Part& part : seen) {
        for (Connection& connection : part.connections) order.push_back(&connection);
    }
    std::sort(order.begin(), order.end(),
              [](const Connection* a, const Connection* b) { return a->id < b->id; });
    std::vector<Connection> sorted;
    sorted.reserve(order.size());
    for (Connection* const connection : order) sorted.push_back(std::move(*connection));
    return sorted;
}

Snapshot assemble(Process& process, unsigned parts, std::vector<Part>& seen) {
    const net::Loop& loop = process.main().worker.loop;
    Snapshot to;
    to.config = process.config();
    to.monotonic_us = net::monotonic_us();
    to.wall_minus_monotonic_us = wall_us() - to.monotonic_us;
    to.paused = process.paused();
    to.suspended = process.suspended();
    std::map<const pool::Pool*, PoolCounts> counts;
    for (Part& part : seen) {
        for (const auto& [pool, some] : part.pools) counts[pool] += some;
        to.clients += part.clients;
        to.clients_logging_in += part.clients_logging_in;
        to.servers += part.servers;
    }
    to.connections = by_id(seen);
    if (parts & Snapshot::peers_part) {
        for (const auto& [id, peer] : to.config->peers) to.peers[id] = process.peers().load(id);
    }
    if (parts & Snapshot::hosts_part) {
        const net::Dns& dns = process.main().worker.shared.dns;
        to.hosts = dns.known(loop.now_us());
        to.zones = dns.zones();
        to.lookups = dns.pending();
    }
    if (parts & Snapshot::connections_part) {
        for (const auto& listener : process.listeners())
            to.listeners.push_back({listener->fd(), net::local_address(listener->fd())});
    }
    if (parts & Snapshot::databases_part) add_databases(process, counts[nullptr].cl_active, to);
    if (parts & Snapshot::users_part) add_users(process, to);
    if (parts & Snapshot::pools_part) add_pools(process, counts, to);
    if (parts & Snapshot::figures_part) add_figures(process, counts, to);
    if (parts & Snapshot::stats_part) {
        to.stats = process.stats_history().window(process.counters(), loop.now_us());
    }
    if (parts & Snapshot::routes_part) add_routes(seen, to);
    if (parts & Snapshot::queries_part) add_queries(seen, to);
    if (parts & Snapshot::nodes_part) {
        to.topologies = process.monitor().topologies();
        to.event_counts = process.monitor().event_counts();
        to.events.assign(process.monitor().events().begin(), process.monitor().events().end());
    }
    return to;
}

}  // namespace

PoolCounts& PoolCounts::operator+=(const PoolCounts& other) {
    cl_active += other.cl_active;
    cl_waiting += other.cl_waiting;
    cl_active_cancel_req += other.cl_active_cancel_req;
    cl_waiting_cancel_req += other.cl_waiting_cancel_req;
    sv_active += other.sv_active;
    sv_active_cancel += other.sv_active_cancel;
    sv_being_canceled += other.sv_being_canceled;
    sv_idle += other.sv_idle;
    sv_used += other.sv_used;
    sv_tested += other.sv_tested;
    sv_login += other.sv_login;
    cl_idle += other.cl_idle;
    cl_pinned += other.cl_pinned;
    oldest_xact_us = std::max(oldest_xact_us, other.oldest_xact_us);
    return *this;
}

void take_snapshot(Process& process, unsigned parts, std::function<void(Snapshot)> done) {
    const auto seen = std::make_shared<std::vector<Part>>(process.shards().size());
    constexpr unsigned of_shards = Snapshot::pools_part | Snapshot::connections_part |
                                   Snapshot::routes_part | Snapshot::queries_part |
                                   Snapshot::waiting_part;
    if ((parts & of_shards) == 0) {
        return done(assemble(process, parts, *seen));
    }
    process.visit_shards(
        [seen, parts](Shard& shard) { look(shard, parts, (*seen)[shard.worker.index]); },
        [&process, seen, parts, done = std::move(done)] { done(assemble(process, parts, *seen)); });
}

}  // namespace pgweir::proxy::admin
