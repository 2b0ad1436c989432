// From files to a validated configuration. Every problem of all files is found in one go, each with
// its line; with any problem there is no configuration, so that a reload of a bad file changes
// nothing.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/draft.hpp"
#include "config/problem.hpp"

namespace pgweir::config {

inline constexpr std::size_t file_size_max = 64u << 20;  // bytes

struct Loaded {
    ConfigPtr config;               // nullptr when there are problems
    std::vector<Problem> problems;  // by file and line
    std::vector<Problem> warnings;
    std::vector<Problem> risks{};  // what `check` adds to the warnings
};

/// Reads regular files, pipes and devices of at most file_size_max bytes: the only file access of
/// config/.
protocol::Result<std::optional<std::string>> read_file(const std::string& path);

/// The files and the environment of this process.
Sources system_sources();

/// Loads a native TOML when the name ends in .toml, else a pgbouncer.ini with its companion
/// (FILE.pgweir.toml beside FILE.ini) when there is one; without a name, the environment. Blocking;
/// call it off the workers.
Loaded load(const std::string& path, const Sources& sources = system_sources());

/// The first half of load(): what the files say, before other files are read and it is validated.
Draft read_draft(const std::string& path, const Sources& sources);

/// The second half.
Loaded finish(Draft draft, const Sources& sources);

/// Loads the file `present.settings.conffile` names. What SET gave to a setting that has no default
/// stays, as in PgBouncer, where the file says nothing of it.
Loaded reload(const Config& present, const Sources& sources = system_sources());

/// The configuration of a program started without a file: from POSTGRESQL_*, PGBOUNCER_* and
/// PGWEIR_* variables, see config/environment.hpp.
Loaded from_environment(const Sources& sources = system_sources());

}  // namespace pgweir::config
