// Which of the replicas that may take a read gets it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "health/freshness.hpp"
#include "health/topology.hpp"

namespace pgweir::proxy {

/// One worker's view of its own load. Pure; belongs to one thread.
class Balance {
public:
    /// `turn`: where it begins among equals, so that workers do not all begin with the same node.
    explicit Balance(unsigned turn) : turn_(turn) {}

    /// The place of a replica that a session with this (resolved) bound may read from. It stays
    /// with the one it was on (`home`) while that may be: what it has seen there it sees again. It
    /// leaves a crowd for one that has hardly any clients, because it has just come back say.
    /// nullopt: none, the primary has to do it.
    std::optional<std::size_t> choose(const health::Topology& topology, const health::Bound& bound,
                                      config::Consistency consistency, config::Balance method,
                                      const std::optional<config::Endpoint>& home);

    /// A client has made this node its own, or gives it up.
    void settle(const config::Endpoint& node) { ++load(node).clients; }
    void leave(const config::Endpoint& node) { --load(node).clients; }
    /// A request was sent there, and took so long.
    void began(const config::Endpoint& node) { ++load(node).active; }
    void ended(const config::Endpoint& node, std::int64_t took_us);

private:
    struct Load {
        config::Endpoint node;
        int clients = 0, active = 0;
        double latency_us = 0;  // peaks count at once, and fade
    };
    Load& load(const config::Endpoint& node);
    template <class May>
    bool is_crowded(const health::Topology& topology, std::size_t home, May may);
    double cost(const health::NodeView& node, config::Balance method);

    std::vector<Load> loads_;
    unsigned turn_;
};

}  // namespace pgweir::proxy
