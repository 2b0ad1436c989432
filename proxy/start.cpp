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
    const bool root = geteuid() == 0;
    if (name.empty())
        return root ? "will not run as root: give -u USER, or `user` in the configuration" : "";
    const passwd* const user = getpwnam(name.c_str());
    if (!user) return "no such user: " + name;
    if (!root && user->pw_uid == geteuid()) return {};
    if (user->pw_uid == 0) return "will not run as root";
    if (initgroups(name.c_str(), user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0) {
        return fmt::format("cannot become {}: {}", name, std::strerror(errno));
    }
    return {};
}

/// At most, as far as the configuration tells: every client, and a full pool for each user of each
/// entry.
rlim_t descriptors_wanted(const config::Config& config) {
    constexpr rlim_t of_ours = 100;
    const auto most = [](int number) { return static_cast<rlim_t>(std::max(number, 0)); };
    const rlim_t users = std::max<rlim_t>(config.userlist.size(), 1);
    rlim_t servers = 0;
    for (const auto& [name, database] : config.databases) {
        const config::PoolLimits limits = config::limits_of(config, database, nullptr);
        const config::Cluster* const cluster = config.cluster(database.cluster);
        const rlim_t nodes = cluster && cluster->reads.split ? cluster->nodes.size() : 1;
        const rlim_t all =
            most(limits.size) * (database.user ? 1 : users) * std::max<rlim_t>(nodes, 1);
        const rlim_t cap = most(limits.max_db_connections);
        servers += cap > 0 ? std::min(all, cap) : all;
    }
    return most(config.settings.max_client_conn) + servers + of_ours;
}

/// As many descriptors as the system lets us have; a clear word when that may be too few.
void raise_descriptor_limit(const config::Config& config) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t wanted = descriptors_wanted(config);
    net::log::print(Level::log, {},
                    "kernel file descriptor limit: {} (hard: {}); max_client_conn: {}, max "
                    "expected fd use: {}",
                    limit.rlim_cur, limit.rlim_max, config.settings.max_client_conn, wanted);
    if (limit.rlim_cur < wanted) {
        net::log::print(
            Level::warning, {},
            "up to {} connections and files may be wanted (max_client_conn is {}), but only {} "
            "may be open (RLIMIT_NOFILE): connections beyond that will be refused",
            wanted, config.settings.max_client_conn, limit.rlim_cur);
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

/// Can it be made, or written anew?
bool is_writable(const std::string& path) {
    if (access(path.c_str(), F_OK) == 0) return access(path.c_str(), W_OK) == 0;
    const std::size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    return access(directory.c_str(), W_OK | X_OK) == 0;
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
    const std::string& servers = settings.resolv_conf;
    if (!servers.empty() && access(servers.c_str(), R_OK) != 0)
        return fail(fmt::format("cannot read resolv_conf {}: {}", servers, std::strerror(errno)));
    if (options.daemon && settings.pidfile.empty()) return fail("-d needs a pidfile");
    if (options.daemon && settings.logfile.empty() && !settings.syslog)
        return fail("-d needs logfile or syslog");
    if (!settings.pidfile.empty() && !options.reboot) {
        const pid_t pid = named_by(settings.pidfile);
        if (pid != getpid() && is_alive(pid)) {  // ours in a container that has begun anew
            return fail(
                fmt::format("pidfile {} names a running process ({})", settings.pidfile, pid));
        }
        if (pid > 0) ::unlink(settings.pidfile.c_str());  // it may be another user's
        if (!is_writable(settings.pidfile)) {
            return fail(
                fmt::format("cannot write pidfile {}: {}", settings.pidfile, std::strerror(errno)));
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
    raise_descriptor_limit(config);
    std::signal(SIGPIPE, SIG_IGN);
    hold_signals();  // before any thread is started
    const std::string pidfile = settings.pidfile;
    int code;
    {
        // The configuration ends with the first RELOAD, and what is secret in it.
        Process process(options, std::move(loaded.config), std::move(*tls));
        code = process.run([&pidfile] {
            if (pidfile.empty() || std::ofstream(pidfile) << getpid() << std::endl) return;
            net::log::print(Level::error, {}, "cannot write pidfile {}: {}", pidfile,
                            std::strerror(errno));
        });
    }
    // After an online restart it is the successor's.
    if (!pidfile.empty() && named_by(pidfile) == getpid()) ::unlink(pidfile.c_str());
    return code;
}

}  // namespace pgweir::proxy
