#include "proxy/socket_peer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pgweir::proxy {

std::optional<config::IpAddress> address_of(const Client& client) {
    config::IpAddress address;
    if (const sockaddr_in* const v4 = client.address().v4()) {
        std::memcpy(address.bytes.data(), &v4->sin_addr, sizeof v4->sin_addr);
        return address;
    }
    const sockaddr_in6* const v6 = client.address().v6();
    if (!v6) return std::nullopt;
    const auto* const bytes = v6->sin6_addr.s6_addr;
    address.v6 = !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
    constexpr int mapped_front = 12;  // bytes
    std::copy(bytes + (address.v6 ? 0 : mapped_front), bytes + sizeof v6->sin6_addr,
              address.bytes.begin());
    return address;
}

namespace {

std::optional<ucred> credentials_of(const Client& client) {
    if (!client.address().is_unix()) return std::nullopt;
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (getsockopt(client.fd(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return std::nullopt;
    return credentials;
}

}  // namespace

std::optional<uid_t> uid_of(const Client& client) {
    const auto credentials = credentials_of(client);
    return credentials ? std::optional(credentials->uid) : std::nullopt;
}

pid_t pid_of(const Client& client) {
    const auto credentials = credentials_of(client);
    return credentials ? credentials->pid : 0;
}

std::optional<std::string> name_of_uid(uid_t uid) {
    passwd entry{};
    passwd* found = nullptr;
    std::vector<char> text(1 << 12);
    while (getpwuid_r(uid, &entry, text.data(), text.size(), &found) == ERANGE)
        text.resize(2 * text.size());
    return found ? std::optional<std::string>(found->pw_name) : std::nullopt;
}

bool uses_tls(const Client& client) { return client.tls() != nullptr; }

std::optional<std::string> peer_common_name(const Client& client) {
    return uses_tls(client) ? client.tls()->peer_common_name() : std::nullopt;
}

std::optional<protocol::ChannelBinding> channel_binding(const Client& client) {
    if (!uses_tls(client)) return std::nullopt;
    std::string hash = client.tls()->server_end_point();
    if (hash.empty()) return std::nullopt;
    return protocol::ChannelBinding{"tls-server-end-point", std::move(hash)};
}

}  // namespace pgweir::proxy
