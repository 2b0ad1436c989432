// Waiting after failed log-ins (proxy/failure_delay).
#include "proxy/failure_delay.hpp"

#include <gtest/gtest.h>

namespace pgweir::proxy {
namespace {

constexpr std::int64_t s = 1'000'000;

net::Address address(const char* text) { return *net::numeric_address(text, 1); }

TEST(FailureDelay, GrowsWithEachFailureAndIsForgotten) {
    FailureDelay delay;
    const net::Address one = address("10.0.0.1");
    EXPECT_EQ(delay.wait_us(one, 0), 0);
    delay.failed(one, s, 0);
    EXPECT_EQ(delay.wait_us(one, 0), s);
    EXPECT_EQ(delay.wait_us(address("10.0.0.2"), 0), 0);
    delay.failed(one, s, s);
    EXPECT_EQ(delay.wait_us(one, s), 2 * s);
    EXPECT_EQ(delay.wait_us(one, 100 * s), 0);
    delay.failed(one, s, 100 * s);
    EXPECT_EQ(delay.wait_us(one, 100 * s), s);
}

TEST(FailureDelay, ThoseThatComeTogetherWaitOneAfterTheOther) {
    FailureDelay delay;
    const net::Address one = address("10.0.0.1");
    delay.failed(one, s, 0);
    for (int i = 1; i <= 5; ++i) EXPECT_EQ(delay.wait_us(one, 0), i * s);
}

TEST(FailureDelay, GrowsToABound) {
    FailureDelay delay;
    const net::Address one = address("10.0.0.1");
    std::int64_t now_us = 0;
    for (int i = 0; i < 20; ++i) {
        delay.failed(one, s, now_us);
        now_us += delay.wait_us(one, now_us);
    }
    delay.failed(one, s, now_us);
    EXPECT_LE(delay.wait_us(one, now_us), 64 * s);
}

TEST(FailureDelay, NetworksAndSockets) {
    FailureDelay delay;
    delay.failed(address("2001:db8::1"), s, 0);
    EXPECT_EQ(delay.wait_us(address("2001:db8::2"), 0), s);
    EXPECT_EQ(delay.wait_us(address("2001:db8:0:1::1"), 0), 0);
    const net::Address socket = *net::unix_address("/tmp/x");
    delay.failed(socket, s, 0);
    EXPECT_EQ(delay.wait_us(socket, 0), 0);
    delay.failed(address("10.0.0.1"), 0, 0);
    EXPECT_EQ(delay.wait_us(address("10.0.0.1"), 0), 0);
}

}  // namespace
}  // namespace pgweir::proxy
