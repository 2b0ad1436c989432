// How long things took: counts by duration, written by one thread, read by anybody.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "pool/counter.hpp"

namespace pgweir::pool {

/// Up to which duration each bucket goes, itself included, in µs; one more bucket takes the rest.
inline constexpr std::array<std::int64_t, 16> duration_bounds_us = {
    100,    250,     500,     1'000,   2'500,     5'000,     10'000,     25'000,
    50'000, 100'000, 250'000, 500'000, 1'000'000, 2'500'000, 10'000'000, 60'000'000};

/// Durations, summed. Value.
struct Durations {
    std::array<std::uint64_t, duration_bounds_us.size() + 1> counts{};  // by bucket, not cumulated
    std::uint64_t sum_us = 0;

    std::uint64_t count() const;
    /// Up to how many µs that part (0 to 1) of them took: an estimate, as if those of a bucket lay
    /// evenly in it. Above the last bound it is that bound; 0 when there are none.
    std::int64_t quantile_us(double part) const;

    Durations& operator+=(const Durations& other);
    friend bool operator==(const Durations&, const Durations&) = default;
};

/// Value; one thread adds, any may read. A reader may miss what is being added.
class Histogram {
public:
    /// Negative ones, of a clock that is not quite up to date, count as 0.
    void add(std::int64_t duration_us) {
        const auto us = static_cast<std::uint64_t>(duration_us > 0 ? duration_us : 0);
        std::size_t bucket = first_[static_cast<std::size_t>(std::bit_width(us))];
        while (bucket < duration_bounds_us.size() && duration_us > duration_bounds_us[bucket])
            ++bucket;
        counts_[bucket].add(1);
        sum_us_.add(us);
    }
    Durations get() const;

private:
    /// By a duration's bits: the first bucket that may be its. The next but one never is.
    static constexpr std::array<std::uint8_t, 65> first_ = [] {
        std::array<std::uint8_t, 65> first{};
        for (std::size_t bits = 1; bits < first.size(); ++bits) {
            const auto least = std::uint64_t{1} << (bits - 1);
            for (const std::int64_t bound : duration_bounds_us) {
                if (static_cast<std::uint64_t>(bound) < least) ++first[bits];
            }
        }
        return first;
    }();

    std::array<Counter, duration_bounds_us.size() + 1> counts_;
    Counter sum_us_;
};

}  // namespace pgweir::pool
