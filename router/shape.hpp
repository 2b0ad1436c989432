// What a parsed text consists of: all that its verdict depends on, without the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "router/catalog.hpp"
#include "router/verdict.hpp"

namespace pgweir::router {

/// A relation as it is named, and whether ONLY stood before it.
struct RelationName {
    QualifiedName name;
    bool only = false;
    friend auto operator<=>(const RelationName&, const RelationName&) = default;
};

/// The names that a statement's queries use, each once. What they mean is for the catalog.
struct NamesUsed {
    std::vector<QualifiedName> functions, operators, types;
    std::vector<RelationName> relations;
    std::vector<std::string> attributes;  // last names of a.b and (a).b: may be calls
    std::vector<std::string> settings;    // read by current_setting(); "" = not a literal

    bool empty() const {
        return functions.empty() && operators.empty() && types.empty() && relations.empty() &&
               attributes.empty() && settings.empty();
    }
    friend bool operator==(const NamesUsed&, const NamesUsed&) = default;
};

/// One text. Value.
struct Shape {
    /// As far as the text alone tells; `read` is true until a name is against it.
    Verdict verdict;
    NamesUsed names;
    /// Whether the values of literals count, so that another text of the same skeleton may be
    /// another case: none, `setting_names`, or perhaps any.
    enum class Literals : std::uint8_t { nothing, setting_names, all };
    Literals literals = Literals::nothing;
    /// First arguments of current_setting() and set_config(), in order; "" = not a literal.
    std::vector<std::string> setting_names;
    /// COPY … TO STDOUT, or to a file whose name is empty: the tree does not tell.
    bool to_stdout = false;

    /// What it takes in memory, roughly.
    std::size_t bytes() const;
};

/// Parses `sql` as PostgreSQL 15 does, with standard_conforming_strings on. Never fails: what
/// cannot be parsed is for the primary. No text has a NUL in it.
Shape shape_of(std::string_view sql);

/// May a text of this skeleton make a tree so deep, or take so long, that it is not to be parsed?
bool is_too_deep(std::string_view skeleton);

}  // namespace pgweir::router
