// Which replica gets a read.
#include "proxy/balance.hpp"

#include <map>

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

/// How many of `clients` new clients each node gets, by its port.
std::map<int, int> shares(const health::Topology& topology, config::Balance method, int clients) {
    Balance balance(0);
    std::map<int, int> shares;
    for (int i = 0; i < clients; ++i) {
        const auto place = balance.choose(topology, fresh(topology), session, method, std::nullopt);
        if (!place) continue;
        const config::Endpoint& at = topology.nodes[*place].node.at;
        balance.settle(at);
        ++shares[at.port];
    }
    return shares;
}

TEST(Balance, SpreadsClientsEvenly) {
    const auto topology = cluster({replica(2), replica(3)});
    for (const auto method : {config::Balance::least_latency, config::Balance::least_connections,
                              config::Balance::round_robin, config::Balance::random}) {
        const auto found = shares(topology, method, 100);
        EXPECT_EQ(found, (std::map<int, int>{{2, 50}, {3, 50}}));
    }
}

TEST(Balance, ByWeight) {
    const auto topology = cluster({replica(2, 3), replica(3, 1)});
    const auto found = shares(topology, config::Balance::least_connections, 100);
    EXPECT_NEAR(found.at(2), 75, 1);
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
    const auto topology = cluster({replica(2), replica(3)});
    Balance balance(0);
    const config::Endpoint home{"h", 3};
    for (int i = 0; i < 5; ++i) {
        const auto place =
            balance.choose(topology, fresh(topology), session, config::Balance::round_robin, home);
        ASSERT_TRUE(place);
        EXPECT_EQ(topology.nodes[*place].node.at.port, 3);
    }
}

TEST(Balance, ClientsLeaveACrowdForOneThatHasComeBack) {
    const auto topology = cluster({replica(2), replica(3)});
    Balance balance(0);
    const config::Endpoint crowded{"h", 2};
    for (int i = 0; i < 4; ++i) balance.settle(crowded);
    int moved = 0;
    for (int i = 0; i < 20; ++i) {
        const auto place = balance.choose(topology, fresh(topology), session,
                                          config::Balance::least_connections, crowded);
        ASSERT_TRUE(place);
        const config::Endpoint& at = topology.nodes[*place].node.at;
        if (at == crowded) break;
        balance.leave(crowded);
        balance.settle(at);
        ++moved;
    }
    EXPECT_EQ(moved, 2);
}

TEST(Balance, AnyReplicaWhenNothingIsPromised) {
    const auto topology = cluster({replica(2), replica(3)});
    Balance balance(0);
    std::map<int, int> found;
    for (int i = 0; i < 10; ++i) {
        const auto place = balance.choose(topology, fresh(topology), eventual,
                                          config::Balance::round_robin, config::Endpoint{"h", 3});
        ASSERT_TRUE(place);
        ++found[topology.nodes[*place].node.at.port];
    }
    EXPECT_EQ(found, (std::map<int, int>{{2, 5}, {3, 5}}));
}

}  // namespace
}  // namespace pgweir::proxy
