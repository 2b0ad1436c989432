// What is true of the simulated cluster, which pgweir has to find out: who is the primary, what is
// in whose log, and what an acknowledged write is.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/node.hpp"

namespace pgweir::simulation {

/// Resource; lives as long as the simulation. Writes are replicated synchronously: one is
/// acknowledged once every replica that follows the primary has received it, and only who has all
/// of them is promoted.
class Cluster {
public:
    Cluster(Kernel& kernel, unsigned nodes);

    Kernel& kernel;
    std::vector<std::unique_ptr<Node>> nodes;

    Node& primary() { return *primary_; }
    Node* find(const std::string& address);
    /// A write at this node is in its log: it is to be replicated.
    void wrote(Node& node);
    /// Whether everything in this node's log up to `size` may be acknowledged.
    bool is_safe(const Node& node, std::size_t size) const;
    /// It is acknowledged: from here on it must not be lost.
    void acknowledge(std::size_t size) { safe_ = std::max(safe_, size); }
    /// A statement that the model does not know; a flaw of the simulation's.
    std::string unknown;

    /// Somebody else becomes the primary, if there is anybody who may.
    bool fail_over();
    /// A node that is not the primary follows it again: what only it had is gone.
    void follow(Node& node);
    /// Everything is well from here on.
    void heal();
    /// How much a replica may lag behind from here on.
    std::int64_t lag_us_max = 2'000;

private:
    void replicate(Node& replica);
    bool streams(const Node& node) const;

    Node* primary_;
    std::size_t safe_ = 0;  // records that were acknowledged, at least
};

}  // namespace pgweir::simulation
