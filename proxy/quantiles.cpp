#include "proxy/quantiles.hpp"

#include <algorithm>
#include <numeric>

namespace pgweir::proxy {

namespace {

/// The middle of a bucket.
std::int64_t middle(std::size_t bucket) {
    if (bucket < 4) return static_cast<std::int64_t>(bucket);
    const std::size_t power = bucket / 4 + 1;
    const std::size_t part = std::size_t{1} << (power - 2);
    return static_cast<std::int64_t>((4 + bucket % 4) * part + part / 2);
}

}  // namespace

std::int64_t Quantiles::at(double part) const {
    const auto total = std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
    const double wanted = std::clamp(part, 0.0, 1.0) * static_cast<double>(total);
    double below = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
        below += counts_[i];
        if (counts_[i] > 0 && below >= wanted) return middle(i);
    }
    return 0;
}

Quantiles& Quantiles::operator+=(const Quantiles& other) {
    for (std::size_t i = 0; i < buckets; ++i) counts_[i] += other.counts_[i];
    return *this;
}

}  // namespace pgweir::proxy
