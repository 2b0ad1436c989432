#include "proxy/node_load.hpp"

#include <algorithm>

namespace pgweir::proxy {

namespace {

constexpr double decay_us = 1'000'000;   // in which most of a peak, or of the mean, is forgotten
constexpr double longest_gap_us = 0.25;  // of that, so that one answer does not make the mean
// One answer counts for so many times what was known at most: a report among look-ups, or the
// first query of a new server, says nothing of the node.
constexpr double steepest = 4;
constexpr int lost_max = 5;                        // reads in a row
constexpr int longest_ejection = 5;                // doublings
constexpr std::int64_t forgiving_us = 60'000'000;  // after which they begin anew

/// What is left of something after a time: e^-t for many short ones, and no exp().
double left_after(double us) { return decay_us / (decay_us + us); }

}  // namespace

void NodeLoad::answered(std::int64_t took_us, std::int64_t now_us) {
    --active_;
    const double took = static_cast<double>(std::max<std::int64_t>(took_us, 0)) + floor_us;
    if (heard_us_ == 0) heard_us_ = now_us;
    const auto gap_us = static_cast<double>(std::max<std::int64_t>(now_us - heard_us_, 0));
    if (took > peak_us_) {
        peak_us_ = std::min(took, steepest * peak_us_);
    } else {
        peak_us_ = took + (peak_us_ - took) * left_after(gap_us);
    }
    const double counts = std::min(took, steepest * mean_us_);
    mean_us_ =
        counts + (mean_us_ - counts) * left_after(std::min(gap_us, longest_gap_us * decay_us));
    heard_us_ = now_us;
    lost_ = 0;
    if (now_us > ejected_until_us_ + forgiving_us) ejections_ = 0;
}

double NodeLoad::peak_us(std::int64_t now_us) const {
    const auto gap_us = static_cast<double>(std::max<std::int64_t>(now_us - heard_us_, 0));
    return peak_us_ <= mean_us_ ? peak_us_ : mean_us_ + (peak_us_ - mean_us_) * left_after(gap_us);
}

bool NodeLoad::missed(config::Duration ejection, std::int64_t now_us) {
    if (++lost_ < lost_max || ejection.count() <= 0) return false;
    lost_ = 0;
    const int doublings = std::min(ejections_++, longest_ejection);
    ejected_until_us_ = now_us + ejection.count() * (std::int64_t{1} << doublings);
    return true;
}

}  // namespace pgweir::proxy
