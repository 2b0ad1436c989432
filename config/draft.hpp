// A configuration while it is being read: the values so far, where each stands, what is wrong.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "config/problem.hpp"
#include "protocol/error.hpp"

namespace pgweir::config {

/// Reads a whole file; nullopt when there is none of that name.
/// Errors F0000: it cannot be read or is too large; the text is the system's.
using ReadFile =
    std::function<protocol::Result<std::optional<std::string>>(const std::string& path)>;

using Environment = std::map<std::string, std::string, std::less<>>;

/// Where configurations come from. Tests bring their own files.
struct Sources {
    ReadFile read;
    Environment environment;
};

struct Draft {
    std::string file;  // the one the operator named
    Config config;
    Findings findings;
    /// Where things stand: "auth_file" for a setting, "databases.app", "databases.app.cluster".
    std::map<std::string, Place, std::less<>> places;
    /// By cluster: the file that holds the password of its health probe.
    std::map<std::string, std::string> password_files;

    void put(std::string key, const Place& at) { places.insert_or_assign(std::move(key), at); }

    /// The place of `key`, or the file as a whole.
    Place where(std::string_view key) const {
        const auto found = places.find(key);
        return found == places.end() ? Place{file, 0} : found->second;
    }
    void problem(std::string_view key, std::string text) {
        findings.problem(where(key), std::move(text));
    }
    void warning(std::string_view key, std::string text) {
        findings.warning(where(key), std::move(text));
    }
};

}  // namespace pgweir::config
