// What the sockets of a loop send in one turn goes to the kernel in one system call, at its end.
//
// Why: of a short transaction nearly all time is the kernel's, and a fifth of that is what calls
// cost, not bytes. A bare relay that gathers its sends takes 0.80 of the CPU of one that does not,
// and PostgreSQL and the relay together 0.95 (docs/benchmark.md).
#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "pool/net/uring.hpp"

namespace pgweir::net {

class Socket;

/// Resource; one a loop. Small sends are copied in here; larger ones are worth a call of their own.
class SendBatch {
public:
    /// False when the system does not let us (it is asked once): each socket sends by itself.
    bool usable();

    /// Where `socket` puts `size` bytes that it sends, behind what it has put here before.
    /// nullptr: they are too many, it is to send them itself, and what it had here is sent.
    /// May send what is here, of this socket too: it may be blocked() or broken after that.
    char* add(Socket& socket, std::size_t size);
    /// Sends all, and tells the sockets (Socket::sent) what came of it.
    void submit();

private:
    static constexpr std::size_t size_max = 4096;  // copied for far less than a call costs

    /// What is not used by most loops.
    struct Room {
        Uring uring;
        std::array<char, 32 * 1024> bytes;
        std::array<Send, Uring::sends_max> sends;
        std::array<Socket*, Uring::sends_max> sockets;
    };

    bool asked_ = false;
    std::unique_ptr<Room> room_;  // nullptr: not usable
    std::size_t used_ = 0;        // bytes
    std::size_t count_ = 0;       // sends
};

}  // namespace pgweir::net
