// Where a cluster's fence is kept over restarts, and shared by the processes of a host.
#pragma once

#include <chrono>
#include <cstdint>

#include <string>

#include "config/config.hpp"
#include "health/fence.hpp"

namespace pgweir::proxy {

/// failover.state_file, else CLUSTER.state in systemd's state directory, else PIDFILE.CLUSTER.state
/// (without .pid); empty: there is nowhere to keep it.
std::string state_file_of(const config::Config& config, const config::Cluster& cluster);

/// An empty fence when there is no file.
/// Errors   the system's words, or what is wrong with the file.
protocol::Result<health::Fence> read_state_file(const std::string& path,
                                                const std::string& cluster);

/// Which version of the file it is. Value; an empty one is of no file.
struct StateFileStamp {
    std::uint64_t inode = 0;
    std::int64_t changed_ns = 0;

    friend bool operator==(const StateFileStamp&, const StateFileStamp&) = default;
};

/// What was found when a file was looked at again.
struct StateFileLook {
    StateFileStamp stamp{};
    protocol::Result<health::Fence> fence = health::Fence();  // empty: it is the same as before
};

/// Reads the file when it is another version than that one. Blocks.
StateFileLook read_if_changed(const std::string& path, const std::string& cluster,
                              const StateFileStamp& before);

/// Replaces the file as a whole: after a crash it is the old one or the new one, on disk. What
/// another process knows better stays: PATH.lock is held meanwhile, but not waited for longer than
/// that. Blocks.
/// What was in it (empty when it was of no use) comes back.
/// Errors   the system's words.
protocol::Result<health::Fence> write_state_file(
    const std::string& path, const std::string& cluster, const health::Fence& fence,
    std::chrono::milliseconds lock_wait = std::chrono::seconds(1));

}  // namespace pgweir::proxy
