// The listening socket of the HTTP server.
#pragma once

#include <string>
#include <vector>

#include "protocol/error.hpp"

namespace pgweir::proxy::http {

/// Listens on `address` (config::parse_listen_address), or takes the one of `inherited` that does,
/// out of there. Blocking, where the host is a name.
/// Errors   08006: "cannot listen on 127.0.0.1:9127 for http: …".
protocol::Result<int> listen(const std::string& address, std::vector<int>& inherited);

}  // namespace pgweir::proxy::http
