// Which of the replicas that may take a read gets it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "config/cluster.hpp"
#include "health/freshness.hpp"
#include "health/topology.hpp"
#include "proxy/node_load.hpp"

namespace pgweir::proxy {

/// One worker's view of its own load on one cluster's nodes. Pure; belongs to one thread. Times are
/// µs of the monotonic clock.
class Balance {
public:
    /// `turn`: where it begins among equals, so that workers do not all begin with the same node.
    explicit Balance(unsigned turn) : turn_(turn), random_(turn * 2654435769U + 1) {}

    /// The topology that choose() is going to be asked about.
    void take(const health::Topology& topology);

    /// By their place in it.
    const std::vector<NodeLoad*>& nodes() const { return nodes_; }

    /// A session that wants to read. `bound`: resolved.
    struct Wish {
        const health::Bound& bound;
        config::Consistency consistency;
        const NodeLoad* home = nullptr;             // where its reads have gone so far
        const config::Endpoint* prefers = nullptr;  // nullptr: it prefers none
        const NodeLoad* but = nullptr;  // has just refused it: another one, if there is another
    };

    /// A replica that the session may read from. It stays with the one it was on while that may
    /// be: what it has seen there it sees again. It leaves a crowd for one that has hardly any
    /// clients, because it has just come back say, one that is slow by and large for a quick one,
    /// another zone for pgweir's own, and any for the one that it prefers. nullptr: none, the
    /// primary has to do it. Allocates nothing once it has seen the topology.
    NodeLoad* choose(const health::Topology& topology, const Wish& wish, const config::Reads& reads,
                     std::int64_t now_us);

    /// 0 to below 1.
    double random();

private:
    /// What choose() compares: nodes of one rank by their weight, none of a worse rank.
    struct Candidate {
        NodeLoad* load;
        double weight;
        int rank;
    };

    void find_candidates(const health::Topology& topology, const Wish& wish,
                         const config::Reads& reads, std::int64_t now_us);
    bool should_leave(const Candidate& home, bool by_latency, std::int64_t now_us) const;
    void keep_best(const health::Topology& topology, const Wish& wish, const NodeLoad* left);
    void weigh_peaks(std::int64_t now_us);
    static double cost(const Candidate& one, bool settles);
    NodeLoad* pick(config::Balance method, bool settles);
    NodeLoad* next_by_turns();
    NodeLoad* least_busy();
    const Candidate& draw(const Candidate* but = nullptr);

    std::vector<std::unique_ptr<NodeLoad>> loads_;  // of every node there has been
    std::vector<NodeLoad*> nodes_;                  // by their place in the topology
    std::vector<Candidate> candidates_, best_;      // of the call under way; kept for their memory
    unsigned turn_;
    std::uint32_t random_;
};

}  // namespace pgweir::proxy
