// The native TOML: what its tables and keys mean. The same reader serves a file of its own and the
// companion of an ini, which changes only what it names.
#pragma once

#include "config/draft.hpp"
#include "config/table_reader.hpp"
#include "config/toml.hpp"

namespace pgweir::config {

/// Puts the values of a TOML file into the draft. `file` is the name to complain about; names of
/// files inside are relative to its folder.
void read_native(const TomlValue::Table& root, const std::string& file, Draft& draft);

/// [clusters]: every cluster of the table.
void read_clusters(TableReader clusters, Draft& draft);

/// `name` as it stands in a file of `file`'s folder; absolute, empty and "~/" names stay.
std::string beside(const std::string& file, const std::string& name);

}  // namespace pgweir::config
