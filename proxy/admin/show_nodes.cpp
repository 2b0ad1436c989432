// SHOW NODES, EVENTS, POOL_NODES: the clusters' nodes as the monitor sees them.
#include <algorithm>

#include <fmt/format.h>

#include "protocol/lsn.hpp"
#include "proxy/admin/show.hpp"

namespace pgweir::proxy::admin {

namespace {

using health::NodeView;
using health::Role;
using health::Topology;

constexpr Type int4 = Type::int4;
constexpr Type int8 = Type::int8;

constexpr Column nodes_columns[] = {
    {"cluster"},
    {"host"},
    {"port", int4},
    {"role"},
    {"status"},
    {"timeline", int4},
    {"lsn"},
    {"streaming"},
    {"lag_bytes", int8},
    {"lag_seconds"},
    {"eligible"},
    {"weight", int4},
    {"last_probe_ms", int8},
    {"probe_us", int8},
    {"status_since"},
    {"reason"},
};

constexpr Column events_columns[] = {
    {"time"}, {"cluster"}, {"event"}, {"node"}, {"timeline", int4}, {"text"},
};

/// pgpool's, all of them text there.
constexpr Column pool_nodes_columns[] = {
    {"node_id"},
    {"hostname"},
    {"port"},
    {"status"},
    {"pg_status"},
    {"lb_weight"},
    {"role"},
    {"pg_role"},
    {"select_cnt"},
    {"load_balance_node"},
    {"replication_delay"},
    {"replication_state"},
    {"replication_sync_state"},
    {"last_status_change"},
};

Cell since(const Snapshot& snapshot, std::int64_t moment_us) {
    if (moment_us == 0) return std::nullopt;
    return time_text(snapshot.wall_minus_monotonic_us + moment_us);
}

Row node_row(const Snapshot& snapshot, const Topology& topology, const NodeView& node) {
    const bool replica = node.role == Role::replica;
    return {
        topology.cluster,
        node.node.at.host,
        number(node.node.at.port),
        text(word_for(node.role)),
        text(status_of(node)),
        node.timeline ? number(node.timeline) : Cell(),
        node.lsn.value ? protocol::format_lsn(node.lsn) : Cell(),
        replica ? text(node.streaming ? "yes" : "no") : Cell(),
        replica ? number(node.lag_bytes) : Cell(),
        replica ? fmt::format("{:.3f}", static_cast<double>(node.lag_us) / 1e6) : Cell(),
        text(node.eligible ? "yes" : "no"),
        number(node.node.weight),
        node.probed_us ? number((snapshot.monotonic_us - node.probed_us) / 1000) : Cell(),
        node.round_trip_us ? number(node.round_trip_us) : Cell(),
        since(snapshot, node.status_since_us),
        node.reason,
    };
}

Rows nodes_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const health::TopologyPtr& topology : snapshot.topologies) {
        for (const NodeView& node : topology->nodes)
            rows.push_back(node_row(snapshot, *topology, node));
    }
    return rows;
}

Rows events_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const health::Event& event : snapshot.events) {
        rows.push_back({
            since(snapshot, event.at_us),
            event.cluster,
            text(word_for(event.kind)),
            event.node.empty() ? Cell() : event.node,
            event.timeline ? number(event.timeline) : Cell(),
            event.text,
        });
    }
    return rows;
}

/// As pgpool says it: a primary that may not be used is quarantined.
/// Queries that its pools have had; the pools of whichever node leads are the primary's.
std::uint64_t queries_of(const Snapshot& snapshot, const std::string& cluster,
                         const NodeView& node) {
    const bool leads = node.role == Role::primary;
    std::uint64_t count = 0;
    for (const PoolFigures& pool : snapshot.figures) {
        const bool its = pool.node.empty() ? leads : pool.node == pool::node_name(node.node.at);
        if (pool.cluster == cluster && its) count += pool.totals.query_count;
    }
    return count;
}

Row pool_node_row(const Snapshot& snapshot, const std::string& cluster, const NodeView& node,
                  std::size_t id, int weights) {
    const bool leads = node.role == Role::primary;
    const bool stale = node.role == Role::stale_primary;
    const std::string_view up = node.up ? "up" : "down";
    const std::string_view status = node.detached ? "down" : stale ? "quarantine" : up;
    const bool replica = node.role == Role::replica;
    const double weight = weights > 0 ? static_cast<double>(node.node.weight) / weights : 0;
    return {
        number(id),
        node.node.at.host,
        number(node.node.at.port),
        text(node.probed_us == 0 ? "waiting" : status),
        text(node.probed_us == 0 ? "unknown" : up),
        fmt::format("{:.6f}", weight),
        text(leads ? "primary" : "standby"),
        text(leads || stale ? "primary"
             : replica      ? "standby"
                            : "unknown"),
        number(queries_of(snapshot, cluster, node)),
        "false",
        number(node.lag_bytes),
        text(replica && node.streaming ? "streaming" : ""),
        "",
        since(snapshot, node.status_since_us).value_or(""),
    };
}

Rows pool_nodes_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const health::TopologyPtr& topology : snapshot.topologies) {
        int weights = 0;
        for (const NodeView& node : topology->nodes) weights += node.node.weight;
        for (const NodeView& node : topology->nodes)
            rows.push_back(pool_node_row(snapshot, topology->cluster, node, rows.size(), weights));
    }
    return rows;
}

constexpr Show shows[] = {
    {"nodes", Access::stats, Snapshot::nodes_part, nodes_columns, nodes_rows},
    {"events", Access::stats, Snapshot::nodes_part, events_columns, events_rows},
    {"pool_nodes", Access::stats, Snapshot::nodes_part | Snapshot::figures_part, pool_nodes_columns,
     pool_nodes_rows},
};

}  // namespace

std::string_view status_of(const NodeView& node) {
    if (node.detached) return "detached";
    if (node.probed_us == 0) return "unknown";
    if (!node.up) return "down";
    if (node.suspect) return "suspect";
    return node.draining ? "draining" : "up";
}

std::span<const Show> node_shows() { return shows; }

}  // namespace pgweir::proxy::admin
