#include "health/cluster.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace pgweir::health {

namespace {

constexpr std::int64_t poke_gap_us = 5'000;  // between probes, however often there is a sign
constexpr std::int64_t never_us = INT64_MAX;

}  // namespace

std::string name_of(const config::Endpoint& at) { return fmt::format("{}:{}", at.host, at.port); }

Cluster::Cluster(config::Cluster config, const Fence& kept, std::int64_t now_us)
    : system_(kept.system),
      systems_(kept.systems),
      highest_(kept.timeline),
      kept_(kept),
      last_primary_(kept.primary) {
    configure(std::move(config), now_us);
}

void Cluster::configure(config::Cluster config, std::int64_t now_us) {
    const std::optional<config::Endpoint> leader =
        primary_ ? std::optional(nodes_[*primary_].config.at) : std::nullopt;
    std::vector<Node> before = std::exchange(nodes_, {});
    config_ = std::move(config);
    primary_.reset();
    for (const config::Node& wanted : config_.nodes) {
        const auto same =
            std::ranges::find(before, wanted.at, [](const Node& node) { return node.config.at; });
        Node node = same == before.end() ? Node{.due_us = now_us} : std::move(*same);
        node.config = wanted;
        if (leader == wanted.at) primary_ = nodes_.size();
        nodes_.push_back(std::move(node));
    }
    if (leader && !primary_)
        say(Event::Kind::primary_lost, nullptr,
            fmt::format("{} is not in the configuration any more", name_of(*leader)), now_us);
    judge(now_us);
}

Cluster::Node* Cluster::find(const config::Endpoint& at) {
    const auto found =
        std::ranges::find(nodes_, at, [](const Node& node) { return node.config.at; });
    return found == nodes_.end() ? nullptr : &*found;
}

const Cluster::Node* Cluster::find(const config::Endpoint& at) const {
    const auto found =
        std::ranges::find(nodes_, at, [](const Node& node) { return node.config.at; });
    return found == nodes_.end() ? nullptr : &*found;
}

void Cluster::say(Event::Kind kind, const Node* node, std::string text, std::int64_t now_us) {
    events_.push_back({.kind = kind,
                       .cluster = config_.name,
                       .node = node ? name_of(node->config.at) : std::string(),
                       .timeline = node && node->last ? node->last->timeline : highest_,
                       .text = std::move(text),
                       .at_us = now_us});
}

// ---------------------------------------------------------------- probes

/// So long a sample is good for.
std::int64_t Cluster::stale_us() const {
    return std::max(3 * config_.health.interval.count(), config_.health.timeout.count());
}

/// Fast while there is something to be found out: where the primary is, or whether a node is well.
std::int64_t Cluster::interval_us(const Node& node) const {
    const bool may_have_primary = std::ranges::any_of(
        nodes_, [](const Node& one) { return one.config.role != config::NodeRole::replica; });
    const bool fast = (!primary_ && may_have_primary) || suspect_ || node.suspect;
    return (fast ? config_.health.fast_interval : config_.health.interval).count();
}

std::int64_t Cluster::due_us(const config::Endpoint& at) const {
    const Node* const node = find(at);
    if (!node || node->asked_us) return never_us;
    // What was planned at leisure may be urgent by now.
    return std::min(node->due_us, node->begun_us + interval_us(*node));
}

void Cluster::schedule(Node& node, std::int64_t now_us) {
    node.asked_us = 0;
    node.due_us = std::max(now_us, node.begun_us + interval_us(node));
    if (std::exchange(node.again, false))
        node.due_us = std::max(now_us, node.begun_us + poke_gap_us);
}

void Cluster::began(const config::Endpoint& at, std::int64_t now_us) {
    if (Node* const node = find(at)) node->asked_us = node->begun_us = now_us;
}

void Cluster::let_go(const config::Endpoint& at, std::int64_t now_us) {
    Node* const node = find(at);
    if (!node || !node->asked_us) return;
    node->asked_us = 0;
    node->due_us = now_us;
}

void Cluster::answered(const config::Endpoint& at, const Answer& answer, std::int64_t sent_us,
                       std::int64_t now_us) {
    Node* const node = find(at);
    if (!node) return;
    const bool came_up = !node->up;
    const bool first = node->heard_us == 0;
    take_answer(*node, answer);
    if (came_up) node->status_since_us = now_us;
    node->up = true;
    node->suspect = false;
    node->failures = 0;
    node->trouble.clear();
    node->heard_us = now_us;
    node->sampled_us = sent_us;
    node->round_trip_us = now_us - sent_us;
    if (came_up && !first) {
        say(Event::Kind::node_up, node,
            fmt::format("up again as a {}", answer.in_recovery ? "standby" : "primary"), now_us);
    }
    judge(now_us);
    if (is_primary(*node)) {
        samples_.add({sent_us, answer.lsn});
        judge(now_us);
    }
    schedule(*node, now_us);
}

void Cluster::take_answer(Node& node, const Answer& answer) {
    const bool restarted = node.last && node.last->start_us != answer.start_us;
    const bool changed = node.last && node.last->in_recovery != answer.in_recovery;
    if (restarted || changed) ++node.incarnation;
    // A standby that streams no more is still on the timeline that it was on.
    const bool remembers = answer.in_recovery && !restarted && !changed && node.last;
    node.timeline = remembers ? std::max(node.timeline, answer.timeline) : answer.timeline;
    // A server that has crashed without its postmaster may have lost the end of its log.
    if (is_primary(node) && answer.lsn < node.last->lsn) node.interrupted = true;
    node.last = answer;
}

void Cluster::failed(const config::Endpoint& at, const Failure& failure, std::int64_t now_us) {
    Node* const node = find(at);
    if (!node) return;
    const bool asked = node->asked_us != 0;
    const bool unsure = failure.kind != Failure::Kind::busy;
    node->heard_us = now_us;
    node->trouble = failure.message;
    node->interrupted = true;
    if (unsure) {
        node->suspect = true;
        // A connection that ends between two probes is a sign, and no failed probe.
        if (asked) ++node->failures;
        const bool at_once = failure.kind == Failure::Kind::refused;
        if (at_once || node->failures >= config_.health.failures) give_up(*node, now_us);
    }
    judge(now_us);
    schedule(*node, now_us);
    if (!asked) node->due_us = now_us;
}

void Cluster::give_up(Node& node, std::int64_t now_us) {
    node.suspect = false;
    if (node.status_since_us == 0) node.status_since_us = now_us;
    if (!std::exchange(node.up, false)) return;
    node.status_since_us = now_us;
    ++node.incarnation;
    say(Event::Kind::node_down, &node, fmt::format("down: {}", node.trouble), now_us);
}

void Cluster::poke(const config::Endpoint& at, std::int64_t now_us) {
    Node* const node = find(at);
    if (!node) return;
    if (node->asked_us) {
        node->again = true;
    } else {
        node->due_us = std::min(node->due_us, std::max(now_us, node->begun_us + poke_gap_us));
    }
}

void Cluster::poke_all(std::int64_t now_us) {
    for (const Node& node : nodes_) poke(node.config.at, now_us);
}

/// A probe is overdue when it has taken half of what it may take.
void Cluster::tick(std::int64_t now_us) {
    const std::int64_t overdue_us = config_.health.timeout.count() / 2;
    for (Node& node : nodes_) {
        if (!node.up || node.suspect || !node.asked_us || now_us - node.asked_us < overdue_us)
            continue;
        node.suspect = true;
        node.trouble = "no answer to a probe yet";
    }
    judge(now_us);
}

std::int64_t Cluster::next_us(std::int64_t now_us) const {
    std::int64_t next = never_us;
    for (const Node& node : nodes_) {
        if (!node.up) continue;
        if (!node.suspect && node.asked_us)
            next = std::min(next, node.asked_us + config_.health.timeout.count() / 2);
        if (node.fresh) next = std::min(next, node.sampled_us + stale_us() + 1);
    }
    return std::max(next, now_us);
}

// ---------------------------------------------------------------- the fence, the operator

Fence Cluster::fence() const { return {system_, highest_, last_primary_, systems_}; }

void Cluster::kept(const Fence& fence, const Fence& known, std::int64_t now_us) {
    kept_ = merged(fence, known);
    heard_elsewhere(known, now_us);
    if (!primary_ || suspect_ || !samples_.empty()) return;
    // Its answer has waited for this.
    const Node& leader = nodes_[*primary_];
    if (leader.interrupted) return;
    samples_.add({leader.sampled_us, leader.last->lsn});
    judge(now_us);
}

void Cluster::await_others(bool awaited, std::int64_t now_us) {
    awaits_others_ = awaited;
    judge(now_us);
}

void Cluster::heard_elsewhere(const Fence& known, std::int64_t now_us) {
    if (known.system != 0 && (system_ == 0 || known.systems > systems_)) {
        begin_system(known, now_us);
    } else if (known.system == system_ && known.systems == systems_) {
        // Of two primaries on one timeline the one that another process uses is the one.
        const bool newer = known.timeline >= highest_ && !known.primary.empty();
        if (!primary_ && newer) last_primary_ = known.primary;
        highest_ = std::max(highest_, known.timeline);
    }
    judge(now_us);
}

/// Nothing holds any more that was known of the nodes' parts.
void Cluster::begin_system(const Fence& fence, std::int64_t now_us) {
    if (primary_) lose(now_us);
    system_ = fence.system;
    systems_ = fence.systems;
    highest_ = fence.timeline;
    last_primary_ = fence.primary;
    leader_.reset();
}

/// A leader that is none of our nodes, by another name perhaps, says nothing.
void Cluster::leader_said(const std::optional<Leader>& leader, std::int64_t now_us) {
    const Node* const named = leader ? find(leader->at) : nullptr;
    const bool known = named && !is_foreign(*named);
    const bool news = known && (!leader_ || leader_->at != leader->at);
    leader_us_ = now_us;
    leader_ = known ? leader : std::nullopt;
    if (known && system_ != 0) highest_ = std::max(highest_, leader->timeline);
    if (news && (!primary_ || nodes_[*primary_].config.at != leader->at)) poke_all(now_us);
    judge(now_us);
}

bool Cluster::drain(const config::Endpoint& at, std::int64_t now_us) {
    Node* const node = find(at);
    if (!node) return false;
    if (!std::exchange(node->draining, true))
        say(Event::Kind::operator_act, node, "drained by the operator", now_us);
    judge(now_us);
    return true;
}

bool Cluster::detach(const config::Endpoint& at, std::int64_t now_us) {
    Node* const node = find(at);
    if (!node) return false;
    if (!std::exchange(node->detached, true)) {
        ++node->incarnation;
        say(Event::Kind::operator_act, node, "detached by the operator", now_us);
    }
    judge(now_us);
    return true;
}

bool Cluster::resume(const config::Endpoint& at, std::int64_t now_us) {
    Node* const node = find(at);
    if (!node) return false;
    const bool was_draining = std::exchange(node->draining, false);
    const bool was_detached = std::exchange(node->detached, false);
    if (was_draining || was_detached)
        say(Event::Kind::operator_act, node, "resumed by the operator", now_us);
    judge(now_us);
    return true;
}

void Cluster::hold_writes(bool held, std::int64_t now_us) {
    writes_held_ = held;
    judge(now_us);
}

void Cluster::hold_reads(bool held, std::int64_t now_us) {
    reads_held_ = held;
    judge(now_us);
}

std::string Cluster::why_not_adopt(const config::Endpoint& at) const {
    const Node* const node = find(at);
    if (!node) return "no such node: " + name_of(at);
    const std::string name = name_of(at);
    if (!node->last || !node->up || node->suspect || node->detached)
        return name + " does not answer" + (node->trouble.empty() ? "" : ": " + node->trouble);
    if (!is_foreign(*node)) return name + " is not of another cluster";
    if (node->last->in_recovery) return name + " is a standby";
    const auto fixed = std::ranges::find(nodes_, config::NodeRole::primary,
                                         [](const Node& one) { return one.config.role; });
    const bool other = fixed != nodes_.end() && &*fixed != node;
    if (node->config.role == config::NodeRole::replica || other)
        return name + " is not to be the primary by the roles in the configuration";
    return {};
}

void Cluster::adopt(const config::Endpoint& at, std::int64_t now_us) {
    const Node& node = *find(at);
    const Fence fence{node.last->system, node.timeline, name_of(at), systems_ + 1};
    say(Event::Kind::operator_act, &node,
        fmt::format("system {} takes the place of system {}", fence.system, system_), now_us);
    begin_system(fence, now_us);
    judge(now_us);
}

void Cluster::operator_said(const config::Endpoint& at, std::string text, std::int64_t now_us) {
    say(Event::Kind::operator_act, find(at), std::move(text), now_us);
}

}  // namespace pgweir::health
