// Which replica gets a read.
#include "proxy/balance.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace pgweir::proxy {
namespace {

health::NodeView replica(int port, int weight = 1) {
    health::NodeView node;
    node.node.at = {"h", port};
    node.node.weight = weight;
    node.role = health::Role::replica;
    node.up = node.eligible = true;
    return node;
}

health::Topology cluster(std::vector<health::NodeView> replicas) {
    health::Topology topology;
    topology.epoch_number = 1;
    health::NodeView primary = replica(1);
    primary.role = health::Role::primary;
    primary.eligible = false;
    topology.nodes.push_back(primary);
    topology.nodes.insert(topology.nodes.end(), replicas.begin(), replicas.end());
    topology.primary = 0;
    return topology;
}

constexpr auto eventual = config::Consistency::eventual;
constexpr auto session = config::Consistency::session;

/// Of a session that has done nothing yet.
health::Bound fresh(const health::Topology& topology) {
    health::Bound bound;
    health::resolve(bound, topology);
    return bound;
}

constexpr std::int64_t now_us = 1'000'000'000;

/// Chooses for sessions that have done nothing yet.
struct Chooser {
    health::Topology topology;
    config::Reads reads{};
    config::Consistency consistency = session;
    Balance balance{0};
    std::int64_t at_us = now_us;

    std::optional<int> prefers{}, refused_by{};

    NodeLoad& node(int port) {
        balance.take(topology);
        return **std::ranges::find_if(balance.nodes(),
                                      [port](NodeLoad* load) { return load->at().port == port; });
    }
    /// The port of the node that is chosen; 0: none.
    int choose(std::optional<int> home = std::nullopt) {
        balance.take(topology);
        const health::Bound nothing = fresh(topology);
        Balance::Wish wish{nothing, consistency};
        if (home) wish.home = &node(*home);
        if (refused_by) wish.but = &node(*refused_by);
        const config::Endpoint preferred{"h", prefers.value_or(0)};
        if (prefers) wish.prefers = &preferred;
        const NodeLoad* const chosen = balance.choose(topology, wish, reads, at_us);
        return chosen ? chosen->at().port : 0;
    }
    void settle(int port) { node(port).settle(); }
    void leave(int port) { node(port).leave(); }
    void answer(int port, std::int64_t took_us) {
        node(port).began();
        node(port).answered(took_us, at_us);
    }
    /// For so long a read after the other, at each of these nodes.
    void answer_for(std::int64_t us, std::map<int, std::int64_t> took_us) {
        constexpr int asked = 100;
        for (int i = 0; i < asked; ++i) {
            at_us += us / asked;
            for (const auto& [port, took] : took_us) answer(port, took);
        }
    }
    /// How many of `clients` new clients each node gets, by its port.
    std::map<int, int> shares(int clients) {
        std::map<int, int> shares;
        for (int i = 0; i < clients; ++i) {
            if (const int port = choose()) settle(port), ++shares[port];
        }
        return shares;
    }
    /// How many of those that are at `from` leave it.
    int leaving(int from) {
        for (int moved = 0;; ++moved) {
            const int port = choose(from);
            if (port == from) return moved;
            leave(from);
            settle(port);
        }
    }
};

std::map<int, int> shares(const health::Topology& topology, config::Balance method, int clients) {
    Chooser chooser{topology};
    chooser.reads.balance = method;
    return chooser.shares(clients);
}

TEST(Balance, SpreadsClientsEvenly) {
    const auto topology = cluster({replica(2), replica(3)});
    for (const auto method : {config::Balance::least_latency, config::Balance::least_connections,
                              config::Balance::round_robin}) {
        const auto found = shares(topology, method, 100);
        EXPECT_EQ(found, (std::map<int, int>{{2, 50}, {3, 50}}));
    }
    EXPECT_NEAR(shares(topology, config::Balance::random, 1000).at(2), 500, 50);
}

TEST(Balance, WorkersBeginWithDifferentNodes) {
    std::map<int, int> found;
    for (unsigned worker = 0; worker < 4; ++worker) {
        Chooser chooser{cluster({replica(2), replica(3)}), {}, session, Balance(worker)};
        ++found[chooser.choose()];
    }
    EXPECT_EQ(found, (std::map<int, int>{{2, 2}, {3, 2}}));
}

TEST(Balance, ByWeight) {
    const auto topology = cluster({replica(2, 3), replica(3, 1)});
    for (const auto method : {config::Balance::least_latency, config::Balance::least_connections,
                              config::Balance::round_robin}) {
        EXPECT_NEAR(shares(topology, method, 100).at(2), 75, 1);
    }
    EXPECT_NEAR(shares(topology, config::Balance::random, 1000).at(2), 750, 50);
}

/// Each is gone before the next one comes, so that nobody is ever busy.
TEST(Balance, WhoComeOneAfterTheOtherAreSharedToo) {
    for (const auto method : {config::Balance::least_latency, config::Balance::least_connections}) {
        Chooser weighted{cluster({replica(2, 3), replica(3, 1)})};
        weighted.reads.balance = method;
        std::map<int, int> found;
        for (int i = 0; i < 100; ++i) ++found[weighted.choose()];
        EXPECT_EQ(found, (std::map<int, int>{{2, 75}, {3, 25}}));

        Chooser young{cluster({replica(2), replica(3)})};
        young.reads.balance = method;
        young.reads.slow_start = std::chrono::seconds(10);
        young.topology.nodes[1].status_since_us = now_us - 5'000'000;
        young.topology.nodes[2].status_since_us = now_us - 5'001'000;  // the other is ahead of it
        found.clear();
        for (int i = 0; i < 100; ++i) ++found[young.choose()];
        EXPECT_NEAR(found[2], 50, 1);
    }
}

TEST(Balance, WeightZeroOnlyWhenNothingElseIsLeft) {
    EXPECT_EQ(shares(cluster({replica(2, 0), replica(3)}), config::Balance::random, 10),
              (std::map<int, int>{{3, 10}}));
    EXPECT_EQ(shares(cluster({replica(2, 0)}), config::Balance::random, 10),
              (std::map<int, int>{{2, 10}}));
}

TEST(Balance, NobodyIsChosenWhoMayNotBe) {
    auto lagging = replica(2);
    lagging.eligible = false;
    auto down = replica(3);
    down.up = false;
    auto draining = replica(4);
    draining.draining = true;
    EXPECT_TRUE(shares(cluster({lagging, down, draining}), config::Balance::random, 10).empty());
    EXPECT_TRUE(shares(cluster({}), config::Balance::random, 10).empty());
}

TEST(Balance, AClientStaysWhereItIs) {
    Chooser chooser{cluster({replica(2), replica(3)})};
    chooser.reads.balance = config::Balance::round_robin;
    for (int i = 0; i < 5; ++i) EXPECT_EQ(chooser.choose(3), 3);
}

TEST(Balance, ClientsLeaveACrowdForOneThatHasComeBack) {
    Chooser chooser{cluster({replica(2), replica(3)})};
    for (int i = 0; i < 4; ++i) chooser.settle(2);
    EXPECT_EQ(chooser.leaving(2), 2);
}

TEST(Balance, ANodeThatCameUpHasItsShareLittleByLittle) {
    auto back = replica(3);
    back.status_since_us = now_us;
    Chooser chooser{cluster({replica(2), back})};
    chooser.reads.slow_start = std::chrono::seconds(10);
    for (int i = 0; i < 20; ++i) chooser.settle(2);
    EXPECT_EQ(chooser.leaving(2), 1);
    chooser.at_us += 5'000'000;
    const int half = 1 + chooser.leaving(2);
    EXPECT_GT(half, 4);
    EXPECT_LT(half, 8);
    chooser.at_us += 5'000'000;
    EXPECT_EQ(half + chooser.leaving(2), 10);
}

TEST(Balance, ASlowNodeHasFewerClients) {
    Chooser chooser{cluster({replica(2), replica(3)})};
    chooser.answer_for(10'000'000, {{2, 1'000}, {3, 1'500}});
    EXPECT_EQ(chooser.shares(10), (std::map<int, int>{{2, 5}, {3, 5}})) << "that may be chance";
    chooser.answer_for(10'000'000, {{2, 1'000}, {3, 31'000}});
    const int left = chooser.leaving(3);
    EXPECT_GE(left, 4);
    EXPECT_EQ(chooser.leaving(2), 0);
    chooser.at_us += 60'000'000;  // nobody has asked it since: it may be well again
    EXPECT_EQ(chooser.leaving(2), left);
}

TEST(Balance, OneLongReportSaysNothing) {
    Chooser chooser{cluster({replica(2), replica(3)})};
    chooser.answer_for(1'000'000, {{2, 500}, {3, 500}});
    chooser.shares(10);
    chooser.answer(3, 20'000'000);
    EXPECT_EQ(chooser.leaving(3), 0);
    EXPECT_EQ(chooser.shares(10), (std::map<int, int>{{2, 5}, {3, 5}}));
}

/// A stop of a twentieth of a second, in which all that ran there got late.
TEST(Balance, AMomentsStopMovesNobodyButIsAvoided) {
    Chooser chooser{cluster({replica(2), replica(3)})};
    chooser.answer_for(1'000'000, {{2, 500}, {3, 500}});
    chooser.shares(10);
    chooser.at_us += 50'000;
    for (int i = 0; i < 5; ++i) chooser.answer(3, 50'000);
    EXPECT_EQ(chooser.leaving(3), 0);
    EXPECT_EQ(chooser.shares(6), (std::map<int, int>{{2, 6}}));
    chooser.answer_for(10'000'000, {{2, 500}, {3, 500}});
    EXPECT_EQ(chooser.shares(8), (std::map<int, int>{{2, 1}, {3, 7}}));
}

/// What each gets of the reads when so many are under way all the time, and each takes as long as
/// its node's do.
std::map<int, int> shares_of_reads(Chooser& chooser, int busy, std::map<int, std::int64_t> took_us,
                                   int reads) {
    struct Read {
        std::int64_t ends_us;
        int port;
    };
    std::vector<Read> running;
    std::map<int, int> found;
    const auto later = [](const Read& a, const Read& b) { return a.ends_us > b.ends_us; };
    for (int i = 0; i < reads; ++i) {
        while (static_cast<int>(running.size()) >= busy) {
            std::ranges::pop_heap(running, later);
            const Read ended = running.back();
            running.pop_back();
            chooser.at_us = std::max(chooser.at_us, ended.ends_us);
            chooser.node(ended.port).answered(took_us.at(ended.port), chooser.at_us);
        }
        const int port = chooser.choose();
        ++found[port];
        chooser.node(port).began();
        // They do not take turns like clockwork.
        const double chance = 0.5 + chooser.balance.random();
        running.push_back({chooser.at_us + static_cast<std::int64_t>(
                                               chance * static_cast<double>(took_us.at(port))),
                           port});
        std::ranges::push_heap(running, later);
    }
    for (const Read& left : running) chooser.node(left.port).dropped();
    return found;
}

TEST(Balance, ReadsAreSharedEvenlyAmongEquals) {
    for (const int busy : {1, 2, 8, 50}) {
        Chooser two{cluster({replica(2), replica(3)}), {}, eventual};
        EXPECT_NEAR(shares_of_reads(two, busy, {{2, 800}, {3, 800}}, 4000)[2], 2000, 200) << busy;
        Chooser three{cluster({replica(2), replica(3), replica(4)}), {}, eventual};
        for (const auto& [port, share] :
             shares_of_reads(three, busy, {{2, 800}, {3, 800}, {4, 800}}, 6000))
            EXPECT_NEAR(share, 2000, 200) << busy << " busy, " << port;
    }
}

TEST(Balance, ReadsAreSharedByWeight) {
    for (const int busy : {1, 4, 8, 50}) {
        Chooser chooser{cluster({replica(2, 3), replica(3)}), {}, eventual};
        EXPECT_NEAR(shares_of_reads(chooser, busy, {{2, 800}, {3, 800}}, 4000)[2], 3000, 300)
            << busy;
    }
}

TEST(Balance, ReadsAvoidASlowNode) {
    for (const int busy : {1, 4, 16}) {
        Chooser chooser{cluster({replica(2), replica(3)}), {}, eventual};
        auto found = shares_of_reads(chooser, busy, {{2, 3'000}, {3, 60'000}}, 20'000);
        EXPECT_LT(found[3], 2'000) << busy;
        chooser.at_us += 60'000'000;  // it may be well again
        found = shares_of_reads(chooser, busy, {{2, 3'000}, {3, 3'000}}, 2'000);
        EXPECT_NEAR(found[3], 1'000, 100) << busy;
    }
}

TEST(Balance, WhoLosesOneReadAfterTheOtherGetsNone) {
    Chooser chooser{cluster({replica(2), replica(3)})};
    const config::Duration ejection = std::chrono::seconds(10);
    for (int i = 0; i < 4; ++i) EXPECT_FALSE(chooser.node(2).missed(ejection, chooser.at_us));
    chooser.answer(2, 100);
    for (int i = 0; i < 4; ++i) EXPECT_FALSE(chooser.node(2).missed(ejection, chooser.at_us));
    EXPECT_TRUE(chooser.node(2).missed(ejection, chooser.at_us));
    EXPECT_EQ(chooser.shares(4), (std::map<int, int>{{3, 4}}));
    chooser.at_us += 10'000'001;
    EXPECT_EQ(chooser.choose(), 2);
    for (int i = 0; i < 5; ++i) chooser.node(2).missed(ejection, chooser.at_us);
    chooser.at_us += 19'000'000;  // twice as long this time
    EXPECT_EQ(chooser.choose(), 3);
    chooser.at_us += 1'000'001;
    EXPECT_EQ(chooser.choose(), 2);
}

TEST(Balance, TheOwnZoneComesFirst) {
    auto here = replica(2), there = replica(3);
    here.node.zone = "a", there.node.zone = "b";
    Chooser chooser{cluster({here, there})};
    chooser.reads.zone = "b";
    EXPECT_EQ(chooser.shares(10), (std::map<int, int>{{3, 10}}));
    EXPECT_EQ(chooser.choose(2), 3) << "it comes back";
    chooser.topology.nodes[2].eligible = false;
    EXPECT_EQ(chooser.choose(3), 2);
}

TEST(Balance, ThePreferredOneComesFirst) {
    Chooser chooser{cluster({replica(2), replica(3, 0)})};
    chooser.prefers = 3;
    EXPECT_EQ(chooser.shares(10), (std::map<int, int>{{3, 10}}));
    EXPECT_EQ(chooser.choose(2), 3) << "it comes back";
    chooser.topology.nodes[2].eligible = false;
    EXPECT_EQ(chooser.choose(3), 2) << "another one where that cannot be";
}

TEST(Balance, WhoHasRefusedIsPassedOver) {
    Chooser chooser{cluster({replica(2), replica(3)})};
    chooser.refused_by = 2;
    EXPECT_EQ(chooser.choose(2), 3);
    EXPECT_EQ(chooser.choose(), 3);
    chooser.topology.nodes[2].eligible = false;
    EXPECT_EQ(chooser.choose(2), 2) << "but for want of another one";
}

TEST(Balance, AnyReplicaWhenNothingIsPromised) {
    Chooser chooser{cluster({replica(2), replica(3)}), {}, eventual};
    chooser.reads.balance = config::Balance::round_robin;
    std::map<int, int> found;
    for (int i = 0; i < 10; ++i) ++found[chooser.choose(3)];
    EXPECT_EQ(found, (std::map<int, int>{{2, 5}, {3, 5}}));
}

TEST(Balance, OfTwoThatAreDrawnTheLessBusy) {
    Chooser chooser{cluster({replica(2), replica(3), replica(4)}), {}, eventual};
    for (int i = 0; i < 5; ++i) chooser.node(2).began();
    std::map<int, int> found;
    for (int i = 0; i < 1000; ++i) ++found[chooser.choose()];
    EXPECT_EQ(found[2], 0) << "the other one is never it itself";
    EXPECT_NEAR(found[3], 500, 80);
}

}  // namespace
}  // namespace pgweir::proxy
