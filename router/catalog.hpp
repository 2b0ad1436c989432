// What the objects of one database do when a query names them: the router's knowledge of functions,
// operators, types and relations.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "router/verdict.hpp"

namespace pgweir::router {

/// What using an object comes to, from harmless to worst.
enum class Effect : std::uint8_t {
    reads,   // replicated data, or nothing
    node,    // shows the node's own state; writes nothing
    writes,  // may write, lock, or do anything else
};

/// The worst of what was found under a name.
struct Finding {
    Effect effect = Effect::reads;
    Reason reason = Reason::read;

    void add(const Finding& other) {
        if (other.effect > effect) *this = other;
    }
    friend bool operator==(const Finding&, const Finding&) = default;
};

using SchemaId = std::uint32_t;  // pg_namespace's oid

/// Objects of one kind by name; under one name there may be several in several schemas.
class Names {
public:
    struct Object {
        SchemaId schema;
        Finding finding;
        Finding hidden;  // of what pg_catalog hides where it is searched before
    };
    void add(std::string_view name, SchemaId schema, Finding finding, bool hidden = false);
    const std::vector<Object>* find(std::string_view name) const;
    std::size_t size() const { return objects_.size(); }

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>()(text);
        }
    };
    std::unordered_map<std::string, std::vector<Object>, Hash, std::equal_to<>> objects_;
};

/// A name as a query has it; `schema` is empty when it has none.
struct QualifiedName {
    std::string schema, name;
    friend auto operator<=>(const QualifiedName&, const QualifiedName&) = default;
};

/// The schemas in which unqualified names are looked for, in order; pg_catalog is among them.
/// nullopt: any.
using SearchPath = std::optional<std::vector<SchemaId>>;

/// Snapshot of one database. Immutable once published, shared by all workers; CatalogBuilder makes
/// it.
class Catalog {
public:
    /// Tells one snapshot from any other of this process.
    std::uint64_t number() const { return number_; }
    /// The answer to poll_query() that belongs to it.
    const std::string& version() const { return version_; }

    // The worst of all that the name may mean; nullopt: there is nothing of that name.
    std::optional<Finding> function(const QualifiedName& name, const SearchPath& path) const;
    std::optional<Finding> operation(const QualifiedName& name, const SearchPath& path) const;
    std::optional<Finding> type(const QualifiedName& name, const SearchPath& path) const;
    /// `only`: without what inherits from it.
    std::optional<Finding> relation(const QualifiedName& name, bool only,
                                    const SearchPath& path) const;
    /// May `row.name` be a call that writes?
    bool attribute_writes(std::string_view name) const;

    /// Is every setting taken to be the same at every node?
    bool settings_alike() const { return settings_alike_; }

    /// What a search_path setting stands for; `user` is the current one, empty when not known.
    SearchPath search_path(std::string_view setting, std::string_view user) const;
    /// The search_path that a session of this user begins with; nullopt: not known.
    std::optional<std::string_view> default_search_path(std::string_view user) const;

    /// Remarks for the log: what was found that costs offload or cannot be seen at all.
    const std::vector<std::string>& remarks() const { return remarks_; }

private:
    friend class CatalogBuilder;
    std::optional<Finding> find(const Names& names, const QualifiedName& name,
                                const SearchPath& path) const;

    std::uint64_t number_ = 0;
    std::string version_;
    std::unordered_map<std::string, SchemaId> schemas_;
    Names functions_, operators_, types_, relations_, relations_only_;
    std::unordered_set<std::string> attributes_;
    bool settings_alike_ = false;
    std::map<std::string, std::string, std::less<>> role_paths_;
    std::optional<std::string> base_path_;
    std::vector<std::string> remarks_;
};

using CatalogPtr = std::shared_ptr<const Catalog>;

}  // namespace pgweir::router
