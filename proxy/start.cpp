#include "proxy/start.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include "pool/net/log.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

namespace {

using net::log::Level;

int fail(const std::string& text) {
    std::cerr << "pgweir: " << text << "\n";
    return 1;
}

/// Root is given up before anything is opened. An empty string, or what went wrong.
std::string change_user(const std::string& name) {
    if (geteuid() != 0) return {};
    if (name.empty()) return "will not run as root: give -u USER, or `user` in the configuration";
    const passwd* const user = getpwnam(name.c_str());
    if (!user) return "no such user: " + name;
    if (user->pw_uid == 0) return "will not run as root";
    if (initgroups(name.c_str(), user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0) {
        return fmt::format("cannot become {}: {}", name, std::strerror(errno));
    }
    return {};
}

/// As many descriptors as the system lets us have; a clear word when that may be too few.
void raise_descriptor_limit(const config::Settings& settings) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    const auto wanted = static_cast<rlim_t>(settings.max_client_conn) + 100;
    net::log::print(Level::log, {},
                    "kernel file descriptor limit: {} (hard: {}); max_client_conn: {}",
                    limit.rlim_cur, limit.rlim_max, settings.max_client_conn);
    if (limit.rlim_cur < wanted) {
        net::log::print(
            Level::warning, {},
            "max_client_conn is {}, but only {} files may be open (RLIMIT_NOFILE): connections "
            "beyond that will be refused",
            settings.max_client_conn, limit.rlim_cur);
    }
}

/// Passwords and keys are in memory: they are not to be left in a file, nor read by whoever runs as
/// the same user.
void forbid_cores() {
    constexpr rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

/// The pid in the file, or 0.
pid_t named_by(const std::string& pidfile) {
    std::ifstream in(pidfile);
    pid_t pid = 0;
    return in >> pid && pid > 0 ? pid : 0;
}

bool is_alive(pid_t pid) { return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM); }

/// Of a word that the configuration has checked; local0 to local7 follow each other.
int facility(std::string_view word) {
    if (word == "auth") return LOG_AUTH;
    if (word == "authpriv") return LOG_AUTHPRIV;
    if (word == "user") return LOG_USER;
    if (word.starts_with("local")) {
        return LOG_LOCAL0 + (word.back() - '0') * (LOG_LOCAL1 - LOG_LOCAL0);
    }
    return LOG_DAEMON;
}

void into_background() {
    if (fork() > 0) _exit(0);
    setsid();
    if (fork() > 0) _exit(0);
    const int null = open("/dev/null", O_RDWR);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
    if (null > STDERR_FILENO) close(null);
}

}  // namespace

sigset_t hold_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGTERM, SIGQUIT}) {
        std::signal(signal, SIG_DFL);
        sigaddset(&set, signal);
    }
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    return set;
}

net::log::Sink log_sink(const Options& options, const config::Config& config) {
    net::log::Sink sink;
    sink.file = config.settings.logfile;
    sink.standard_error = !options.quiet && !options.daemon;
    sink.syslog = config.settings.syslog;
    sink.syslog_ident = config.settings.syslog_ident;
    sink.syslog_facility = facility(config.settings.syslog_facility);
    sink.verbose = std::max(options.verbose, config.settings.verbose);
    sink.json = config.native.log_format == config::LogFormat::json;
    return sink;
}

void log_problems(net::log::Level level, const std::vector<config::Problem>& problems) {
    for (const auto& problem : problems) net::log::print(level, {}, "{}", config::text(problem));
}

int start(const Options& options) {
    config::Loaded loaded = config::load(options.config);
    for (const auto& problem : loaded.problems) std::cerr << config::text(problem) << "\n";
    if (!loaded.config) {
        return fail(options.config.empty()
                        ? "no configuration file given, and the environment has none"
                        : "cannot load config file " + options.config);
    }
    const config::Config& config = *loaded.config;
    const config::Settings& settings = config.settings;

    const std::string problem = change_user(options.user.empty() ? settings.user : options.user);
    if (!problem.empty()) return fail(problem);
    if (!config.native.core_dumps) forbid_cores();  // becoming a user undoes half of it
    if (options.daemon && settings.pidfile.empty()) return fail("-d needs a pidfile");
    if (options.daemon && settings.logfile.empty() && !settings.syslog)
        return fail("-d needs logfile or syslog");
    if (!settings.pidfile.empty() && !options.reboot) {
        if (const pid_t pid = named_by(settings.pidfile); is_alive(pid)) {
            return fail(
                fmt::format("pidfile {} names a running process ({})", settings.pidfile, pid));
        }
    }
    if (!net::log::configure(log_sink(options, config))) {
        return fail(
            fmt::format("cannot open logfile {}: {}", settings.logfile, std::strerror(errno)));
    }
    if (options.daemon) into_background();
    log_problems(Level::warning, loaded.warnings);
    auto tls = pool::make_tls_contexts(config);
    if (tls.has_error()) {
        net::log::print(Level::fatal, {}, "{}", tls.error().message);
        return 1;
    }
    raise_descriptor_limit(settings);
    std::signal(SIGPIPE, SIG_IGN);
    hold_signals();  // before any thread is started
    const std::string pidfile = settings.pidfile;
    int code;
    {
        // The configuration ends with the first RELOAD, and what is secret in it.
        Process process(options, std::move(loaded.config), std::move(*tls));
        code = process.run([&pidfile] {
            if (!pidfile.empty()) std::ofstream(pidfile) << getpid() << "\n";
        });
    }
    // After an online restart it is the successor's.
    if (!pidfile.empty() && named_by(pidfile) == getpid()) ::unlink(pidfile.c_str());
    return code;
}

}  // namespace pgweir::proxy
