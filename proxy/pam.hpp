// PAM, the system's own way of checking passwords.
#pragma once

#include <string>

#include "protocol/error.hpp"

namespace pgweir::proxy {

/// Asks the service `pgbouncer` (/etc/pam.d) about a user who comes from `host`. Blocks, at times
/// for seconds.
/// Errors   28000 with PAM's own words, for the log.
protocol::Result<void> pam_check(const std::string& user, const std::string& password,
                                 const std::string& host);

}  // namespace pgweir::proxy
