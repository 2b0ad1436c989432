#include "pool/lock.hpp"

#include <gtest/gtest.h>

#include <mutex>
#include <thread>
#include <vector>

namespace pgweir::pool {
namespace {

/// Half of the turns are long enough for the others to fall asleep.
TEST(Lock, LetsOneInAtATimeAndWakesWhoWaits) {
    constexpr int threads = 4, turns = 2'000;
    Lock lock;
    int inside = 0, done = 0, together = 0;
    const auto work = [&] {
        for (int i = 0; i < turns; ++i) {
            const std::lock_guard guard(lock);
            if (++inside != 1) ++together;
            if (i % 2 == 0) std::this_thread::yield();
            --inside;
            ++done;
        }
    };
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i) all.emplace_back(work);
    for (std::thread& thread : all) thread.join();
    EXPECT_EQ(together, 0);
    EXPECT_EQ(done, threads * turns);
}

}  // namespace
}  // namespace pgweir::pool
