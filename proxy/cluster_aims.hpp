// What a cluster's topology means for its pools.
#pragma once

#include "health/topology.hpp"
#include "pool/aim.hpp"

namespace pgweir::proxy {

/// Where the primary's pools go, and those of each node. A replica that lags, or is to get nothing
/// new, keeps what it has: whom it serves is chosen elsewhere.
pool::Aims aims_of(const health::Topology& topology);

}  // namespace pgweir::proxy
