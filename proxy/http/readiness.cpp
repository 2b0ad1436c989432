#include "proxy/http/readiness.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "proxy/http/text.hpp"

namespace pgweir::proxy::http {

namespace {

/// Somewhere to go that no cluster's health decides.
bool has_plain_entry(const config::Config& config) {
    return std::ranges::any_of(config.databases,
                               [](const auto& entry) { return entry.second.cluster.empty(); });
}

Readiness::Cluster look_at(const health::Topology& topology) {
    Readiness::Cluster cluster;
    if (const health::NodeView* const primary = topology.primary_node();
        primary && !topology.primary_suspect) {
        cluster.primary = fmt::format("{}:{}", primary->node.at.host, primary->node.at.port);
    }
    cluster.readable = static_cast<int>(
        std::ranges::count_if(topology.nodes, [](const auto& node) { return node.eligible; }));
    return cluster;
}

}  // namespace

std::string state_word(const admin::Snapshot& snapshot) {
    if (snapshot.process.handing_over) return "handing_over";
    if (snapshot.process.shutting_down) return "shutting_down";
    if (snapshot.suspended) return "suspended";
    return snapshot.paused ? "paused" : "active";
}

Readiness readiness(const admin::Snapshot& snapshot) {
    Readiness found;
    found.state = state_word(snapshot);
    if (found.state != "active") found.reasons.push_back("the state is " + found.state);
    bool any = has_plain_entry(*snapshot.config);
    for (const auto& [name, cluster] : snapshot.config->clusters) found.clusters[name];
    for (const health::TopologyPtr& topology : snapshot.topologies)
        found.clusters[topology->cluster] = look_at(*topology);
    for (const auto& [name, cluster] : found.clusters) any = any || cluster.is_ready();
    for (const auto& [name, cluster] : found.clusters) {
        if (!any) {
            found.reasons.push_back(
                fmt::format("cluster {}: no primary is known, and no node may be read from", name));
        }
    }
    found.ready = found.reasons.empty();
    return found;
}

std::string to_json(const Readiness& readiness) {
    boost::json::object clusters;
    for (const auto& [name, cluster] : readiness.clusters) {
        boost::json::value primary(nullptr);
        if (cluster.primary) primary = utf8(*cluster.primary);
        clusters[utf8(name)] = {{"ready", cluster.is_ready()},
                                {"primary", std::move(primary)},
                                {"readable_nodes", cluster.readable}};
    }
    boost::json::array reasons;
    for (const std::string& reason : readiness.reasons) reasons.emplace_back(utf8(reason));
    return serialize(boost::json::value{{"ready", readiness.ready},
                                        {"state", readiness.state},
                                        {"reasons", std::move(reasons)},
                                        {"clusters", std::move(clusters)}}) +
           "\n";
}

}  // namespace pgweir::proxy::http
