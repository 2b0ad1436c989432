// recv() and send() as the kernel has them.
#pragma once

#include <cstddef>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pgweir::net {

// glibc makes each a point where pthread_cancel() may end the thread, which costs two atomic
// operations as soon as there is a second thread. Nobody cancels threads here.

/// As recv() without flags.
inline ssize_t receive_now(int fd, char* to, std::size_t room) {
    return ::syscall(SYS_recvfrom, fd, to, room, 0, nullptr, nullptr);
}

/// As send(); no SIGPIPE.
inline ssize_t send_now(int fd, const char* from, std::size_t size) {
    return ::syscall(SYS_sendto, fd, from, size, MSG_NOSIGNAL, nullptr, 0);
}

}  // namespace pgweir::net
