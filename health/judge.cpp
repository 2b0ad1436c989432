// What the answers of all nodes mean together: which cluster it is, who leads, who may be read.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "health/cluster.hpp"

namespace pgweir::health {

using config::NodeRole;

void Cluster::judge(std::int64_t now_us) {
    if (leader_ && now_us - leader_us_ > 2 * stale_us()) leader_.reset();
    judge_system(now_us);
    judge_primary(now_us);
    for (Node& node : nodes_) judge_replica(node, now_us);
    judge_claims(now_us);
    changed_ = true;
}

bool Cluster::is_foreign(const Node& node) const {
    return node.last && system_ != 0 && node.last->system != system_;
}

/// What it said is about this cluster.
bool Cluster::counts(const Node& node) const {
    return node.last && !node.detached && !is_foreign(node);
}

bool Cluster::all_heard() const {
    if (epoch_number_ == 0 && awaits_others_) return false;
    return std::ranges::all_of(
        nodes_, [](const Node& node) { return node.detached || node.heard_us != 0; });
}

/// Which cluster is meant is settled once, by most of its nodes, and kept; unless not one node of
/// it is left, and all are of one other.
void Cluster::judge_system(std::int64_t now_us) {
    if (!all_heard()) return;
    struct Votes {
        int nodes = 0, primaries = 0;
    };
    std::map<std::uint64_t, Votes> votes;
    int voters = 0;
    for (const Node& node : nodes_) {
        if (node.detached) continue;
        ++voters;
        if (!node.last || !node.up) continue;
        Votes& vote = votes[node.last->system];
        ++vote.nodes;
        vote.primaries += !node.last->in_recovery;
    }
    if (votes.empty()) return;
    const auto most = std::ranges::max_element(votes, {}, [](const auto& one) {
        return std::pair(one.second.nodes, one.second.primaries);
    });
    const bool replaced = system_ != 0 && most->first != system_ && most->second.nodes == voters;
    if (replaced) {
        say(Event::Kind::other_system, nullptr,
            fmt::format("all nodes are of system {} now, not of {}: it is a new cluster",
                        most->first, system_),
            now_us);
        begin_system({most->first, 0, {}, systems_ + 1}, now_us);
    }
    if (system_ == 0) {
        system_ = most->first;
        highest_ = 0;
    }
    for (Node& node : nodes_) {
        const bool foreign = is_foreign(node);
        if (foreign && !node.told_foreign) {
            say(Event::Kind::other_system, &node,
                fmt::format("belongs to system {}, not to {}: it gets nothing", node.last->system,
                            system_),
                now_us);
        }
        node.told_foreign = foreign;
    }
}

// ---------------------------------------------------------------- the primary

/// It would take writes.
bool Cluster::claims(const Node& node) const {
    return node.up && system_ != 0 && counts(node) && !node.last->in_recovery;
}

/// What Patroni has not heard of yet, a later timeline than its leader's, is not against it.
bool Cluster::is_vetoed(const Node& node) const {
    return leader_ && leader_->at != node.config.at && node.timeline <= leader_->timeline;
}

bool Cluster::may_lead(const Node& node) const {
    if (!claims(node) || node.timeline < highest_ || node.config.role == NodeRole::replica)
        return false;
    if (is_vetoed(node)) return false;
    return node.config.role == NodeRole::primary ||
           std::ranges::none_of(
               nodes_, [](const Node& one) { return one.config.role == NodeRole::primary; });
}

/// Who is in use stays. Whoever comes first at the start must not win by that: all are heard first.
std::optional<std::size_t> Cluster::choose() const {
    if (primary_ && may_lead(nodes_[*primary_])) return primary_;
    if (epoch_number_ == 0 && !all_heard()) return std::nullopt;
    std::optional<std::size_t> only, before;
    int count = 0;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (!may_lead(nodes_[i])) continue;
        ++count;
        if (nodes_[i].suspect) continue;
        only = i;
        if (name_of(nodes_[i].config.at) == last_primary_) before = i;
    }
    return count <= 1 ? only : before;
}

void Cluster::judge_primary(std::int64_t now_us) {
    for (const Node& node : nodes_) {
        if (counts(node) && system_ != 0) highest_ = std::max(highest_, node.timeline);
    }
    const auto chosen = choose();
    const bool is_kept = kept_.system == system_ && kept_.timeline >= highest_;
    if (!chosen) {
        if (primary_) lose(now_us);
    } else if (!is_kept) {
        primary_.reset();  // for as long as it takes to keep the new timeline
    } else {
        lead(*chosen, now_us);
    }
    suspect_ = primary_ && nodes_[*primary_].suspect;
}

void Cluster::lead(std::size_t place, std::int64_t now_us) {
    Node& node = nodes_[place];
    if (!primary_) {
        const std::string name = name_of(node.config.at);
        const bool same = name == last_primary_;
        last_primary_ = name;
        say(same ? Event::Kind::primary_back : Event::Kind::primary_changed, &node,
            fmt::format("is the primary, on timeline {}", node.timeline), now_us);
    }
    primary_ = place;
    if (!node.suspect) enter_epoch(node);
}

void Cluster::lose(std::int64_t now_us) {
    Node& node = nodes_[*primary_];
    ++node.incarnation;
    primary_.reset();
    std::string why = "is the primary no more";
    if (!node.up) {
        why = fmt::format("down: {}", node.trouble);
    } else if (node.last->in_recovery) {
        why = "has become a standby";
    } else if (is_vetoed(node)) {
        why = fmt::format("Patroni's leader is {}", name_of(leader_->at));
    } else if (node.timeline < highest_) {
        why =
            fmt::format("its timeline {} is over: there is a timeline {}", node.timeline, highest_);
    }
    say(Event::Kind::primary_lost, &node, why, now_us);
}

void Cluster::enter_epoch(Node& node) {
    const Epoch epoch{system_, node.timeline, node.last->start_us};
    if (epoch_number_ > 0 && epoch == epoch_ && !node.interrupted) return;
    epoch_ = epoch;
    ++epoch_number_;
    samples_.clear();
    node.interrupted = false;
}

/// Says what is wrong with those that take writes and must not.
void Cluster::judge_claims(std::int64_t now_us) {
    int leaders = 0;
    std::string names;
    for (Node& node : nodes_) {
        const bool stale = role_of(node) == Role::stale_primary;
        if (stale && !node.told_stale)
            say(Event::Kind::stale_primary, &node, why_not(node), now_us);
        node.told_stale = stale;
        if (!may_lead(node)) continue;
        ++leaders;
        names += (names.empty() ? "" : ", ") + name_of(node.config.at);
    }
    const bool split = leaders > 1 && all_heard();
    if (split && !split_) {
        say(Event::Kind::split_brain, nullptr,
            fmt::format("{} all take writes on timeline {}: {}", names, highest_,
                        primary_ ? fmt::format("{} was in use and stays so", last_primary_)
                                 : "none gets any before the others are gone or detached"),
            now_us);
    }
    split_ = split;
}

Role Cluster::role_of(const Node& node) const {
    if (!node.last || is_foreign(node)) return Role::unknown;
    if (node.last->in_recovery) return Role::replica;
    if (is_primary(node)) return Role::primary;
    if (!claims(node)) return Role::unknown;
    const bool waits = may_lead(node) && !primary_ && choose().has_value();
    return waits || !all_heard() ? Role::unknown : Role::stale_primary;
}

// ---------------------------------------------------------------- the replicas

/// Without a primary nobody can tell how far behind they are: what was known last holds.
void Cluster::judge_replica(Node& node, std::int64_t now_us) {
    node.fresh = node.up && now_us - node.sampled_us <= stale_us();
    if (!node.last || !node.last->in_recovery) {
        node.lag = {};
        node.lag_fits = true;
        return;
    }
    if (!primary_ || suspect_ || samples_.empty() || node.timeline != epoch_.timeline) return;
    node.lag = samples_.lag(node.last->lsn, node.sampled_us);
    const config::Reads& reads = config_.reads;
    const bool in_time = reads.max_lag.count() == 0 || node.lag.time_us <= reads.max_lag.count();
    const bool in_bytes = reads.max_lag_bytes == 0 || node.lag.bytes <= reads.max_lag_bytes;
    node.lag_fits = in_time && in_bytes;
}

/// Why it gets no reads, or no writes when it would take them; empty: no reason.
std::string Cluster::why_not(const Node& node) const {
    if (node.detached) return "detached by the operator";
    if (node.heard_us == 0) return "not heard of yet";
    if (!node.up) return fmt::format("down: {}", node.trouble);
    if (is_foreign(node)) return fmt::format("belongs to another cluster: {}", node.last->system);
    if (node.suspect) return node.trouble;
    if (!node.last->in_recovery && !is_primary(node)) {
        if (node.timeline < highest_)
            return fmt::format("takes writes on timeline {}, which ended: there is a timeline {}",
                               node.timeline, highest_);
        if (is_vetoed(node))
            return fmt::format("takes writes, and Patroni's leader is {}", name_of(leader_->at));
        if (!may_lead(node)) return "takes writes, and is not to by the configuration";
        if (primary_) return fmt::format("takes writes as {} does", last_primary_);
        return "may become the primary";
    }
    if (node.draining) return "drained by the operator";
    if (is_primary(node)) return {};
    if (reads_held_) return "its cluster is being replaced";
    if (!node.fresh) return "no answer for a while";
    if (primary_ && node.timeline != epoch_.timeline)
        return fmt::format("on timeline {}, the primary is on {}", node.timeline, epoch_.timeline);
    if (!node.lag_fits)
        return fmt::format("behind by {} bytes, {:.1f} s", node.lag.bytes,
                           static_cast<double>(node.lag.time_us) / 1e6);
    return {};
}

NodeView Cluster::view(const Node& node) const {
    NodeView view;
    view.node = node.config;
    view.role = role_of(node);
    view.up = node.up;
    view.suspect = node.suspect;
    view.timeline = node.timeline;
    view.lsn = node.last ? node.last->lsn : protocol::Lsn{};
    view.received = node.last ? node.last->received : protocol::Lsn{};
    view.sampled_us = node.sampled_us;
    view.lag_bytes = node.lag.bytes;
    view.lag_us = node.lag.time_us;
    view.streaming = node.last && node.last->streaming;
    view.reason = why_not(node);
    view.eligible = view.role == Role::replica && view.reason.empty();
    view.draining = node.draining;
    view.detached = node.detached;
    view.incarnation = node.incarnation;
    view.probed_us = node.heard_us;
    view.status_since_us = node.status_since_us;
    view.round_trip_us = node.round_trip_us;
    return view;
}

TopologyPtr Cluster::take_topology() {
    if (!std::exchange(changed_, false)) return nullptr;
    auto topology = std::make_shared<Topology>();
    topology->cluster = config_.name;
    topology->number = ++number_;
    for (const Node& node : nodes_) topology->nodes.push_back(view(node));
    topology->primary = primary_;
    topology->primary_suspect = suspect_;
    topology->writes_held = writes_held_;
    topology->epoch = epoch_;
    topology->epoch_number = epoch_number_;
    topology->samples = samples_.newest(Topology::samples_max);
    return topology;
}

}  // namespace pgweir::health
