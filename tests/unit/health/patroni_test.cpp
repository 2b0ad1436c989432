// Reading Patroni's answers (health/patroni), and HTTP's around them (proxy/http_get).
#include "health/patroni.hpp"

#include <gtest/gtest.h>

#include "proxy/http_get.hpp"

namespace pgweir::health {
namespace {

TEST(Patroni, TheLeader) {
    const auto leader = read_patroni_cluster(R"({"members": [
        {"name": "a", "role": "replica", "state": "streaming", "host": "10.0.0.1", "port": 5432,
         "timeline": 3, "lag": 0},
        {"name": "b", "role": "leader", "state": "running", "api_url": "http://10.0.0.2/patroni",
         "host": "10.0.0.2", "port": 5433, "timeline": 3}], "scope": "main"})");
    ASSERT_TRUE(leader.has_value());
    EXPECT_EQ(*leader, (Leader{{"10.0.0.2", 5433}, 3}));
}

TEST(Patroni, NoLeader) {
    for (const char* text :
         {R"({"members": []})", R"({"members": [1, {"role": "replica", "host": "a"}]})",
          R"({"members": [{"role": "standby_leader", "state": "running", "host": "a"}]})",
          R"({"members": [{"role": "leader", "state": "starting", "host": "a"}]})"}) {
        SCOPED_TRACE(text);
        const auto leader = read_patroni_cluster(text);
        ASSERT_TRUE(leader.has_value());
        EXPECT_FALSE(leader->has_value());
    }
}

TEST(Patroni, WhatIsNoAnswer) {
    for (const char* text : {"", "{", "[]", "{}", R"({"members": 1})"}) {
        SCOPED_TRACE(text);
        EXPECT_TRUE(read_patroni_cluster(text).has_error());
    }
}

TEST(Patroni, Urls) {
    EXPECT_EQ(patroni_endpoint("http://10.0.0.1:8009/x"), (config::Endpoint{"10.0.0.1", 8009}));
    EXPECT_EQ(patroni_endpoint("http://pg1"), (config::Endpoint{"pg1", 8008}));
    EXPECT_EQ(patroni_endpoint("http://[::1]"), (config::Endpoint{"::1", 8008}));
    EXPECT_EQ(patroni_endpoint("http://[::1]:80/"), (config::Endpoint{"::1", 80}));
    for (const char* url : {"https://pg1:8008", "http://", "http://:8008", "http://pg1:x", "pg1"}) {
        SCOPED_TRACE(url);
        EXPECT_EQ(patroni_endpoint(url), std::nullopt);
    }
}

TEST(Patroni, Http) {
    EXPECT_EQ(*proxy::body_of("HTTP/1.0 200 OK\r\nServer: x\r\n\r\n{}"), "{}");
    EXPECT_TRUE(proxy::body_of("HTTP/1.0 503 Service Unavailable\r\n\r\n{}").has_error());
    EXPECT_TRUE(proxy::body_of("HTTP/1.0 200 OK\r\n").has_error());
    EXPECT_TRUE(proxy::body_of("").has_error());
}

}  // namespace
}  // namespace pgweir::health
