// One probe of one node: the question, and what comes of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/error.hpp"
#include "protocol/lsn.hpp"

namespace pgweir::health {

/// What a node says of itself. Value.
struct Answer {
    bool in_recovery = false;
    std::uint64_t system = 0;    // identifier
    std::uint32_t timeline = 0;  // of the log it writes; of a replica the highest it is known to be
                                 // on: of its last checkpoint, or what it streams
    protocol::Lsn lsn;           // inserted up to, without a page's header; or replayed up to
    protocol::Lsn received{};    // a replica: what it has, replayed or not
    std::int64_t start_us = 0;   // of its postmaster, by its own clock
    bool receiving = false;      // a replica whose WAL receiver is there
    bool streaming = false;      // … and gets WAL of `timeline`
};

/// How a probe failed.
struct Failure {
    enum class Kind : std::uint8_t {
        refused,    // nobody listens there, or it says that it is starting or stopping (57P03)
        timed_out,  // within health.timeout: a hung server, or packets are lost
        lost,       // the connection broke, or there was no way to have one
        busy,       // it is there, but has no connection left for us (53300)
        error,      // any other answer than the one that was asked for
    };
    Kind kind;
    std::string message;
};

/// One row of values in text. It needs no rights but pg_monitor's (for what its WAL receiver does).
std::string_view probe_sql();

using Values = std::span<const std::optional<std::string>>;

/// The row that answers probe_sql().
/// Errors   F0000 when it is not of that form.
protocol::Result<Answer> read_answer(Values row);

/// What kind of failure it is that there is no connection, or none any more, or no answer.
Failure failure_of(const protocol::Error& error);

}  // namespace pgweir::health
