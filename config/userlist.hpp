// The password file: `"name" "secret"` lines.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "config/problem.hpp"

namespace pgweir::config {

inline constexpr std::size_t user_name_max = 127;      // bytes, doubled quotes counted twice
inline constexpr std::size_t user_secret_max = 65530;  // likewise

/// The users of a password file. Lines that are blank or start with ';' say nothing; what follows
/// the secret is ignored; of two lines with one name the later counts. A broken line is left out
/// with a warning: PgBouncer runs with such a file too.
std::map<std::string, Credential, std::less<>> parse_userlist(std::string_view text,
                                                              const std::string& file,
                                                              Findings& findings);

}  // namespace pgweir::config
