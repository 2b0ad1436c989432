// What the system says of this process.
#pragma once

#include <cstdint>

namespace pgweir::proxy::http {

/// Value. What cannot be read is 0.
struct ProcessFigures {
    double cpu_seconds = 0;
    std::uint64_t resident_bytes = 0, virtual_bytes = 0;
    std::uint64_t open_fds = 0, max_fds = 0;
};

ProcessFigures process_figures();

}  // namespace pgweir::proxy::http
