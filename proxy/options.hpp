// The command line.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace pgweir::proxy {

enum class Command { run, check, import_file, route, version, help };

struct Options {
    Command command = Command::run;
    bool daemon = false;        // -d
    bool quiet = false;         // -q: nothing on stderr
    int verbose = 0;            // -v, added up
    bool reboot = false;        // -R
    std::string user;           // -u
    std::string config;         // path; empty for a route without one
    std::string database, sql;  // route
};

/// What the arguments (without the program's name) ask for, or a sentence that says what is wrong.
struct Parsed {
    Options options;
    std::optional<std::string> problem;
};
Parsed parse_options(const std::vector<std::string>& arguments);

std::string help_text();
/// "PgBouncer 1.25.2 compatible, pgweir X.Y.Z": the first line of --version and SHOW VERSION.
std::string version_text();

}  // namespace pgweir::proxy
