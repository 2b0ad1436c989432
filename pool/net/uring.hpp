// io_uring, as far as it is used here: many sends in one system call.
#pragma once

#include <cstddef>
#include <span>

#include <sys/types.h>

struct io_uring_cqe;
struct io_uring_sqe;

namespace pgweir::net {

/// One send, and what came of it. Value.
struct Send {
    int fd;  // a non-blocking socket
    const char* from;
    std::size_t size;
    ssize_t result;  // bytes that the kernel has taken, or -errno
};

/// Resource; one a loop. Linux 5.12 and later; containers and hardened systems often forbid it.
class Uring {
public:
    static constexpr std::size_t sends_max = 32;

    Uring() = default;
    ~Uring();
    Uring(const Uring&) = delete;
    Uring& operator=(const Uring&) = delete;

    /// False, with errno, when the system has none for us.
    bool open();
    /// Makes up to sends_max of them, in this order and as send_now() would: none waits for room.
    void send(std::span<Send> sends);

private:
    std::size_t submit(std::span<const Send> sends);
    void wait();
    bool take_results(std::span<Send> sends, std::size_t& missing);

    int fd_ = -1;
    void* rings_ = nullptr;
    std::size_t rings_size_ = 0;
    // The kernel's, shared with us: what we ask, where we are with it, and its answers.
    io_uring_sqe* questions_ = nullptr;
    std::size_t questions_size_ = 0;
    unsigned* questions_end_ = nullptr;
    unsigned questions_mask_ = 0;
    io_uring_cqe* answers_ = nullptr;
    unsigned* answers_begin_ = nullptr;
    unsigned* answers_end_ = nullptr;
    unsigned answers_mask_ = 0;
};

}  // namespace pgweir::net
