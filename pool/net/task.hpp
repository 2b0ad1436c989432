// Task and Story: coroutines for what happens once in a connection's life (log in, connect, probe).
//
// The steady flow of bytes is no coroutine: it is a plain function called when a socket is ready,
// so a connection at rest costs no frame. A story reads like the conversation it is, and its frames
// are gone when it ends.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "pool/net/loop.hpp"

namespace pgweir::net {

template <class T>
class Task;

namespace detail {

struct TaskPromiseBase {
    std::coroutine_handle<> continuation;
    Deferred* finished =
        nullptr;  // of the Story at the root, to be run by the loop at the end of its turn
    Loop* loop = nullptr;

    struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
            TaskPromiseBase& promise = self.promise();
            if (promise.continuation) return promise.continuation;
            if (promise.finished) promise.loop->defer(*promise.finished);
            return std::noop_coroutine();
        }
        void await_resume() const noexcept {}
    };

    std::suspend_always initial_suspend() const noexcept { return {}; }
    FinalAwaiter final_suspend() const noexcept { return {}; }
    [[noreturn]] void unhandled_exception() const noexcept {
        std::terminate();
    }  // failures are values
};

template <class T>
struct TaskPromise : TaskPromiseBase {
    std::optional<T> value;

    Task<T> get_return_object();
    template <class U>
    void return_value(U&& result) {
        value.emplace(std::forward<U>(result));
    }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
    Task<void> get_return_object();
    void return_void() const noexcept {}
};

}  // namespace detail

/// A lazily started coroutine. Resource, move-only: destroying it destroys the frame wherever it is
/// suspended, and with it whatever it awaits; awaiters unregister themselves in their destructors.
template <class T = void>
class [[nodiscard]] Task {
public:
    using promise_type = detail::TaskPromise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    Task() = default;
    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&& other) noexcept {
        Task old(std::move(*this));
        handle_ = std::exchange(other.handle_, {});
        return *this;
    }
    ~Task() {
        if (handle_) handle_.destroy();
    }

    auto operator co_await() && noexcept {
        struct Awaiter {
            Handle handle;
            bool await_ready() const noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
                handle.promise().continuation = awaiting;
                return handle;
            }
            T await_resume() {
                if constexpr (!std::is_void_v<T>) return std::move(*handle.promise().value);
            }
        };
        return Awaiter{handle_};
    }

private:
    friend class Story;
    Handle handle_;
};

namespace detail {
template <class T>
Task<T> TaskPromise<T>::get_return_object() {
    return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() {
    return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}
}  // namespace detail

/// The root of a running Task. Resource; lives in the object whose story it is and ends it when
/// that object goes. The frame of a story that has ended is freed at the end of the loop's turn.
class Story final : private Deferred {
public:
    /// Runs the task up to its first wait. One at a time.
    void start(Loop& loop, Task<> task) {
        task_ = std::move(task);
        task_.handle_.promise().finished = this;
        task_.handle_.promise().loop = &loop;
        task_.handle_.resume();
    }
    /// Ends it where it stands. Not to be called from inside the story itself.
    void cancel() {
        unlink();
        task_ = {};
    }
    bool running() const { return static_cast<bool>(task_.handle_); }

private:
    void run() override { task_ = {}; }

    Task<> task_;
};

/// Starts a story that owns itself: nobody waits for it, and it ends by itself.
void detach(Loop& loop, Task<> task);

/// Waits at most `delay_us`.
class Sleep : private Timer {
public:
    Sleep(Loop& loop, std::int64_t delay_us) : Timer(loop), delay_us_(delay_us) {}
    bool await_ready() const noexcept { return delay_us_ <= 0; }
    void await_suspend(std::coroutine_handle<> waiting) {
        waiting_ = waiting;
        expire_in(delay_us_);
    }
    void await_resume() const noexcept {}

private:
    void expired() override { waiting_.resume(); }

    std::int64_t delay_us_;
    std::coroutine_handle<> waiting_;
};

/// Lets one story wait for something that another part of the same worker sets. Resource.
template <class T>
class Signal {
public:
    /// Sets the value and resumes who waits for it; kept when nobody does yet.
    void set(T value) {
        value_ = std::move(value);
        if (waiting_) std::exchange(waiting_, {}).resume();
    }

    auto operator co_await() {
        struct Awaiter {
            explicit Awaiter(Signal& owner) : signal(owner) {}
            Awaiter(const Awaiter&) = delete;
            Awaiter& operator=(const Awaiter&) = delete;
            ~Awaiter() {
                if (suspended) signal.waiting_ = {};
            }
            bool await_ready() const noexcept { return signal.value_.has_value(); }
            void await_suspend(std::coroutine_handle<> waiting) noexcept {
                suspended = true;
                signal.waiting_ = waiting;
            }
            T await_resume() {
                suspended = false;
                T value = std::move(*signal.value_);
                signal.value_.reset();
                return value;
            }
            Signal& signal;
            bool suspended = false;
        };
        return Awaiter(*this);
    }

private:
    std::optional<T> value_;
    std::coroutine_handle<> waiting_;
};

}  // namespace pgweir::net
