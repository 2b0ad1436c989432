// SHOW ROUTES: why requests went where. SHOW QUERIES: what is counted of each shape of query.
#include <algorithm>

#include <fmt/format.h>

#include "proxy/admin/show.hpp"

namespace pgweir::proxy::admin {

namespace {

constexpr Column routes_columns[] = {
    {"database"},
    {"reason"},
    {"target"},
    {"count", Type::numeric},
};

Rows routes_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const RouteFigure& figure : snapshot.routes) {
        rows.push_back({figure.database, text(figure.reason.text()),
                        text(figure.replica ? "replica" : "primary"), number(figure.count)});
    }
    return rows;
}

constexpr Column queries_columns[] = {
    {"database"},
    {"user"},
    {"query"},
    {"calls", Type::int8},
    {"total_ms", Type::float8},
    {"mean_ms", Type::float8},
    {"p50_ms", Type::float8},
    {"p95_ms", Type::float8},
    {"p99_ms", Type::float8},
    {"max_ms", Type::float8},
    {"rows", Type::int8},
    {"bytes", Type::int8},
    {"primary", Type::int8},
    {"replica", Type::int8},
};

Cell milliseconds(double us) { return fmt::format("{:.3f}", us / 1e3); }

Row query_row(const QueryFigure& query) {
    const QueryFigures& figures = query.figures;
    const auto total = static_cast<double>(figures.total_us);
    const auto most = static_cast<double>(figures.max_us);
    const auto part = [&](double share) {
        return milliseconds(std::min(static_cast<double>(figures.durations.at(share)), most));
    };
    return {
        query.database,
        query.user,
        query.text,
        number(figures.calls),
        milliseconds(total),
        milliseconds(figures.timed > 0 ? total / static_cast<double>(figures.timed) : 0),
        part(0.5),
        part(0.95),
        part(0.99),
        milliseconds(most),
        number(figures.rows),
        number(figures.bytes),
        number(figures.calls - figures.replica_calls),
        number(figures.replica_calls),
    };
}

Rows queries_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const QueryFigure& query : snapshot.queries) rows.push_back(query_row(query));
    return rows;
}

constexpr Show shows[] = {
    {"queries", Access::stats, Snapshot::queries_part, queries_columns, queries_rows},
    {"routes", Access::stats, Snapshot::routes_part, routes_columns, routes_rows},
};

}  // namespace

std::span<const Show> query_shows() { return shows; }

}  // namespace pgweir::proxy::admin
