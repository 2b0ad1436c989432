// `pgweir import FILE`: a pgbouncer.ini or a pgpool.conf as a native TOML.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "config/draft.hpp"
#include "config/problem.hpp"

namespace pgweir::config {

/// What was read from a foreign file, before anything is completed from other files, and what of it
/// the TOML cannot say or says otherwise.
struct Foreign {
    Draft draft;
    std::vector<Problem> remarks;
};

struct Imported {
    std::string toml;               // empty when there are problems
    std::vector<Problem> problems;  // by file and line
};

/// Reads a pgbouncer.ini (its companion too) or a pgpool.conf: which of them it is its name and its
/// first line say. `folder` is the working directory: a TOML's own folder is another, so names of
/// files that are relative become absolute; with an empty `folder` they stay.
/// The TOML loads without a problem: it has been tried.
Imported import_text(const std::string& path, const Sources& sources, const std::string& folder);

/// The same for the command line: the TOML to `out`, or the problems to `errors`.
/// Returns the exit code, 0 or 1.
int import_file(const std::string& path, std::ostream& out, std::ostream& errors,
                const Sources& sources, const std::string& folder);

/// The draft as TOML: what was said, and what differs from the defaults of a TOML; the remarks are
/// comments at its top. Adds a problem to the draft for a text that no TOML can hold.
std::string write_native(Draft& draft, const std::vector<Problem>& remarks);

}  // namespace pgweir::config
