#include "config/check.hpp"

#include <algorithm>
#include <iterator>
#include <ostream>

#include <fmt/format.h>

namespace pgweir::config {

namespace {

std::string counted(std::size_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

int check(const std::string& path, std::ostream& out, const Sources& sources, const Trial& trial) {
    Loaded loaded = load(path, sources);
    if (loaded.config && trial) {
        if (const auto error = trial(*loaded.config)) {
            loaded.problems.push_back({path, 0, error->message});
            loaded.config = nullptr;
        }
    }
    if (loaded.config) std::ranges::move(loaded.risks, std::back_inserter(loaded.warnings));
    for (const Problem& problem : loaded.problems) {
        out << problem.file << ':' << std::max(problem.line, 1) << ": " << problem.text << '\n';
    }
    for (const Problem& warning : loaded.warnings) {
        out << warning.file << ':' << std::max(warning.line, 1) << ": warning: " << warning.text
            << '\n';
    }
    out << path << ": ";
    if (loaded.config)
        out << "ok, " << counted(loaded.config->databases.size(), "database");
    else
        out << counted(loaded.problems.size(), "problem");
    if (!loaded.warnings.empty()) out << ", " << counted(loaded.warnings.size(), "warning");
    out << '\n';
    return loaded.config ? 0 : 1;
}

}  // namespace pgweir::config
