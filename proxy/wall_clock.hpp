// The time of day.
#pragma once

#include <chrono>
#include <cstdint>

namespace pgweir::proxy {

/// µs since 1970.
inline std::int64_t wall_us() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(since).count();
}

}  // namespace pgweir::proxy
