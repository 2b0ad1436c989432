#include <gtest/gtest.h>

#include "config/listen_address.hpp"

namespace pgweir::config {
namespace {

TEST(ListenAddress, Forms) {
    EXPECT_EQ(*parse_listen_address("127.0.0.1:9127"), (Endpoint{"127.0.0.1", 9127}));
    EXPECT_EQ(*parse_listen_address("[::1]:9127"), (Endpoint{"::1", 9127}));
    EXPECT_EQ(*parse_listen_address("localhost:1"), (Endpoint{"localhost", 1}));
    EXPECT_EQ(*parse_listen_address(":65535"), (Endpoint{"*", 65535}));
    EXPECT_EQ(*parse_listen_address("*:9127"), (Endpoint{"*", 9127}));
}

TEST(ListenAddress, WhatIsNone) {
    for (const char* text : {"", "9127", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "host:65536",
                             "host:http", "::1:9127", "[::1]", "[127.0.0.1]:9127", "[x:y]:9127"}) {
        EXPECT_TRUE(parse_listen_address(text).has_error()) << text;
    }
}

TEST(ListenAddress, Loopback) {
    EXPECT_TRUE(is_loopback(*parse_address("127.0.0.1")));
    EXPECT_TRUE(is_loopback(*parse_address("127.8.9.1")));
    EXPECT_TRUE(is_loopback(*parse_address("::1")));
    EXPECT_FALSE(is_loopback(*parse_address("0.0.0.0")));
    EXPECT_FALSE(is_loopback(*parse_address("::")));
    EXPECT_FALSE(is_loopback(*parse_address("10.0.0.1")));
}

}  // namespace
}  // namespace pgweir::config
