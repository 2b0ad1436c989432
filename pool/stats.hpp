// What is counted of one pool, in plain counters: written by one worker, read by anybody.
#pragma once

#include <array>
#include <cstdint>

#include "pool/counter.hpp"
#include "pool/error_counts.hpp"
#include "pool/histogram.hpp"

namespace pgweir::pool {

/// Why a request ran once more, unseen by its client.
enum class Retry : std::uint8_t {
    server_lost,     // nothing of its answer had been passed on, and it is harmless
    read_only,       // a replica refuses it for good: it was no read
    replica,         // a conflict with recovery, or the replica is going away
    object_missing,  // the replica has not got something yet, or nobody has
};
inline constexpr std::size_t retry_kinds = 4;

/// "server_lost"
std::string_view retry_text(Retry why);

/// What SHOW STATS and the metrics show, for one pool on one worker; names as in SHOW STATS. What
/// a client does counts for the pool its server is of, in a cluster that of one node.
struct alignas(64) PoolStats {
    Counter xact_count, query_count, received, sent;
    /// Of what is over; wait_time of every assignment of a server, 0 for those that had it at once.
    Histogram xact_time, query_time, wait_time;
    Counter client_parse_count, server_parse_count, bind_count;
    Histogram client_login_time;    // from its connection to our welcome
    Histogram server_connect_time;  // the name's address, the connection
    Histogram server_login_time;    // from there until the server can be lent
    Counter server_login_failures;
    Counter held_count;  // requests that waited because the cluster had no node for them
    std::array<Counter, retry_kinds> retry_counts;
    /// What servers answered clients' requests with, those that ran again included; what clients
    /// were told by ourselves.
    ErrorCounts server_errors, own_errors;
    // session_state = "track": questions about what statements have left, and pins taken, each at
    // the place of its bit in what proxy::Session::pins() gives.
    Counter question_count;
    std::array<Counter, 32> pin_counts;
};

/// The same as numbers, summed.
struct PoolTotals {
    std::uint64_t server_assignment_count = 0, xact_count = 0, query_count = 0, received = 0,
                  sent = 0;
    std::uint64_t xact_time = 0, query_time = 0, wait_time = 0;  // µs
    std::uint64_t client_parse_count = 0, server_parse_count = 0, bind_count = 0,
                  client_login_count = 0;
    std::uint64_t server_login_failures = 0, held_count = 0, question_count = 0;
    std::array<std::uint64_t, retry_kinds> retry_counts{};
    std::array<std::uint64_t, 32> pin_counts{};
    ErrorTotals server_errors, own_errors;
    Durations xact_times, query_times, wait_times;
    Durations client_login_times, server_connect_times, server_login_times;

    PoolTotals& operator+=(const PoolStats& stats);
    PoolTotals& operator+=(const PoolTotals& other);
};

/// From one moment to another: counts and bytes a second (0 when there was no time), times in µs
/// for each transaction, query and assignment.
PoolTotals averages(const PoolTotals& from, const PoolTotals& to, std::int64_t length_us);

}  // namespace pgweir::pool
