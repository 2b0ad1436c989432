// Session variables: what a client was promised, what a server has, and the SQL between the two.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace pgweir::protocol {

/// Settings by name, in the server's spelling of the name. Immutable and interned: two sets with
/// the same content are the same object, so "does this server fit this client?" is one pointer
/// compare.
class VarSet {
public:
    /// Sorted by name (ASCII case folded), each name once.
    using Entries = std::vector<std::pair<std::string, std::string>>;

    explicit VarSet(Entries entries);
    const Entries& entries() const { return entries_; }
    /// Of memory, about.
    std::size_t bytes() const { return bytes_; }
    /// nullptr when the set says nothing about it.
    const std::string* find(std::string_view name) const;

private:
    Entries entries_;
    std::size_t bytes_ = 0;
};

using Vars = std::shared_ptr<const VarSet>;

/// Interns sets. Thread-safe; used when something changes, never per query.
class VarTable {
public:
    VarTable();
    /// The set that says nothing.
    Vars empty() const { return empty_; }
    /// The set of these; the last of several with one name counts.
    Vars of(VarSet::Entries entries);
    /// `base` with one variable changed or added.
    Vars with(const Vars& base, std::string_view name, std::string_view value);
    /// `base` without one of its variables.
    Vars without(const Vars& base, std::string_view name);
    std::size_t size() const;

private:
    Vars intern(VarSet::Entries entries);

    mutable std::mutex mutex_;
    std::unordered_multimap<std::size_t, std::weak_ptr<const VarSet>>
        sets_;                   // by hash of the content
    std::size_t sweep_at_ = 64;  // size at which sets that nobody holds are thrown out
    Vars empty_;
};

/// The SQL that gives a server with `have` what a client with `want` was promised, empty when
/// nothing differs. A variable that `want` does not mention is reset, as is one that it wants as it
/// is in a `fresh` server. set_config() and not SET: it takes a list (search_path) as one string,
/// as a start-up packet does. Role and session authorization decide who may set the rest: the old
/// ones go first, the new ones come last.
std::string set_script(const VarSet& have, const VarSet& want, const VarSet& fresh);

/// The call that sets a variable for the session.
std::string set_config(std::string_view name, std::string_view value);

/// `text` as a string literal, whatever standard_conforming_strings says.
std::string quote_literal(std::string_view text);
/// `text` as an identifier in double quotes.
std::string quote_identifier(std::string_view text);

/// ASCII case-insensitive comparison, as PostgreSQL compares names of settings.
bool same_name(std::string_view a, std::string_view b);

}  // namespace pgweir::protocol
