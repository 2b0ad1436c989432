// Work that would hold up an event loop (host names, password hashing) on threads of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "pool/net/task.hpp"

namespace pgweir::net {

/// A few threads and a queue. Resource; outlives the loops that use it.
class Offload {
public:
    explicit Offload(unsigned threads);
    ~Offload();
    Offload(const Offload&) = delete;
    Offload& operator=(const Offload&) = delete;

    /// Runs `work` on one of the threads and resumes the awaiting story, on `loop`, with what it
    /// returned. If the story ends first, the result is thrown away. Name the lambda before the
    /// co_await: g++ 12 destroys the captures of one written inside that expression twice.
    template <class T, class F>
    Task<T> run(Loop& loop, F work) {
        struct Box {
            Loop* loop;
            Signal<T>* waiting;  // touched on the loop's thread only
        };
        Signal<T> signal;
        const auto box = std::make_shared<Box>(Box{&loop, &signal});
        struct Leave {
            Box& box;
            ~Leave() { box.waiting = nullptr; }
        } leave{*box};
        submit([box, work = std::move(work)]() mutable {
            auto result = std::make_unique<T>(work());
            box->loop->post([box, result = std::move(result)] {
                if (box->waiting) box->waiting->set(std::move(*result));
            });
        });
        co_return co_await signal;
    }

private:
    void submit(Job job);
    void work();

    std::mutex mutex_;
    std::condition_variable more_;
    std::deque<Job> jobs_;
    bool stopped_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace pgweir::net
