// A configuration from environment variables, for containers that have no file.
#pragma once

#include "config/draft.hpp"

namespace pgweir::config {

/// What the problems of variables name as their file.
inline constexpr std::string_view environment_file = "environment";

/// Fills the draft from POSTGRESQL_*, PGBOUNCER_* (every setting of [pgbouncer] but user and
/// conffile under its name in capitals, and PORT, DATABASE, LISTEN_ADDRESS) and PGWEIR_* (every
/// path of the native TOML in capitals, dots as underscores; of clusters, the one called "main").
/// The later of these groups wins. Defaults are PgBouncer's, but for listen_addr = * and
/// auth_type = scram-sha-256.
void read_environment(Draft& draft, const Sources& sources);

}  // namespace pgweir::config
