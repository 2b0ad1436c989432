// Where a cluster's fence is kept over restarts.
#pragma once

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

/// Replaces the file as a whole: after a crash it is the old one or the new one, on disk. Blocks.
/// What was in it (empty when it was of no use) comes back.
/// Errors   the system's words.
protocol::Result<health::Fence> write_state_file(const std::string& path,
                                                 const std::string& cluster,
                                                 const health::Fence& fence);

}  // namespace pgweir::proxy
