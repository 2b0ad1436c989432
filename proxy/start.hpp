// From the command line to a running process: files, user, limits, background.
#pragma once

#include <csignal>
#include <vector>

#include "config/config.hpp"
#include "config/problem.hpp"
#include "pool/net/log.hpp"
#include "proxy/options.hpp"

namespace pgweir::proxy {

/// Loads the configuration and serves until told to stop. Returns the exit code; the reason of a
/// failure is on stderr and in the log.
int start(const Options& options);

/// Blocks the signals that Process reads by signalfd, for this thread and those it starts from here
/// on. Their dispositions are set too: a shell starts background jobs with SIGINT and SIGQUIT
/// ignored.
sigset_t hold_signals();

/// Where the log goes, by configuration and command line.
net::log::Sink log_sink(const Options& options, const config::Config& config);

/// A line for each thing that is wrong with a configuration.
void log_problems(net::log::Level level, const std::vector<config::Problem>& problems);

}  // namespace pgweir::proxy
