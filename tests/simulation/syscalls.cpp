// The program's calls to the system, in its own code: the linker sends them here (--wrap), and what
// is about a descriptor of the simulated machine's goes there. Shared libraries keep the real ones.
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <ctime>
#include <memory>
#include <span>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include <fmt/format.h>

#include "pool/net/offload.hpp"
#include "pool/net/uring.hpp"
#include "tests/simulation/kernel.hpp"

using pgweir::simulation::Kernel;

namespace {

/// The machine, while somebody runs on it.
class Machine {
public:
    Machine() : kernel_(Kernel::instance()) {
        if (kernel_) kernel_->mutex.lock();
    }
    ~Machine() {
        if (kernel_) kernel_->mutex.unlock();
    }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;
    explicit operator bool() const { return kernel_ != nullptr; }
    Kernel* operator->() const { return kernel_; }

private:
    Kernel* kernel_;
};

std::string text_of(const sockaddr* address) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof v4);
    char host[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
    return fmt::format("{}:{}", host, ntohs(v4.sin_port));
}

int some_address(sockaddr* address, socklen_t* size) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(6432);
    inet_pton(AF_INET, "10.0.0.100", &v4.sin_addr);
    if (!address) return 0;
    std::memcpy(address, &v4, sizeof v4);
    *size = sizeof v4;
    return 0;
}

}  // namespace

// NOLINTBEGIN: the names are the linker's.
extern "C" {

int __real_epoll_create1(int);
int __real_epoll_ctl(int, int, int, epoll_event*);
int __real_epoll_wait(int, epoll_event*, int, int);
int __real_eventfd(unsigned, int);
int __real_timerfd_create(int, int);
int __real_timerfd_settime(int, int, const itimerspec*, itimerspec*);
int __real_signalfd(int, const sigset_t*, int);
int __real_clock_gettime(clockid_t, timespec*);
int __real_socket(int, int, int);
int __real_bind(int, const sockaddr*, socklen_t);
int __real_listen(int, int);
int __real_accept4(int, sockaddr*, socklen_t*, int);
int __real_connect(int, const sockaddr*, socklen_t);
int __real_getsockopt(int, int, int, void*, socklen_t*);
int __real_setsockopt(int, int, int, const void*, socklen_t);
int __real_getsockname(int, sockaddr*, socklen_t*);
int __real_getpeername(int, sockaddr*, socklen_t*);
ssize_t __real_read(int, void*, size_t);
ssize_t __real_write(int, const void*, size_t);
ssize_t __real_sendmsg(int, const msghdr*, int);
int __real_close(int);
int __real_pipe2(int*, int);
ssize_t __real_getrandom(void*, size_t, unsigned);
void __real__ZNSt6thread4joinEv(std::thread*);

int __wrap_epoll_create1(int flags) {
    const Machine machine;
    return machine ? machine->epoll_create() : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int epoll, int what, int fd, epoll_event* event) {
    if (!Kernel::owns(epoll)) return __real_epoll_ctl(epoll, what, fd, event);
    const Machine machine;
    return machine->epoll_ctl(epoll, what, fd, event);
}

int __wrap_epoll_wait(int epoll, epoll_event* events, int max, int timeout) {
    if (!Kernel::owns(epoll)) return __real_epoll_wait(epoll, events, max, timeout);
    return Kernel::instance()->epoll_wait(epoll, events, max, timeout);
}

int __wrap_eventfd(unsigned count, int flags) {
    const Machine machine;
    return machine ? machine->event_fd() : __real_eventfd(count, flags);
}

int __wrap_timerfd_create(int clock, int flags) {
    const Machine machine;
    return machine ? machine->timer_fd() : __real_timerfd_create(clock, flags);
}

int __wrap_timerfd_settime(int fd, int flags, const itimerspec* when, itimerspec* old) {
    if (!Kernel::owns(fd)) return __real_timerfd_settime(fd, flags, when, old);
    const Machine machine;
    const timespec& at = when->it_value;
    return machine->timer_set(fd, std::int64_t{at.tv_sec} * 1'000'000 + at.tv_nsec / 1'000);
}

int __wrap_signalfd(int fd, const sigset_t* set, int flags) {
    const Machine machine;
    return machine ? machine->signal_fd() : __real_signalfd(fd, set, flags);
}

int __wrap_clock_gettime(clockid_t clock, timespec* to) {
    const Machine machine;
    if (!machine) return __real_clock_gettime(clock, to);
    const std::int64_t now_us = machine->now_us();
    *to = {.tv_sec = now_us / 1'000'000, .tv_nsec = now_us % 1'000'000 * 1'000};
    return 0;
}

int __wrap_socket(int family, int type, int protocol) {
    const Machine machine;
    return machine ? machine->socket() : __real_socket(family, type, protocol);
}

int __wrap_bind(int fd, const sockaddr* address, socklen_t size) {
    return Kernel::owns(fd) ? 0 : __real_bind(fd, address, size);
}

int __wrap_listen(int fd, int backlog) {
    if (!Kernel::owns(fd)) return __real_listen(fd, backlog);
    const Machine machine;
    return machine->listen(fd);
}

int __wrap_accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
    if (!Kernel::owns(fd)) return __real_accept4(fd, address, size, flags);
    const Machine machine;
    some_address(address, size);
    return machine->accept(fd);
}

int __wrap_connect(int fd, const sockaddr* address, socklen_t size) {
    if (!Kernel::owns(fd)) return __real_connect(fd, address, size);
    const Machine machine;
    return machine->connect(fd, text_of(address));
}

int __wrap_getsockopt(int fd, int layer, int name, void* value, socklen_t* size) {
    if (!Kernel::owns(fd)) return __real_getsockopt(fd, layer, name, value, size);
    const Machine machine;
    if (name != SO_ERROR) return -1;
    const int error = machine->socket_error(fd);
    std::memcpy(value, &error, sizeof error);
    return 0;
}

int __wrap_setsockopt(int fd, int layer, int name, const void* value, socklen_t size) {
    return Kernel::owns(fd) ? 0 : __real_setsockopt(fd, layer, name, value, size);
}

int __wrap_getsockname(int fd, sockaddr* address, socklen_t* size) {
    return Kernel::owns(fd) ? some_address(address, size) : __real_getsockname(fd, address, size);
}

int __wrap_getpeername(int fd, sockaddr* address, socklen_t* size) {
    return Kernel::owns(fd) ? some_address(address, size) : __real_getpeername(fd, address, size);
}

ssize_t __wrap_read(int fd, void* to, size_t size) {
    if (!Kernel::owns(fd)) return __real_read(fd, to, size);
    const Machine machine;
    return machine->read(fd, static_cast<char*>(to), size);
}

ssize_t __wrap_write(int fd, const void* from, size_t size) {
    if (!Kernel::owns(fd)) return __real_write(fd, from, size);
    const Machine machine;
    return machine->write(fd, static_cast<const char*>(from), size);
}

ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags) {
    if (!Kernel::owns(fd)) return __real_sendmsg(fd, message, flags);
    std::string all;
    for (size_t i = 0; i < message->msg_iovlen; ++i) {
        const iovec& part = message->msg_iov[i];
        all.append(static_cast<const char*>(part.iov_base), part.iov_len);
    }
    const Machine machine;
    return machine->send(fd, all);
}

/// The program's recv() and send() (pool/net/syscalls.hpp).
long __wrap_syscall(long number, ...) {
    va_list arguments;
    va_start(arguments, number);
    const int fd = va_arg(arguments, int);
    char* const bytes = va_arg(arguments, char*);
    const size_t size = va_arg(arguments, size_t);
    va_end(arguments);
    if (!Kernel::owns(fd)) {
        return number == SYS_recvfrom ? ::recv(fd, bytes, size, 0)
                                      : ::send(fd, bytes, size, MSG_NOSIGNAL);
    }
    const Machine machine;
    return number == SYS_recvfrom ? machine->receive(fd, bytes, size)
                                  : machine->send(fd, {bytes, size});
}

int __wrap_close(int fd) {
    if (!Kernel::owns(fd)) return __real_close(fd);
    const Machine machine;
    return machine->close(fd);
}

/// Nothing is moved between sockets past the program: messages are small.
int __wrap_pipe2(int* ends, int flags) {
    const Machine machine;
    if (!machine) return __real_pipe2(ends, flags);
    errno = EMFILE;
    return -1;
}

ssize_t __wrap_getrandom(void* to, size_t size, unsigned flags) {
    const Machine machine;
    if (!machine) return __real_getrandom(to, size, flags);
    for (size_t i = 0; i < size; ++i)
        static_cast<char*>(to)[i] = static_cast<char>(machine->dice.next());
    return static_cast<ssize_t>(size);
}

/// std::thread::join(): the program ends, and its threads do without being told whose turn it is.
void __wrap__ZNSt6thread4joinEv(std::thread* thread) {
    if (Kernel* const kernel = Kernel::instance()) kernel->let_go();
    __real__ZNSt6thread4joinEv(thread);
}

/// Offload::submit(): by the kernel, some time later: a thread of its own would make the order of
/// things its own affair.
void __wrap__ZN6pgweir3net7Offload6submitENS0_3JobE(pgweir::net::Offload*, pgweir::net::Job job) {
    constexpr std::int64_t longest_us = 50'000;
    Kernel* const kernel = Kernel::instance();
    if (!kernel) return job();
    kernel->in(kernel->dice.below(longest_us),
               [held = std::make_shared<pgweir::net::Job>(std::move(job))] { (*held)(); });
}

/// Uring::open(): without dice, since threads that begin come here in any order.
bool __wrap__ZN6pgweir3net5Uring4openEv(pgweir::net::Uring*) { return true; }

/// Uring::send().
void __wrap__ZN6pgweir3net5Uring4sendESt4spanINS0_4SendELm18446744073709551615EE(
    pgweir::net::Uring*, std::span<pgweir::net::Send> sends) {
    const Machine machine;
    for (pgweir::net::Send& send : sends) {
        send.result = machine->send(send.fd, {send.from, send.size});
        if (send.result < 0) send.result = -errno;
    }
}

}  // extern "C"
// NOLINTEND
