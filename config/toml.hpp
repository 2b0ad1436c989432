// A TOML file as plain values with their lines. Only toml.cpp sees the library that parses it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/draft.hpp"
#include "config/problem.hpp"

namespace pgweir::config {

struct TomlEntry;

/// A value: copies, compares by hand only. Tables keep the order in which their keys sort.
struct TomlValue {
    using Array = std::vector<TomlValue>;
    using Table = std::vector<TomlEntry>;

    std::variant<bool, std::int64_t, double, std::string, Array, Table> data;
    int line = 0;
    /// From an environment variable, where numbers and booleans come as text.
    bool loose = false;
};

struct TomlEntry {
    std::string key;
    TomlValue value;
};

inline constexpr std::size_t toml_size_max = 4u << 20;  // bytes
inline constexpr int toml_depth_max = 32;               // tables and arrays in each other
inline constexpr int toml_dots_max = 1000;              // in one line: the library recurses on them

/// The top table of `text`. ${NAME} in a string is replaced from the environment; $${ is ${.
/// What cannot be read becomes a problem and is left out; after a syntax error the table is empty.
TomlValue::Table parse_toml(std::string_view text, const std::string& file,
                            const Environment& environment, Findings& findings);

}  // namespace pgweir::config
