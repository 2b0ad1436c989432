#include "pool/net/uring.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <numeric>

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pool/net/syscalls.hpp"

namespace pgweir::net {

namespace {

/// One mapping for both rings, and sends that are made by the thread that asks for them.
constexpr unsigned features = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NATIVE_WORKERS;

void* map(int fd, std::size_t size, off_t what) {
    void* const place =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);
    return place == MAP_FAILED ? nullptr : place;
}

unsigned* word_at(void* base, unsigned offset) {
    return reinterpret_cast<unsigned*>(static_cast<char*>(base) + offset);
}

long enter(int fd, unsigned questions, unsigned answers, unsigned flags) {
    long result;
    do {
        result =
            ::syscall(SYS_io_uring_enter, fd, questions, answers, flags, nullptr, std::size_t{0});
    } while (result < 0 && errno == EINTR);
    return result;
}

}  // namespace

Uring::~Uring() {
    if (questions_) ::munmap(questions_, questions_size_);
    if (rings_) ::munmap(rings_, rings_size_);
    if (fd_ >= 0) ::close(fd_);
}

bool Uring::open() {
    io_uring_params made{};
    fd_ = static_cast<int>(::syscall(SYS_io_uring_setup, sends_max, &made));
    if (fd_ < 0) return false;
    if ((made.features & features) != features) {
        errno = ENOSYS;
        return false;
    }
    rings_size_ = std::max(made.sq_off.array + made.sq_entries * sizeof(unsigned),
                           made.cq_off.cqes + made.cq_entries * sizeof(io_uring_cqe));
    rings_ = map(fd_, rings_size_, IORING_OFF_SQ_RING);
    questions_size_ = made.sq_entries * sizeof(io_uring_sqe);
    questions_ = static_cast<io_uring_sqe*>(map(fd_, questions_size_, IORING_OFF_SQES));
    if (!rings_ || !questions_) return false;
    if (enter(fd_, 0, 0, 0) < 0) return false;  // the one call may be forbidden without the other

    questions_end_ = word_at(rings_, made.sq_off.tail);
    questions_mask_ = *word_at(rings_, made.sq_off.ring_mask);
    unsigned* const order = word_at(rings_, made.sq_off.array);
    std::iota(order, order + made.sq_entries, 0U);
    answers_ = reinterpret_cast<io_uring_cqe*>(word_at(rings_, made.cq_off.cqes));
    answers_begin_ = word_at(rings_, made.cq_off.head);
    answers_end_ = word_at(rings_, made.cq_off.tail);
    answers_mask_ = *word_at(rings_, made.cq_off.ring_mask);
    return true;
}

void Uring::send(std::span<Send> sends) {
    // A single one costs less by itself.
    const std::size_t taken = sends.size() > 1 ? submit(sends) : 0;
    std::size_t missing = taken;
    // All are made by now: none of them may wait. The kernel could still tell us later.
    while (!take_results(sends, missing)) wait();
    for (Send& send : sends.subspan(taken)) {
        send.result = send_now(send.fd, send.from, send.size);
        if (send.result < 0) send.result = -errno;
    }
}

/// How many the kernel has taken.
std::size_t Uring::submit(std::span<const Send> sends) {
    const unsigned begin = *questions_end_;
    for (std::size_t i = 0; i < sends.size(); ++i) {
        io_uring_sqe& question = questions_[(begin + i) & questions_mask_];
        question = {};
        question.opcode = IORING_OP_SEND;
        question.fd = sends[i].fd;
        question.addr = reinterpret_cast<std::uintptr_t>(sends[i].from);
        question.len = static_cast<unsigned>(sends[i].size);
        question.msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT;
        question.user_data = i;
    }
    const auto all = static_cast<unsigned>(sends.size());
    std::atomic_ref(*questions_end_).store(begin + all, std::memory_order_release);
    unsigned taken = 0;
    while (taken < all) {
        const long more = enter(fd_, all - taken, 0, 0);
        if (more <= 0) break;
        taken += static_cast<unsigned>(more);
    }
    // What it did not take is not asked again.
    std::atomic_ref(*questions_end_).store(begin + taken, std::memory_order_release);
    return taken;
}

void Uring::wait() {
    // What has become of the bytes is not to be known then.
    if (enter(fd_, 0, 1, IORING_ENTER_GETEVENTS) < 0) std::abort();
}

/// Whether none is missing any more.
bool Uring::take_results(std::span<Send> sends, std::size_t& missing) {
    const unsigned end = std::atomic_ref(*answers_end_).load(std::memory_order_acquire);
    unsigned next = *answers_begin_;
    for (; next != end; ++next, --missing) {
        const io_uring_cqe& answer = answers_[next & answers_mask_];
        sends[answer.user_data].result = answer.res;
    }
    std::atomic_ref(*answers_begin_).store(next, std::memory_order_release);
    return missing == 0;
}

}  // namespace pgweir::net
