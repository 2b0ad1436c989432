#include "pool/net/offload.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>

namespace pgweir::net {
namespace {

/// Awaits `work` and notes what came of it.
template <class Work>
Task<> story(Loop& loop, Offload& offload, Work work, int& result, bool last = true) {
    result = co_await offload.run<int>(loop, std::move(work));
    if (last) loop.stop();
}

TEST(Offload, ResumesOnTheLoop) {
    Loop loop;
    Offload offload(2);
    int result = 0;
    auto work = [] { return 7; };
    detach(loop, story(loop, offload, work, result));
    EXPECT_EQ(result, 0);
    loop.run();
    EXPECT_EQ(result, 7);
}

TEST(Offload, SaysNothingToALoopThatHasEnded) {
    std::promise<void> begun, released;
    const auto ended = std::make_shared<std::promise<void>>();
    int result = 0;
    {
        auto loop = std::make_unique<Loop>();
        Offload offload(1);
        // Ends behind both, the loop and the threads.
        const auto slow = [&begun, &released, ended] {
            begun.set_value();
            released.get_future().wait();
            ended->set_value();
            return 7;
        };
        detach(*loop, story(*loop, offload, slow, result));
        begun.get_future().wait();
        const auto from = std::chrono::steady_clock::now();
        offload.stop();
        EXPECT_LT(std::chrono::steady_clock::now() - from, std::chrono::seconds(20));
        loop.reset();
    }
    released.set_value();
    ended->get_future().wait();
    EXPECT_EQ(result, 0);
}

TEST(Offload, DoesNotBeginWhatNobodyWaitsFor) {
    Loop loop;
    std::promise<void> begun, released;
    bool abandoned_ran = false;
    int result = 0;
    Offload offload(1);
    const auto slow = [&] {
        begun.set_value();
        released.get_future().wait();
        return 1;
    };
    const auto never = [&] {
        abandoned_ran = true;
        return 2;
    };
    detach(loop, story(loop, offload, slow, result, false));
    begun.get_future().wait();
    {
        Story abandoned;
        int other = 0;
        abandoned.start(loop, story(loop, offload, never, other));
    }
    const auto last = [] { return 3; };
    int last_result = 0;
    detach(loop, story(loop, offload, last, last_result));
    released.set_value();
    loop.run();
    offload.stop();
    EXPECT_EQ(result, 1);
    EXPECT_EQ(last_result, 3);
    EXPECT_FALSE(abandoned_ran);
}

}  // namespace
}  // namespace pgweir::net
