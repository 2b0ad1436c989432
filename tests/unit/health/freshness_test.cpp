// What a session may read where (health/freshness): own writes, never back in time, epochs, tokens.
#include "health/freshness.hpp"

#include <gtest/gtest.h>

namespace pgweir::health {
namespace {

using config::Consistency;

constexpr std::size_t primary = 0, first = 1, second = 2;

NodeView replica(int port, std::uint64_t lsn, std::int64_t sampled_us) {
    NodeView view;
    view.node.at = {"10.0.0.1", port};
    view.role = Role::replica;
    view.up = view.eligible = view.streaming = true;
    view.timeline = 1;
    view.lsn = {lsn};
    view.sampled_us = sampled_us;
    view.incarnation = 1;
    return view;
}

/// A primary with samples at 100, 200 and 300 µs, and two replicas.
Topology three_nodes(std::uint64_t first_lsn = 1000, std::uint64_t second_lsn = 1000) {
    Topology topology;
    topology.nodes = {replica(1, 1000, 300), replica(2, first_lsn, 300),
                      replica(3, second_lsn, 300)};
    topology.nodes[primary].role = Role::primary;
    topology.nodes[primary].eligible = false;
    topology.primary = primary;
    topology.epoch = {7, 1, 50};
    topology.epoch_number = 1;
    topology.samples = {{100, {800}}, {200, {900}}, {300, {1000}}};
    return topology;
}

Bound fresh(const Topology& topology) {
    Bound bound;
    resolve(bound, topology);
    return bound;
}

TEST(Freshness, NothingWrittenIsFreshEverywhere) {
    const Topology topology = three_nodes(10, 10);
    const Bound bound = fresh(topology);
    EXPECT_TRUE(may_read(bound, topology, first, Consistency::eventual));
    EXPECT_TRUE(may_read(bound, topology, first, Consistency::session));
    EXPECT_TRUE(may_read(bound, topology, first, Consistency::global));
}

TEST(Freshness, OnlyABoundOfNothingIsEmpty) {
    const Topology topology = three_nodes();
    EXPECT_TRUE(is_empty(fresh(topology)));
    Bound written, shown, read;
    note_shown(shown, 150);
    EXPECT_FALSE(is_empty(shown));
    note_write(written, 150);
    EXPECT_FALSE(is_empty(written));
    resolve(written, topology);
    EXPECT_FALSE(is_empty(written));
    note_read(read, topology, first, 150);
    EXPECT_FALSE(is_empty(read));
}

TEST(Freshness, OnlyAnEligibleNodeIsRead) {
    Topology topology = three_nodes();
    topology.nodes[first].eligible = false;
    const Bound bound = fresh(topology);
    EXPECT_FALSE(may_read(bound, topology, first, Consistency::eventual));
    EXPECT_TRUE(may_read(bound, topology, second, Consistency::eventual));
}

struct WriteCase {
    const char* name;
    std::int64_t written_us;
    std::uint64_t replayed;
    bool may_read;
};

constexpr WriteCase write_cases[] = {
    {"covered by the sample after it", 150, 900, true},
    {"one byte short of it", 150, 899, false},
    {"written in the very moment of a sample: the next one counts", 200, 999, false},
    {"written in the very moment of a sample, and replayed the next", 200, 1000, true},
    {"written after the newest sample: nobody knows yet", 300, 5000, false},
    {"long before the oldest sample", 1, 800, true},
};

TEST(Freshness, OwnWrites) {
    for (const WriteCase& c : write_cases) {
        SCOPED_TRACE(c.name);
        const Topology topology = three_nodes(c.replayed);
        Bound bound = fresh(topology);
        note_write(bound, c.written_us);
        resolve(bound, topology);
        EXPECT_EQ(may_read(bound, topology, first, Consistency::session), c.may_read);
        EXPECT_TRUE(may_read(bound, topology, first, Consistency::eventual));
    }
}

TEST(Freshness, TheBoundOnlyRises) {
    const Topology topology = three_nodes(900);
    Bound bound = fresh(topology);
    note_write(bound, 250);
    resolve(bound, topology);
    EXPECT_EQ(bound.lsn.value, 1000u);
    note_write(bound, 50);  // noted late
    resolve(bound, topology);
    EXPECT_EQ(bound.lsn.value, 1000u);
    EXPECT_EQ(missing_bytes(bound, topology, first, Consistency::session), 100);
}

TEST(Freshness, GlobalNeedsTheNewestSample) {
    const Topology topology = three_nodes(1000, 999);
    Bound bound;
    note_all_writes(bound, topology, 0);
    EXPECT_TRUE(may_read(bound, topology, first, Consistency::global));
    EXPECT_FALSE(may_read(bound, topology, second, Consistency::global));
    Topology later = three_nodes(1050);
    note_all_writes(bound, later, 400);  // by anybody
    EXPECT_FALSE(may_read(bound, later, first, Consistency::global));
    // What is written while it waits for that need not be seen.
    later.samples.push_back({410, {1050}});
    later.samples.push_back({420, {2000}});
    resolve(bound, later);
    EXPECT_TRUE(may_read(bound, later, first, Consistency::global));
}

TEST(Freshness, NothingIsGlobalWithoutAPosition) {
    Topology topology = three_nodes();
    topology.samples.clear();
    Bound bound;
    note_all_writes(bound, topology, 0);
    EXPECT_FALSE(may_read(bound, topology, first, Consistency::global));
    EXPECT_TRUE(may_read(bound, topology, first, Consistency::session));
}

TEST(Freshness, NearIsWhoIsNotFarBehind) {
    Topology topology = three_nodes();
    topology.nodes[first].lag_us = 5'000;
    EXPECT_TRUE(is_near(topology, first, 5'000));
    EXPECT_FALSE(is_near(topology, first, 4'999));
    EXPECT_FALSE(is_near(topology, primary, 4'999));
    topology.primary_suspect = true;
    EXPECT_FALSE(is_near(topology, first, 5'000));
}

TEST(Freshness, AnotherReplicaMustShowAsMuch) {
    Topology topology = three_nodes(950, 940);
    Bound bound = fresh(topology);
    note_read(bound, topology, first, 250);
    EXPECT_TRUE(may_read(bound, topology, first, Consistency::session));
    // The first one's sample of 300 says that 950 covers what was read at 250.
    EXPECT_FALSE(may_read(bound, topology, second, Consistency::session));
    topology.nodes[second].lsn = {950};
    EXPECT_TRUE(may_read(bound, topology, second, Consistency::session));
    EXPECT_TRUE(may_read(bound, topology, second, Consistency::eventual));
}

TEST(Freshness, AReadAfterTheReplicasSampleIsCoveredByThePrimarysNext) {
    Topology topology = three_nodes(950, 999);
    Bound bound = fresh(topology);
    note_read(bound, topology, first, 300);
    EXPECT_FALSE(may_read(bound, topology, second, Consistency::session));
    topology.samples.push_back({400, {1100}});
    EXPECT_FALSE(may_read(bound, topology, second, Consistency::session));
    topology.nodes[second].lsn = {1100};
    EXPECT_TRUE(may_read(bound, topology, second, Consistency::session));
}

TEST(Freshness, AReplicaThatCameBackIsAnotherOne) {
    Topology topology = three_nodes(950, 950);
    Bound bound = fresh(topology);
    note_read(bound, topology, first, 250);
    ++topology.nodes[first].incarnation;
    EXPECT_FALSE(may_read(bound, topology, first, Consistency::session));  // 1000 covers it
    topology.nodes[first].lsn = {1000};
    EXPECT_TRUE(may_read(bound, topology, first, Consistency::session));
}

TEST(Freshness, WhatThePrimaryHasShownIsNotMissedLater) {
    Topology topology = three_nodes(1000);
    Bound bound = fresh(topology);
    note_shown(bound, 350);
    EXPECT_FALSE(may_read(bound, topology, first, Consistency::session));
    EXPECT_TRUE(may_read(bound, topology, first, Consistency::eventual));
    EXPECT_TRUE(token_of(bound, topology)) << "of what it has written";
    topology.samples.push_back({400, {1100}});
    resolve(bound, topology);
    EXPECT_FALSE(may_read(bound, topology, first, Consistency::session));
    topology.nodes[first].lsn = {1100};
    EXPECT_TRUE(may_read(bound, topology, first, Consistency::session));
}

TEST(Freshness, WhatALostPrimaryHasShownIsWhereMostOfItsLogIs) {
    Topology topology = three_nodes(1010, 1005);
    topology.nodes[first].received = {1020};
    topology.nodes[second].received = {1005};
    Bound bound = fresh(topology);
    note_shown(bound, 350);
    topology.primary.reset();
    EXPECT_FALSE(may_read(bound, topology, first, Consistency::session)) << "not asked since";
    topology.nodes[first].sampled_us = topology.nodes[second].sampled_us = 400;
    EXPECT_FALSE(may_read(bound, topology, first, Consistency::session)) << "not replayed yet";
    topology.nodes[first].lsn = {1020};
    EXPECT_TRUE(may_read(bound, topology, first, Consistency::session));
    EXPECT_FALSE(may_read(bound, topology, second, Consistency::session));
    note_write(bound, 360);
    EXPECT_FALSE(may_read(bound, topology, first, Consistency::session))
        << "it may be nowhere else";
}

Topology after_promotion(std::uint64_t second_lsn);

TEST(Freshness, AReadThatAPromotionOvertookIsRemembered) {
    Bound bound = fresh(three_nodes());
    Topology after = after_promotion(900);
    note_read(bound, after, first, 450);
    resolve(bound, after);
    EXPECT_FALSE(may_read(bound, after, second, Consistency::session));
    after.nodes[second].lsn = {970};
    EXPECT_TRUE(may_read(bound, after, second, Consistency::session));
}

Topology after_promotion(std::uint64_t second_lsn) {
    Topology topology = three_nodes(0, second_lsn);
    topology.primary = first;
    topology.nodes[first].role = Role::primary;
    topology.nodes[first].eligible = false;
    topology.nodes[first].timeline = 2;
    topology.nodes[second].timeline = 2;
    topology.nodes[second].sampled_us = 600;
    topology.epoch = {7, 2, 60};
    topology.epoch_number = 2;
    topology.samples = {{500, {970}}};
    return topology;
}

TEST(Freshness, ANewEpochCoversWhatSurvived) {
    const Topology before = three_nodes(950, 950);
    Bound bound = fresh(before);
    note_write(bound, 250);  // of position 1000, beyond what the new primary had at its promotion
    resolve(bound, before);
    Topology after = after_promotion(960);
    resolve(bound, after);
    EXPECT_EQ(bound.lsn.value, 970u);
    EXPECT_FALSE(may_read(bound, after, second, Consistency::session));
    after.nodes[second].lsn = {970};
    EXPECT_TRUE(may_read(bound, after, second, Consistency::session));
    after.nodes[second].timeline = 1;  // has not followed yet: its positions mean nothing
    EXPECT_FALSE(may_read(bound, after, second, Consistency::session));
    EXPECT_TRUE(may_read(fresh(after), after, second, Consistency::session));
}

TEST(Freshness, AWriteNotedByAnOldTopologyStillCounts) {
    Bound bound = fresh(three_nodes());
    note_write(bound, 550);
    note_read(bound, three_nodes(), second, 560);
    Topology after = after_promotion(5000);
    resolve(bound, after);
    EXPECT_FALSE(may_read(bound, after, second, Consistency::session));
    after.samples.push_back({700, {1200}});
    resolve(bound, after);
    EXPECT_EQ(bound.lsn.value, 1200u);
    EXPECT_TRUE(may_read(bound, after, second, Consistency::session));
}

TEST(Freshness, AnOldEpochsBoundIsNoBound) {
    Bound bound = fresh(three_nodes());
    note_write(bound, 50);
    EXPECT_FALSE(may_read(bound, after_promotion(5000), second, Consistency::session));
}

TEST(Freshness, Tokens) {
    const Topology topology = three_nodes();
    Bound writer = fresh(topology);
    note_write(writer, 150);
    EXPECT_EQ(token_of(writer, topology), std::nullopt);
    resolve(writer, topology);
    const auto token = token_of(writer, topology);
    ASSERT_TRUE(token);
    EXPECT_EQ(format_token(*token), "7/1/50/0/384");
    EXPECT_EQ(parse_token(format_token(*token)), token);

    Bound reader = fresh(topology);
    raise(reader, topology, *token, 350);
    EXPECT_EQ(reader.lsn.value, 900u);
    EXPECT_FALSE(reader.dirty);
}

TEST(Freshness, ATokenOfAnotherEpochWaitsForASample) {
    Topology topology = after_promotion(5000);
    Bound reader = fresh(topology);
    raise(reader, topology, {{7, 1, 50}, {900}}, 600);
    EXPECT_FALSE(may_read(reader, topology, second, Consistency::session));
    topology.samples.push_back({700, {1200}});
    resolve(reader, topology);
    EXPECT_TRUE(may_read(reader, topology, second, Consistency::session));
}

TEST(Freshness, WhatIsNoToken) {
    for (const char* text :
         {"", "7", "7/1/50", "7/1/50/3", "x/1/50/0/1", "7/1/50/0/1 ", "7/-1/5/0/1",
          "7/1/50/0/123456789", "99999999999999999999999/1/50/0/1"}) {
        SCOPED_TRACE(text);
        EXPECT_EQ(parse_token(text), std::nullopt);
    }
}

}  // namespace
}  // namespace pgweir::health
