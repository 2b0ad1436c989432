#include "pool/net/offload.hpp"

#include <chrono>

namespace pgweir::net {

Offload::Offload(unsigned threads) {
    state_->running = threads;
    for (unsigned i = 0; i < threads; ++i)
        threads_.emplace_back([state = state_] { work(*state); });
}

void Offload::stop() {
    if (threads_.empty()) return;
    constexpr std::chrono::seconds patience(1);
    bool all;
    {
        std::unique_lock lock(state_->mutex);
        state_->stopped = true;
        state_->jobs.clear();
        state_->more.notify_all();
        all = state_->ended.wait_for(lock, patience, [this] { return state_->running == 0; });
    }
    for (std::thread& thread : threads_) all ? thread.join() : thread.detach();
    threads_.clear();
}

void Offload::submit(Job job) {
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->stopped) return;
        state_->jobs.push_back(std::move(job));
    }
    state_->more.notify_one();
}

void Offload::work(State& state) {
    std::unique_lock lock(state.mutex);
    while (true) {
        state.more.wait(lock, [&state] { return state.stopped || !state.jobs.empty(); });
        if (state.stopped) break;
        Job job = std::move(state.jobs.front());
        state.jobs.pop_front();
        lock.unlock();
        job();
        job = {};
        lock.lock();
    }
    --state.running;
    state.ended.notify_all();
}

}  // namespace pgweir::net
