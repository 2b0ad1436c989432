#include "proxy/http/listen.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include "config/listen_address.hpp"
#include "pool/net/address.hpp"
#include "pool/net/log.hpp"

namespace pgweir::proxy::http {

namespace {

/// -1 and errno when it cannot.
int listen_on(const net::Address& address, bool both_families) {
    const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    const int yes = 1, v6_only = both_families ? 0 : 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (address.family() == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
    constexpr int backlog = 16;
    if (::bind(fd, address.raw(), address.size()) == 0 && ::listen(fd, backlog) == 0) return fd;
    const int reason = errno;
    ::close(fd);
    errno = reason;
    return -1;
}

/// In the order in which they are to be tried.
protocol::Result<std::vector<net::Address>> addresses_of(const config::Endpoint& at) {
    if (at.host != "*") return net::lookup_now(at.host, at.port);
    return std::vector{*net::numeric_address("::", at.port),  // takes IPv4 as well
                       *net::numeric_address("0.0.0.0", at.port)};
}

}  // namespace

protocol::Result<int> listen(const std::string& address, std::vector<int>& inherited) {
    const auto at = config::parse_listen_address(address);
    if (at.has_error()) return at.error();
    const auto addresses = addresses_of(*at);
    if (addresses.has_error()) return addresses.error();
    std::string trouble = "no such address";
    for (const net::Address& one : *addresses) {
        const auto found = std::ranges::find_if(inherited, [&](int fd) {
            const net::Address theirs = net::local_address(fd);
            return !theirs.is_unix() && theirs.text() == one.text();
        });
        int fd = -1;
        if (found != inherited.end()) {
            fd = *found;
            inherited.erase(found);
        } else {
            fd = listen_on(one, at->host == "*");
        }
        if (fd >= 0) {
            net::log::print(net::log::Level::log, {}, "listening on {} for http", one.text());
            return fd;
        }
        trouble = std::strerror(errno);
    }
    return protocol::Error{protocol::sqlstate::connection_failure, protocol::Origin::proxy,
                           fmt::format("cannot listen on {} for http: {}", address, trouble)};
}

}  // namespace pgweir::proxy::http
