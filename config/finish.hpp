// What can be said only when all files are read: values that follow from others, and facts that
// must fit together.
#pragma once

#include "config/draft.hpp"

namespace pgweir::config {

/// Fills in what follows from other values (home directories, Database::dbname and endpoints) and
/// reads the files the configuration names.
void complete(Draft& draft, const Sources& sources);

/// Adds a problem or warning for every two facts that contradict each other.
void validate(Draft& draft);

}  // namespace pgweir::config
