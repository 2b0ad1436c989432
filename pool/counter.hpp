// A sum that one thread adds to and others read.
#pragma once

#include <atomic>
#include <cstdint>

namespace pgweir::pool {

/// Value; one thread adds, any may read: no locked instruction on the hot path.
class Counter {
public:
    void add(std::uint64_t amount) {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_ = 0;
};

}  // namespace pgweir::pool
