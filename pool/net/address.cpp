#include "pool/net/address.hpp"

#include <cerrno>
#include <charconv>
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

constexpr std::string_view socket_name = "/.s.PGSQL.";  // the port behind it

protocol::Error connect_error(std::string text) {
    return {protocol::sqlstate::connection_failure, protocol::Origin::server, std::move(text)};
}

/// Has `ask` fill in an address, as the system's calls do.
template <class F>
Address asked(F ask) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    const bool given = ask(static_cast<sockaddr*>(static_cast<void*>(&storage)), &size);
    return given ? Address(&storage, size) : Address();
}

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
        answer.addresses.emplace_back(at->ai_addr, at->ai_addrlen);
    }
    freeaddrinfo(found);
    return answer;
}

Address::Address(const void* raw, std::size_t size) {
    if (size < sizeof(sa_family_t) || size > sizeof(sockaddr_un)) return;
    sockaddr_un any{};
    std::memcpy(&any, raw, size);
    if (any.sun_family == AF_UNIX && size > sizeof any.sun_family) {
        path_ = std::make_shared<const sockaddr_un>(any);
    } else if (size <= sizeof ip_) {
        std::memcpy(&ip_, raw, size);
    } else {
        return;
    }
    size_ = static_cast<socklen_t>(size);
}

bool operator==(const Address& a, const Address& b) {
    return a.size() == b.size() && std::memcmp(a.raw(), b.raw(), a.size()) == 0;
}

const sockaddr_in* Address::v4() const {
    return family() == AF_INET ? static_cast<const sockaddr_in*>(static_cast<const void*>(&ip_))
                               : nullptr;
}

const sockaddr_in6* Address::v6() const { return family() == AF_INET6 ? &ip_ : nullptr; }

std::string Address::host() const {
    char text[INET6_ADDRSTRLEN] = "";
    if (const sockaddr_in* const at = v4()) {
        inet_ntop(AF_INET, &at->sin_addr, text, sizeof text);
    } else if (const sockaddr_in6* const at6 = v6()) {
        inet_ntop(AF_INET6, &at6->sin6_addr, text, sizeof text);
    } else {
        return "unix";
    }
    return text;
}

int Address::port() const {
    if (v4() || v6()) return ntohs(ip_.sin6_port);
    if (!path_) return 0;
    const std::string_view path(path_->sun_path, sizeof path_->sun_path);
    const std::size_t at = path.rfind(socket_name);
    int port = 0;
    if (at != std::string_view::npos) {
        const std::string_view digits = path.substr(at + socket_name.size());
        std::from_chars(digits.data(), digits.data() + digits.size(), port);
    }
    return port;
}

void Address::set_port(int port) {
    const std::uint16_t number = htons(static_cast<std::uint16_t>(port));
    if (v4() || v6()) ip_.sin6_port = number;
}

std::string Address::text() const {
    if (family() == AF_INET6) return fmt::format("[{}]:{}", host(), port());
    return fmt::format("{}:{}", host(), port());
}

protocol::Result<Address> unix_address(const std::string& path) {
    sockaddr_un un{};
    if (path.empty() || path.size() >= sizeof un.sun_path) {
        return connect_error("Unix socket path too long: " + path);
    }
    un.sun_family = AF_UNIX;
    path.copy(un.sun_path, path.size());
    std::size_t size = offsetof(sockaddr_un, sun_path) + path.size();
    if (path.front() == '@') {
        un.sun_path[0] = '\0';
    } else {
        ++size;  // the NUL of a file name counts
    }
    return Address(&un, size);
}

protocol::Result<Address> unix_address(std::string_view directory, int port) {
    return unix_address(fmt::format("{}{}{}", directory, socket_name, port));
}

protocol::Result<Address> numeric_address(const std::string& host, int port) {
    sockaddr_in v4{};
    if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(static_cast<std::uint16_t>(port));
        return Address(&v4, sizeof v4);
    }
    sockaddr_in6 v6{};
    if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(static_cast<std::uint16_t>(port));
        return Address(&v6, sizeof v6);
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
    return asked([fd](sockaddr* to, socklen_t* size) { return getsockname(fd, to, size) == 0; });
}

Address peer_address(int fd) {
    return asked([fd](sockaddr* to, socklen_t* size) { return getpeername(fd, to, size) == 0; });
}

int accept(int listening, Address& peer) {
    int fd = -1;
    peer = asked([&](sockaddr* to, socklen_t* size) {
        fd = ::accept4(listening, to, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        return fd >= 0;
    });
    return fd;
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
    if (::connect(guard.fd, address.raw(), address.size()) == 0) co_return guard.release();
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
