#include "proxy/cluster_aims.hpp"

namespace pgweir::proxy {

pool::Aims aims_of(const health::Topology& topology) {
    pool::Aims aims;
    if (const health::NodeView* const primary = topology.primary_node()) {
        aims.primary = {.at = primary->node.at,
                        .incarnation = primary->incarnation,
                        .trusted = !topology.primary_suspect,
                        .draining = topology.writes_held};
    } else {
        for (const health::NodeView& node : topology.nodes) {
            if (node.role == health::Role::stale_primary) aims.primary.replaced = node.node.at;
        }
    }
    for (const health::NodeView& node : topology.nodes) {
        const bool serves = node.up && !node.detached && node.role == health::Role::replica;
        pool::Aim aim{.at = {}, .incarnation = node.incarnation, .trusted = !node.suspect};
        if (serves) aim.at = node.node.at;
        aims.nodes.emplace(pool::node_name(node.node.at), aim);
    }
    return aims;
}

}  // namespace pgweir::proxy
