// Plain counters: written by one worker, read by anybody.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace pgweir::pool {

/// A sum that one thread adds to and others may read: no locked instruction on the hot path.
class Counter {
public:
    void add(std::uint64_t amount) {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_ = 0;
};

/// What SHOW STATS shows, for one pool on one worker. Times in µs; names as in SHOW STATS.
struct alignas(64) PoolStats {
    Counter server_assignment_count, xact_count, query_count, received, sent;
    Counter xact_time, query_time, wait_time;
    Counter client_parse_count, server_parse_count, bind_count, client_login_count;
    // session_state = "track": questions about what statements have left, and pins taken, each at
    // the place of its bit in what proxy::Session::pins() gives.
    Counter question_count;
    std::array<Counter, 32> pin_counts;
};

/// The same as numbers, summed.
struct PoolTotals {
    std::uint64_t server_assignment_count = 0, xact_count = 0, query_count = 0, received = 0,
                  sent = 0;
    std::uint64_t xact_time = 0, query_time = 0, wait_time = 0;
    std::uint64_t client_parse_count = 0, server_parse_count = 0, bind_count = 0,
                  client_login_count = 0;
    std::uint64_t question_count = 0;
    std::array<std::uint64_t, 32> pin_counts{};

    PoolTotals& operator+=(const PoolStats& stats);
    PoolTotals& operator+=(const PoolTotals& other);
};

/// From one moment to another: counts and bytes a second (0 when there was no time), times in µs
/// for each transaction, query and assignment.
PoolTotals averages(const PoolTotals& from, const PoolTotals& to, std::int64_t length_us);

}  // namespace pgweir::pool
