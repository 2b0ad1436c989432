// Durations of one kind of thing, close enough together that fixed buckets would tell too little.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace pgweir::proxy {

/// Value; one thread's. Counts by duration: each power of two of µs in four parts, up to 134 s.
class Quantiles {
public:
    void add(std::int64_t duration_us) { ++counts_[bucket(duration_us)]; }
    /// Up to how many µs that part (0 to 1) of them took, within an eighth of it; 0: there are
    /// none.
    std::int64_t at(double part) const;
    Quantiles& operator+=(const Quantiles& other);

private:
    static constexpr std::size_t buckets = 104;

    static std::size_t bucket(std::int64_t duration_us) {
        if (duration_us < 4) return duration_us < 0 ? 0 : static_cast<std::size_t>(duration_us);
        const auto value = static_cast<std::uint64_t>(duration_us);
        const auto power = static_cast<unsigned>(std::bit_width(value)) - 1;
        const std::size_t place = 4 * (power - 1) + ((value >> (power - 2)) & 3);
        return place < buckets ? place : buckets - 1;
    }

    std::array<std::uint32_t, buckets> counts_{};
};

}  // namespace pgweir::proxy
