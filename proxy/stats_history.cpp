#include "proxy/stats_history.hpp"

namespace pgweir::proxy {

StatsHistory::ByDatabase StatsHistory::now(const pool::Registry& registry) {
    ByDatabase sums;
    for (const pool::Pool* const pool : registry.pools()) sums[pool->database()] += pool->totals();
    return sums;
}

void StatsHistory::snapshot(ByDatabase totals, std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    older_ = std::move(newer_);
    older_us_ = newer_us_;
    newer_ = std::move(totals);
    newer_us_ = now_us;
}

StatsHistory::Window StatsHistory::window() const {
    const std::lock_guard lock(mutex_);
    return {older_, newer_, older_us_ == 0 ? 0 : newer_us_ - older_us_};
}

StatsHistory::Window StatsHistory::window(ByDatabase now, std::int64_t now_us) const {
    const std::lock_guard lock(mutex_);
    if (newer_us_ == 0) return {{}, std::move(now), 0};
    const bool first = older_us_ == 0;
    return {first ? newer_ : older_, std::move(now), now_us - (first ? newer_us_ : older_us_)};
}

}  // namespace pgweir::proxy
