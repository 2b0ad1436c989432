// What all log-ins share.
#pragma once

#include "proxy/auth_query.hpp"
#include "proxy/failure_delay.hpp"
#include "proxy/scram_secrets.hpp"
#include "proxy/slow_checks.hpp"

namespace pgweir::proxy {

/// Resource; one a process. Each part is thread-safe.
struct AuthShared {
    ScramSecrets scram;
    FoundSecrets found;
    FailureDelay delay;
    SlowChecks slow;
};

}  // namespace pgweir::proxy
