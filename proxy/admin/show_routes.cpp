// SHOW ROUTES: why requests went where.
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

constexpr Show shows[] = {
    {"routes", Access::stats, Snapshot::routes_part, routes_columns, routes_rows},
};

}  // namespace

std::span<const Show> route_shows() { return shows; }

}  // namespace pgweir::proxy::admin
