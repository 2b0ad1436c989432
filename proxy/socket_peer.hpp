// Who is at the other end of a client's connection, as far as the connection itself tells.
#pragma once

#include <sys/types.h>
#include <optional>
#include <string>

#include "config/hba.hpp"
#include "protocol/scram.hpp"
#include "proxy/client.hpp"

namespace pgweir::proxy {

/// nullopt for a Unix socket. An IPv4 address in IPv6's clothes is the IPv4 address.
std::optional<config::IpAddress> address_of(const Client& client);

/// Whose process it is; nullopt unless it came by a Unix socket.
std::optional<uid_t> uid_of(const Client& client);
/// 0 unless it came by a Unix socket.
pid_t pid_of(const Client& client);
/// The system's name for a user; nullopt when there is none. Blocks where that is asked of a
/// network.
std::optional<std::string> name_of_uid(uid_t uid);

bool uses_tls(const Client& client);
/// Of the certificate that the client has shown and that was verified.
std::optional<std::string> peer_common_name(const Client& client);
/// What SCRAM-SHA-256-PLUS would bind to; nullopt without TLS.
std::optional<protocol::ChannelBinding> channel_binding(const Client& client);

}  // namespace pgweir::proxy
