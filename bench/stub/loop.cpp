#include "bench/stub/loop.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

namespace bench {

namespace {

constexpr int backlog = 4096;
constexpr std::size_t page_size = 256 * 1024;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_in address_of(std::uint32_t host, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(host);
    return address;
}

void set_option(int fd, int level, int name) {
    const int on = 1;
    if (::setsockopt(fd, level, name, &on, sizeof on) != 0) fail("setsockopt");
}

/// The sockets API takes every kind of address by the same pointer.
const sockaddr* any(const sockaddr_in& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

Fd::~Fd() {
    if (number_ >= 0) ::close(number_);
}

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_.number() < 0) fail("epoll_create1");
}

void Loop::add(int fd, std::uint32_t events, std::unique_ptr<Handler> handler) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = handler.get();
    if (::epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
    Handler* key = handler.get();
    handlers_[key] = std::move(handler);
}

void Loop::modify(int fd, std::uint32_t events, Handler& handler) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &handler;
    if (::epoll_ctl(epoll_.number(), EPOLL_CTL_MOD, fd, &event) != 0) fail("epoll_ctl");
}

void Loop::drop(Handler& handler) {
    const auto found = handlers_.find(&handler);
    if (found != handlers_.end()) dropped_.insert(handlers_.extract(found));
}

void Loop::run() {
    std::array<epoll_event, 256> events{};
    for (;;) {
        const int count = ::epoll_wait(epoll_.number(), events.data(),
                                       static_cast<int>(events.size()), tick ? 1 : -1);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int index = 0; index < count; ++index) {
            const epoll_event& event = events[static_cast<std::size_t>(index)];
            auto* handler = static_cast<Handler*>(event.data.ptr);
            if (!dropped_.contains(handler)) handler->on_event(event.events);
        }
        dropped_.clear();
        if (tick) tick();
    }
}

bool Outbox::send(int fd, std::string_view bytes) {
    if (rest_.empty()) {
        const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return false;
        bytes.remove_prefix(sent < 0 ? 0 : static_cast<std::size_t>(sent));
    }
    rest_ += bytes;
    return true;
}

bool Outbox::flush(int fd) {
    const std::string rest = std::move(rest_);
    rest_.clear();
    return rest.empty() || send(fd, rest);
}

Fd listen_on(std::uint16_t port) {
    Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (listener.number() < 0) fail("socket");
    set_option(listener.number(), SOL_SOCKET, SO_REUSEADDR);
    const sockaddr_in address = address_of(INADDR_LOOPBACK, port);
    if (::bind(listener.number(), any(address), sizeof address) != 0) fail("bind");
    if (::listen(listener.number(), backlog) != 0) fail("listen");
    return listener;
}

Fd accept_from(int listener) {
    Fd fd(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.number() >= 0) set_option(fd.number(), IPPROTO_TCP, TCP_NODELAY);
    return fd;
}

Fd connect_to(std::uint8_t host, std::uint16_t port) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd.number() < 0) fail("socket");
    set_option(fd.number(), IPPROTO_TCP, TCP_NODELAY);
    const sockaddr_in address = address_of((127U << 24U) | host, port);
    if (::connect(fd.number(), any(address), sizeof address) != 0 && errno != EINPROGRESS &&
        errno != ECONNREFUSED) {  // which the next read says as well
        fail("connect");
    }
    return fd;
}

Received receive(int fd) {
    static thread_local std::vector<char> page(page_size);
    const ssize_t count = ::recv(fd, page.data(), page.size(), 0);
    if (count > 0) return {{page.data(), static_cast<std::size_t>(count)}, false};
    return {{}, count == 0 || errno != EAGAIN};
}

}  // namespace bench
