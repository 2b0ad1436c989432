#include "router/catalog.hpp"

#include <algorithm>

#include "router/lexer.hpp"

namespace pgweir::router {

namespace {

constexpr SchemaId pg_catalog = 11;  // PG_CATALOG_NAMESPACE

/// What an object is to a query that names it without a schema; nullopt: it is not meant.
std::optional<Finding> in_path(const Names::Object& object, const SearchPath& path) {
    Finding all = object.finding;
    all.add(object.hidden);
    if (!path) return all;
    const auto at = std::ranges::find(*path, object.schema);
    if (at == path->end()) return std::nullopt;
    const bool first = std::find(path->begin(), at, pg_catalog) == at;
    return first ? all : object.finding;
}

}  // namespace

void Names::add(std::string_view name, SchemaId schema, Finding finding, bool hidden) {
    std::vector<Object>& objects = objects_[std::string(name)];
    auto same = std::ranges::find(objects, schema, &Object::schema);
    if (same == objects.end()) same = objects.insert(same, {schema, {}, {}});
    (hidden ? same->hidden : same->finding).add(finding);
}

const std::vector<Names::Object>* Names::find(std::string_view name) const {
    const auto at = objects_.find(name);
    return at == objects_.end() ? nullptr : &at->second;
}

std::optional<Finding> Catalog::find(const Names& names, const QualifiedName& name,
                                     const SearchPath& path) const {
    const auto* const objects = names.find(name.name);
    if (!objects) return std::nullopt;
    std::optional<SchemaId> only;
    if (!name.schema.empty()) {
        const auto schema = schemas_.find(name.schema);
        if (schema == schemas_.end()) return std::nullopt;
        only = schema->second;
    }
    std::optional<Finding> worst;
    for (const Names::Object& object : *objects) {
        if (only && object.schema != *only) continue;
        const auto found = in_path(object, only ? SearchPath() : path);
        if (!found) continue;
        if (!worst) worst.emplace();
        worst->add(*found);
    }
    return worst;
}

std::optional<Finding> Catalog::function(const QualifiedName& name, const SearchPath& path) const {
    return find(functions_, name, path);
}

std::optional<Finding> Catalog::operation(const QualifiedName& name, const SearchPath& path) const {
    return find(operators_, name, path);
}

std::optional<Finding> Catalog::type(const QualifiedName& name, const SearchPath& path) const {
    return find(types_, name, path);
}

std::optional<Finding> Catalog::relation(const QualifiedName& name, bool only,
                                         const SearchPath& path) const {
    return find(only ? relations_only_ : relations_, name, path);
}

bool Catalog::attribute_writes(std::string_view name) const {
    return attributes_.contains(std::string(name));
}

SearchPath Catalog::search_path(std::string_view setting, std::string_view user) const {
    const auto id = [&](const std::string& schema) -> std::optional<SchemaId> {
        const auto at = schemas_.find(schema);
        return at == schemas_.end() ? std::nullopt : std::optional(at->second);
    };
    std::vector<SchemaId> path;
    Lexer lexer(setting);
    for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next()) {
        std::string name;
        switch (token.kind) {
            case TokenKind::identifier:
            case TokenKind::quoted_identifier: name = identifier_name(token); break;
            case TokenKind::string:
                name = token.text().substr(1, token.size - 2);
                if (name.find('\'') != std::string::npos) return std::nullopt;
                break;
            default:
                if (token.is(',')) continue;
                return std::nullopt;  // not as SHOW spells it
        }
        if (name == "$user") {
            if (user.empty()) return std::nullopt;
            name = user;
        }
        // One that is not there may be made, but not without the catalog being loaded anew.
        if (const auto schema = id(name)) path.push_back(*schema);
    }
    if (std::ranges::find(path, pg_catalog) == path.end()) path.insert(path.begin(), pg_catalog);
    return path;
}

std::optional<std::string_view> Catalog::default_search_path(std::string_view user) const {
    if (const auto own = role_paths_.find(user); own != role_paths_.end()) return own->second;
    if (base_path_) return *base_path_;
    return std::nullopt;
}

}  // namespace pgweir::router
