// Finding the primary of one cluster: what is observed goes in, what to ask next and what is true
// come out.
//
// The rules: the highest timeline wins and is never forgotten; what is not on it gets no write. Of
// two primaries on one timeline the one in use stays. A node is not given up for one bad answer, a
// primary that is merely late is suspected first, and when there is none the replicas are still
// read from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/cluster.hpp"
#include "health/event.hpp"
#include "health/fence.hpp"
#include "health/lag.hpp"
#include "health/patroni.hpp"
#include "health/probe.hpp"
#include "health/topology.hpp"

namespace pgweir::health {

/// Pure; one thread. Times are µs of the monotonic clock. Nodes go by their address; one that is
/// not (any more) in the configuration is ignored.
class Cluster {
public:
    /// `kept`: what the state file said.
    Cluster(config::Cluster config, const Fence& kept, std::int64_t now_us);

    /// A reload: nodes that stay keep what is known of them.
    void configure(config::Cluster config, std::int64_t now_us);
    const config::Cluster& config() const { return config_; }

    // ---- probes
    /// When this node is to be asked (again); never while it is being asked.
    std::int64_t due_us(const config::Endpoint& at) const;
    /// It is being asked: answered() or failed() will follow.
    void began(const config::Endpoint& at, std::int64_t now_us);
    /// The probe under way was given up: it is to be asked anew.
    void let_go(const config::Endpoint& at, std::int64_t now_us);
    /// `sent_us`: before the question was sent.
    void answered(const config::Endpoint& at, const Answer& answer, std::int64_t sent_us,
                  std::int64_t now_us);
    /// Also when a connection ends while nothing is being asked.
    void failed(const config::Endpoint& at, const Failure& failure, std::int64_t now_us);
    /// Somebody saw a sign of trouble there: it is asked at once.
    void poke(const config::Endpoint& at, std::int64_t now_us);
    void poke_all(std::int64_t now_us);
    /// What time alone changes. Due at next_us().
    void tick(std::int64_t now_us);
    std::int64_t next_us(std::int64_t now_us) const;

    // ---- the fence: a higher timeline is used only when it is known to be kept
    /// What is to be kept now.
    Fence fence() const;
    /// That has been kept; `known`: what the file knew before, from another process perhaps.
    void kept(const Fence& fence, const Fence& known, std::int64_t now_us);
    /// There are others who may know more: nobody is taken for the first primary before that.
    void await_others(bool awaited, std::int64_t now_us);
    /// Another process knows this.
    void heard_elsewhere(const Fence& known, std::int64_t now_us);

    /// Patroni says who leads: its timeline counts as seen, and others on that one or an older one
    /// get nothing for as long as it says so.
    void leader_said(const std::optional<Leader>& leader, std::int64_t now_us);

    // ---- the operator; false: there is no such node
    bool drain(const config::Endpoint& at, std::int64_t now_us);
    bool resume(const config::Endpoint& at, std::int64_t now_us);
    bool detach(const config::Endpoint& at, std::int64_t now_us);

    /// From here on the primary gets nothing new, or again: NODE SWITCHOVER.
    void hold_writes(bool held, std::int64_t now_us);
    /// The same of replicas: NODE UPGRADE.
    void hold_reads(bool held, std::int64_t now_us);
    /// Why this node cannot take over from the primary, whose system is another; empty: it can.
    std::string why_not_adopt(const config::Endpoint& at) const;
    /// From here on the cluster is that node's, whom nothing speaks against: NODE UPGRADE.
    void adopt(const config::Endpoint& at, std::int64_t now_us);
    /// An event of the operator's making.
    void operator_said(const config::Endpoint& at, std::string text, std::int64_t now_us);

    // ---- what comes out
    /// The topology, when it is not the one that was taken last; else nullptr.
    TopologyPtr take_topology();
    std::vector<Event> take_events() { return std::exchange(events_, {}); }

private:
    struct Node {
        config::Node config{};
        std::optional<Answer> last{};  // what it said last
        std::int64_t sampled_us = 0;   // when that was asked for
        std::int64_t heard_us = 0;     // when it last answered or failed; 0 = never
        std::int64_t status_since_us = 0, round_trip_us = 0;
        std::int64_t asked_us = 0;  // since when it is being asked; 0 = it is not
        std::int64_t begun_us = 0;  // when it was last asked
        std::int64_t due_us = 0;
        bool again = false;  // to be asked once more as soon as it has answered
        bool up = false;
        bool suspect = false;
        bool interrupted = false;  // its connection broke after its last answer
        bool draining = false, detached = false;
        int failures = 0;  // in a row
        std::string trouble{};
        std::uint32_t incarnation = 0;
        std::uint32_t timeline = 0;  // the highest it was on since its postmaster started
        bool fresh = false;          // a sample of late
        bool lag_fits = true;        // under the limits, when that was last known
        Samples::Lag lag{};
        bool told_stale = false, told_foreign = false;  // said so in an event already
    };

    Node* find(const config::Endpoint& at);
    const Node* find(const config::Endpoint& at) const;
    bool is_primary(const Node& node) const { return primary_ && &nodes_[*primary_] == &node; }
    bool is_foreign(const Node& node) const;
    std::int64_t interval_us(const Node& node) const;
    std::int64_t stale_us() const;
    void schedule(Node& node, std::int64_t now_us);
    void take_answer(Node& node, const Answer& answer);
    void give_up(Node& node, std::int64_t now_us);
    void say(Event::Kind kind, const Node* node, std::string text, std::int64_t now_us);

    // In judge.cpp: what it all means.
    void judge(std::int64_t now_us);
    void judge_system(std::int64_t now_us);
    void judge_primary(std::int64_t now_us);
    void judge_claims(std::int64_t now_us);
    void judge_replica(Node& node, std::int64_t now_us);
    bool counts(const Node& node) const;
    bool claims(const Node& node) const;
    bool is_vetoed(const Node& node) const;
    bool may_lead(const Node& node) const;
    bool all_heard() const;
    std::optional<std::size_t> choose() const;
    void lead(std::size_t place, std::int64_t now_us);
    void lose(std::int64_t now_us);
    void enter_epoch(Node& node);
    void begin_system(const Fence& fence, std::int64_t now_us);
    Role role_of(const Node& node) const;
    std::string why_not(const Node& node) const;
    NodeView view(const Node& node) const;

    config::Cluster config_;
    std::vector<Node> nodes_;
    std::uint64_t system_ = 0;   // 0 = not known yet
    std::uint32_t systems_ = 0;  // how often it was replaced, see Fence
    std::uint32_t highest_ = 0;  // timeline seen
    Fence kept_;                 // what is known to be kept
    std::string last_primary_;   // host:port; in use now or before
    std::optional<std::size_t> primary_;
    bool suspect_ = false;  // the primary is
    bool split_ = false;    // said so
    bool writes_held_ = false, reads_held_ = false;
    bool awaits_others_ = false;
    std::optional<Leader> leader_{};  // as Patroni said of late
    std::int64_t leader_us_ = 0;      // when
    Epoch epoch_;
    std::uint64_t epoch_number_ = 0;
    Samples samples_{};
    std::uint64_t number_ = 0;
    bool changed_ = true;
    std::vector<Event> events_;
};

/// host:port, as events and the state file call a node.
std::string name_of(const config::Endpoint& at);

}  // namespace pgweir::health
