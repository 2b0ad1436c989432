#include "proxy/listener.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include "pool/net/log.hpp"

namespace pgweir::proxy {

namespace {

protocol::Error listen_error(const std::string& where, const char* what) {
    return {protocol::sqlstate::connection_failure, protocol::Origin::proxy,
            fmt::format("cannot listen on {}: {}: {}", where, what, std::strerror(errno))};
}

std::string path_of(const net::Address& address) {
    const sockaddr_un* const un = address.named_unix();
    if (!un) return {};
    const std::string path(un->sun_path, address.size() - offsetof(sockaddr_un, sun_path));
    return path.front() == '\0' ? "@" + path.substr(1) : path.substr(0, path.find('\0'));
}

/// A socket file that nobody listens on is a leftover; one that answers belongs to a running
/// process.
bool in_use(const net::Address& address) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    const bool answers = ::connect(fd, address.raw(), address.size()) == 0;
    ::close(fd);
    return answers;
}

/// False and errno when there is no such group, or we may not.
bool give_to_group(const std::string& path, const std::string& name) {
    if (name.empty()) return true;
    const group* const known = getgrnam(name.c_str());
    if (!known) errno = ENOENT;
    return known && ::chown(path.c_str(), static_cast<uid_t>(-1), known->gr_gid) == 0;
}

void set(int fd, int level, int name, int value) {
    setsockopt(fd, level, name, &value, sizeof value);
}

}  // namespace

Listener::Listener(net::Loop& loop, int fd, std::string path, Accepted accepted)
    : net::Timer(loop),
      loop_(loop),
      fd_(fd),
      unix_(net::local_address(fd).is_unix()),
      path_(std::move(path)),
      accepted_(std::move(accepted)) {
    loop_.watch(fd_, *this);
}

Listener::~Listener() {
    loop_.forget(fd_, *this);
    ::close(fd_);
    if (path_.starts_with('/')) ::unlink(path_.c_str());
}

protocol::Result<std::unique_ptr<Listener>> Listener::open(net::Loop& loop,
                                                           const net::Address& address,
                                                           const config::Settings& settings,
                                                           Accepted accepted) {
    const std::string path = path_of(address);
    const std::string where = path.empty() ? address.text() : path;
    const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return listen_error(where, "socket");
    auto listener = std::make_unique<Listener>(loop, fd, std::string(), std::move(accepted));
    if (!address.is_unix()) {
        set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        if (address.family() == AF_INET6) set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        if (settings.so_reuseport) set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        // As short as it can be: a client that stays silent must come up against
        // client_login_timeout.
        constexpr int defer_s = 1;
        if (settings.tcp_defer_accept) set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, defer_s);
    } else if (path.starts_with('/')) {
        if (in_use(address)) {
            errno = EADDRINUSE;
            return listen_error(where, "bind");
        }
        ::unlink(path.c_str());
    }
    if (::bind(fd, address.raw(), address.size()) != 0) return listen_error(where, "bind");
    listener->path_ = path;
    if (path.starts_with('/')) {
        if (!give_to_group(path, settings.unix_socket_group))
            return listen_error(where, "unix_socket_group");
        ::chmod(path.c_str(), static_cast<mode_t>(settings.unix_socket_mode));
    }
    if (::listen(fd, settings.listen_backlog) != 0) return listen_error(where, "listen");
    net::log::print(net::log::Level::log, {}, "listening on {}",
                    path.empty() ? where : "unix:" + where);
    return listener;
}

void Listener::hold(bool held) {
    held_ = held;
    ready(0);
}

void Listener::ready(std::uint32_t) {
    while (!held_) {
        net::Address peer;
        const int fd = net::accept(fd_, peer);
        if (fd >= 0) {
            accepted_(fd, peer);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN) {
            // Out of descriptors, most likely: who waits in the backlog makes no new event, so try
            // again.
            constexpr std::int64_t again_us = 200'000;
            net::log::print(net::log::Level::warning, {}, "accept() failed: {}",
                            std::strerror(errno));
            expire_in(again_us);
        }
        return;
    }
}

namespace {

protocol::Result<std::vector<net::Address>> wanted_addresses(const config::Settings& settings) {
    std::vector<net::Address> addresses;
    for (const std::string& host : settings.listen_addr) {
        if (host == "*") {
            addresses.push_back(*net::numeric_address("0.0.0.0", settings.listen_port));
            addresses.push_back(*net::numeric_address("::", settings.listen_port));
            continue;
        }
        const auto found = net::lookup_now(host, settings.listen_port);
        if (found.has_error()) return found.error();
        addresses.insert(addresses.end(), found->begin(), found->end());
    }
    if (!settings.unix_socket_dir.empty()) {
        const auto address = net::unix_address(settings.unix_socket_dir, settings.listen_port);
        if (address.has_error()) return address.error();
        addresses.push_back(*address);
    }
    return addresses;
}

bool same(const net::Address& a, const net::Address& b) {
    return a.family() == b.family() &&
           (a.is_unix() ? path_of(a) == path_of(b) : a.text() == b.text());
}

}  // namespace

protocol::Result<Listeners> open_listeners(net::Loop& loop, const config::Settings& settings,
                                           const std::vector<int>& inherited,
                                           const Listener::Accepted& accepted) {
    const auto addresses = wanted_addresses(settings);
    if (addresses.has_error()) return addresses.error();
    std::vector<int> left = inherited;
    Listeners listeners;
    for (const net::Address& address : *addresses) {
        const auto found = std::find_if(left.begin(), left.end(), [&](int fd) {
            return same(net::local_address(fd), address);
        });
        if (found != left.end()) {
            listeners.push_back(
                std::make_unique<Listener>(loop, *found, path_of(address), accepted));
            left.erase(found);
            continue;
        }
        auto listener = Listener::open(loop, address, settings, accepted);
        if (listener.has_error()) {
            // A machine without IPv6 is no reason not to serve "*" on IPv4.
            if (address.family() == AF_INET6 && !listeners.empty() && errno == EAFNOSUPPORT)
                continue;
            return listener.error();
        }
        listeners.push_back(std::move(*listener));
    }
    for (const int fd : left) ::close(fd);
    return listeners;
}

Listeners activated_listeners(net::Loop& loop, const std::vector<int>& sockets,
                              const Listener::Accepted& accepted) {
    Listeners listeners;
    for (const int fd : sockets) {
        ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
        listeners.push_back(std::make_unique<Listener>(loop, fd, std::string(), accepted));
        const net::Address address = net::local_address(fd);
        net::log::print(net::log::Level::log, {}, "listening on {}, which systemd has opened",
                        address.is_unix() ? "unix:" + path_of(address) : address.text());
    }
    return listeners;
}

}  // namespace pgweir::proxy
