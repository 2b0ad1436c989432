#include "proxy/hooks.hpp"

#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool/net/log.hpp"

namespace pgweir::proxy {

using net::log::Level;

namespace {

constexpr std::size_t waiting_max = 100;
constexpr std::int64_t run_us = 60'000'000;

/// What a new process begins with: our standard error, nothing else of ours, no signal held back.
class Terms {
public:
    Terms() {
        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
        posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
        posix_spawnattr_init(&attributes);
        sigset_t set;
        sigemptyset(&set);
        posix_spawnattr_setsigmask(&attributes, &set);
        sigfillset(&set);
        posix_spawnattr_setsigdefault(&attributes, &set);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    }
    ~Terms() {
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attributes);
    }
    Terms(const Terms&) = delete;
    Terms& operator=(const Terms&) = delete;

    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
};

}  // namespace

Hooks::~Hooks() {
    if (pid_fd_ < 0) return;
    loop_.forget(pid_fd_, *this);
    ::close(pid_fd_);
}

void Hooks::run(std::string command, std::vector<std::string> variables, Done done) {
    if (waiting_.size() >= waiting_max) {
        net::log::print(Level::error, {}, "hook: {} wait to be run, this one is left out: {}",
                        waiting_.size(), command);
        return;
    }
    waiting_.push_back({std::move(command), std::move(variables), std::move(done)});
    next();
}

void Hooks::next() {
    while (pid_ == 0 && !waiting_.empty()) {
        Hook hook = std::move(waiting_.front());
        waiting_.pop_front();
        done_ = std::move(hook.done);
        if (start(hook)) return;
        ended("it cannot be run");
    }
}

bool Hooks::start(const Hook& hook) {
    std::string shell = "/bin/sh", option = "-c", command = hook.command;
    char* const arguments[] = {shell.data(), option.data(), command.data(), nullptr};
    std::vector<std::string> own = hook.variables;
    std::vector<char*> environment;
    for (char** entry = environ; *entry; ++entry) environment.push_back(*entry);
    for (std::string& variable : own) environment.push_back(variable.data());
    environment.push_back(nullptr);
    const Terms terms;
    const int failure = posix_spawn(&pid_, shell.c_str(), &terms.files, &terms.attributes,
                                    arguments, environment.data());
    if (failure != 0) {
        pid_ = 0;
        net::log::print(Level::error, {}, "hook: cannot run {}: {}", shell, std::strerror(failure));
        return false;
    }
    // glibc 2.36 declares its own pidfd_open() for C only.
    pid_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    if (pid_fd_ >= 0) loop_.watch(pid_fd_, *this);
    expire_in(run_us);
    return true;
}

/// The one that runs has ended.
void Hooks::ready(std::uint32_t) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == 0) return;
    cancel();
    loop_.forget(pid_fd_, *this);
    ::close(std::exchange(pid_fd_, -1));
    pid_ = 0;
    std::string trouble;
    if (WIFSIGNALED(status)) {
        trouble = fmt::format("ended by signal {}", WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
        trouble = fmt::format("exit code {}", WEXITSTATUS(status));
    }
    if (!trouble.empty()) net::log::print(Level::warning, {}, "hook: {}", trouble);
    ended(trouble);
    next();
}

void Hooks::ended(const std::string& trouble) {
    if (const Done done = std::exchange(done_, {})) done(trouble);
}

void Hooks::kill() {
    if (pid_ != 0) ::kill(-pid_, SIGKILL);
}

void Hooks::expired() {
    net::log::print(Level::error, {}, "hook: still running after {} s, killed", run_us / 1'000'000);
    ::kill(-pid_, SIGKILL);
}

}  // namespace pgweir::proxy
