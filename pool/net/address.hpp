// Addresses of sockets, and connecting to them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "pool/net/offload.hpp"
#include "pool/net/task.hpp"
#include "protocol/error.hpp"

namespace pgweir::net {

/// A TCP or Unix-socket address. Value; small, because every client has one.
class Address {
public:
    Address() = default;
    /// Takes what the system's calls give; nothing of it when it is no address of these.
    Address(const void* raw, std::size_t size);

    /// As the system's calls take it, with size().
    const sockaddr* raw() const {
        return static_cast<const sockaddr*>(path_ ? path_.get() : static_cast<const void*>(&ip_));
    }
    socklen_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    /// AF_UNSPEC when it is empty.
    int family() const { return raw()->sa_family; }
    bool is_unix() const { return family() == AF_UNIX; }
    /// As it is; nullptr when it is of another family, or a Unix socket without a name.
    const sockaddr_in* v4() const;
    const sockaddr_in6* v6() const;
    const sockaddr_un* named_unix() const { return path_.get(); }
    /// As PgBouncer shows it: the number, or "unix".
    std::string host() const;
    /// Of a Unix socket the number in its name, 0: none.
    int port() const;
    void set_port(int port);  // no effect on that of a Unix socket
    /// host:port, [host]:port for IPv6, or "unix:port" when a port is given for the socket's name.
    std::string text() const;

    friend bool operator==(const Address& a, const Address& b);

private:
    /// What any of them begins with, and all of one that has no path.
    sockaddr_in6 ip_{};
    socklen_t size_ = 0;
    std::shared_ptr<const sockaddr_un> path_;
};

/// The address of a Unix socket file, or of an abstract one when the path begins with '@'.
protocol::Result<Address> unix_address(const std::string& path);
/// The socket for a port, as PostgreSQL and PgBouncer name it.
protocol::Result<Address> unix_address(std::string_view directory, int port);
/// A numeric IPv4 or IPv6 address; an error when `host` is a name.
protocol::Result<Address> numeric_address(const std::string& host, int port);
/// Takes a connection; its other end is in `peer`. -1: none, errno tells.
int accept(int listening, Address& peer);

/// What the system says of a name; blocking. Ports are 0.
struct Lookup {
    std::vector<Address> addresses{};
    bool no_such_name = false;  // for certain; it may also be that nobody could be asked
};
Lookup lookup(const std::string& host);
/// All addresses of a host name, looked up by the system off the loop.
Task<protocol::Result<std::vector<Address>>> resolve(Loop& loop, Offload& offload, std::string host,
                                                     int port);

/// The two ends of a connected socket.
Address local_address(int fd);
Address peer_address(int fd);

/// TCP options of a new connection, either side.
struct TcpOptions {
    bool keepalive = true;
    int keepcnt = 0, keepidle_s = 0, keepintvl_s = 0;  // 0 = the system's
    int user_timeout_ms = 0;
    int socket_buffer = 0;  // bytes
};
void apply(const TcpOptions& options, int fd, bool is_unix);

/// The same at once, blocking: for start-up only.
protocol::Result<std::vector<Address>> lookup_now(const std::string& host, int port);

/// Connects without blocking. The fd belongs to the caller.
/// Errors   08006, the server's fault, with the system's words.
Task<protocol::Result<int>> connect(Loop& loop, Address address, TcpOptions options);

}  // namespace pgweir::net
