// Online restart: the socket over which a running process gives what it has to its successor.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "config/config.hpp"
#include "pool/net/loop.hpp"
#include "protocol/error.hpp"

namespace pgweir::proxy {

/// One end of the connection between a process and its successor. Messages either way, each with
/// up to two descriptors; both processes are of one user, who is trusted. Resource; a thread of
/// its own sends and receives, because what the other end does not read must not hold up a loop.
class TakeoverLink {
public:
    enum class Kind : char {
        listener = 'L',  // a listening socket
        serve = 'S',     // that was all of them: the successor may begin
        up = 'U',        // it serves, with its handed_format: the predecessor listens no more
        client = 'C',  // encode(HandedClient), the client's socket, and its server's if it has one
        said = 'N',    // encode(HandedNotification)
        cancel = 'K',  // a cancel request for a client the successor does not have
    };
    struct Message {
        Kind kind;
        std::string body;
        int fd = -1;         // its owner closes it
        int second_fd = -1;  // the same; not without the first
    };

    explicit TakeoverLink(int fd) : fd_(fd) {}
    /// What was not sent by then is given back as start() says.
    ~TakeoverLink();
    TakeoverLink(const TakeoverLink&) = delete;
    TakeoverLink& operator=(const TakeoverLink&) = delete;

    /// To the process that listens at `path`. The link, or nullptr: nobody is there.
    static std::unique_ptr<TakeoverLink> connect(const std::string& path);

    // At start-up, blocking: before start().
    bool send_now(const Message& message);
    std::optional<Message> receive_now();

    /// Called on the link's thread.
    struct Callbacks {
        std::function<void(Message)> received;
        std::function<void(Message)> unsent;  // the other end can not be given it any more
        std::function<void()> ended;          // the other end is gone
    };
    /// From here on the thread works.
    void start(Callbacks callbacks);
    /// Takes over the descriptors, which are closed when they are sent. Any thread.
    void send(Message message);
    /// Nothing waits to be sent or to be given back. Any thread.
    bool has_sent_all();

private:
    void run();
    void wake();
    void woken();
    bool send_queued();
    bool receive_some();
    std::optional<Message> take_whole();
    int take_descriptor();
    void close_descriptors();

    int fd_;
    int wakeup_fd_ = -1;
    Callbacks callbacks_;
    std::mutex mutex_;  // guards queue_, sending_, ending_
    std::deque<Message> queue_;
    bool sending_ = false, ending_ = false;
    std::string input_;            // bytes of messages that were not taken yet
    std::deque<int> descriptors_;  // received, of messages that were not taken yet
    std::thread thread_;
};

/// Where a successor knocks. Resource; lives on the main worker.
class TakeoverDoor final : private net::Watcher {
public:
    /// `knocked`: a process of our own user is there.
    TakeoverDoor(net::Loop& loop, int fd, std::string path,
                 std::function<void(std::unique_ptr<TakeoverLink>)> knocked);
    ~TakeoverDoor();
    TakeoverDoor(const TakeoverDoor&) = delete;
    TakeoverDoor& operator=(const TakeoverDoor&) = delete;

    static protocol::Result<std::unique_ptr<TakeoverDoor>> open(
        net::Loop& loop, const std::string& path,
        std::function<void(std::unique_ptr<TakeoverLink>)> knocked);
    /// A successor has a door of its own at the same place.
    void leave_path() { path_.clear(); }

private:
    void ready(std::uint32_t events) override;

    net::Loop& loop_;
    int fd_;
    std::string path_;
    std::function<void(std::unique_ptr<TakeoverLink>)> knocked_;
};

/// Beside the Unix socket for clients, or else beside the pidfile; empty when there is neither.
std::string takeover_path(const config::Settings& settings);

}  // namespace pgweir::proxy
