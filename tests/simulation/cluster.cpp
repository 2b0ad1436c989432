#include "tests/simulation/cluster.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "tests/simulation/backend.hpp"

namespace pgweir::simulation {

Cluster::Cluster(Kernel& on, unsigned count) : kernel(on) {
    for (unsigned i = 0; i < count; ++i) {
        nodes.push_back(
            std::make_unique<Node>(kernel, *this, fmt::format("10.0.0.{}:5432", i + 1), i == 0));
    }
    primary_ = nodes.front().get();
}

Node* Cluster::find(const std::string& address) {
    for (const auto& node : nodes) {
        if (node->address == address) return node.get();
    }
    return nullptr;
}

/// It gets the primary's log: both are there, and can be reached.
bool Cluster::streams(const Node& node) const {
    return &node != primary_ && node.up && !node.hung && !node.cable->cut && !node.primary &&
           node.timeline == primary_->timeline;
}

bool Cluster::is_safe(const Node& node, std::size_t size) const {
    if (&node != primary_) return false;
    if (nodes.size() == 1) return true;
    if (size <= safe_) return true;
    bool any = false;
    for (const auto& other : nodes) {
        if (!streams(*other)) continue;
        if (other->log.size() < size) return false;
        any = true;
    }
    return any && !primary_->hung && !primary_->cable->cut;
}

void Cluster::wrote(Node& node) {
    if (&node != primary_) return;
    for (const auto& other : nodes) {
        if (other.get() != primary_) replicate(*other);
    }
}

void Cluster::replicate(Node& replica) {
    kernel.in(kernel.dice.between(50, 500), [this, &replica] {
        if (!streams(replica) || primary_->hung || primary_->cable->cut) return;
        if (replica.log.size() >= primary_->log.size()) return;
        replica.log = primary_->log;
        for (const auto& backend : primary_->backends()) backend->go_on();
        const std::size_t received = replica.log.size();
        const std::uint32_t timeline = replica.timeline;
        kernel.in(kernel.dice.between(0, lag_us_max), [&replica, received, timeline] {
            if (!replica.up || replica.hung || replica.timeline != timeline) return;
            replica.replayed = std::max(replica.replayed, std::min(received, replica.log.size()));
        });
    });
}

bool Cluster::fail_over() {
    Node* best = nullptr;
    for (const auto& node : nodes) {
        const bool able = node.get() != primary_ && node->up && !node->hung && !node->cable->cut &&
                          !node->primary && node->timeline == primary_->timeline;
        if (able && node->log.size() >= safe_ && (!best || node->log.size() > best->log.size()))
            best = node.get();
    }
    if (!best) return false;
    kernel.note("failover");
    best->primary = true;
    best->timeline = primary_->timeline + 1;
    best->replayed = best->log.size();
    safe_ = best->log.size();
    primary_ = best;
    for (const auto& node : nodes) {
        if (node.get() == best || node->primary || !node->up) continue;
        follow(*node);
    }
    return true;
}

void Cluster::follow(Node& node) {
    if (&node == primary_) return;
    if (node.primary || node.log.size() > primary_->log.size()) node.end_connections();
    node.primary = false;
    node.timeline = primary_->timeline;
    const auto [ours, theirs] = std::ranges::mismatch(node.log, primary_->log);
    node.log.erase(ours, node.log.end());
    node.replayed = std::min(node.replayed, node.log.size());
    replicate(node);
}

void Cluster::heal() {
    lag_us_max = 2'000;
    for (const auto& node : nodes) {
        if (!node->up) node->start();
        if (node->hung) node->hang(false);
        if (node->cable->cut) kernel.mend(*node->cable);
    }
    for (const auto& node : nodes) {
        if (node.get() == primary_) continue;
        if (node->primary) {  // a former one: it is shut down and comes back as a replica
            node->crash();
            node->start();
        }
        follow(*node);
    }
    wrote(*primary_);
}

}  // namespace pgweir::simulation
