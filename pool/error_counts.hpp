// How many errors there were, by the class of their SQLSTATE.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pool/counter.hpp"
#include "protocol/error.hpp"

namespace pgweir::pool {

/// The classes of PostgreSQL's codes: their first two characters. The last one stands for all that
/// are not in this list.
/// Source: PostgreSQL manual, appendix A.
inline constexpr auto sqlstate_classes = std::to_array<std::string_view>({
    "00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "20", "21",    "22",
    "23", "24", "25", "26", "27", "28", "2B", "2D", "2F", "34", "38", "39", "3B", "3D",    "3F",
    "40", "42", "44", "53", "54", "55", "57", "58", "72", "F0", "HV", "P0", "XX", "other",
});

/// Its place in that list.
std::size_t class_of(const protocol::Sqlstate& sqlstate);

/// Value; one thread counts, any may read.
class ErrorCounts {
public:
    void count(const protocol::Sqlstate& sqlstate) { counts_[class_of(sqlstate)].add(1); }
    std::uint64_t get(std::size_t place) const { return counts_[place].get(); }

private:
    std::array<Counter, sqlstate_classes.size()> counts_;
};

/// The same as numbers, summed. Value.
struct ErrorTotals {
    std::array<std::uint64_t, sqlstate_classes.size()> counts{};

    std::uint64_t count() const;
    ErrorTotals& operator+=(const ErrorCounts& errors);
    ErrorTotals& operator+=(const ErrorTotals& other);
};

}  // namespace pgweir::pool
