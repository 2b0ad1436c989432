#include "pool/net/address.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

namespace pgweir::net {

namespace {

protocol::Error connect_error(std::string text) {
    return {protocol::sqlstate::connection_failure, protocol::Origin::server, std::move(text)};
}

template <class T>
T& as(sockaddr_storage& storage) {
    return *static_cast<T*>(static_cast<void*>(&storage));
}
template <class T>
const T& as(const sockaddr_storage& storage) {
    return *static_cast<const T*>(static_cast<const void*>(&storage));
}
sockaddr* raw(sockaddr_storage& storage) { return &as<sockaddr>(storage); }

void set(int fd, int level, int name, int value) {
    setsockopt(fd, level, name, &value, sizeof value);
}

/// Waits until a connect under way has ended, well or not.
class Connected final : private Watcher {
public:
    Connected(Loop& loop, int fd) : loop_(loop), fd_(fd) {}
    ~Connected() {
        if (waiting_) loop_.forget(fd_, *this);
    }
    Connected(const Connected&) = delete;
    Connected& operator=(const Connected&) = delete;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
        waiting_ = waiting;
        loop_.watch(fd_, *this);
        loop_.watch_output(fd_, *this);
    }
    void await_resume() const noexcept {}

private:
    void ready(std::uint32_t events) override {
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) return;
        loop_.forget(fd_, *this);
        std::exchange(waiting_, {}).resume();
    }

    Loop& loop_;
    int fd_;
    std::coroutine_handle<> waiting_;
};

/// Closes the fd unless it is released: a story may be ended while it connects.
struct FdGuard {
    int fd;
    ~FdGuard() {
        if (fd >= 0) ::close(fd);
    }
    int release() { return std::exchange(fd, -1); }
};

std::vector<Address> addresses_of(const std::string& host, int port) {
    std::vector<Address> addresses = net::lookup(host).addresses;
    for (Address& address : addresses) address.set_port(port);
    return addresses;
}

}  // namespace

Lookup lookup(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    Lookup answer;
    const int failure = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    answer.no_such_name = failure == EAI_NONAME || failure == EAI_NODATA;
    if (failure != 0) return answer;
    for (const addrinfo* at = found; at; at = at->ai_next) {
        Address address;
        std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
        address.size = at->ai_addrlen;
        answer.addresses.push_back(address);
    }
    freeaddrinfo(found);
    return answer;
}

bool operator==(const Address& a, const Address& b) {
    return a.size == b.size && std::memcmp(&a.storage, &b.storage, a.size) == 0;
}

std::string Address::host() const {
    char text[INET6_ADDRSTRLEN] = "";
    if (family() == AF_INET) {
        inet_ntop(AF_INET, &as<sockaddr_in>(storage).sin_addr, text, sizeof text);
    } else if (family() == AF_INET6) {
        inet_ntop(AF_INET6, &as<sockaddr_in6>(storage).sin6_addr, text, sizeof text);
    } else {
        return "unix";
    }
    return text;
}

int Address::port() const {
    if (family() == AF_INET) return ntohs(as<sockaddr_in>(storage).sin_port);
    if (family() == AF_INET6) return ntohs(as<sockaddr_in6>(storage).sin6_port);
    return 0;
}

void Address::set_port(int port) {
    const std::uint16_t number = htons(static_cast<std::uint16_t>(port));
    if (family() == AF_INET) as<sockaddr_in>(storage).sin_port = number;
    if (family() == AF_INET6) as<sockaddr_in6>(storage).sin6_port = number;
}

std::string Address::text() const {
    if (family() == AF_INET6) return fmt::format("[{}]:{}", host(), port());
    return fmt::format("{}:{}", host(), port());
}

protocol::Result<Address> unix_address(const std::string& path) {
    Address address;
    auto& un = as<sockaddr_un>(address.storage);
    if (path.empty() || path.size() >= sizeof un.sun_path) {
        return connect_error("Unix socket path too long: " + path);
    }
    un.sun_family = AF_UNIX;
    path.copy(un.sun_path, path.size());
    address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    if (path.front() == '@') {
        un.sun_path[0] = '\0';
    } else {
        ++address.size;  // the NUL of a file name counts
    }
    return address;
}

protocol::Result<Address> numeric_address(const std::string& host, int port) {
    Address address;
    auto& v4 = as<sockaddr_in>(address.storage);
    if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(static_cast<std::uint16_t>(port));
        address.size = sizeof(sockaddr_in);
        return address;
    }
    auto& v6 = as<sockaddr_in6>(address.storage);
    if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(static_cast<std::uint16_t>(port));
        address.size = sizeof(sockaddr_in6);
        return address;
    }
    return connect_error("not a numeric address: " + host);
}

Task<protocol::Result<std::vector<Address>>> resolve(Loop& loop, Offload& offload, std::string host,
                                                     int port) {
    if (const auto numeric = numeric_address(host, port); numeric.has_value()) {
        co_return std::vector{*numeric};
    }
    auto look_up = [host, port] { return addresses_of(host, port); };
    std::vector<Address> addresses =
        co_await offload.run<std::vector<Address>>(loop, std::move(look_up));
    if (addresses.empty()) co_return connect_error("server DNS lookup failed");
    co_return addresses;
}

protocol::Result<std::vector<Address>> lookup_now(const std::string& host, int port) {
    if (const auto numeric = numeric_address(host, port); numeric.has_value())
        return std::vector{*numeric};
    std::vector<Address> found = addresses_of(host, port);
    if (found.empty()) return connect_error("cannot resolve " + host);
    return found;
}

Address local_address(int fd) {
    Address address;
    address.size = sizeof address.storage;
    getsockname(fd, raw(address.storage), &address.size);
    return address;
}

Address peer_address(int fd) {
    Address address;
    address.size = sizeof address.storage;
    getpeername(fd, raw(address.storage), &address.size);
    return address;
}

void apply(const TcpOptions& options, int fd, bool is_unix) {
    if (options.socket_buffer > 0) {
        set(fd, SOL_SOCKET, SO_SNDBUF, options.socket_buffer);
        set(fd, SOL_SOCKET, SO_RCVBUF, options.socket_buffer);
    }
    if (is_unix) return;
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (options.keepalive) {
        set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        if (options.keepcnt > 0) set(fd, IPPROTO_TCP, TCP_KEEPCNT, options.keepcnt);
        if (options.keepidle_s > 0) set(fd, IPPROTO_TCP, TCP_KEEPIDLE, options.keepidle_s);
        if (options.keepintvl_s > 0) set(fd, IPPROTO_TCP, TCP_KEEPINTVL, options.keepintvl_s);
    }
    if (options.user_timeout_ms > 0)
        set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options.user_timeout_ms);
}

Task<protocol::Result<int>> connect(Loop& loop, Address address, TcpOptions options) {
    FdGuard guard{::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (guard.fd < 0) co_return connect_error(fmt::format("socket: {}", std::strerror(errno)));
    apply(options, guard.fd, address.is_unix());
    if (::connect(guard.fd, raw(address.storage), address.size) == 0) co_return guard.release();
    if (errno != EINPROGRESS) {
        co_return connect_error(fmt::format("connect failed: {}", std::strerror(errno)));
    }
    co_await Connected(loop, guard.fd);
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(guard.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) co_return connect_error(fmt::format("connect failed: {}", std::strerror(error)));
    co_return guard.release();
}

}  // namespace pgweir::net
