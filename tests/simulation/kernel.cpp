#include "tests/simulation/kernel.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <sys/signalfd.h>

namespace pgweir::simulation {

Kernel* Kernel::instance_ = nullptr;

Kernel::Kernel(std::uint64_t seed, Observer& observer) : dice(seed), observer_(observer) {
    instance_ = this;
}

Kernel::~Kernel() { instance_ = nullptr; }

/// FNV-1a.
void Kernel::note(std::string_view what) {
    for (const char c : what) {
        digest_ ^= static_cast<unsigned char>(c);
        digest_ *= 0x100000001b3u;
    }
    digest_ ^= static_cast<std::uint64_t>(now_us_);
    digest_ *= 0x100000001b3u;
}

void Kernel::at(std::int64_t when_us, std::function<void()> happen) {
    future_.push({std::max(when_us, now_us_), happenings_++, std::move(happen)});
}

// ---------------------------------------------------------------- descriptors

/// The lowest that is free, as the system does.
int Kernel::add(Thing made) {
    int fd = first_fd;
    for (const auto& [used, other] : things_) {
        if (used != fd) break;
        ++fd;
    }
    things_.emplace(fd, std::move(made));
    return fd;
}

Kernel::Thing& Kernel::thing(int fd) {
    const auto found = things_.find(fd);
    if (found == things_.end())
        throw std::logic_error(fmt::format("descriptor {} is not open", fd - first_fd));
    return found->second;
}

std::uint32_t Kernel::level(const Thing& of) const {
    using Kind = Thing::Kind;
    constexpr std::uint32_t input = EPOLLIN;
    switch (of.kind) {
        case Kind::epoll: return 0;
        case Kind::event:
        case Kind::timer: return of.count > 0 ? input : 0;
        case Kind::signal: return of.signals.empty() ? 0 : input;
        case Kind::listener: return of.backlog.empty() ? 0 : input;
        case Kind::socket: break;
    }
    const Wire& wire = *of.wire;
    if (wire.broken) return EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    if (!wire.open) return 0;
    std::uint32_t is = 0;
    if (!wire.inbox.empty() || wire.ended) is |= EPOLLIN;
    if (wire.ended) is |= EPOLLRDHUP;
    if (wire.under_way < wire.window) is |= EPOLLOUT;
    return is;
}

/// Something is new about it: an edge for whoever watches it.
void Kernel::wake(int fd) {
    const std::uint32_t is = level(thing(fd));
    for (Poller* const poller : pollers_) {
        const auto found = poller->watches.find(fd);
        if (found == poller->watches.end()) continue;
        Watch& watch = found->second;
        if (watch.queued || (is & (watch.event.events | EPOLLERR | EPOLLHUP)) == 0) continue;
        watch.queued = true;
        poller->ready.push_back(fd);
        if (let_go_) poller->turn.release();
    }
}

int Kernel::epoll_create() {
    auto poller = std::make_unique<Poller>();
    poller->number = static_cast<unsigned>(pollers_.size());
    pollers_.push_back(poller.get());
    return add({.kind = Thing::Kind::epoll, .poller = std::move(poller)});
}

int Kernel::epoll_ctl(int epoll, int what, int fd, epoll_event* event) {
    Poller& poller = *thing(epoll).poller;
    if (what == EPOLL_CTL_DEL) {
        poller.watches.erase(fd);
        std::erase(poller.ready, fd);
        return 0;
    }
    Watch& watch = poller.watches[fd];
    if (watch.queued) std::erase(poller.ready, fd);
    watch = {*event};
    wake(fd);
    return 0;
}

int Kernel::event_fd() { return add({.kind = Thing::Kind::event}); }
int Kernel::timer_fd() { return add({.kind = Thing::Kind::timer}); }
int Kernel::signal_fd() { return add({.kind = Thing::Kind::signal}); }

int Kernel::timer_set(int fd, std::int64_t at_us) {
    Thing& timer = thing(fd);
    timer.count = 0;
    timer.alarm_us = at_us;
    const std::uint64_t alarm = ++timer.alarms;
    if (at_us == 0) return 0;
    at(at_us, [this, fd, alarm] {
        const auto found = things_.find(fd);
        if (found == things_.end() || found->second.kind != Thing::Kind::timer ||
            found->second.alarms != alarm)
            return;
        ++found->second.count;
        wake(fd);
    });
    return 0;
}

void Kernel::signal(int number) {
    for (auto& [fd, one] : things_) {
        if (one.kind != Thing::Kind::signal) continue;
        one.signals.push_back(number);
        wake(fd);
    }
}

long Kernel::read(int fd, char* to, std::size_t size) {
    Thing& from = thing(fd);
    if (from.kind == Thing::Kind::socket) return receive(fd, to, size);
    if (from.kind == Thing::Kind::signal && !from.signals.empty()) {
        signalfd_siginfo info{};
        info.ssi_signo = static_cast<std::uint32_t>(from.signals.front());
        from.signals.pop_front();
        std::memcpy(to, &info, std::min(size, sizeof info));
        return sizeof info;
    }
    if (from.count == 0) {
        errno = EAGAIN;
        return -1;
    }
    std::memcpy(to, &from.count, sizeof from.count);
    from.count = 0;
    return sizeof from.count;
}

long Kernel::write(int fd, const char* from, std::size_t size) {
    Thing& to = thing(fd);
    if (to.kind != Thing::Kind::event) return send(fd, {from, size});
    ++to.count;
    wake(fd);
    return static_cast<long>(size);
}

int Kernel::close(int fd) {
    Thing& gone = thing(fd);
    for (Poller* const poller : pollers_) {
        poller->watches.erase(fd);
        std::erase(poller->ready, fd);
    }
    if (gone.kind == Thing::Kind::epoll) std::erase(pollers_, gone.poller.get());
    if (const WirePtr wire = gone.wire) {
        wire->closed = true;
        wire->fd = -1;
        if (wire->open && !wire->broken) {
            carry(wire->cable, wire->next_out_us, [wire] {
                if (Remote* const remote = std::exchange(wire->remote, nullptr)) remote->hung_up();
            });
        }
        wire->open = false;
    }
    things_.erase(fd);
    return 0;
}

std::string Kernel::open_text() const {
    constexpr const char* kinds[] = {"epoll", "event", "timer", "signal", "socket", "listener"};
    std::string text;
    for (const auto& [fd, one] : things_) {
        text += fmt::format(" {}={}{}", fd - first_fd, kinds[static_cast<int>(one.kind)],
                            one.wire ? ":" + one.wire->peer : "");
    }
    return text;
}

std::size_t Kernel::unread(int fd) const {
    const auto found = things_.find(fd);
    return found == things_.end() || !found->second.wire ? 0 : found->second.wire->inbox.size();
}

// ---------------------------------------------------------------- whose turn it is

int Kernel::take_events(Poller& poller, epoll_event* events, int max) {
    int count = 0;
    while (count < max && !poller.ready.empty()) {
        const int fd = poller.ready.front();
        poller.ready.pop_front();
        Watch& watch = poller.watches.at(fd);
        watch.queued = false;
        const std::uint32_t is = level(thing(fd)) & (watch.event.events | EPOLLERR | EPOLLHUP);
        if (is == 0) continue;
        events[count] = watch.event;
        events[count++].events = is;
    }
    return count;
}

/// Who is to run: one of those that have something to do. What is due happens before.
Kernel::Poller* Kernel::next() {
    while (true) {
        std::vector<Poller*> able;
        for (Poller* const poller : pollers_) {
            if (poller->parked && runnable(*poller)) able.push_back(poller);
        }
        if (!future_.empty() && (able.empty() || future_.top().at_us <= now_us_)) {
            if (able.empty() && future_.top().at_us > now_us_) observer_.quiet();
            Happening due = future_.top();
            future_.pop();
            now_us_ = std::max(now_us_, due.at_us);
            observer_.step();
            due.happen();
            continue;
        }
        if (able.empty()) throw std::logic_error("nothing will ever happen again");
        observer_.step();
        constexpr std::int64_t turn_us_max = 20;
        now_us_ += dice.between(1, turn_us_max);
        ++turns_;
        return dice.pick(able);
    }
}

int Kernel::epoll_wait(int epoll, epoll_event* events, int max, int timeout) {
    std::unique_lock lock(mutex);
    Poller& self = *thing(epoll).poller;
    self.wants_turn = timeout == 0;
    self.parked = true;
    parked_.notify_all();
    Poller* chosen = nullptr;
    if (!let_go_ && running_ == self.number) {
        // At the start the other threads may be on their way here.
        parked_.wait(lock, [&] { return std::ranges::all_of(pollers_, &Poller::parked); });
        current_ = next();
        running_ = current_->number;
        if (current_ != &self) chosen = current_;
    }
    while (let_go_ ? !runnable(self) : current_ != &self) {
        lock.unlock();  // first: whom it wakes would only wait for it
        if (chosen) std::exchange(chosen, nullptr)->turn.release();
        self.turn.acquire();
        lock.lock();
    }
    self.parked = self.wants_turn = false;
    return take_events(self, events, max);
}

void Kernel::let_go() {
    const std::lock_guard lock(mutex);
    let_go_ = true;
    for (Poller* const poller : pollers_) poller->turn.release();
}

// ---------------------------------------------------------------- the network

int Kernel::socket() {
    const int fd = add({.kind = Thing::Kind::socket, .wire = std::make_shared<Wire>()});
    Wire& wire = *thing(fd).wire;
    wire.fd = fd;
    wire.cable = std::make_shared<Cable>();
    if (dice.one_in(6)) wire.window = static_cast<std::size_t>(dice.between(16, 512));
    return fd;
}

int Kernel::listen(int fd) {
    thing(fd).kind = Thing::Kind::listener;
    thing(fd).wire.reset();
    return 0;
}

int Kernel::accept(int fd) {
    Thing& listener = thing(fd);
    if (listener.backlog.empty()) {
        errno = EAGAIN;
        return -1;
    }
    const WirePtr wire = listener.backlog.front();
    listener.backlog.pop_front();
    wire->fd = add({.kind = Thing::Kind::socket, .wire = wire});
    return wire->fd;
}

int Kernel::connect(int fd, const std::string& address) {
    const WirePtr wire = thing(fd).wire;
    wire->peer = address;
    wire->connecting = true;
    observer_.connecting(wire, address);
    errno = EINPROGRESS;
    return -1;
}

int Kernel::socket_error(int fd) { return std::exchange(thing(fd).wire->error, 0); }

/// `arrive` happens when what was sent before on this way has arrived, and the cable is whole.
void Kernel::carry(const std::shared_ptr<Cable>& cable, std::int64_t& place,
                   std::function<void()> arrive) {
    const std::int64_t slow = dice.one_in(20) ? dice.between(0, 20'000) : 0;
    place = std::max(place + 1, now_us_ + cable->latency_us + dice.below(100) + slow);
    at(place, [this, cable, arrive = std::move(arrive)] { leave(cable, arrive); });
}

void Kernel::leave(const std::shared_ptr<Cable>& cable, std::function<void()> arrive) {
    if (cable->cut) return cable->held_back.push_back(std::move(arrive));
    arrive();
}

void Kernel::mend(Cable& cable) {
    cable.cut = false;
    for (auto& arrive : std::exchange(cable.held_back, {})) {
        if (cable.cut) {
            cable.held_back.push_back(std::move(arrive));
        } else {
            arrive();
        }
    }
}

WirePtr Kernel::dial(Remote& remote, std::shared_ptr<Cable> cable) {
    for (auto& [fd, one] : things_) {
        if (one.kind != Thing::Kind::listener) continue;
        auto wire = std::make_shared<Wire>();
        wire->remote = &remote;
        wire->cable = std::move(cable);
        wire->open = true;
        if (dice.one_in(6)) wire->window = static_cast<std::size_t>(dice.between(16, 512));
        one.backlog.push_back(wire);
        wake(fd);
        return wire;
    }
    return nullptr;
}

void Kernel::accept(const WirePtr& wire, Remote& remote) {
    wire->remote = &remote;
    carry(wire->cable, wire->next_in_us, [this, wire] {
        if (wire->closed) {
            if (Remote* const gone = std::exchange(wire->remote, nullptr)) gone->hung_up();
            return;
        }
        wire->connecting = false;
        wire->open = true;
        wake(wire->fd);
    });
}

void Kernel::refuse(const WirePtr& wire, int error) {
    carry(wire->cable, wire->next_in_us, [this, wire, error] {
        if (wire->closed) return;
        wire->connecting = false;
        wire->broken = true;
        wire->error = error;
        wake(wire->fd);
    });
}

void Kernel::deliver(const WirePtr& wire, std::string bytes) {
    carry(wire->cable, wire->next_in_us, [this, wire, bytes = std::move(bytes)] {
        if (wire->closed || wire->broken) return;
        wire->inbox += bytes;
        if (wire->fd >= 0) wake(wire->fd);
    });
}

/// In pieces, as a network may.
void Kernel::say(const WirePtr& wire, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto all = static_cast<std::int64_t>(bytes.size());
        const bool torn = dice.one_in(4);
        const auto size = static_cast<std::size_t>(torn ? dice.between(1, all) : all);
        deliver(wire, std::string(bytes.substr(0, size)));
        bytes.remove_prefix(size);
    }
}

void Kernel::hang_up(const WirePtr& wire) {
    wire->remote = nullptr;
    carry(wire->cable, wire->next_in_us, [this, wire] {
        if (wire->closed || wire->broken) return;
        wire->ended = true;
        if (wire->fd >= 0) wake(wire->fd);
    });
}

void Kernel::reset(const WirePtr& wire, int error) {
    wire->remote = nullptr;
    carry(wire->cable, wire->next_in_us, [this, wire, error] {
        if (wire->closed || wire->broken) return;
        wire->inbox.clear();
        wire->connecting = false;
        wire->broken = true;
        wire->error = error;
        if (wire->fd >= 0) wake(wire->fd);
    });
}

long Kernel::receive(int fd, char* to, std::size_t size) {
    Wire& wire = *thing(fd).wire;
    if (!wire.inbox.empty()) {
        const std::size_t got = wire.inbox.copy(to, size);
        note({to, got});
        wire.inbox.erase(0, got);
        return static_cast<long>(got);
    }
    if (wire.broken) {
        errno = wire.error != 0 ? std::exchange(wire.error, 0) : ENOTCONN;
        return errno == ENOTCONN ? 0 : -1;
    }
    if (wire.ended) return 0;
    errno = EAGAIN;
    return -1;
}

long Kernel::send(int fd, std::string_view bytes) {
    const WirePtr wire = thing(fd).wire;
    if (wire->broken || !wire->open) {
        errno = wire->broken ? EPIPE : ENOTCONN;
        return -1;
    }
    const std::size_t room = wire->window - std::min(wire->window, wire->under_way);
    if (room == 0) {
        errno = EAGAIN;
        return -1;
    }
    std::string sent(bytes.substr(0, room));
    const std::size_t size = sent.size();
    observer_.sending(*wire, sent);
    note(sent);
    wire->under_way += size;
    carry(wire->cable, wire->next_out_us, [this, wire, sent = std::move(sent)] {
        const bool was_full = wire->under_way >= wire->window;
        wire->under_way -= sent.size();
        if (was_full && wire->fd >= 0) wake(wire->fd);
        if (wire->remote) return wire->remote->heard(sent);
        if (!wire->broken) reset(wire, ECONNRESET);
    });
    return static_cast<long>(size);
}

}  // namespace pgweir::simulation
