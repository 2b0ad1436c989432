// The event loop of one worker thread: readiness by epoll, timers, and work posted by other
// threads.
//
// Why not Asio's: an established connection needs four syscalls a query and not one more (no EAGAIN
// recv, no epoll_ctl, one epoll_wait for all that is ready), a few hundred bytes at rest, and the
// right to move to another thread. One small loop gives all three; docs/architecture.md has the
// figures.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include <sys/epoll.h>

#include <boost/intrusive/list.hpp>

#include "pool/net/send_batch.hpp"

namespace pgweir::net {

using AutoUnlink =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// A list of objects that leave it by themselves when they die.
template <class T>
using AutoList = boost::intrusive::list<T, boost::intrusive::constant_time_size<false>>;

/// What an epoll event is given to. Not movable while watched.
class Watcher {
public:
    virtual void ready(std::uint32_t events) = 0;

protected:
    ~Watcher() = default;
};

/// Something to be done once at the end of the loop's turn. Forgets itself when it dies.
class Deferred : public AutoUnlink {
public:
    virtual void run() = 0;

protected:
    ~Deferred() = default;
};

/// A move-only piece of work on its way to another thread.
class Job {
public:
    Job() = default;
    template <class F>
    Job(F work)
        : work_(std::make_unique<Holder<F>>(std::move(work))) {}  // NOLINT: meant to be implicit
    void operator()() { work_->run(); }

private:
    struct Base {
        virtual ~Base() = default;
        virtual void run() = 0;
    };
    template <class F>
    struct Holder final : Base {
        explicit Holder(F work) : work_(std::move(work)) {}
        void run() override { work_(); }
        F work_;
    };
    std::unique_ptr<Base> work_;
};

class Loop;

/// Fires once, on its loop's thread, when its time has come, after what else came in that turn: who
/// waits for an answer, with a limit, has it when it came while the process stood still (stopped,
/// throttled, paused with its machine). Forgets itself when it dies.
class Timer {
public:
    explicit Timer(Loop& loop) : loop_(loop) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    void expire_in(std::int64_t delay_us);
    void cancel();

    virtual ~Timer() { cancel(); }

private:
    friend class Loop;
    virtual void expired() = 0;

    Loop& loop_;
    bool armed_ = false;
    std::multimap<std::int64_t, Timer*>::iterator place_;
};

/// Resource; one a thread. Everything but post() and stop() is for the loop's own thread.
class Loop {
public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Turns until stop().
    void run();
    /// Makes run() return after the present turn. Any thread.
    void stop();
    /// Runs `job` on this loop's thread, in the order posted. Any thread.
    void post(Job job);

    /// Watches fd for input, edge-triggered: an event is told once. Present input counts as an
    /// event.
    void watch(int fd, Watcher& watcher);
    /// Also tells when fd takes output again.
    void watch_output(int fd, Watcher& watcher);
    /// No event is told any more, not even one of the present turn.
    void forget(int fd, Watcher& watcher);

    /// Runs it after the present events, before waiting again.
    void defer(Deferred& deferred);
    /// Destroys `object` at the end of the turn: for what may still be on the call stack.
    template <class T>
    void bury(std::unique_ptr<T> object) {
        graveyard_.push_back(std::shared_ptr<void>(std::move(object)));
    }

    /// Where sockets put what they send in the present turn; nullptr: each sends by itself, as in a
    /// turn that has one event, and where io_uring is not to be had.
    SendBatch* batch() { return batching_ ? &batch_ : nullptr; }
    /// Sends what is there, for who cannot let it wait for the end of the turn.
    void submit_batch() {
        if (batching_) batch_.submit();
    }
    /// Whether there is such a place at all; true at first.
    void allow_batches(bool allowed) { batches_allowed_ = allowed; }

    /// Monotonic time of the present turn in µs.
    std::int64_t now_us() const { return now_us_; }

    /// Keeps `object` until released, at the latest until the loop ends.
    void adopt(std::shared_ptr<void> object) { detached_.insert(std::move(object)); }
    void release(const std::shared_ptr<void>& object) {
        graveyard_.push_back(object);
        detached_.erase(object);
    }

private:
    friend class Timer;
    void add_timer(Timer& timer, std::int64_t at_us);
    void remove_timer(Timer& timer);
    void set_alarm();
    void run_timers();
    void run_posted();
    void run_deferred();
    void update_clock();

    struct Wakeup final : Watcher {
        explicit Wakeup(Loop& loop) : self(loop) {}
        void ready(std::uint32_t) override { self.run_posted(); }
        Loop& self;
    };
    struct Alarm final : Watcher {
        explicit Alarm(Loop& loop) : self(loop) {}
        void ready(std::uint32_t) override { self.alarm_rings_ = true; }
        Loop& self;
    };

    int epoll_fd_;
    int wakeup_fd_;  // eventfd
    int alarm_fd_;   // timerfd: so that epoll_wait needs no timeout of its own
    Wakeup wakeup_{*this};
    Alarm alarm_{*this};
    std::int64_t now_us_ = 0;
    std::int64_t alarm_at_us_ = 0;  // 0 = not set
    bool alarm_rings_ = false;
    std::multimap<std::int64_t, Timer*> timers_;
    AutoList<Deferred> deferred_;
    std::vector<std::shared_ptr<void>> graveyard_;
    std::set<std::shared_ptr<void>> detached_;  // stories that own themselves

    static constexpr int events_max = 256;
    std::array<epoll_event, events_max> events_{};
    int events_begin_ = 0, events_end_ = 0;  // of the present turn, not yet told
    SendBatch batch_;
    bool batches_allowed_ = true;
    bool batching_ = false;  // in the present turn

    std::atomic<bool> stopped_ = false;
    std::mutex posted_mutex_;
    std::vector<Job> posted_;
};

/// Monotonic clock in µs, read now; loops keep a copy of it for each turn.
std::int64_t monotonic_us();

}  // namespace pgweir::net
