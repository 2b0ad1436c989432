// What SHOW can show: one table of names, who may ask, columns, and how rows are made.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "proxy/admin/answer.hpp"
#include "proxy/admin/snapshot.hpp"

namespace pgweir::proxy::admin {

/// Who somebody must be on the console, at least.
enum class Access : std::uint8_t { stats, admin };

/// `rows` is pure: it sees the snapshot and nothing else. A SHOW without columns says a NOTICE.
struct Show {
    std::string_view name;
    Access access;
    unsigned parts;  // Snapshot::Parts
    Columns columns;
    Rows (*rows)(const Snapshot& snapshot);
};

/// Letter case does not matter; nullptr when there is none.
const Show* find_show(std::string_view name);

Answer answer_show(const Show& show, const Snapshot& snapshot);

// The table, by section.
std::span<const Show> connection_shows();  // CLIENTS SERVERS … PINS
std::span<const Show> pool_shows();        // POOLS DATABASES USERS PEERS PEER_POOLS LISTS
std::span<const Show> stats_shows();       // STATS STATS_TOTALS STATS_AVERAGES TOTALS
std::span<const Show> node_shows();        // NODES EVENTS POOL_NODES
std::span<const Show> query_shows();       // QUERIES ROUTES
std::span<const Show> process_shows();     // HELP VERSION STATE CONFIG MEM DNS_HOSTS DNS_ZONES
std::array<std::span<const Show>, 6> all_shows();

/// A node in a word: up, down, suspect, draining, detached, unknown.
std::string_view status_of(const health::NodeView& node);

// Cells.
template <class Number>
Cell number(Number value) {
    return std::to_string(value);
}
/// As PgBouncer shows it: 2026-11-21 04:30:12 UTC.
std::string time_text(std::int64_t wall_us);
inline Cell text(std::string_view value) { return std::string(value); }

}  // namespace pgweir::proxy::admin
