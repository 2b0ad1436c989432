// SHOW STATS, STATS_TOTALS, STATS_AVERAGES, TOTALS: eleven counters under four sets of names.
#include <array>

#include "proxy/admin/show.hpp"

namespace pgweir::proxy::admin {

namespace {

constexpr Type numeric = Type::numeric;

constexpr Column columns[] = {
    {"database"},
    {"total_server_assignment_count", numeric},
    {"total_xact_count", numeric},
    {"total_query_count", numeric},
    {"total_received", numeric},
    {"total_sent", numeric},
    {"total_xact_time", numeric},
    {"total_query_time", numeric},
    {"total_wait_time", numeric},
    {"total_client_parse_count", numeric},
    {"total_server_parse_count", numeric},
    {"total_bind_count", numeric},
    {"avg_server_assignment_count", numeric},
    {"avg_xact_count", numeric},
    {"avg_query_count", numeric},
    {"avg_recv", numeric},
    {"avg_sent", numeric},
    {"avg_xact_time", numeric},
    {"avg_query_time", numeric},
    {"avg_wait_time", numeric},
    {"avg_client_parse_count", numeric},
    {"avg_server_parse_count", numeric},
    {"avg_bind_count", numeric},
};

constexpr Column totals_columns[] = {
    {"database"},
    {"server_assignment_count", numeric},
    {"xact_count", numeric},
    {"query_count", numeric},
    {"bytes_received", numeric},
    {"bytes_sent", numeric},
    {"xact_time", numeric},
    {"query_time", numeric},
    {"wait_time", numeric},
    {"client_parse_count", numeric},
    {"server_parse_count", numeric},
    {"bind_count", numeric},
};

constexpr Column averages_columns[] = {
    {"database"},
    {"server_assignment_count", numeric},
    {"xact_count", numeric},
    {"query_count", numeric},
    {"bytes_received", numeric},
    {"bytes_sent", numeric},
    {"xact_time", numeric},
    {"query_time", numeric},
    {"wait_time", numeric},
    {"avg_client_parse_count", numeric},
    {"avg_server_parse_count", numeric},
    {"avg_bind_count", numeric},
};

constexpr Column sums_columns[] = {
    {"name"},
    {"value", numeric},
};

/// Names in SHOW TOTALS, each once with total_ and once with avg_.
constexpr std::array<std::string_view, 11> sum_names = {
    "server_assignment_count",
    "xact_count",
    "query_count",
    "client_bytes",
    "server_bytes",
    "xact_time",
    "query_time",
    "wait_time",
    "ps_client_parse_count",
    "ps_server_parse_count",
    "ps_bind_count",
};

/// In the order of the columns.
using Figures = std::array<std::uint64_t, 11>;

Figures totals_of(const pool::PoolTotals& sums) {
    return {sums.server_assignment_count,
            sums.xact_count,
            sums.query_count,
            sums.received,
            sums.sent,
            sums.xact_time,
            sums.query_time,
            sums.wait_time,
            sums.client_parse_count,
            sums.server_parse_count,
            sums.bind_count};
}

Figures averages_of(const pool::PoolTotals& from, const pool::PoolTotals& to,
                    std::int64_t length_us) {
    return totals_of(pool::averages(from, to, length_us));
}

pool::PoolTotals before(const Snapshot& snapshot, const std::string& database) {
    const auto found = snapshot.stats.from.find(database);
    return found == snapshot.stats.from.end() ? pool::PoolTotals() : found->second;
}

void append(Row& row, const Figures& figures) {
    for (const std::uint64_t figure : figures) row.push_back(number(figure));
}

Rows by_database(const Snapshot& snapshot, bool totals, bool averages) {
    Rows rows;
    for (const auto& [name, sums] : snapshot.stats.to) {
        Row row{name};
        if (totals) append(row, totals_of(sums));
        if (averages)
            append(row, averages_of(before(snapshot, name), sums, snapshot.stats.length_us));
        rows.push_back(std::move(row));
    }
    return rows;
}

Rows sums_rows(const Snapshot& snapshot) {
    pool::PoolTotals from, to;
    for (const auto& [name, sums] : snapshot.stats.to) {
        from += before(snapshot, name);
        to += sums;
    }
    Rows rows;
    const auto add = [&](const char* prefix, const Figures& figures) {
        for (std::size_t i = 0; i < figures.size(); ++i) {
            rows.push_back({prefix + std::string(sum_names[i]), number(figures[i])});
        }
    };
    add("total_", totals_of(to));
    add("avg_", averages_of(from, to, snapshot.stats.length_us));
    return rows;
}

constexpr Show shows[] = {
    {"stats", Access::stats, Snapshot::stats_part, columns,
     [](const Snapshot& snapshot) { return by_database(snapshot, true, true); }},
    {"stats_totals", Access::stats, Snapshot::stats_part, totals_columns,
     [](const Snapshot& snapshot) { return by_database(snapshot, true, false); }},
    {"stats_averages", Access::stats, Snapshot::stats_part, averages_columns,
     [](const Snapshot& snapshot) { return by_database(snapshot, false, true); }},
    {"totals", Access::stats, Snapshot::stats_part, sums_columns, sums_rows},
};

}  // namespace

std::span<const Show> stats_shows() { return shows; }

}  // namespace pgweir::proxy::admin
