// Running the operator's commands on events: one after the other, without waiting for any.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "pool/net/loop.hpp"

namespace pgweir::proxy {

/// Resource; one a process, on the main thread. A command that takes too long is killed; those that
/// still wait or run when the process ends are left alone.
class Hooks final : private net::Watcher, private net::Timer {
public:
    explicit Hooks(net::Loop& loop) : net::Timer(loop), loop_(loop) {}
    ~Hooks() override;

    /// Hears how a command ended; empty: well.
    using Done = std::function<void(std::string trouble)>;

    /// Runs `command` by /bin/sh, with these NAME=value besides the process's own environment.
    void run(std::string command, std::vector<std::string> variables, Done done = {});
    /// Kills the one that runs.
    void kill();

private:
    struct Hook {
        std::string command;
        std::vector<std::string> variables;
        Done done;
    };

    void next();
    bool start(const Hook& hook);
    void ended(const std::string& trouble);
    void ready(std::uint32_t events) override;
    void expired() override;

    net::Loop& loop_;
    std::deque<Hook> waiting_;
    pid_t pid_ = 0;  // of the one that runs; 0 = none
    Done done_;      // of that one
    int pid_fd_ = -1;
};

}  // namespace pgweir::proxy
