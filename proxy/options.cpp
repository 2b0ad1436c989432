#include "proxy/options.hpp"

#include "config/nearest.hpp"
#include "config/units.hpp"

namespace pgweir::proxy {

namespace {

constexpr const char* version = PGWEIR_VERSION;

}  // namespace

std::string version_text() { return std::string("PgBouncer 1.25.2 compatible, pgweir ") + version; }

std::string help_text() {
    return R"(pgweir is a connection pooler and proxy for PostgreSQL, compatible with PgBouncer.

Usage:
  pgweir [OPTION]... CONFIG     run; CONFIG ending in .ini is a pgbouncer.ini, .toml is native
  pgweir [OPTION]...            run by the environment, as in a container: POSTGRESQL_HOST …
  pgweir check CONFIG           load and validate: every problem with file:line; exit 0 or 1
  pgweir import FILE            print a pgbouncer.ini or pgpool.conf as TOML; what the TOML cannot
                                say is a comment; exit 1 with the reason when FILE is wrong
  pgweir route SQL              where each statement goes and why, as far as its text tells
  pgweir route CONFIG DB SQL    the same with the catalog of the database behind the entry DB

Options:
  -d, --daemon         run in the background (needs pidfile, and logfile or syslog)
  -q, --quiet          write nothing to standard error
  -R, --reboot         take over sockets and clients from the running process
  -u, --user=NAME      become this user; required when started as root, unless the file says it
  -v, --verbose        say more; may be repeated
  -V, --version        show version, then exit
  -h, --help           show this help, then exit

Signals: HUP reload, USR1 pause, USR2 resume, INT wait for servers and exit, TERM wait for clients
and exit, QUIT exit at once; a second INT or TERM exits at once.
)";
}

namespace {

constexpr std::string_view long_options[] = {"--daemon",  "--quiet",   "--reboot", "--user",
                                             "--verbose", "--version", "--help"};
constexpr std::string_view commands[] = {"check", "import", "route"};

/// What follows `route`. It takes no options: a text may begin with a dash.
Parsed parse_route(const std::vector<std::string>& words) {
    Parsed parsed;
    Options& options = parsed.options;
    options.command = Command::route;
    if (words.size() == 1) {
        options.sql = words[0];
    } else if (words.size() == 3) {
        options.config = words[0];
        options.database = words[1];
        options.sql = words[2];
    } else {
        parsed.problem = "expected SQL, or CONFIG DB SQL";
    }
    return parsed;
}

}  // namespace

Parsed parse_options(const std::vector<std::string>& arguments) {
    Parsed parsed;
    Options& options = parsed.options;
    const auto fail = [&](std::string text) {
        parsed.problem = std::move(text);
        return parsed;
    };
    std::size_t i = 0;
    if (!arguments.empty() && arguments[0] == "route")
        return parse_route({arguments.begin() + 1, arguments.end()});
    if (!arguments.empty() && (arguments[0] == "check" || arguments[0] == "import")) {
        options.command = arguments[0] == "check" ? Command::check : Command::import_file;
        i = 1;
    }
    for (; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (word == "-d" || word == "--daemon") {
            options.daemon = true;
        } else if (word == "-q" || word == "--quiet") {
            options.quiet = true;
        } else if (word == "-R" || word == "--reboot") {
            options.reboot = true;
        } else if (word == "--verbose") {
            ++options.verbose;
        } else if (word.starts_with("-v") && word.find_first_not_of('v', 1) == std::string::npos) {
            options.verbose += static_cast<int>(word.size()) - 1;
        } else if (word == "-V" || word == "--version") {
            options.command = Command::version;
        } else if (word == "-h" || word == "--help") {
            options.command = Command::help;
        } else if (word == "-u" || word == "--user") {
            if (++i == arguments.size()) return fail(word + " needs a name");
            options.user = arguments[i];
        } else if (word.starts_with("--user=")) {
            options.user = word.substr(7);
        } else if (word.starts_with('-')) {
            return fail("unknown option: " + word + config::did_you_mean(word, long_options));
        } else if (options.config.empty()) {
            options.config = word;
        } else {
            const std::string meant = options.command == Command::run
                                          ? config::did_you_mean(options.config, commands)
                                          : std::string();
            return fail(meant.empty() ? "unexpected argument: " + word
                                      : "unknown command: " + options.config + meant);
        }
    }
    const bool needs_config =
        options.command == Command::check || options.command == Command::import_file;
    if (needs_config && options.config.empty()) return fail("no configuration file given");
    return parsed;
}

}  // namespace pgweir::proxy
