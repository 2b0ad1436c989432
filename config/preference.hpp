// Where reads of some sessions are to go: reads.prefer_application, …
#pragma once

#include <string>
#include <string_view>

#include "config/cluster.hpp"
#include "protocol/error.hpp"

namespace pgweir::config {

/// Of "PATTERN:TARGET" or "PATTERN:TARGET(RATIO)": an extended regular expression for the whole
/// name, then primary, replica or host:port, then a number from 0 to 1.
/// Errors   F0000, what was expected.
protocol::Result<Preference> parse_preference(std::string_view text);

/// What parse_preference() reads.
std::string preference_text(const Preference& preference);

/// The names of a session that decide.
struct SessionNames {
    std::string_view application, database, user;
};

/// The preference that a session has, whatever its ratio says; nullptr: none. The application's
/// counts before the database's, and that before the user's; in each list the first that fits.
const Preference* find_preference(const Reads& reads, const SessionNames& names);

}  // namespace pgweir::config
