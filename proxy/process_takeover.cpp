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
    predecessor_->send_now({Kind::up, std::string(1, handed_format)});
    predecessor_->start({
        .received = [this](TakeoverLink::Message message) { receive(std::move(message)); },
        .unsent = drop,
        .ended = [this] { predecessor_gone(); },
    });
}

/// What it has heard for clients that are here it has told, unless it was ended.
void Process::predecessor_gone() {
    net::log::print(Level::log, {}, "the process before this one has ended");
    {
        const std::lock_guard lock(following_mutex_);
        following_.clear();
    }
    for (const auto& shard : shards_) {
        shard->worker.loop.post([here = shard.get()] {
            here->for_each_client([](Client& client) { client.predecessor_gone(); });
        });
    }
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
        if (message.kind == Kind::up) {
            const bool understands = message.body == std::string(1, handed_format);
            main().worker.loop.post([this, understands] { begin_hand_over(understands); });
        }
        if (message.kind != Kind::cancel || message.body.size() < 4) return;
        protocol::CancelRequest request;
        request.pid = protocol::load_u32(message.body.data());
        request.key = std::string_view(message.body).substr(4);
        cancel(request, nullptr);
    };
    successor_->start({
        .received = received,
        .unsent = [this](TakeoverLink::Message message) { receive(std::move(message)); },
        .ended = [this] { main().worker.loop.post([this] { successor_gone(); }); },
    });
}

void Process::begin_hand_over(bool moves_clients) {
    net::log::print(Level::log, {}, "the next process serves: handing over{}",
                    moves_clients ? "" : ", but for the clients: it is of another version");
    for (const auto& listener : listeners_) listener->leave_path();
    listeners_.clear();
    http_.reset();
    if (door_) door_->leave_path();
    door_.reset();
    // Who waits in a pool that is paused cannot be handed over, nor may anybody be left to resume.
    resume({});
    for (const std::string& name : registry_->databases()) {
        if (registry_->paused_by_name(name)) resume(name);
    }
    if (shutdown_ != Shutdown::now) shutdown_ = Shutdown::wait_for_clients;
    hands_over_.store(true, std::memory_order_relaxed);
    moves_clients_.store(moves_clients, std::memory_order_relaxed);
}

void Process::successor_gone() {
    if (hands_over()) {
        net::log::print(Level::error, {},
                        "the next process has ended: what it was not given is served to the end");
        hands_over_.store(false, std::memory_order_relaxed);
        moves_clients_.store(false, std::memory_order_relaxed);
    } else {
        successor_.reset();
    }
}

void Process::hand_over(Client& client) {
    const protocol::Cleansing cleansing;
    const Client::Moved moved = client.move_out();
    successor_->send({Kind::client, encode(moved.client), moved.fd, moved.server_fd});
}

void Process::tell_departed(const HandedNotification& heard) {
    successor_->send({Kind::said, encode(heard)});
}

void Process::departed_is_heard(Shard& shard, std::uint32_t client, bool missed) {
    const auto found = shard.departed.find(client);
    if (found == shard.departed.end()) return;
    tell_departed({.client = found->second.key, .said = {}, .missed = missed});
    shard.departed.erase(found);
    count_departed(-1);
}

/// The next process has had enough time to listen for them: it may be unable to.
void Process::forget_departed(Shard& shard) {
    constexpr std::int64_t heard_for_us = 30'000'000;
    const std::int64_t now_us = shard.worker.loop.now_us();
    std::vector<std::uint32_t> late;
    for (const auto& [id, departed] : shard.departed) {
        if (now_us - departed.since_us > heard_for_us) late.push_back(id);
    }
    for (const std::uint32_t id : late) {
        shard.departed.at(id).hub->set({shard.worker.index, id}, {}, 0);
        departed_is_heard(shard, id, true);
    }
}

/// From the process before this one; or back from the next one, which is gone. The link's thread.
void Process::receive(TakeoverLink::Message message) {
    if (message.kind == Kind::client && message.fd >= 0) move_in(message);
    if (message.kind == Kind::said) hear(message);
}

void Process::move_in(const TakeoverLink::Message& message) {
    auto handed = decode_handed_client(message.body);
    const bool whole = handed && handed->server.has_value() == (message.second_fd >= 0);
    if (!whole) {
        net::log::print(Level::error, {}, "{}",
                        handed ? "a client came without its server" : handed.error().message);
        ::close(message.fd);
        if (message.second_fd >= 0) ::close(message.second_fd);
        return;
    }
    Shard& shard = least_loaded();
    const CancelKey& key = handed->cancel_key;
    if (!handed->channels.names.empty() && key.secret.size() >= CancelKeys::short_size) {
        const std::lock_guard lock(following_mutex_);
        following_[CancelKeys::id_of(key.pid, key.secret)] = &shard;
    }
    const int fd = message.fd, server_fd = message.second_fd;
    shard.worker.loop.post([&shard, fd, server_fd, handed = std::move(*handed)] {
        shard.add_client(fd, handed.address).move_in(handed, server_fd);
    });
}

/// Goes the way that its client went, so that it comes behind it.
void Process::hear(const TakeoverLink::Message& message) {
    auto heard = decode_handed_notification(message.body);
    if (heard.has_error() || heard->client.secret.size() < CancelKeys::short_size) return;
    const CancelKeys::Id key = CancelKeys::id_of(heard->client.pid, heard->client.secret);
    Shard* shard = nullptr;
    {
        const std::lock_guard lock(following_mutex_);
        const auto found = following_.find(key);
        if (found == following_.end()) return;
        shard = found->second;
        if (!heard->said) following_.erase(found);
    }
    shard->worker.loop.post([this, shard, heard = std::move(*heard)] {
        const auto place = cancel_keys_.find(heard.client.pid, heard.client.secret);
        if (!place || place->shard != shard->worker.index) return;
        const auto found = shard->clients.find(place->client);
        if (found != shard->clients.end()) found->second->hear_from_predecessor(heard);
    });
}

}  // namespace pgweir::proxy
