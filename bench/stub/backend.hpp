#pragma once

#include <cstdint>

namespace bench {

/// A server that lets everybody in and answers every request at once: a SELECT with one row of one
/// number, anything else with its CommandComplete; BEGIN and COMMIT open and close transactions.
/// Never returns.
void run_backend(std::uint16_t port);

}  // namespace bench
