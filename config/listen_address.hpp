// Where something else than PostgreSQL's protocol is served: host:port in one word.
#pragma once

#include <string_view>

#include "config/cluster.hpp"
#include "config/network.hpp"

namespace pgweir::config {

/// Nobody from another host can connect to it.
bool is_loopback(const IpAddress& address);

/// "127.0.0.1:9127", "[::1]:9127", "localhost:9127". ":9127" and "*:9127" are every address; the
/// host is "*" then.
/// Errors   F0000: what was expected.
protocol::Result<Endpoint> parse_listen_address(std::string_view text);

}  // namespace pgweir::config
