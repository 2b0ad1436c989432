// Files that exist in a test only, and what the loader makes of them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"

namespace pgweir::config {

using Files = std::map<std::string, std::string>;

inline Sources sources_of(Files files, Environment environment = {}) {
    const auto read = [files = std::move(files)](
                          const std::string& path) -> protocol::Result<std::optional<std::string>> {
        const auto found = files.find(path);
        if (found == files.end()) return std::optional<std::string>();
        return std::optional(found->second);
    };
    return {.read = read, .environment = std::move(environment)};
}

/// "file:line: text" of each.
inline std::vector<std::string> lines_of(const std::vector<Problem>& problems) {
    std::vector<std::string> lines;
    for (const Problem& problem : problems) {
        lines.push_back(problem.file + ":" + std::to_string(problem.line) + ": " + problem.text);
    }
    return lines;
}

inline Loaded load_ini(std::string text) {
    return load("a.ini", sources_of({{"a.ini", std::move(text)}}));
}
inline Loaded load_toml(std::string text) {
    return load("a.toml", sources_of({{"a.toml", std::move(text)}}));
}

}  // namespace pgweir::config
