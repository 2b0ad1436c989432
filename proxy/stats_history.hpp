// Snapshots of the counters, from which averages are made.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "pool/registry.hpp"

namespace pgweir::proxy {

/// The counters of every database at two moments, one stats_period apart: what SHOW STATS averages
/// over lies between the older of them and the newer. Thread-safe.
class StatsHistory {
public:
    using ByDatabase = std::map<std::string, pool::PoolTotals>;

    struct Window {
        ByDatabase from, to;
        std::int64_t length_us = 0;  // 0: no full period has passed yet
    };

    /// Adds up the pools' counters by database.
    static ByDatabase now(const pool::Registry& registry);
    /// A period is over.
    void snapshot(ByDatabase totals, std::int64_t now_us);
    Window window() const;
    /// From the last snapshot but one (the only one, while there is no other) to `now`: what the
    /// console's averages are over, as in PgBouncer.
    Window window(ByDatabase now, std::int64_t now_us) const;

private:
    mutable std::mutex mutex_;
    ByDatabase older_, newer_;
    std::int64_t older_us_ = 0, newer_us_ = 0;
};

}  // namespace pgweir::proxy
