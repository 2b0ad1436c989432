#include "pool/net/loop.hpp"

#include <cerrno>
#include <cstdlib>
#include <ctime>

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "pool/net/task.hpp"

namespace pgweir::net {

namespace {

// Without its epoll set a worker cannot live: there is nobody left to tell.
int must(int fd) {
    if (fd < 0) std::abort();
    return fd;
}

}  // namespace

std::int64_t monotonic_us() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}

void Timer::expire_in(std::int64_t delay_us) {
    cancel();
    // Not the turn's time: a long turn would have it come due before its time.
    loop_.add_timer(*this, monotonic_us() + delay_us);
}

void Timer::cancel() {
    if (armed_) loop_.remove_timer(*this);
}

Loop::Loop()
    : epoll_fd_(must(epoll_create1(EPOLL_CLOEXEC))),
      wakeup_fd_(must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))),
      alarm_fd_(must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC))) {
    watch(wakeup_fd_, wakeup_);
    watch(alarm_fd_, alarm_);
    update_clock();
}

Loop::~Loop() {
    run_posted();
    run_deferred();
    detached_.clear();
    graveyard_.clear();
    ::close(alarm_fd_);
    ::close(wakeup_fd_);
    ::close(epoll_fd_);
}

void Loop::run() {
    // Before anything is under way: how many descriptors there are is not to hang on the load.
    if (batches_allowed_) batch_.usable();
    while (!stopped_.load(std::memory_order_relaxed)) {
        const int timeout = deferred_.empty() ? -1 : 0;
        const int count = epoll_wait(epoll_fd_, events_.data(), events_max, timeout);
        update_clock();
        events_end_ = count < 0 ? 0 : count;
        batching_ = count > 1 && batches_allowed_ && batch_.usable();
        for (events_begin_ = 0; events_begin_ < events_end_;) {
            const epoll_event& event = events_[static_cast<std::size_t>(events_begin_++)];
            if (event.data.ptr) static_cast<Watcher*>(event.data.ptr)->ready(event.events);
        }
        events_begin_ = events_end_ = 0;
        if (alarm_rings_) {
            submit_batch();  // timers may have much to look after
            run_timers();
        }
        run_deferred();
        submit_batch();
        batching_ = false;
        if (!graveyard_.empty()) graveyard_.clear();
    }
}

void Loop::stop() {
    stopped_.store(true, std::memory_order_relaxed);
    post([] {});
}

void Loop::post(Job job) {
    bool first;
    {
        const std::lock_guard lock(posted_mutex_);
        first = posted_.empty();
        posted_.push_back(std::move(job));
    }
    if (first) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(wakeup_fd_, &one, sizeof one);
    }
}

void Loop::watch(int fd, Watcher& watcher) {
    epoll_event event{.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data = {.ptr = &watcher}};
    epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
}

void Loop::watch_output(int fd, Watcher& watcher) {
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                      .data = {.ptr = &watcher}};
    epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
}

void Loop::forget(int fd, Watcher& watcher) {
    epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
    for (int i = events_begin_; i < events_end_; ++i) {
        epoll_event& event = events_[static_cast<std::size_t>(i)];
        if (event.data.ptr == &watcher) event.data.ptr = nullptr;
    }
}

void Loop::defer(Deferred& deferred) {
    if (!deferred.is_linked()) deferred_.push_back(deferred);
}

void Loop::add_timer(Timer& timer, std::int64_t at_us) {
    timer.place_ = timers_.emplace(at_us, &timer);
    timer.armed_ = true;
    if (alarm_at_us_ == 0 || at_us < alarm_at_us_) set_alarm();
}

void Loop::remove_timer(Timer& timer) {
    timers_.erase(timer.place_);
    timer.armed_ = false;
}

void Loop::set_alarm() {
    alarm_at_us_ = timers_.empty() ? 0 : timers_.begin()->first;
    // An alarm in the past would never ring if it came out as zero, which disarms.
    const std::int64_t at_us = alarm_at_us_ ? std::max<std::int64_t>(alarm_at_us_, 1) : 0;
    const itimerspec when{
        .it_interval = {},
        .it_value = {.tv_sec = at_us / 1'000'000, .tv_nsec = at_us % 1'000'000 * 1'000}};
    timerfd_settime(alarm_fd_, TFD_TIMER_ABSTIME, &when, nullptr);
}

void Loop::run_timers() {
    alarm_rings_ = false;
    std::uint64_t rings;
    [[maybe_unused]] const ssize_t got = ::read(alarm_fd_, &rings, sizeof rings);
    while (!timers_.empty() && timers_.begin()->first <= now_us_) {
        Timer& timer = *timers_.begin()->second;
        remove_timer(timer);
        timer.expired();
    }
    set_alarm();
}

void Loop::run_posted() {
    std::uint64_t posts;
    [[maybe_unused]] const ssize_t got = ::read(wakeup_fd_, &posts, sizeof posts);
    std::vector<Job> jobs;
    {
        const std::lock_guard lock(posted_mutex_);
        jobs.swap(posted_);
    }
    for (Job& job : jobs) job();
}

void Loop::run_deferred() {
    // What is deferred from here on belongs to the next turn.
    AutoList<Deferred> now;
    now.splice(now.end(), deferred_);
    while (!now.empty()) {
        Deferred& deferred = now.front();
        deferred.unlink();
        deferred.run();
    }
}

void Loop::update_clock() { now_us_ = monotonic_us(); }

namespace {

struct Detached final : Deferred {
    explicit Detached(Loop& where) : loop(where) {}
    void run() override { loop.release(self.lock()); }
    Loop& loop;
    std::weak_ptr<Detached> self;
    Story story;
};

Task<> run_then_release(Detached& self, Task<> task) {
    co_await std::move(task);
    self.loop.defer(self);
}

}  // namespace

void detach(Loop& loop, Task<> task) {
    const auto self = std::make_shared<Detached>(loop);
    self->self = self;
    loop.adopt(self);
    self->story.start(loop, run_then_release(*self, std::move(task)));
}

}  // namespace pgweir::net
