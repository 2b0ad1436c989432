// What can be said only when all files are read: values that follow from others, and facts that
// must fit together.
#pragma once

#include <vector>

#include "config/draft.hpp"

namespace pgweir::config {

/// Fills in what follows from other values (home directories, Database::dbname and endpoints) and
/// reads the files the configuration names.
void complete(Draft& draft, const Sources& sources);

/// Adds a problem or warning for every two facts that contradict each other.
void validate(Draft& draft);

/// What of a draft that is complete works, but should make its operator think.
std::vector<Problem> risks(const Draft& draft);

}  // namespace pgweir::config
