// Work that would hold up an event loop (host names, password hashing) on threads of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "pool/net/task.hpp"

namespace pgweir::net {

/// A few threads and a queue. Resource; has to be stopped before the loops end that use it.
class Offload {
public:
    explicit Offload(unsigned threads);
    ~Offload() { stop(); }
    Offload(const Offload&) = delete;
    Offload& operator=(const Offload&) = delete;

    /// From here on no loop hears of any work. Waits a second for what is under way; what takes
    /// longer is somebody else's code that cannot be told to end, and is left to itself.
    void stop();

    /// Runs `work` on one of the threads and resumes the awaiting story, on `loop`, with what it
    /// returned. If the story ends first, the result is thrown away, and work that has not begun
    /// never does. It must hold what it uses: nobody waits for it for long. Name the lambda before
    /// the co_await: g++ 12 destroys the captures of one written inside that expression twice.
    template <class T, class F>
    Task<T> run(Loop& loop, F work) {
        struct Box {
            Loop* loop;
            Signal<T>* waiting;  // touched on the loop's thread only
            std::atomic<bool> abandoned = false;
        };
        Signal<T> signal;
        const std::shared_ptr<Box> box(new Box{&loop, &signal});
        struct Leave {
            Box& box;
            ~Leave() { box.waiting = nullptr, box.abandoned = true; }
        } leave{*box};
        submit([box, work = std::move(work), state = state_.get()]() mutable {
            if (box->abandoned) return;
            auto result = std::make_unique<T>(work());
            const std::lock_guard lock(state->mutex);
            if (state->stopped) return;
            box->loop->post([box, result = std::move(result)] {
                if (box->waiting) box->waiting->set(std::move(*result));
            });
        });
        co_return co_await signal;
    }

private:
    /// What the threads share: theirs as long as one of them runs.
    struct State {
        std::mutex mutex;
        std::condition_variable more, ended;
        std::deque<Job> jobs;
        unsigned running = 0;  // threads
        bool stopped = false;
    };

    void submit(Job job);
    static void work(State& state);

    std::shared_ptr<State> state_ = std::make_shared<State>();
    std::vector<std::thread> threads_;
};

}  // namespace pgweir::net
