// Where the servers of a cluster's pools are, as the topology has it at the moment.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "config/cluster.hpp"

namespace pgweir::pool {

/// Where a pool connects. Its holder is never told that there was another before. Value.
struct Aim {
    std::optional<config::Endpoint> at{};  // empty: nowhere for now, its clients wait
    /// A primary that has been replaced for certain, by whomever: connections to it are void.
    std::optional<config::Endpoint> replaced{};
    /// Goes up when the node is not what it was: connections made before are void.
    std::uint32_t incarnation = 0;
    /// False: it may have been replaced, for all that is known. It is sent nothing
    /// new, and nothing that it says is passed on, until that is cleared up.
    bool trusted = true;
    /// True: what is under way there goes on, and nothing new is begun.
    bool draining = false;

    friend bool operator==(const Aim&, const Aim&) = default;
};

/// What the pool for reads of a node goes by.
inline std::string node_name(const config::Endpoint& node) {
    return node.host + ':' + std::to_string(node.port);
}

/// The aims of one cluster's pools: of those for whoever is its primary, and of each node's own, by
/// its name ("host:port"). A value.
struct Aims {
    Aim primary{};
    std::map<std::string, Aim, std::less<>> nodes{};

    /// Of the pool for this node; "" is the primary's.
    Aim of(const std::string& node) const {
        if (node.empty()) return primary;
        const auto found = nodes.find(node);
        return found == nodes.end() ? Aim() : found->second;
    }
};

}  // namespace pgweir::pool
