#pragma once

#include <cstdint>

namespace bench {

/// Passes bytes between each client of `port` and a connection of its own to `backend`, knowing
/// nothing of what they mean: what the kernel costs by itself, and so what no proxy can be below.
/// Never returns.
void run_relay(std::uint16_t port, std::uint16_t backend);

}  // namespace bench
