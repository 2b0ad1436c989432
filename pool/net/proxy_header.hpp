// The PROXY protocol: what a load balancer says in front of a connection that it passes on.
#pragma once

#include <optional>

#include "pool/net/address.hpp"
#include "protocol/bytes.hpp"

namespace pgweir::net {

inline constexpr std::size_t proxy_header_size_max =
    16 * 1024;  // bytes, what follows addresses too

/// Value.
struct ProxyHeader {
    std::size_t size;  // bytes it takes off the front of the input
    std::optional<Address>
        source;  // nullopt: the connection is the balancer's own, or it cannot say
};

/// Reads a header of version 1 or 2 off the front.
///
/// Returns  nullopt while it is not all there; what cannot be one is refused as soon as that shows.
/// Errors   08P01, the client's.
/// Source   "The PROXY protocol, versions 1 & 2", HAProxy. Checksums and other additions of
///          version 2 are read over.
protocol::Result<std::optional<ProxyHeader>> read_proxy_header(protocol::Bytes bytes);

}  // namespace pgweir::net
