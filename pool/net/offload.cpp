#include "pool/net/offload.hpp"

namespace pgweir::net {

Offload::Offload(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

Offload::~Offload() {
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        jobs_.clear();
    }
    more_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void Offload::submit(Job job) {
    {
        const std::lock_guard lock(mutex_);
        if (stopped_) return;
        jobs_.push_back(std::move(job));
    }
    more_.notify_one();
}

void Offload::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        more_.wait(lock, [this] { return stopped_ || !jobs_.empty(); });
        if (stopped_) return;
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job();
        job = {};
        lock.lock();
    }
}

}  // namespace pgweir::net
