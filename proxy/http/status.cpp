#include "proxy/http/status.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "config/units.hpp"
#include "proxy/admin/show.hpp"
#include "proxy/http/readiness.hpp"
#include "proxy/http/text.hpp"

namespace pgweir::proxy::http {

namespace {

namespace json = boost::json;
using admin::Snapshot;

constexpr std::size_t waiting_max = 20, statements_max = 15, events_max = 30;

double seconds(std::int64_t us) { return static_cast<double>(us) / 1e6; }

json::value count_or_null(int limit) { return limit > 0 ? json::value(limit) : json::value(); }

json::value pool_of(const admin::PoolFigures& pool) {
    const admin::PoolCounts& counts = pool.counts;
    return {{"database", utf8(pool.database)},
            {"user", utf8(pool.user)},
            {"node", pool.node.empty() && !pool.cluster.empty() ? "primary" : utf8(pool.node)},
            {"mode", config::word_for(pool.limits.mode)},
            {"size", count_or_null(pool.limits.size)},
            {"active_clients", counts.cl_active - counts.cl_idle},
            {"idle_clients", counts.cl_idle},
            {"waiting", pool.waiting},
            {"pinned", counts.cl_pinned},
            {"active_servers", counts.sv_active},
            {"idle_servers", counts.sv_idle + counts.sv_used},
            {"other_servers", counts.sv_tested + counts.sv_login + counts.sv_being_canceled},
            {"oldest_wait", seconds(pool.oldest_wait_us)},
            {"oldest_transaction", seconds(counts.oldest_xact_us)},
            {"paused", pool.paused},
            {"held", pool.held},
            {"transactions", pool.totals.xact_count},
            {"queries", pool.totals.query_count},
            {"received", pool.totals.received},
            {"sent", pool.totals.sent}};
}

json::value node_of(const health::NodeView& node, bool leads) {
    const bool replica = node.role == health::Role::replica;
    return {{"name", utf8(fmt::format("{}:{}", node.node.at.host, node.node.at.port))},
            {"role", word_for(node.role)},
            {"leads", leads},
            {"status", admin::status_of(node)},
            {"timeline", node.timeline},
            {"lag_seconds", replica ? json::value(seconds(node.lag_us)) : json::value()},
            {"lag_bytes", replica ? json::value(node.lag_bytes) : json::value()},
            {"streaming", node.streaming},
            {"eligible", node.eligible},
            {"weight", node.node.weight},
            {"probe", seconds(node.round_trip_us)},
            {"reason", utf8(node.reason)}};
}

json::value cluster_of(const Snapshot& snapshot, const health::Topology& topology) {
    json::array nodes;
    for (const health::NodeView& node : topology.nodes)
        nodes.push_back(node_of(node, &node == topology.primary_node()));
    const auto counted = snapshot.event_counts.find(topology.cluster);
    const bool known = counted != snapshot.event_counts.end();
    return {{"name", utf8(topology.cluster)},
            {"has_primary", topology.primary_node() != nullptr},
            {"suspect", topology.primary_suspect},
            {"failovers", known ? counted->second.failovers : 0},
            {"nodes", std::move(nodes)}};
}

json::array waiting_of(const Snapshot& snapshot) {
    std::vector<const admin::Connection*> longest;
    for (const admin::Connection& client : snapshot.connections) longest.push_back(&client);
    std::ranges::sort(longest, std::greater(), &admin::Connection::wait_us);
    longest.resize(std::min(longest.size(), waiting_max));
    json::array waiting;
    for (const admin::Connection* const client : longest) {
        waiting.push_back({{"id", client->id},
                           {"client", utf8(fmt::format("{}:{}", client->addr, client->port))},
                           {"database", utf8(client->database)},
                           {"user", utf8(client->user)},
                           {"seconds", seconds(client->wait_us)}});
    }
    return waiting;
}

json::array statements_of(const Snapshot& snapshot) {
    json::array statements;
    for (const admin::QueryFigure& query : snapshot.queries) {
        if (statements.size() == statements_max) break;
        const QueryFigures& figures = query.figures;
        const std::int64_t p95 = std::min(figures.durations.at(0.95),  // known within an eighth
                                          static_cast<std::int64_t>(figures.max_us));
        statements.push_back({{"text", utf8(query.text)},
                              {"database", utf8(query.database)},
                              {"user", utf8(query.user)},
                              {"calls", figures.calls},
                              {"replica_calls", figures.replica_calls},
                              {"total", static_cast<double>(figures.total_us) / 1e6},
                              {"mean", figures.timed ? static_cast<double>(figures.total_us) / 1e6 /
                                                           static_cast<double>(figures.timed)
                                                     : 0.0},
                              {"p95", seconds(p95)},
                              {"rows", figures.rows}});
    }
    return statements;
}

json::array events_of(const Snapshot& snapshot) {
    json::array events;
    for (auto event = snapshot.events.rbegin();
         event != snapshot.events.rend() && events.size() < events_max; ++event) {
        events.push_back({{"at", seconds(event->at_us + snapshot.wall_minus_monotonic_us)},
                          {"cluster", utf8(event->cluster)},
                          {"event", word_for(event->kind)},
                          {"node", utf8(event->node)},
                          {"text", utf8(event->text)}});
    }
    return events;
}

}  // namespace

std::string status_json(const Snapshot& snapshot) {
    json::array pools, clusters;
    for (const admin::PoolFigures& pool : snapshot.figures) pools.push_back(pool_of(pool));
    for (const health::TopologyPtr& topology : snapshot.topologies)
        clusters.push_back(cluster_of(snapshot, *topology));
    return serialize(json::value{
        {"version", PGWEIR_VERSION},
        {"state", state_word(snapshot)},
        {"started", seconds(snapshot.process.started_us)},
        {"now", seconds(snapshot.monotonic_us + snapshot.wall_minus_monotonic_us)},
        {"clients", snapshot.process.clients},
        {"clients_limit", snapshot.config->settings.max_client_conn},
        {"clients_logging_in", snapshot.clients_logging_in},
        {"reload_failed", snapshot.process.reload_failed},
        {"pools", std::move(pools)},
        {"clusters", std::move(clusters)},
        {"waiting", waiting_of(snapshot)},
        {"statements", statements_of(snapshot)},
        {"events", events_of(snapshot)},
    });
}

}  // namespace pgweir::proxy::http
