#include "proxy/balance.hpp"

#include <algorithm>

namespace pgweir::proxy {

namespace {

constexpr double fading = 0.1;  // weight of one answer in the mean of their times

bool is_candidate(const health::Topology& topology, std::size_t i, bool spare) {
    const health::NodeView& node = topology.nodes[i];
    const bool share = node.node.weight > 0 || spare;
    return node.role == health::Role::replica && node.up && !node.draining && !node.detached &&
           share;
}

}  // namespace

std::optional<std::size_t> Balance::choose(const health::Topology& topology,
                                           const health::Bound& bound,
                                           config::Consistency consistency, config::Balance method,
                                           const std::optional<config::Endpoint>& home) {
    const std::size_t nodes = topology.nodes.size();
    const auto may = [&](std::size_t i, bool spare) {
        return is_candidate(topology, i, spare) &&
               health::may_read(bound, topology, i, consistency);
    };
    // Who leaves a crowd has to be shown as much as it has seen there, which a replica will soon be
    // able to if no more is read meanwhile.
    std::optional<std::size_t> left;
    if (home && consistency != config::Consistency::eventual) {
        const auto at = topology.find(*home);
        const auto eligible = [&](std::size_t i, bool spare) {
            return is_candidate(topology, i, spare) && topology.nodes[i].eligible;
        };
        if (at && may(*at, false)) {
            if (!topology.primary || !is_crowded(topology, *at, eligible)) return at;
            left = at;
        }
    }
    for (const bool spare : {false, true}) {
        std::optional<std::size_t> best;
        double best_cost = 0;
        for (std::size_t step = 0; step < nodes; ++step) {
            const std::size_t i = (turn_ + step) % nodes;
            if (i == left || !may(i, spare)) continue;
            const double its = cost(topology.nodes[i], method);
            if (best && its >= best_cost) continue;
            best = i;
            best_cost = its;
        }
        if (!best) continue;
        turn_ = static_cast<unsigned>(*best + 1);
        return best;
    }
    return std::nullopt;
}

/// Has another one so many clients fewer that this one should move there? Its own leaving counts.
template <class May>
bool Balance::is_crowded(const health::Topology& topology, std::size_t home, May may) {
    const auto share = [&](std::size_t i, int more) {
        const health::NodeView& node = topology.nodes[i];
        return (load(node.node.at).clients + more) /
               static_cast<double>(std::max(node.node.weight, 1));
    };
    for (std::size_t i = 0; i < topology.nodes.size(); ++i) {
        if (i != home && may(i, false) && share(i, 1) < share(home, 0) - 0.5) return true;
    }
    return false;
}

/// The least is best; equals take turns.
double Balance::cost(const health::NodeView& node, config::Balance method) {
    const Load& its = load(node.node.at);
    const double weight = std::max(node.node.weight, 1);
    switch (method) {
        case config::Balance::least_latency:
            return (its.active + its.clients + 1) * (its.latency_us + 1) / weight;
        case config::Balance::least_connections: return (its.active + its.clients + 1) / weight;
        case config::Balance::round_robin:
        case config::Balance::random: return 1 / weight;
    }
    return 0;
}

void Balance::ended(const config::Endpoint& node, std::int64_t took_us) {
    Load& its = load(node);
    --its.active;
    const auto took = static_cast<double>(took_us);
    its.latency_us = std::max(took, its.latency_us + fading * (took - its.latency_us));
    if (took < its.latency_us) its.latency_us += fading * (took - its.latency_us);
}

Balance::Load& Balance::load(const config::Endpoint& node) {
    const auto found = std::find_if(loads_.begin(), loads_.end(),
                                    [&](const Load& load) { return load.node == node; });
    if (found != loads_.end()) return *found;
    return loads_.emplace_back(Load{node});
}

}  // namespace pgweir::proxy
