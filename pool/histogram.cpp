#include "pool/histogram.hpp"

#include <algorithm>
#include <numeric>

namespace pgweir::pool {

std::uint64_t Durations::count() const {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

std::int64_t Durations::quantile_us(double part) const {
    const double wanted = std::clamp(part, 0.0, 1.0) * static_cast<double>(count());
    double below = 0;
    for (std::size_t i = 0; i < duration_bounds_us.size(); ++i) {
        const auto here = static_cast<double>(counts[i]);
        if (here > 0 && below + here >= wanted) {
            const auto from = static_cast<double>(i == 0 ? 0 : duration_bounds_us[i - 1]);
            const auto to = static_cast<double>(duration_bounds_us[i]);
            return static_cast<std::int64_t>(from + (to - from) * (wanted - below) / here);
        }
        below += here;
    }
    return counts.back() > 0 ? duration_bounds_us.back() : 0;
}

Durations& Durations::operator+=(const Durations& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    sum_us += other.sum_us;
    return *this;
}

Durations Histogram::get() const {
    Durations sum;
    for (std::size_t i = 0; i < counts_.size(); ++i) sum.counts[i] = counts_[i].get();
    sum.sum_us = sum_us_.get();
    return sum;
}

}  // namespace pgweir::pool
