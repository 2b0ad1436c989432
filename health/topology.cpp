#include "health/topology.hpp"

namespace pgweir::health {

std::string_view word_for(Role role) {
    switch (role) {
        case Role::unknown: return "unknown";
        case Role::primary: return "primary";
        case Role::replica: return "replica";
        case Role::stale_primary: return "stale_primary";
    }
    return "";
}

std::optional<std::size_t> Topology::find(const config::Endpoint& at) const {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (nodes[i].node.at == at) return i;
    }
    return std::nullopt;
}

}  // namespace pgweir::health
