// Whether clients can be served.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proxy/admin/snapshot.hpp"

namespace pgweir::proxy::http {

/// Value. It can serve when nothing of its own is against it, and some entry has a node: one of no
/// cluster counts as having one, since it is not known whether its server is there.
struct Readiness {
    struct Cluster {
        std::optional<std::string> primary;  // host:port
        int readable = 0;                    // nodes that may get reads
        bool is_ready() const { return primary || readable > 0; }
    };
    bool ready = false;
    std::string state;                 // active, paused, suspended, shutting_down, handing_over
    std::vector<std::string> reasons;  // why not, for humans
    std::map<std::string, Cluster> clusters;
};

/// Pure. Of a snapshot with nodes_part and figures_part.
Readiness readiness(const admin::Snapshot& snapshot);

std::string state_word(const admin::Snapshot& snapshot);

/// {"ready": …, "state": …, "reasons": […], "clusters": {name: {"ready", "primary",
/// "readable_nodes"}}}
std::string to_json(const Readiness& readiness);

}  // namespace pgweir::proxy::http
