// From the command line to a running process: files, user, limits, background.
#pragma once

#include "config/config.hpp"
#include "pool/net/log.hpp"
#include "proxy/options.hpp"

namespace pgweir::proxy {

/// Loads the configuration and serves until told to stop. Returns the exit code; the reason of a failure
/// is on stderr and in the log.
int start(const Options& options);

/// Where the log goes, by configuration and command line.
net::log::Sink log_sink(const Options& options, const config::Config& config);

}  // namespace pgweir::proxy
