// What the status page shows, as JSON.
#pragma once

#include <string>

#include "proxy/admin/snapshot.hpp"

namespace pgweir::proxy::http {

/// Pure. One object: version, state, started, now (seconds since 1970), clients, pools, clusters,
/// waiting (clients, longest first), statements (those that took most time first), events (newest
/// first). Times are in seconds; what only goes up is as in /metrics.
std::string status_json(const admin::Snapshot& snapshot);

}  // namespace pgweir::proxy::http
