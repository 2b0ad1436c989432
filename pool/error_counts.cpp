#include "pool/error_counts.hpp"

#include <algorithm>
#include <numeric>

namespace pgweir::pool {

std::size_t class_of(const protocol::Sqlstate& sqlstate) {
    const std::string_view name = sqlstate.view().substr(0, 2);
    const auto last = sqlstate_classes.end() - 1;
    return static_cast<std::size_t>(std::find(sqlstate_classes.begin(), last, name) -
                                    sqlstate_classes.begin());
}

std::uint64_t ErrorTotals::count() const {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

ErrorTotals& ErrorTotals::operator+=(const ErrorCounts& errors) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += errors.get(i);
    return *this;
}

ErrorTotals& ErrorTotals::operator+=(const ErrorTotals& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    return *this;
}

}  // namespace pgweir::pool
