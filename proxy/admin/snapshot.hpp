// What the SHOW commands show, collected from all threads as plain data.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "health/event.hpp"
#include "health/topology.hpp"
#include "pool/net/dns.hpp"
#include "pool/stats.hpp"
#include "protocol/vars.hpp"
#include "proxy/http/certificates.hpp"
#include "proxy/monitor.hpp"
#include "proxy/peers.hpp"
#include "proxy/query_book.hpp"
#include "proxy/route_reason.hpp"
#include "proxy/stats_history.hpp"

namespace pgweir::proxy {
class Process;
}

namespace pgweir::proxy::admin {

inline constexpr const char* console_name = "pgbouncer";  // its database, pool and user

/// One client or server connection. Times in µs of the monotonic clock.
struct Connection {
    bool is_server = false;
    std::uint32_t id = 0;
    std::string user{}, database{};         // empty: not known yet
    std::string_view replication = "none";  // or logical or physical
    std::string state{};  // PgBouncer's word; "login" before a client has logged in
    std::string addr{}, local_addr{};
    int port = 0, local_port = 0;
    std::int64_t connected_us = 0, request_us = 0;
    std::int64_t wait_us = 0;
    bool close_needed = false;
    const void* self = nullptr;  // addresses: what the log calls it; never followed
    const void* link = nullptr;
    int fd = -1, link_fd = -1;
    std::uint32_t remote_pid = 0;
    std::string tls{};
    protocol::Vars vars{};
    std::size_t prepared_statements = 0;
    std::string pins{};  // why a client keeps its server; empty: it does not
    std::int64_t pinned_since_us = 0;
    std::size_t kept_bytes = 0, unsent_bytes = 0;
};

/// The connections of one pool by state: the columns of SHOW POOLS.
struct PoolCounts {
    int cl_active = 0, cl_waiting = 0, cl_active_cancel_req = 0, cl_waiting_cancel_req = 0;
    int sv_active = 0, sv_active_cancel = 0, sv_being_canceled = 0, sv_idle = 0, sv_used = 0;
    int sv_tested = 0, sv_login = 0;
    // No column of SHOW POOLS: those of cl_active that hold no server, those that keep one between
    // transactions, and the age of the oldest open transaction.
    int cl_idle = 0, cl_pinned = 0;
    std::int64_t oldest_xact_us = 0;

    PoolCounts& operator+=(const PoolCounts& other);
};

struct PoolState {
    std::string database, user;
    PoolCounts counts;
    std::int64_t oldest_wait_us = 0;
    config::PoolMode mode = config::PoolMode::session;
    std::optional<config::LoadBalanceHosts> load_balance_hosts{};  // empty: there is one host
};

/// One pool by itself: where an entry is of a cluster, one for the primary and one for each node
/// that serves reads.
struct PoolFigures {
    std::string database, user;
    std::string cluster;  // of the entry; empty: none
    std::string node;     // "host:port" of its node for reads; empty: the primary, or no cluster
    PoolCounts counts;
    config::PoolLimits limits;
    bool paused = false, held = false;
    int waiting = 0;
    std::int64_t oldest_wait_us = 0;
    pool::PoolTotals totals;
};

struct DatabaseState {
    config::Database entry;
    int servers = 0, clients = 0;
    bool paused = false, disabled = false;
};

struct UserState {
    std::string name;
    int servers = 0, clients = 0;
};

/// How many requests of an entry went to the primary, or to replicas, for this reason.
struct RouteFigure {
    std::string database;
    RouteReason reason;
    bool replica = false;
    std::uint64_t count = 0;
};

/// What is counted of one shape of query, all workers together.
struct QueryFigure {
    std::string database, user;
    std::string text;  // without literals
    QueryFigures figures;
};

/// How the process is, and how it came to be so. Times in µs since 1970.
struct ProcessState {
    std::int64_t started_us = 0;
    bool shutting_down = false, handing_over = false;
    std::uint64_t reloads = 0, failed_reloads = 0;
    bool reload_failed = false;     // the last one
    std::int64_t loaded_us = 0;     // the configuration that is in force
    int clients = 0, consoles = 0;  // logged in
    std::vector<http::CertificateEnd> certificates;
    std::int64_t held_bytes = 0;  // by clients, as far as they can make it grow; 0: not counted
    std::uint64_t closed_for_memory = 0;  // clients, since the start
};

/// A socket that listens.
struct ListenerState {
    int fd = -1;
    net::Address at{};
};

/// Value; everything in it is of about the same moment.
struct Snapshot {
    /// What a SHOW needs; the rest is left empty. Values are added up.
    enum Parts : unsigned {
        nothing = 0,  // but the configuration
        databases_part = 1,
        users_part = 2,
        pools_part = 4,        // with the numbers of clients and servers
        connections_part = 8,  // one Connection each: not for tens of thousands every second
        stats_part = 16,
        state_part = 32,
        nodes_part = 64,     // of clusters, with what happened to them
        figures_part = 128,  // with pools_part: of each pool; errors outside of them; the process
        routes_part = 256,
        queries_part = 512,
        waiting_part = 1024,  // the connections of the clients that wait longest, a few
        hosts_part = 2048,
        peers_part = 4096,
    };

    static constexpr std::size_t waiting_max = 20;  // of each worker

    config::ConfigPtr config;
    std::int64_t monotonic_us = 0, wall_minus_monotonic_us = 0;
    bool paused = false, suspended = false;
    std::vector<DatabaseState> databases;  // by name, the console's own among them
    std::vector<UserState> users;          // by name
    std::vector<PoolState> pools;          // by database and user, the console's own among them
    std::vector<Connection> connections;   // by id
    std::vector<ListenerState> listeners;  // with the connections
    std::map<int, Peers::Load> peers;      // of all that are configured
    std::vector<net::Dns::Known> hosts;    // by name
    std::vector<net::Dns::KnownZone> zones;
    net::Dns::Pending lookups{};
    int clients = 0, clients_logging_in = 0, servers = 0;
    StatsHistory::Window stats;
    std::vector<PoolFigures> figures;  // by database, user and node
    pool::ErrorTotals errors;          // told to clients that are not a pool's: at log-in, say
    std::vector<RouteFigure> routes;   // by database, in the reasons' order; none that is 0
    std::vector<QueryFigure> queries;  // what took most in front
    std::vector<health::TopologyPtr> topologies;               // by cluster
    std::vector<health::Event> events;                         // oldest first
    std::map<std::string, Monitor::EventCounts> event_counts;  // by cluster, of its whole life
    ProcessState process;
};

/// Collects `parts` (Snapshot::Parts). To be called on the main thread; `done` runs there too.
void take_snapshot(Process& process, unsigned parts, std::function<void(Snapshot)> done);

}  // namespace pgweir::proxy::admin
