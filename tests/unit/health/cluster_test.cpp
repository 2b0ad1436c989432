// Finding the primary (health/cluster), by what is observed and when.
#include "health/cluster.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace pgweir::health {
namespace {

using config::NodeRole;

constexpr std::int64_t ms = 1'000;
constexpr std::uint64_t system_id = 77;

config::Endpoint at(int port) { return {"10.0.0.1", port}; }

config::Cluster three_nodes() {
    config::Cluster cluster;
    cluster.name = "main";
    for (const int port : {1, 2, 3}) cluster.nodes.push_back({.at = at(port)});
    return cluster;
}

Answer standby(std::uint64_t lsn, std::uint32_t timeline = 1) {
    return {.in_recovery = true,
            .system = system_id,
            .timeline = timeline,
            .lsn = {lsn},
            .start_us = 5,
            .receiving = true,
            .streaming = true};
}

Answer leader(std::uint64_t lsn, std::uint32_t timeline = 1) {
    return {.in_recovery = false,
            .system = system_id,
            .timeline = timeline,
            .lsn = {lsn},
            .start_us = 5};
}

const Failure refused{Failure::Kind::refused, "Connection refused"};
const Failure timeout{Failure::Kind::timed_out, "no answer"};
const Failure lost{Failure::Kind::lost, "unexpected eof"};

/// A cluster and a clock. Every probe takes 1 ms. Whatever is to be kept is kept at once, unless a
/// test wants to do that.
class Watch {
public:
    explicit Watch(config::Cluster config = three_nodes(), const Fence& kept = {})
        : cluster(std::move(config), kept, now_us) {}

    Watch& says(int port, const Answer& answer) {
        cluster.began(at(port), now_us);
        const std::int64_t sent_us = now_us;
        now_us += 1 * ms;
        cluster.answered(at(port), answer, sent_us, now_us);
        return keep();
    }
    Watch& fails(int port, const Failure& failure) {
        cluster.began(at(port), now_us);
        now_us += 1 * ms;
        cluster.failed(at(port), failure, now_us);
        return keep();
    }
    Watch& passes(std::int64_t time_us) {
        now_us += time_us;
        cluster.tick(now_us);
        return *this;
    }
    Watch& keep() {
        if (keeps) cluster.kept(cluster.fence(), {}, now_us);
        return *this;
    }
    /// Node 1 leads, 2 and 3 follow.
    Watch& settle() {
        says(1, leader(1000)).says(2, standby(1000)).says(3, standby(1000)).says(1, leader(1000));
        cluster.take_events();
        return *this;
    }

    const Topology& topology() {
        if (auto next = cluster.take_topology()) last = next;
        return *last;
    }
    int primary() { return topology().primary ? topology().primary_node()->node.at.port : 0; }
    const NodeView& node(int port) { return topology().nodes[*topology().find(at(port))]; }
    Role role(int port) { return node(port).role; }
    bool eligible(int port) { return node(port).eligible; }
    /// The kinds of what happened since the last time, between blanks.
    std::string events() {
        std::string words;
        for (const Event& event : cluster.take_events()) {
            words += (words.empty() ? "" : " ") + std::string(word_for(event.kind));
        }
        return words;
    }

    std::int64_t now_us = 1'000 * ms;
    bool keeps = true;
    Cluster cluster;
    TopologyPtr last;
};

TEST(Cluster, FindsThePrimary) {
    Watch watch;
    EXPECT_EQ(watch.says(2, standby(900)).primary(), 0);
    EXPECT_EQ(watch.says(1, leader(1000)).primary(), 0) << "the third has not been heard yet";
    EXPECT_EQ(watch.role(1), Role::unknown);
    EXPECT_EQ(watch.fails(3, refused).primary(), 1);
    EXPECT_EQ(watch.role(1), Role::primary);
    EXPECT_EQ(watch.role(2), Role::replica);
    EXPECT_FALSE(watch.node(3).up);
    EXPECT_EQ(watch.topology().epoch, (Epoch{system_id, 1, 5}));
    EXPECT_EQ(watch.topology().epoch_number, 1u);
    EXPECT_EQ(watch.events(), "primary_changed");
}

TEST(Cluster, WhoComesFirstAtTheStartDoesNotWinByThat) {
    Watch watch;
    watch.says(1, leader(1000, 1)).says(2, leader(1200, 2));
    EXPECT_EQ(watch.says(3, standby(1200, 2)).primary(), 2);
    EXPECT_EQ(watch.role(1), Role::stale_primary);
}

TEST(Cluster, AStandbyOfAHigherTimelineIsEvidence) {
    Watch watch;
    watch.says(1, leader(1000, 1)).says(3, standby(1200, 2)).fails(2, refused);
    EXPECT_EQ(watch.primary(), 0);
    EXPECT_EQ(watch.role(1), Role::stale_primary);
}

TEST(Cluster, TheHighestTimelineIsKnownFromBefore) {
    Watch watch(three_nodes(), {system_id, 2, "10.0.0.1:2"});
    watch.says(1, leader(1000, 1)).fails(2, refused).fails(3, refused);
    EXPECT_EQ(watch.primary(), 0);
    EXPECT_EQ(watch.role(1), Role::stale_primary);
    EXPECT_EQ(watch.says(2, leader(1200, 2)).primary(), 2);
}

TEST(Cluster, AHigherTimelineIsKeptBeforeItIsUsed) {
    Watch watch;
    watch.settle();
    watch.keeps = false;
    watch.says(2, leader(1100, 2));
    EXPECT_EQ(watch.primary(), 0) << "the old one gets nothing from here on";
    EXPECT_EQ(watch.role(1), Role::stale_primary);
    EXPECT_EQ(watch.role(2), Role::unknown);
    EXPECT_EQ(watch.cluster.fence().timeline, 2u);
    watch.cluster.kept(watch.cluster.fence(), {}, watch.now_us);
    EXPECT_EQ(watch.primary(), 2);
}

TEST(Cluster, WhatAnotherProcessHasKeptCounts) {
    Watch watch;
    watch.keeps = false;
    watch.says(1, leader(1000)).says(2, standby(1000)).fails(3, refused);
    EXPECT_EQ(watch.primary(), 0);
    watch.cluster.kept(watch.cluster.fence(), {system_id, 3, "10.0.0.1:3"}, watch.now_us);
    EXPECT_EQ(watch.primary(), 0);
    EXPECT_EQ(watch.role(1), Role::stale_primary);
}

TEST(Cluster, Promotion) {
    Watch watch;
    watch.settle();
    const std::uint32_t before = watch.node(2).incarnation;
    watch.fails(1, refused);
    EXPECT_EQ(watch.primary(), 0);
    EXPECT_TRUE(watch.eligible(2)) << "reads go on";
    EXPECT_EQ(watch.says(2, leader(1001, 2)).primary(), 2);
    EXPECT_EQ(watch.topology().epoch_number, 2u);
    EXPECT_GT(watch.node(2).incarnation, before);
    EXPECT_FALSE(watch.says(3, standby(1000, 1)).eligible(3)) << "has not followed yet";
    EXPECT_TRUE(watch.says(3, standby(1000, 2)).eligible(3));
    EXPECT_EQ(watch.events(), "node_down primary_lost primary_changed");
    EXPECT_EQ(watch.topology().samples.size(), 1u);
    EXPECT_EQ(watch.topology().samples.front().lsn.value, 1001u);
}

TEST(Cluster, TheOldPrimaryReturns) {
    Watch watch;
    watch.settle().fails(1, refused).says(2, leader(1001, 2));
    watch.events();
    watch.says(1, leader(1100, 1)).says(1, leader(1200, 1));
    EXPECT_EQ(watch.primary(), 2);
    EXPECT_EQ(watch.role(1), Role::stale_primary);
    EXPECT_FALSE(watch.eligible(1));
    EXPECT_EQ(watch.events(), "node_up stale_primary");
    EXPECT_TRUE(watch.says(1, standby(1200, 2)).eligible(1)) << "rewound, it follows";
}

TEST(Cluster, ADemotedPrimaryIsNone) {
    Watch watch;
    watch.settle();
    const std::uint32_t before = watch.node(1).incarnation;
    EXPECT_EQ(watch.says(1, standby(1000)).primary(), 0);
    EXPECT_GT(watch.node(1).incarnation, before);
    EXPECT_EQ(watch.events(), "primary_lost");
}

TEST(Cluster, TwoPrimariesOnOneTimeline) {
    Watch watch;
    watch.settle().says(2, leader(5000));
    EXPECT_EQ(watch.primary(), 1) << "the one in use stays";
    EXPECT_EQ(watch.role(2), Role::stale_primary);
    EXPECT_EQ(watch.events(), "stale_primary split_brain");
    watch.says(1, leader(1001)).says(2, leader(5001));
    EXPECT_EQ(watch.events(), "") << "it has been said";
}

TEST(Cluster, TwoPrimariesOfWhichNoneIsKnown) {
    Watch watch;
    watch.says(1, leader(1000)).says(2, leader(1000)).says(3, standby(1000));
    EXPECT_EQ(watch.primary(), 0);
    EXPECT_NE(watch.events().find("split_brain"), std::string::npos);
    EXPECT_TRUE(watch.cluster.detach(at(2), watch.now_us));
    EXPECT_EQ(watch.primary(), 1);
}

TEST(Cluster, TwoPrimariesOfWhichOneWasInUseBeforeARestart) {
    Watch watch(three_nodes(), {system_id, 1, "10.0.0.1:2"});
    watch.says(1, leader(1000)).says(2, leader(1000)).says(3, standby(1000));
    EXPECT_EQ(watch.primary(), 2);
}

TEST(Cluster, ARestartIsANewEpochAndNoFailover) {
    Watch watch;
    watch.settle().fails(1, lost);
    EXPECT_EQ(watch.primary(), 1) << "one lost connection is none";
    EXPECT_TRUE(watch.topology().primary_suspect);
    watch.fails(1, {Failure::Kind::refused, "the database system is starting up"});
    EXPECT_EQ(watch.primary(), 0);
    Answer again = leader(990);
    again.start_us = 6;
    watch.says(1, again);
    EXPECT_EQ(watch.primary(), 1);
    EXPECT_EQ(watch.topology().epoch, (Epoch{system_id, 1, 6}));
    EXPECT_EQ(watch.topology().epoch_number, 2u);
    EXPECT_EQ(watch.topology().samples.size(), 1u);
    EXPECT_EQ(watch.events(), "node_down primary_lost node_up primary_back");
}

TEST(Cluster, ACrashThatThePostmasterSurvivesIsANewEpoch) {
    Watch watch;
    watch.settle();
    watch.cluster.failed(at(1), lost, watch.now_us);  // between two probes
    watch.says(1, leader(990));
    EXPECT_EQ(watch.primary(), 1);
    EXPECT_EQ(watch.topology().epoch_number, 2u);
    EXPECT_EQ(watch.topology().samples.front().lsn.value, 990u);
    EXPECT_EQ(watch.events(), "");
    watch.says(1, leader(980));
    EXPECT_EQ(watch.topology().epoch_number, 3u) << "the log does not go back in one";
}

TEST(Cluster, AHangIsSuspectedThenBelieved) {
    Watch watch;
    watch.settle();
    watch.cluster.began(at(1), watch.now_us);
    watch.passes(249 * ms);
    EXPECT_FALSE(watch.topology().primary_suspect);
    watch.passes(1 * ms);
    EXPECT_TRUE(watch.topology().primary_suspect) << "half of the time out";
    EXPECT_EQ(watch.primary(), 1);
    watch.passes(250 * ms);
    watch.cluster.failed(at(1), timeout, watch.now_us);
    EXPECT_EQ(watch.primary(), 1);
    EXPECT_EQ(watch.fails(1, timeout).primary(), 0);
    EXPECT_FALSE(watch.node(1).up);
    watch.says(1, leader(1000));
    EXPECT_EQ(watch.primary(), 1) << "nobody was promoted meanwhile";
    EXPECT_FALSE(watch.topology().primary_suspect);
}

TEST(Cluster, ALateAnswerIsEnough) {
    Watch watch;
    watch.settle();
    watch.cluster.began(at(1), watch.now_us);
    const std::int64_t sent_us = watch.now_us;
    watch.passes(400 * ms);
    watch.cluster.answered(at(1), leader(1000), sent_us, watch.now_us);
    EXPECT_EQ(watch.primary(), 1);
    EXPECT_FALSE(watch.topology().primary_suspect);
    EXPECT_EQ(watch.topology().epoch_number, 1u);
    EXPECT_EQ(watch.events(), "");
}

TEST(Cluster, OneBadAnswerIsNotBelieved) {
    Watch watch;
    watch.settle();
    for (int i = 0; i < 5; ++i) {
        watch.fails(2, timeout);
        EXPECT_TRUE(watch.node(2).up);
        EXPECT_FALSE(watch.eligible(2));
        EXPECT_TRUE(watch.says(2, standby(1000)).eligible(2));
    }
    EXPECT_EQ(watch.events(), "");
}

TEST(Cluster, AServerWithoutRoomForUsIsNotDown) {
    Watch watch;
    watch.settle();
    for (int i = 0; i < 5; ++i) watch.fails(1, {Failure::Kind::busy, "too many clients"});
    EXPECT_EQ(watch.primary(), 1);
    EXPECT_FALSE(watch.topology().primary_suspect);
}

TEST(Cluster, AnotherSystemIsNeverMixedIn) {
    Watch watch;
    watch.settle();
    Answer foreign = leader(9000, 9);
    foreign.system = 88;
    watch.says(3, foreign);
    EXPECT_EQ(watch.primary(), 1);
    EXPECT_EQ(watch.cluster.fence().timeline, 1u);
    EXPECT_EQ(watch.role(3), Role::unknown);
    EXPECT_EQ(watch.events(), "other_system");
    watch.fails(1, refused).fails(2, refused).says(3, foreign);
    EXPECT_EQ(watch.primary(), 0);
}

TEST(Cluster, TheMajorityIsTheCluster) {
    Watch watch;
    Answer foreign = leader(9000, 9);
    foreign.system = 88;
    watch.says(1, foreign).says(2, leader(1000)).says(3, standby(1000));
    EXPECT_EQ(watch.primary(), 2);
}

TEST(Cluster, AClusterThatWasMadeAnew) {
    Watch watch(three_nodes(), {66, 9, "10.0.0.1:3"});
    watch.settle();
    EXPECT_EQ(watch.primary(), 1);
    EXPECT_EQ(watch.cluster.fence(), (Fence{system_id, 1, "10.0.0.1:1", 1}));
}

TEST(Cluster, RolesOfTheConfiguration) {
    config::Cluster config = three_nodes();
    config.nodes[1].role = NodeRole::replica;
    Watch watch(config);
    watch.settle().fails(1, refused).says(2, leader(1001, 2));
    EXPECT_EQ(watch.primary(), 0) << "never by us";
    EXPECT_EQ(watch.role(2), Role::stale_primary);

    config = three_nodes();
    config.nodes[2].role = NodeRole::primary;
    Watch fixed(config);
    fixed.says(1, leader(1000)).says(2, standby(1000)).says(3, standby(1000));
    EXPECT_EQ(fixed.primary(), 0) << "the only candidate is another";
    EXPECT_EQ(fixed.says(3, leader(1001, 2)).primary(), 3);
}

TEST(Cluster, NoPrimaryAndAllGone) {
    Watch watch;
    watch.settle().fails(1, refused);
    watch.passes(100 * ms).says(2, standby(1000)).says(3, standby(1000));
    EXPECT_TRUE(watch.eligible(2) && watch.eligible(3));
    watch.fails(2, refused).fails(3, refused);
    EXPECT_FALSE(watch.eligible(2) || watch.eligible(3));
    watch.says(2, standby(1000)).says(1, leader(1000));
    EXPECT_EQ(watch.primary(), 1);
    EXPECT_TRUE(watch.eligible(2));
}

// ---------------------------------------------------------------- Patroni

TEST(Cluster, PatronisLeaderIsTheOnlyOne) {
    Watch watch;
    watch.settle();
    watch.cluster.leader_said(Leader{at(1), 1}, watch.now_us);
    EXPECT_EQ(watch.primary(), 1);
    watch.cluster.leader_said(Leader{at(2), 1}, watch.now_us);
    EXPECT_EQ(watch.primary(), 0) << "the key has moved, the promotion is still to come";
    EXPECT_EQ(watch.role(1), Role::stale_primary);
    EXPECT_LE(watch.cluster.due_us(at(2)), watch.now_us + 25 * ms);
    EXPECT_EQ(watch.says(2, leader(1001, 2)).primary(), 2);
}

TEST(Cluster, PatronisTimelineCounts) {
    Watch watch;
    watch.settle();
    watch.cluster.leader_said(Leader{at(2), 2}, watch.now_us);
    EXPECT_EQ(watch.cluster.fence().timeline, 2u);
    EXPECT_EQ(watch.primary(), 0);
}

TEST(Cluster, WhatPatroniDoesNotKnowYetIsNotAgainstIt) {
    Watch watch;
    watch.settle();
    watch.cluster.leader_said(Leader{at(1), 1}, watch.now_us);
    EXPECT_EQ(watch.fails(1, refused).says(2, leader(1001, 2)).primary(), 2);
}

TEST(Cluster, PatroniSaysNothingForLong) {
    Watch watch;
    watch.settle();
    watch.cluster.leader_said(Leader{at(2), 1}, watch.now_us);
    EXPECT_EQ(watch.says(1, leader(1000)).primary(), 0);
    watch.passes(1300 * ms);
    EXPECT_EQ(watch.says(1, leader(1000)).primary(), 1);
    watch.cluster.leader_said(Leader{at(2), 1}, watch.now_us);
    EXPECT_EQ(watch.primary(), 0);
    watch.cluster.leader_said(std::nullopt, watch.now_us);
    EXPECT_EQ(watch.primary(), 1) << "no leader is no word against anybody";
    watch.cluster.leader_said(Leader{{"elsewhere", 1}, 9}, watch.now_us);
    EXPECT_EQ(watch.primary(), 1);
}

// ---------------------------------------------------------------- lag

TEST(Cluster, LagInBytes) {
    config::Cluster config = three_nodes();
    config.reads.max_lag_bytes = 100;
    Watch watch(config);
    watch.settle().says(1, leader(1101)).says(2, standby(1001)).says(3, standby(1000));
    EXPECT_TRUE(watch.eligible(2));
    EXPECT_FALSE(watch.eligible(3));
    EXPECT_EQ(watch.node(3).lag_bytes, 101);
    EXPECT_EQ(watch.node(3).reason, "behind by 101 bytes, 0.0 s");
}

TEST(Cluster, LagInTimeIsThatOfTheOldestSampleNotReached) {
    config::Cluster config = three_nodes();
    config.reads.max_lag = std::chrono::milliseconds(500);
    Watch watch(config);
    watch.settle();
    watch.says(1, leader(1001));  // sent at t
    watch.passes(200 * ms).says(1, leader(1002)).says(2, standby(1000)).says(3, standby(1001));
    EXPECT_EQ(watch.node(2).lag_us, 202 * ms);
    EXPECT_EQ(watch.node(3).lag_us, 2 * ms);
    EXPECT_TRUE(watch.eligible(2));
    watch.passes(200 * ms).says(1, leader(1002)).passes(200 * ms).says(2, standby(1000));
    EXPECT_FALSE(watch.eligible(2));
    watch.says(2, standby(1002));
    EXPECT_TRUE(watch.eligible(2));
    EXPECT_EQ(watch.node(2).lag_us, 0);
}

TEST(Cluster, AnIdlePrimaryMakesNoLag) {
    Watch watch;
    watch.settle();
    for (int i = 0; i < 100; ++i) {
        watch.passes(200 * ms).says(1, leader(1000)).says(2, standby(1000)).says(3, standby(1000));
    }
    EXPECT_EQ(watch.node(2).lag_us, 0);
    EXPECT_LE(watch.topology().samples.size(), 2u);
    EXPECT_EQ(watch.topology().samples.back().sent_us, watch.now_us - 3 * ms);
}

TEST(Cluster, WhatIsKnownOfLagHoldsWithoutAPrimary) {
    config::Cluster config = three_nodes();
    config.reads.max_lag_bytes = 100;
    Watch watch(config);
    watch.settle().says(1, leader(2000)).says(2, standby(2000)).says(3, standby(1000));
    watch.fails(1, refused).says(2, standby(2000)).says(3, standby(1000));
    EXPECT_TRUE(watch.eligible(2));
    EXPECT_FALSE(watch.eligible(3));
}

TEST(Cluster, AStandbyWithoutAReceiverIsJudgedByItsLag) {
    Watch watch;
    watch.settle();
    Answer alone = standby(1000);
    alone.receiving = alone.streaming = false;
    EXPECT_TRUE(watch.says(2, alone).eligible(2));
    EXPECT_FALSE(watch.node(2).streaming);
}

TEST(Cluster, AStandbyThatStreamsNoMoreIsOnItsTimelineStill) {
    Watch watch;
    watch.settle().says(2, leader(1001, 2)).says(3, standby(1001, 2));
    Answer alone = standby(1001, 1);  // what its last checkpoint says
    alone.receiving = alone.streaming = false;
    EXPECT_TRUE(watch.says(3, alone).eligible(3));
    alone.start_us = 6;
    EXPECT_FALSE(watch.says(3, alone).eligible(3)) << "started anew, nobody knows";
}

TEST(Cluster, ASilentStandbyIsNotFresh) {
    Watch watch;
    watch.settle();
    watch.passes(590 * ms);
    EXPECT_TRUE(watch.eligible(2));
    watch.passes(20 * ms);
    EXPECT_FALSE(watch.eligible(2));
    EXPECT_EQ(watch.node(2).reason, "no answer for a while");
}

// ---------------------------------------------------------------- when to ask, orders, reload

TEST(Cluster, AsksFastWhileThereIsSomethingToFindOut) {
    Watch watch;
    EXPECT_LE(watch.cluster.due_us(at(1)), watch.now_us);
    watch.settle();
    watch.says(1, leader(1000));
    EXPECT_EQ(watch.cluster.due_us(at(1)), watch.now_us + 199 * ms);
    watch.cluster.poke(at(1), watch.now_us + 50 * ms);
    EXPECT_EQ(watch.cluster.due_us(at(1)), watch.now_us + 50 * ms);
    watch.fails(1, refused);
    EXPECT_LE(watch.cluster.due_us(at(2)), watch.now_us + 25 * ms);
    EXPECT_EQ(watch.cluster.due_us(at(1)), watch.now_us + 24 * ms);
    watch.cluster.began(at(1), watch.now_us);
    EXPECT_EQ(watch.cluster.due_us(at(1)), INT64_MAX) << "it is being asked";
    watch.cluster.poke(at(1), watch.now_us);
    watch.cluster.answered(at(1), leader(1000), watch.now_us, watch.now_us + 9 * ms);
    EXPECT_EQ(watch.cluster.due_us(at(1)), watch.now_us + 9 * ms) << "a sign came meanwhile";
}

TEST(Cluster, NobodyToBeFoundIsNotSoughtFast) {
    config::Cluster config = three_nodes();
    for (config::Node& node : config.nodes) node.role = NodeRole::replica;
    Watch watch(config);
    watch.says(1, standby(1)).says(2, standby(1)).says(3, standby(1));
    EXPECT_EQ(watch.cluster.due_us(at(3)), watch.now_us + 199 * ms);
    EXPECT_TRUE(watch.eligible(1));
}

TEST(Cluster, Orders) {
    Watch watch;
    watch.settle();
    EXPECT_FALSE(watch.cluster.drain(at(9), watch.now_us));
    EXPECT_TRUE(watch.cluster.drain(at(2), watch.now_us));
    EXPECT_FALSE(watch.eligible(2));
    EXPECT_TRUE(watch.cluster.resume(at(2), watch.now_us));
    EXPECT_TRUE(watch.eligible(2));
    EXPECT_TRUE(watch.cluster.drain(at(1), watch.now_us));
    EXPECT_EQ(watch.primary(), 1) << "there is only one";
    EXPECT_TRUE(watch.cluster.detach(at(1), watch.now_us));
    EXPECT_EQ(watch.primary(), 0);
    EXPECT_TRUE(watch.cluster.resume(at(1), watch.now_us));
    EXPECT_EQ(watch.primary(), 1);
}

TEST(Cluster, AReloadKeepsWhatIsKnown) {
    Watch watch;
    watch.settle();
    config::Cluster config = three_nodes();
    std::swap(config.nodes[0], config.nodes[2]);
    config.nodes[1].at = at(4);
    watch.cluster.configure(config, watch.now_us);
    EXPECT_EQ(watch.primary(), 1);
    EXPECT_TRUE(watch.eligible(3));
    EXPECT_EQ(watch.topology().nodes.size(), 3u);
    EXPECT_EQ(watch.topology().find(at(2)), std::nullopt);
    EXPECT_LE(watch.cluster.due_us(at(4)), watch.now_us);
    config.nodes.pop_back();  // the primary
    watch.cluster.configure(config, watch.now_us);
    EXPECT_EQ(watch.primary(), 0);
}

// ---------------------------------------------------------------- what other processes know

TEST(Cluster, AHigherTimelineSeenElsewhereEndsThePrimary) {
    Watch watch;
    watch.settle();
    watch.cluster.heard_elsewhere({system_id, 2, "10.0.0.1:3", 0}, watch.now_us);
    EXPECT_EQ(watch.primary(), 0);
    EXPECT_EQ(watch.role(1), Role::stale_primary);
    EXPECT_EQ(watch.keep().says(3, leader(2000, 2)).primary(), 3);
}

TEST(Cluster, NobodyLeadsBeforeOthersHaveBeenAsked) {
    Watch watch;
    watch.cluster.await_others(true, watch.now_us);
    watch.settle();
    EXPECT_EQ(watch.primary(), 0);
    EXPECT_EQ(watch.role(1), Role::unknown);
    watch.cluster.heard_elsewhere({system_id, 2, "10.0.0.1:3", 0}, watch.now_us);
    watch.cluster.await_others(false, watch.now_us);
    EXPECT_EQ(watch.keep().role(1), Role::stale_primary);
    Watch other;
    other.cluster.await_others(true, other.now_us);
    other.settle();
    other.cluster.await_others(false, other.now_us);
    EXPECT_EQ(other.keep().primary(), 1);
    other.cluster.await_others(true, other.now_us);  // a reload
    EXPECT_EQ(other.primary(), 1);
}

TEST(Cluster, WhatIsKnownElsewhereAlreadyChangesNothing) {
    Watch watch;
    watch.settle();
    for (const Fence& known : {Fence{}, Fence{system_id, 1, "10.0.0.1:2", 0},
                               Fence{system_id + 1, 9, "10.0.0.1:2", 0}}) {
        watch.cluster.heard_elsewhere(known, watch.now_us);
        EXPECT_EQ(watch.primary(), 1);
    }
}

TEST(Cluster, OfTwoOnOneTimelineTheOneThatIsUsedElsewhereIsTaken) {
    Watch watch;
    watch.cluster.heard_elsewhere({system_id, 1, "10.0.0.1:2", 0}, watch.now_us);
    watch.says(1, leader(1000)).says(2, leader(1000)).says(3, standby(1000));
    EXPECT_EQ(watch.primary(), 2);
    EXPECT_EQ(watch.role(1), Role::stale_primary);
}

// ---------------------------------------------------------------- another cluster takes over

Answer stranger(bool in_recovery = false) {
    Answer answer = leader(50);
    answer.system = system_id + 1;
    answer.in_recovery = in_recovery;
    return answer;
}

TEST(Cluster, AnotherClustersPrimaryTakesOver) {
    Watch watch;
    watch.says(1, leader(1000, 7)).says(2, standby(1000, 7)).says(3, stranger());
    watch.says(1, leader(1000, 7));
    EXPECT_EQ(watch.primary(), 1);
    EXPECT_EQ(watch.cluster.why_not_adopt(at(3)), "");
    const auto epoch = watch.topology().epoch_number;
    watch.keeps = false;
    watch.cluster.adopt(at(3), watch.now_us);
    EXPECT_EQ(watch.primary(), 0) << "it is not known to be kept yet";
    EXPECT_EQ(watch.cluster.fence(), (Fence{system_id + 1, 1, "10.0.0.1:3", 1}));
    watch.cluster.kept(watch.cluster.fence(), {system_id, 7, "10.0.0.1:1", 0}, watch.now_us);
    EXPECT_EQ(watch.primary(), 3);
    EXPECT_GT(watch.topology().epoch_number, epoch);
    EXPECT_EQ(watch.role(1), Role::unknown);
    EXPECT_FALSE(watch.eligible(2));
    watch.cluster.leader_said(Leader{at(1), 7}, watch.now_us);
    EXPECT_EQ(watch.says(3, stranger()).primary(), 3) << "Patroni speaks of the former one";
}

TEST(Cluster, ReadsAreHeld) {
    Watch watch;
    watch.settle();
    EXPECT_TRUE(watch.eligible(2));
    watch.cluster.hold_reads(true, watch.now_us);
    EXPECT_FALSE(watch.eligible(2));
    EXPECT_EQ(watch.primary(), 1);
    watch.cluster.hold_reads(false, watch.now_us);
    EXPECT_TRUE(watch.eligible(2));
}

TEST(Cluster, OthersHearThatAnotherClusterHasTakenOver) {
    Watch watch;
    watch.says(1, leader(1000)).says(2, standby(1000)).says(3, stranger()).says(1, leader(1000));
    watch.cluster.heard_elsewhere({system_id + 1, 1, "10.0.0.1:3", 1}, watch.now_us);
    EXPECT_EQ(watch.keep().primary(), 3);
    watch.cluster.heard_elsewhere({system_id, 1, "10.0.0.1:1", 0}, watch.now_us);
    EXPECT_EQ(watch.primary(), 3) << "who has not heard of it says nothing";
}

TEST(Cluster, WhoCannotTakeOver) {
    Watch watch;
    watch.settle();
    EXPECT_EQ(watch.cluster.why_not_adopt(at(9)), "no such node: 10.0.0.1:9");
    EXPECT_EQ(watch.cluster.why_not_adopt(at(2)), "10.0.0.1:2 is not of another cluster");
    watch.says(2, stranger(true));
    EXPECT_EQ(watch.cluster.why_not_adopt(at(2)), "10.0.0.1:2 is a standby");
    watch.fails(2, refused);
    EXPECT_EQ(watch.cluster.why_not_adopt(at(2)), "10.0.0.1:2 does not answer: Connection refused");
    config::Cluster config = three_nodes();
    config.nodes[0].role = NodeRole::primary;
    Watch fixed(config);
    fixed.says(1, leader(1000)).says(2, standby(1000)).says(3, stranger());
    EXPECT_EQ(fixed.cluster.why_not_adopt(at(3)),
              "10.0.0.1:3 is not to be the primary by the roles in the configuration");
}

}  // namespace
}  // namespace pgweir::health
