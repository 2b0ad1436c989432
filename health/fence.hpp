// The fence: which cluster this is, and the highest timeline that was ever seen of it. What is
// behind it gets no write. Kept in a file over restarts, so that a process that starts while only a
// former primary can be reached knows better, and shared with others by it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/error.hpp"

namespace pgweir::health {

struct Fence {
    std::uint64_t system = 0;    // system identifier; 0 = not known yet
    std::uint32_t timeline = 0;  // 0 = none seen yet
    std::string primary{};       // host:port of the last primary in use; empty: there was none
    std::uint32_t systems = 0;   // how often another system has taken this one's place

    friend bool operator==(const Fence&, const Fence&) = default;
};

/// The text of the state file.
std::string format_fence(const Fence& fence, std::string_view cluster);

/// Errors   F0000, what is wrong with the text: it is not whole, or another cluster's.
protocol::Result<Fence> parse_fence(std::string_view text, std::string_view cluster);

/// What both know. Of different systems the later one is right, or else the first.
Fence merged(Fence ours, const Fence& kept);

}  // namespace pgweir::health
