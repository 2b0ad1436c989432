#include "proxy/systemd.hpp"

#include <ctime>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

namespace pgweir::proxy::systemd {

namespace {

constexpr int keep_environment = 0;  // for sd_*(): a process of ours that follows wants it too

void say(const std::string& text) { sd_notify(keep_environment, text.c_str()); }

}  // namespace

std::vector<int> listening_sockets() {
    constexpr int take_environment = 1;  // what is started from here is not meant by it
    const int count = sd_listen_fds(take_environment);
    std::vector<int> sockets;
    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd) {
        constexpr int any_family = 0, listening = 1;
        if (sd_is_socket(fd, any_family, SOCK_STREAM, listening) > 0) sockets.push_back(fd);
    }
    return sockets;
}

void ready() { say(fmt::format("READY=1\nMAINPID={}", getpid())); }

void reloading() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const auto us = std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
    say(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", us));
}

void stopping() { say("STOPPING=1"); }

void status(const std::string& text) { say("STATUS=" + text); }

std::int64_t watchdog_us() {
    std::uint64_t limit_us = 0;
    if (sd_watchdog_enabled(keep_environment, &limit_us) <= 0) return 0;
    return static_cast<std::int64_t>(limit_us / 2);
}

void alive() { say("WATCHDOG=1"); }

}  // namespace pgweir::proxy::systemd
