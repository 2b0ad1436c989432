// Reading Patroni's answers (health/patroni), and HTTP's around them (proxy/http_call).
#include "health/patroni.hpp"

#include <gtest/gtest.h>

#include "proxy/http_call.hpp"

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
    const auto at = [](const char* host, int port) {
        return RestUrl{.at = {host, port}, .user_password = {}};
    };
    EXPECT_EQ(patroni_url("http://10.0.0.1:8009/x"), at("10.0.0.1", 8009));
    EXPECT_EQ(patroni_url("http://pg1"), at("pg1", 8008));
    EXPECT_EQ(patroni_url("http://[::1]"), at("::1", 8008));
    EXPECT_EQ(patroni_url("http://[::1]:80/"), at("::1", 80));
    EXPECT_EQ(patroni_url("http://me:p@ss:w@pg1:80"),
              (RestUrl{.at = {"pg1", 80}, .user_password = "me:p@ss:w"}));
    EXPECT_EQ(patroni_url("https://me:secret@pg1"),
              (RestUrl{.at = {"pg1", 8008}, .tls = true, .user_password = "me:secret"}));
    for (const char* url : {"https://", "http://", "http://:8008", "http://pg1:x", "pg1",
                            "ftp://pg1", "http://me:secret@"}) {
        SCOPED_TRACE(url);
        EXPECT_EQ(patroni_url(url), std::nullopt);
    }
}

TEST(Patroni, WhatASwitchoverIsToldAs) {
    const auto members = read_patroni_members(R"({"members": [
        {"name": "b \"1\"", "role": "leader", "state": "running", "host": "h", "port": 2},
        {"name": "a", "role": "sync_standby", "state": "streaming", "host": "h", "port": 1}]})");
    ASSERT_TRUE(members.has_value());
    const config::Endpoint leader{"h", 2}, other{"h", 1}, unknown{"h", 3};
    EXPECT_EQ(*patroni_switchover(*members, leader, other),
              R"({"leader":"b \"1\"","candidate":"a"})");
    EXPECT_EQ(patroni_switchover(*members, other, leader).error().message,
              "Patroni's leader is h:2, not h:1");
    EXPECT_EQ(patroni_switchover(*members, leader, unknown).error().message,
              "Patroni does not know h:3");
    EXPECT_EQ(patroni_switchover({}, leader, other).error().message, "Patroni knows of no leader");
}

TEST(Patroni, Http) {
    EXPECT_EQ(*proxy::body_of("HTTP/1.0 200 OK\r\nServer: x\r\n\r\n{}"), "{}");
    EXPECT_EQ(proxy::body_of("HTTP/1.0 503 Service Unavailable\r\n\r\nnot now\nx").error().message,
              "HTTP status 503: not now");
    EXPECT_TRUE(proxy::body_of("HTTP/1.0 503 Service Unavailable\r\n\r\n").has_error());
    EXPECT_TRUE(proxy::body_of("HTTP/1.0 200 OK\r\n").has_error());
    EXPECT_TRUE(proxy::body_of("").has_error());
}

TEST(Patroni, HttpRequests) {
    proxy::HttpCall::Request request{.at = {"pg1", 8008}, .path = "/cluster"};
    EXPECT_EQ(proxy::request_text(request),
              "GET /cluster HTTP/1.0\r\nHost: pg1:8008\r\nAccept: application/json\r\n"
              "Connection: close\r\n\r\n");
    request.path = "/switchover";
    request.user_password = "me:secret";
    request.json = "{}";
    EXPECT_EQ(proxy::request_text(request),
              "POST /switchover HTTP/1.0\r\nHost: pg1:8008\r\nAccept: application/json\r\n"
              "Authorization: Basic bWU6c2VjcmV0\r\nContent-Type: application/json\r\n"
              "Content-Length: 2\r\nConnection: close\r\n\r\n{}");
}

}  // namespace
}  // namespace pgweir::health
