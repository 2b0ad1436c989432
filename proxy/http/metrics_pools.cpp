// Pools, what goes through them, and the limits around them.
#include <algorithm>
#include <functional>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "config/units.hpp"
#include "protocol/utf8.hpp"
#include "proxy/http/metrics.hpp"
#include "proxy/session.hpp"

namespace pgweir::proxy::http {

namespace {

using admin::PoolFigures;
using admin::Snapshot;

std::string_view node_of(const PoolFigures& pool) {
    return pool.node.empty() && !pool.cluster.empty() ? std::string_view("primary") : pool.node;
}

/// A limit of 0 is none.
double limit(int size) {
    return size > 0 ? static_cast<double>(size) : std::numeric_limits<double>::infinity();
}

void add_connections(const Snapshot& snapshot, Book& to) {
    Family& clients = to.gauge("pgweir_pool_clients", "database user node state",
                               "Clients by what they do: `active` (has a server), `idle`, "
                               "`waiting` for a server. In a cluster under `primary`.");
    Family& servers = to.gauge("pgweir_pool_servers", "database user node state",
                               "Server connections by state: `active` (lent), `idle`, `used` (idle "
                               "and due for a check), `tested`, `login`, `being_canceled`.");
    for (const PoolFigures& pool : snapshot.figures) {
        const admin::PoolCounts& counts = pool.counts;
        const auto add = [&](Family& family, const char* state, int count) {
            family.add({pool.database, pool.user, node_of(pool), state}, count);
        };
        add(clients, "active", counts.cl_active - counts.cl_idle);
        add(clients, "idle", counts.cl_idle);
        add(clients, "waiting", counts.cl_waiting);
        add(servers, "active", counts.sv_active);
        add(servers, "idle", counts.sv_idle);
        add(servers, "used", counts.sv_used);
        add(servers, "tested", counts.sv_tested);
        add(servers, "login", counts.sv_login);
        add(servers, "being_canceled", counts.sv_being_canceled);
    }
}

/// One number for each pool.
template <class Value>
void add_each(const Snapshot& snapshot, Family& family, const Value& value) {
    for (const PoolFigures& pool : snapshot.figures)
        family.add({pool.database, pool.user, node_of(pool)}, value(pool));
}

double seconds(std::int64_t us) { return static_cast<double>(us) / 1e6; }

}  // namespace

void add_pools(const Snapshot& snapshot, Book& to) {
    constexpr const char* labels = "database user node";
    to.section("Pools");
    add_connections(snapshot, to);
    const auto gauge = [&](const char* name, const char* help, const auto& value) {
        add_each(snapshot, to.gauge(name, labels, help), value);
    };
    using Figures = const PoolFigures&;
    gauge("pgweir_pool_size", "How many servers the pool may have (+Inf: no limit).",
          [](Figures pool) { return limit(pool.limits.size); });
    gauge("pgweir_pool_min_size", "How many servers it keeps open.",
          [](Figures pool) { return pool.limits.min_size; });
    gauge("pgweir_pool_reserve_size", "How many more it may have when clients wait long.",
          [](Figures pool) { return pool.limits.reserve_size; });
    gauge("pgweir_pool_waiting", "Clients in the queue for a server, of this node.",
          [](Figures pool) { return pool.waiting; });
    gauge("pgweir_pool_oldest_wait_seconds", "How long the first in the queue has waited.",
          [](Figures pool) { return seconds(pool.oldest_wait_us); });
    gauge("pgweir_pool_oldest_transaction_seconds", "Age of the oldest transaction that is open.",
          [](Figures pool) { return seconds(pool.counts.oldest_xact_us); });
    gauge("pgweir_pool_pinned_clients",
          "Clients that keep their server between transactions (SHOW PINS).",
          [](Figures pool) { return pool.counts.cl_pinned; });
    gauge("pgweir_pool_paused", "1 while it is paused.", [](Figures pool) { return pool.paused; });
    gauge("pgweir_pool_held", "1 while there is no node for it: its requests are held.",
          [](Figures pool) { return pool.held; });
    gauge("pgweir_pool_held_requests", "Requests that wait for a node.",
          [](Figures pool) { return pool.held ? pool.waiting : 0; });
}

void add_traffic(const Snapshot& snapshot, Book& to) {
    constexpr const char* labels = "database user node";
    to.section("Traffic");
    using Totals = pool::PoolTotals;
    const auto counter = [&](const char* name, std::uint64_t Totals::*member, const char* help) {
        add_each(snapshot, to.counter(name, labels, help),
                 [member](const PoolFigures& pool) { return pool.totals.*member; });
    };
    counter("pgweir_queries_total", &Totals::query_count, "Queries.");
    counter("pgweir_transactions_total", &Totals::xact_count, "Transactions that are over.");
    counter("pgweir_received_bytes_total", &Totals::received, "Bytes from clients.");
    counter("pgweir_sent_bytes_total", &Totals::sent, "Bytes to clients.");
    counter("pgweir_server_assignments_total", &Totals::server_assignment_count,
            "Servers lent to clients.");
    counter("pgweir_logins_total", &Totals::client_login_count, "Clients logged in.");
    counter("pgweir_client_parses_total", &Totals::client_parse_count,
            "Statements that clients have prepared.");
    counter("pgweir_server_parses_total", &Totals::server_parse_count,
            "Statements prepared at servers.");
    counter("pgweir_binds_total", &Totals::bind_count, "Prepared statements run.");
    counter("pgweir_session_questions_total", &Totals::question_count,
            "Questions to servers about what statements have left in their sessions.");
    counter("pgweir_held_requests_total", &Totals::held_count,
            "Requests that had to wait because there was no node for them.");
    Family& retries = to.counter("pgweir_retries_total", "database user node reason",
                                 "Requests that were run again, unseen by their clients, and why.");
    for (const PoolFigures& pool : snapshot.figures) {
        for (std::size_t i = 0; i < pool::retry_kinds; ++i) {
            retries.add(
                {pool.database, pool.user, node_of(pool), retry_text(static_cast<pool::Retry>(i))},
                pool.totals.retry_counts[i]);
        }
    }
    Family& pins = to.counter("pgweir_pins_total", "database user node reason",
                              "How often a client was pinned to its server, and why.");
    for (const PoolFigures& pool : snapshot.figures) {
        for (std::size_t bit = 0; bit < pool.totals.pin_counts.size(); ++bit) {
            const std::string reason = pin_text(router::Traces{1} << bit);
            if (reason.empty()) continue;
            pins.add({pool.database, pool.user, node_of(pool), reason},
                     pool.totals.pin_counts[bit]);
        }
    }
}

void add_times(const Snapshot& snapshot, Book& to) {
    to.section("Times");
    using Totals = pool::PoolTotals;
    const auto histogram = [&](const char* name, pool::Durations Totals::*member,
                               const char* help) {
        add_each(snapshot, to.histogram(name, "database user node", help),
                 [member](const PoolFigures& pool) { return pool.totals.*member; });
    };
    histogram("pgweir_query_seconds", &Totals::query_times, "How long queries took.");
    histogram("pgweir_transaction_seconds", &Totals::xact_times, "How long transactions took.");
    histogram("pgweir_wait_seconds", &Totals::wait_times,
              "How long clients waited for each server; 0 counts too.");
    histogram("pgweir_login_seconds", &Totals::client_login_times,
              "How long clients took to log in, from their connection to our welcome.");
    histogram("pgweir_server_connect_seconds", &Totals::server_connect_times,
              "How long it took to connect to servers.");
    histogram("pgweir_server_login_seconds", &Totals::server_login_times,
              "How long it took to log in to servers, once connected.");
}

void add_routes(const Snapshot& snapshot, Book& to) {
    to.section("Routes");
    Family& routes =
        to.counter("pgweir_routes_total", "database reason target",
                   "Requests of entries whose reads are split, by where they went "
                   "(`primary`, `replica`) and why (SHOW ROUTES). From the first one on.");
    for (const admin::RouteFigure& route : snapshot.routes) {
        routes.add({route.database, route.reason.text(), route.replica ? "replica" : "primary"},
                   route.count);
    }
}

void add_shapes(const Snapshot& snapshot, Book& to) {
    constexpr std::size_t shapes_max = 50, text_max = 200;  // texts; bytes of one
    constexpr const char* labels = "database user id query";
    to.section("Shapes of queries");
    Family& calls = to.counter("pgweir_shape_calls_total", labels,
                               "Queries of one shape, of the 50 shapes that took most time (SHOW "
                               "QUERIES has them all). `id` is made from the shape's text, of "
                               "which `query` is the beginning; there are no literals in it.");
    Family& times = to.counter("pgweir_shape_seconds_total", labels, "What they took.");
    Family& rows = to.counter("pgweir_shape_rows_total", labels, "Rows that they gave.");
    Family& bytes = to.counter("pgweir_shape_bytes_total", labels, "Bytes that they gave.");
    Family& replicas =
        to.counter("pgweir_shape_replica_calls_total", labels, "Those that a replica answered.");
    const std::size_t count = std::min(snapshot.queries.size(), shapes_max);
    for (const admin::QueryFigure& shape : std::span(snapshot.queries).first(count)) {
        const std::string id = fmt::format("{:016x}", std::hash<std::string>{}(shape.text));
        const std::string_view text = protocol::whole_characters(shape.text, text_max);
        const Family::Values values = {shape.database, shape.user, id, text};
        calls.add(values, shape.figures.calls);
        times.add(values, static_cast<double>(shape.figures.total_us) / 1e6);
        rows.add(values, shape.figures.rows);
        bytes.add(values, shape.figures.bytes);
        replicas.add(values, shape.figures.replica_calls);
    }
}

/// Those that have happened: all there may be would be many.
void add_errors(const Snapshot& snapshot, Book& to) {
    to.section("Errors");
    Family& errors = to.counter(
        "pgweir_errors_total", "database user node source class",
        "Errors by class of SQLSTATE (its first two characters), of servers (`source` is `server`) "
        "or "
        "our own (`pgweir`); without a database those of clients that were of no pool. From the "
        "first one on.");
    const auto add = [&](std::string_view database, std::string_view user, std::string_view node,
                         std::string_view source, const pool::ErrorTotals& totals) {
        for (std::size_t i = 0; i < totals.counts.size(); ++i) {
            if (totals.counts[i] == 0) continue;
            errors.add({database, user, node, source, pool::sqlstate_classes[i]}, totals.counts[i]);
        }
    };
    for (const PoolFigures& pool : snapshot.figures) {
        add(pool.database, pool.user, node_of(pool), "server", pool.totals.server_errors);
        add(pool.database, pool.user, node_of(pool), "pgweir", pool.totals.own_errors);
    }
    add("", "", "", "pgweir", snapshot.errors);
    Family& failures = to.counter("pgweir_server_login_failures_total", "database user node",
                                  "Connections to servers that failed, or were not let in.");
    add_each(snapshot, failures,
             [](const PoolFigures& pool) { return pool.totals.server_login_failures; });
}

void add_limits(const Snapshot& snapshot, Book& to) {
    to.section("Databases and users");
    Family& clients = to.gauge("pgweir_database_clients", "database", "Clients of the entry.");
    Family& clients_max = to.gauge("pgweir_database_clients_limit", "database",
                                   "max_db_client_connections (+Inf: no limit).");
    Family& servers = to.gauge("pgweir_database_servers", "database", "Server connections.");
    Family& servers_max = to.gauge("pgweir_database_servers_limit", "database",
                                   "max_db_connections (+Inf: no limit).");
    Family& paused = to.gauge("pgweir_database_paused", "database", "1 while PAUSE holds it.");
    Family& disabled = to.gauge("pgweir_database_disabled", "database", "1 after DISABLE.");
    for (const admin::DatabaseState& database : snapshot.databases) {
        const std::string& name = database.entry.name;
        if (name == admin::console_name) continue;
        const config::PoolLimits limits =
            config::limits_of(*snapshot.config, database.entry, nullptr);
        clients.add({name}, database.clients);
        clients_max.add({name}, limit(limits.max_db_client_connections));
        servers.add({name}, database.servers);
        servers_max.add({name}, limit(limits.max_db_connections));
        paused.add({name}, database.paused);
        disabled.add({name}, database.disabled);
    }
    Family& of_user = to.gauge("pgweir_user_clients", "user", "Clients of the user.");
    Family& servers_of_user = to.gauge("pgweir_user_servers", "user", "Server connections.");
    for (const admin::UserState& user : snapshot.users) {
        if (user.name == admin::console_name) continue;
        of_user.add({user.name}, user.clients);
        servers_of_user.add({user.name}, user.servers);
    }
}

}  // namespace pgweir::proxy::http
