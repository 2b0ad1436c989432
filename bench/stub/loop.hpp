#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace bench {

/// A file descriptor that is closed with its owner. Resource.
class Fd {
public:
    Fd() = default;
    explicit Fd(int number) : number_(number) {}
    Fd(Fd&& other) noexcept : number_(other.number_) { other.number_ = -1; }
    Fd& operator=(Fd&&) = delete;
    ~Fd();

    int number() const { return number_; }

private:
    int number_ = -1;
};

/// Something that waits for its descriptor. The loop owns it.
class Handler {
public:
    Handler() = default;
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;
    virtual ~Handler() = default;

    /// `events` as epoll_wait gave them.
    virtual void on_event(std::uint32_t events) = 0;
};

/// One thread's epoll, level-triggered. Errors of the system calls end the program, as
/// std::system_error: there is nobody whom a measurement could go on for.
class Loop {
public:
    Loop();

    void add(int fd, std::uint32_t events, std::unique_ptr<Handler> handler);
    void modify(int fd, std::uint32_t events, Handler& handler);

    /// Forgets and destroys a handler (and with it its descriptor) when the turn is over.
    void drop(Handler& handler);

    /// Turns for ever; `tick`, when set, is called after each turn, at least every millisecond.
    void run();
    std::function<void()> tick;

private:
    Fd epoll_;
    std::unordered_map<Handler*, std::unique_ptr<Handler>> handlers_;
    std::unordered_map<Handler*, std::unique_ptr<Handler>> dropped_;
};

/// What a socket did not take is kept, and sent when it does.
class Outbox {
public:
    /// False when the connection is gone. While is_empty() is false the owner waits for EPOLLOUT,
    /// calls flush() and reads nothing.
    bool send(int fd, std::string_view bytes);
    bool flush(int fd);
    bool is_empty() const { return rest_.empty(); }

private:
    std::string rest_;
};

/// A non-blocking listener on every loopback address.
Fd listen_on(std::uint16_t port);

/// The next connection, non-blocking and without delay; nothing when there is none.
Fd accept_from(int listener);

/// Begins to connect to 127.0.0.`host`; EPOLLOUT tells the end.
Fd connect_to(std::uint8_t host, std::uint16_t port);

/// Reads once. The view is into a buffer of the thread's, good until the next call; it is empty
/// when there is nothing, and `gone` says whether the peer has closed or the connection is broken.
struct Received {
    std::string_view bytes;
    bool gone;
};
Received receive(int fd);

}  // namespace bench
