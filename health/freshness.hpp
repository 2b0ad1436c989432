// What a session may read where: its own writes are not missed, and it never goes back in time.
//
// Nothing is asked for on the way of a query. A session remembers when it last heard from the
// primary; the first position of the primary's log that was asked for after that covers all that it
// has written and seen there, and a replica that has replayed up to there shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/cluster.hpp"
#include "health/topology.hpp"

namespace pgweir::health {

/// What one session has to see at least. Value; a session that has done nothing yet has an empty
/// one.
///
/// Times are of the monotonic clock in µs, and of this very moment (net::monotonic_us()), never a
/// loop's cached copy: it may lie before the answer that is noted, and then a sample taken in
/// between would pass for a later one.
struct Bound {
    std::uint64_t epoch_number = 0;  // of the topology that the rest is about
    protocol::Lsn lsn;               // what a node must show; 0 = anything
    std::int64_t dirty_at_us = 0;
    bool dirty = false;  // `lsn` is not all: also what a sample after dirty_at_us will say
    std::int64_t shown_at_us = 0;  // by the primary, what `lsn` does not cover yet; 0 = nothing
    // The replica that was last read from: another one must show as much.
    std::optional<config::Endpoint> replica{};
    std::uint32_t incarnation = 0;
    std::int64_t read_at_us = 0;
};

/// A position that another session, of another process perhaps, is to be shown at least.
struct Token {
    Epoch epoch;
    protocol::Lsn lsn;

    friend bool operator==(const Token&, const Token&) = default;
};

/// system/timeline/start/XXX/XXX, the last two a position as pg_lsn prints it.
std::string format_token(const Token& token);
std::optional<Token> parse_token(std::string_view text);

/// What may have written has been answered, or its connection was lost.
void note_write(Bound& bound, std::int64_t now_us);

/// A read was answered by the primary. A sample after it covers what it showed. Should the primary
/// be lost before there is one, a replica covers it that has replayed all that any has received.
void note_shown(Bound& bound, std::int64_t now_us);

/// Global consistency, when a read comes in: it is to see whatever this process has answered to
/// anyone, `last_write_us` being when it did that last, and what the primary is known to have.
void note_all_writes(Bound& bound, const Topology& topology, std::int64_t last_write_us);

/// A read was answered by that node (place in topology.nodes), a replica when it was asked.
void note_read(Bound& bound, const Topology& topology, std::size_t node, std::int64_t now_us);

/// Does it ask for nothing? So does that of a session that has done nothing yet.
bool is_empty(const Bound& bound);

/// Brings the bound up to date: takes a sample for what is dirty where there is one by now, and
/// begins anew in another epoch, whose samples all cover what survived of the former. To be called
/// before may_read(); never weakens what is asked of a node.
void resolve(Bound& bound, const Topology& topology);

/// May a session with this (resolved) bound read from the replica at this place? For the primary
/// it need not be asked. True only for an eligible node.
///
/// global: what everybody wrote counts, see note_all_writes().
bool may_read(const Bound& bound, const Topology& topology, std::size_t node,
              config::Consistency consistency);

/// Might the replica show enough in less than `wait_us`, as far as can be told?
bool is_near(const Topology& topology, std::size_t node, std::int64_t wait_us);

/// How far the replica is from being allowed, in bytes of log: 0 = it is, nullopt = it is not to be
/// had by waiting a moment (not eligible, no sample yet, another epoch).
std::optional<std::int64_t> missing_bytes(const Bound& bound, const Topology& topology,
                                          std::size_t node, config::Consistency consistency);

/// Raises the bound to what the token says, at least.
void raise(Bound& bound, const Topology& topology, const Token& token, std::int64_t now_us);

/// A token for what a session with this (resolved) bound has written; nullopt while a sample is
/// still to come.
std::optional<Token> token_of(const Bound& bound, const Topology& topology);

}  // namespace pgweir::health
