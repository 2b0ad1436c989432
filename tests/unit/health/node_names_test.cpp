// What nodes a list of names is.
#include "health/node_names.hpp"

#include <gtest/gtest.h>

namespace pgweir::health {
namespace {

using config::Node;

Node node(const char* host, int port = 5432, int weight = 1) {
    Node made;
    made.at = {host, port};
    made.weight = weight;
    return made;
}

TEST(NodeNames, NumbersAndSocketsAreNone) {
    for (const char* host : {"10.0.0.1", "::1", "/run/postgresql", "@pg"})
        EXPECT_FALSE(is_name({host, 5432})) << host;
    for (const char* host : {"localhost", "pg-rw.default.svc", "10.0.0.1.nip.io"})
        EXPECT_TRUE(is_name({host, 5432})) << host;
}

TEST(NodeNames, ANameOfOneAddressIsItself) {
    const std::vector<Node> nodes{node("pg1"), node("10.0.0.2", 5433), node("/run")};
    EXPECT_EQ(expand(nodes, {{"pg1", {"10.0.0.1"}}}), nodes);
    EXPECT_EQ(expand(nodes, {{"pg1", {}}}), nodes) << "who tries to connect finds out";
    EXPECT_EQ(expand(nodes, {}), (std::vector<Node>{nodes[1], nodes[2]})) << "not looked up yet";
}

TEST(NodeNames, ANameOfSeveralIsAsManyNodes) {
    EXPECT_EQ(expand({node("pg", 5433, 2)}, {{"pg", {"10.0.0.1", "10.0.0.2"}}}),
              (std::vector<Node>{node("10.0.0.1", 5433, 2), node("10.0.0.2", 5433, 2)}));
}

TEST(NodeNames, AServerOfSeveralNamesIsOneNode) {
    const NameAddresses addresses{{"rw", {"10.0.0.1"}}, {"r", {"10.0.0.1", "10.0.0.2"}}};
    EXPECT_EQ(expand({node("rw", 5432, 7), node("r"), node("10.0.0.2", 5432, 9)}, addresses),
              (std::vector<Node>{node("10.0.0.1", 5432, 7), node("10.0.0.2")}));
    EXPECT_EQ(expand({node("r"), node("r", 5433)}, addresses).size(), 4U)
        << "another port is another server";
    EXPECT_EQ(expand({node("r"), node("lost")}, {{"r", {"1.1.1.1", "2.2.2.2"}}, {"lost", {}}}),
              (std::vector<Node>{node("1.1.1.1"), node("2.2.2.2"), node("lost")}));
}

}  // namespace
}  // namespace pgweir::health
