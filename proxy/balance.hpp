// Which of the replicas that may take a read gets it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "config/cluster.hpp"
#include "health/freshness.hpp"
#include "health/topology.hpp"

namespace pgweir::proxy {

/// One worker's view of its own load. Pure; belongs to one thread. Times are µs of the monotonic
/// clock.
class Balance {
public:
    /// `turn`: where it begins among equals, so that workers do not all begin with the same node.
    explicit Balance(unsigned turn) : turn_(turn), random_(turn * 2654435769U + 1) {}

    /// A session that wants to read. `bound`: resolved.
    struct Wish {
        const health::Bound& bound;
        config::Consistency consistency;
        std::optional<config::Endpoint> home{};  // where its reads have gone so far
        std::optional<config::Endpoint> prefers{};
    };

    /// The place of a replica that the session may read from. It stays with the one it was on while
    /// that may be: what it has seen there it sees again. It leaves a crowd for one that has hardly
    /// any clients, because it has just come back say, a slow one for a quick one, another zone for
    /// pgweir's own, and any for the one that it prefers. nullopt: none, the primary has to do it.
    std::optional<std::size_t> choose(const health::Topology& topology, const Wish& wish,
                                      const config::Reads& reads, std::int64_t now_us);

    /// 0 to below 1.
    double random();

    /// A client has made this node its own, or gives it up.
    void settle(const config::Endpoint& node) { ++load(node).clients; }
    void leave(const config::Endpoint& node) { --load(node).clients; }

    /// A read was sent there; answered() or dropped() follows.
    void began(const config::Endpoint& node) { ++load(node).active; }
    void answered(const config::Endpoint& node, std::int64_t took_us, std::int64_t now_us);
    void dropped(const config::Endpoint& node) { --load(node).active; }
    /// A read was lost there. `ejection`: config::Reads::ejection. True: it
    /// was one after the other, so the node gets nothing for a while.
    bool missed(const config::Endpoint& node, config::Duration ejection, std::int64_t now_us);

private:
    struct Load {
        config::Endpoint node;
        int clients = 0, active = 0;
        double latency_us = 0;      // geometric mean, higher ones counting more; 0 = none
        std::int64_t heard_us = 0;  // when the last one was answered
        double credit = 0;          // round robin: what it is owed
        int lost = 0;               // reads in a row
        int ejections = 0;          // in a row
        std::int64_t ejected_until_us = 0;
    };
    /// What choose() compares: nodes of one rank by their weight, none of a worse rank.
    struct Candidate {
        std::size_t place;
        Load* load;
        double weight;
        int rank;
        bool may;  // show what the session has to see; else it is only another one to go to later
    };

    Load& load(const config::Endpoint& node);
    void find_candidates(const health::Topology& topology, const Wish& wish,
                         const config::Reads& reads, std::int64_t now_us);
    void weigh_latency(std::int64_t now_us);
    static double latency(const Load& its, std::int64_t now_us);
    bool should_leave(const Candidate& home) const;
    const Candidate& pick(std::vector<Candidate>& from, config::Balance method, bool settles);
    const Candidate& draw(const std::vector<Candidate>& from, const Candidate* but = nullptr);

    std::vector<Load> loads_;
    std::vector<Candidate> candidates_, best_;  // of the call under way; kept for their memory
    unsigned turn_;
    std::uint32_t random_;
};

}  // namespace pgweir::proxy
