#include "pool/net/loop.hpp"

#include <array>
#include <functional>
#include <string>

#include <unistd.h>

#include <gtest/gtest.h>

namespace pgweir::net {
namespace {

struct Alarm final : Timer {
    Alarm(Loop& loop, std::function<void()> then) : Timer(loop), then_(std::move(then)) {}

private:
    void expired() override { then_(); }
    std::function<void()> then_;
};

/// A pipe that says when it can be read.
struct Pipe final : Watcher {
    Pipe(Loop& loop, std::function<void()> then) : loop_(loop), then_(std::move(then)) {
        EXPECT_EQ(pipe(ends_.data()), 0);
        loop_.watch(ends_[0], *this);
    }
    ~Pipe() {
        loop_.forget(ends_[0], *this);
        for (const int end : ends_) close(end);
    }
    void fill() { EXPECT_EQ(write(ends_[1], "x", 1), 1); }
    void ready(std::uint32_t) override { then_(); }

private:
    Loop& loop_;
    std::array<int, 2> ends_{};
    std::function<void()> then_;
};

void spend(std::int64_t time_us) {
    const std::int64_t until_us = monotonic_us() + time_us;
    while (monotonic_us() < until_us) {
    }
}

TEST(Loop, ATimerOfALongTurnHasItsWholeTime) {
    Loop loop;
    std::int64_t armed_at_us = 0;
    std::int64_t rang_at_us = 0;
    Alarm alarm(loop, [&] {
        rang_at_us = monotonic_us();
        loop.stop();
    });
    loop.post([&] {
        spend(20'000);
        armed_at_us = monotonic_us();
        alarm.expire_in(10'000);
    });
    loop.run();
    EXPECT_GE(rang_at_us - armed_at_us, 10'000);
}

TEST(Loop, WhatCameInIsToldBeforeATimer) {
    Loop loop;
    std::string order;
    Pipe pipe(loop, [&] { order += "input "; });
    Alarm alarm(loop, [&] {
        order += "timer ";
        loop.stop();
    });
    loop.post([&] {
        alarm.expire_in(1'000);
        spend(5'000);  // it is due, and the kernel has it in front
        pipe.fill();
    });
    loop.run();
    EXPECT_EQ(order, "input timer ");
}

TEST(Loop, ATimerThatWasCancelledDoesNotRing) {
    Loop loop;
    bool rang = false;
    Alarm first(loop, [&] { rang = true; });
    Alarm last(loop, [&] { loop.stop(); });
    loop.post([&] {
        first.expire_in(1'000);
        last.expire_in(3'000);
        first.cancel();
    });
    loop.run();
    EXPECT_FALSE(rang);
}

}  // namespace
}  // namespace pgweir::net
