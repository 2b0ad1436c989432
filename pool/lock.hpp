// A mutex for work of a few instructions.
#pragma once

#include <atomic>
#include <cstdint>

namespace pgweir::pool {

/// For std::lock_guard. Each transaction takes its pool's lock twice, nearly always without anybody
/// else wanting it: that is one atomic operation here, and no call, where std::mutex costs 28
/// instructions a turn (callgrind). Who has to wait looks again a few times, since the other is
/// done soon, and then sleeps.
/// Source: Ulrich Drepper, "Futexes Are Tricky", its second mutex.
class Lock {
public:
    void lock() {
        std::uint32_t was = free;
        if (!state_.compare_exchange_strong(was, taken, std::memory_order_acquire)) [[unlikely]]
            wait();
    }
    void unlock() {
        if (state_.exchange(free, std::memory_order_release) == awaited) [[unlikely]]
            state_.notify_one();
    }

private:
    static constexpr std::uint32_t free = 0, taken = 1, awaited = 2;

    void wait();

    std::atomic<std::uint32_t> state_ = free;
};

}  // namespace pgweir::pool
