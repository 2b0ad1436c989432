// PgBouncer's file format: sections, `key = value`, whole-line comments, %include. What the values
// mean is settings' and entries' business.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/draft.hpp"
#include "config/problem.hpp"

namespace pgweir::config {

struct IniEntry {
    std::string section, key, value;
    Place at;
};

/// All entries of the file and of those it includes, in the order they stand. A key may come twice;
/// the later one counts. Names of included files are relative to the working directory.
/// Lines that make no sense and unknown sections become problems and are left out.
std::vector<IniEntry> read_ini(const std::string& path, const ReadFile& read, Findings& findings);

}  // namespace pgweir::config
