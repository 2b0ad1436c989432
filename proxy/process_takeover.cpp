// Online restart: what a process gets from its predecessor and gives to its successor.
#include "pool/net/log.hpp"
#include "proxy/http/site.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

using net::log::Level;
using Kind = TakeoverLink::Kind;

/// With -R: the sockets of the process that runs now. None: nobody is there, as at a first start.
std::vector<int> Process::inherit_listeners() {
    std::vector<int> sockets;
    if (!options_.reboot) return sockets;
    const std::string path = takeover_path(config()->settings);
    if (path.empty()) {
        net::log::print(Level::warning, {},
                        "-R needs unix_socket_dir or pidfile to find the running process by");
        return sockets;
    }
    predecessor_ = TakeoverLink::connect(path);
    while (predecessor_) {
        const auto message = predecessor_->receive_now();
        if (!message) predecessor_.reset();
        if (!message || message->kind == Kind::serve) break;
        if (message->kind == Kind::listener && message->fd >= 0) sockets.push_back(message->fd);
    }
    if (!predecessor_) net::log::print(Level::log, {}, "no process is there to take over from");
    return sockets;
}

void Process::inherit_clients() {
    if (!predecessor_) return;
    const auto drop = [](const TakeoverLink::Message&) {};  // cancel requests for who is gone
    predecessor_->send_now({Kind::up, {}});
    predecessor_->start({
        .received = [this](TakeoverLink::Message message) { move_in(std::move(message)); },
        .unsent = drop,
        .ended = [] { net::log::print(Level::log, {}, "the process before this one has ended"); },
    });
}

void Process::open_door() {
    const std::string path = takeover_path(config()->settings);
    if (path.empty()) return;
    auto door =
        TakeoverDoor::open(main().worker.loop, path,
                           [this](std::unique_ptr<TakeoverLink> link) { let_in(std::move(link)); });
    if (door.has_error()) {
        net::log::print(Level::warning, {}, "online restart will not be possible: {}",
                        door.error().message);
        return;
    }
    door_ = std::move(*door);
}

/// Hears of the listening sockets, and that is all until it says that it serves.
void Process::let_in(std::unique_ptr<TakeoverLink> successor) {
    if (successor_ || shutdown_ != Shutdown::none) return;
    for (const auto& listener : listeners_)
        successor->send_now({Kind::listener, {}, listener->fd()});
    if (http_) successor->send_now({Kind::listener, {}, http_->socket()});
    successor->send_now({Kind::serve, {}});
    successor_ = std::move(successor);
    const auto received = [this](const TakeoverLink::Message& message) {
        if (message.kind == Kind::up) main().worker.loop.post([this] { begin_hand_over(); });
        if (message.kind != Kind::cancel || message.body.size() < 4) return;
        protocol::CancelRequest request;
        request.pid = protocol::load_u32(message.body.data());
        request.key = std::string_view(message.body).substr(4);
        cancel(request, nullptr);
    };
    successor_->start({
        .received = received,
        .unsent = [this](TakeoverLink::Message message) { move_in(std::move(message)); },
        .ended = [this] { main().worker.loop.post([this] { successor_gone(); }); },
    });
}

void Process::begin_hand_over() {
    net::log::print(Level::log, {}, "the next process serves: handing over");
    for (const auto& listener : listeners_) listener->leave_path();
    listeners_.clear();
    http_.reset();
    if (door_) door_->leave_path();
    door_.reset();
    shutdown_ = Shutdown::wait_for_clients;
    hands_over_.store(true, std::memory_order_relaxed);
}

void Process::successor_gone() {
    if (hands_over()) {
        net::log::print(Level::error, {},
                        "the next process has ended: what it was not given is served to the end");
        hands_over_.store(false, std::memory_order_relaxed);
    } else {
        successor_.reset();
    }
}

void Process::hand_over(Client& client) {
    auto [handed, fd] = client.move_out();
    successor_->send({Kind::client, encode(handed), fd});
}

/// Any thread.
void Process::move_in(TakeoverLink::Message message) {
    if (message.kind != Kind::client || message.fd < 0) return;
    auto handed = decode_handed_client(message.body);
    if (handed.has_error()) {
        net::log::print(Level::error, {}, "{}", handed.error().message);
        ::close(message.fd);
        return;
    }
    Shard& shard = least_loaded();
    shard.worker.loop.post([&shard, fd = message.fd, handed = std::move(*handed)] {
        shard.add_client(fd, handed.address).move_in(handed);
    });
}

}  // namespace pgweir::proxy
