// How far behind a replica is: in bytes, and in time by our own clock alone.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "health/topology.hpp"

namespace pgweir::health {

/// What the primary's log position was when, in one epoch. Value. Bounded: what is old is kept at
/// longer and longer distances.
class Samples {
public:
    /// Positions and times do not go back. Of samples with one position the first and the last
    /// matter.
    void add(Sample sample);
    void clear() { samples_.clear(); }
    bool empty() const { return samples_.empty(); }
    const Sample& newest() const { return samples_.back(); }

    /// The newest ones, oldest first.
    std::vector<Sample> newest(std::size_t count) const;

    struct Lag {
        std::int64_t bytes = 0, time_us = 0;
    };
    /// Of a replica that had replayed up to `lsn` at `asked_us`: behind the newest sample, and for
    /// how long it had not reached the oldest sample that it had not. A replica that has replayed
    /// everything has no lag, however long ago that was written.
    Lag lag(const protocol::Lsn& lsn, std::int64_t asked_us) const;

private:
    static constexpr std::size_t kept_max = 1024;

    std::deque<Sample> samples_;
};

}  // namespace pgweir::health
