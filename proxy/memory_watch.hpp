// What clients make the process keep for them, and who goes when that is too much.
#pragma once

#include <atomic>
#include <cstdint>

#include "protocol/error.hpp"

namespace pgweir::proxy {

class Client;
class Process;
struct Shard;

/// What one shard's clients held when they were last counted, in bytes. Written by its thread.
struct HeldMemory {
    std::atomic<std::int64_t> all = 0;
    std::atomic<std::int64_t> most = 0;  // of one client
};

/// Sees to workers.client_memory_limit and workers.memory_limit. What counts is what a client can
/// make grow: prepared statements, settings, requests that wait, data that it does not read. Limits
/// are soft: they hold from one count to the next. Resource; the process's.
class MemoryWatch {
public:
    explicit MemoryWatch(Process& process) : process_(process) {}

    /// Counts the shard's clients and closes those that hold more than one may. On its thread.
    /// Returns  whether it is so near a limit that it is to be counted again soon.
    bool count(Shard& shard);
    /// Closes clients, those that hold most first, while all together hold too much. The main
    /// thread, ten times a second.
    void tick(std::int64_t now_us);

    /// That were closed since the start.
    std::uint64_t closed() const { return closed_.load(std::memory_order_relaxed); }
    /// What all clients held when they were last counted, in bytes.
    std::int64_t held() const;

private:
    void shed(Shard& shard, std::int64_t excess);
    void close(Client& client, std::int64_t held, const protocol::Error& error);

    Process& process_;
    std::atomic<std::uint64_t> closed_ = 0;
    std::int64_t next_us_ = 0;  // when the next may be closed: what was closed is no more counted
};

}  // namespace pgweir::proxy
