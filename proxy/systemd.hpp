// What systemd and the program have to say to each other: nothing, when it was not systemd that
// started it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pgweir::proxy::systemd {

/// Listening sockets that systemd has opened for us (socket activation); they stay its own.
std::vector<int> listening_sockets();

/// Serves now. `pid` is that of the process to watch from here on: another one than before after
/// an online restart.
void ready();
void reloading();
void stopping();
/// A line for `systemctl status`.
void status(const std::string& text);

/// How often alive() has to be said (half of WatchdogSec, to be sure); 0: never.
std::int64_t watchdog_us();
void alive();

}  // namespace pgweir::proxy::systemd
