// From rows to findings: what a view, a domain or an aggregate comes to by what it uses.
#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <set>

#include "router/catalog_builder.hpp"
#include "router/own_objects.hpp"

namespace pgweir::router {

namespace {

constexpr std::uint32_t first_user_oid = 16384;
constexpr SchemaId pg_catalog = 11;  // PG_CATALOG_NAMESPACE
constexpr std::size_t remarks_max = 50;

constexpr Finding writing(Reason reason) { return {Effect::writes, reason}; }

/// The same effect seen from outside: what only needs the primary keeps its reason.
Finding seen_as(Finding inner, Reason reason) {
    if (inner.effect == Effect::writes) inner.reason = reason;
    return inner;
}

}  // namespace

bool CatalogBuilder::is_listed(const std::vector<std::string>& list,
                               const Function& function) const {
    const auto schema = schemas_.find(function.schema);
    const std::string whole =
        (schema == schemas_.end() ? std::string() : schema->second) + "." + function.name;
    return std::ranges::any_of(
        list, [&](const std::string& name) { return name == function.name || name == whole; });
}

Finding CatalogBuilder::by_mark(const Function& function) const {
    if (is_listed(lists_.primary_functions, function)) return writing(Reason::function_volatile);
    if (is_listed(lists_.replica_safe_functions, function)) return {};
    if (!function.user) {
        if (const auto own = own_function(function.name)) return *own;
    }
    const bool volatile_mark = function.volatility != 'i' && function.volatility != 's';
    if (volatile_mark || function.kind == 'p' || (function.user && runs_given_sql(function.name)))
        return writing(Reason::function_volatile);
    return {};
}

Finding CatalogBuilder::function(Oid oid) const {
    const auto at = functions_.find(oid);
    return at == functions_.end() ? writing(Reason::function_unknown) : at->second.finding;
}

Finding CatalogBuilder::refs(const NodeRefs& refs) {
    Finding worst;
    if (refs.locks_rows) worst.add(writing(Reason::lock));
    for (const Oid oid : refs.functions) worst.add(function(oid));
    for (const Oid oid : refs.operators) {
        const auto at = operators_.find(oid);
        worst.add(at == operators_.end() ? writing(Reason::operator_unknown)
                                         : function(at->second.function));
    }
    for (const Oid oid : refs.types) worst.add(type(oid));
    for (const Oid oid : refs.relations) worst.add(relation(oid));
    return worst;
}

Finding CatalogBuilder::type(Oid oid) {
    const auto at = types_.find(oid);
    if (at == types_.end()) return writing(Reason::type_unknown);
    Type& type = at->second;
    if (type.state != Type::State::fresh) return type.finding;  // or it is within itself
    type.state = Type::State::visited;

    Finding worst = refs(type.checks);
    if (oid >= first_user_oid) {
        for (const Oid used : {type.input, type.output, type.modifier}) {
            if (used != 0) worst.add(function(used));
        }
    }
    for (const Oid cast : type.casts) worst.add(function(cast));
    for (const Oid inner : {type.base, type.element}) {
        if (inner != 0) worst.add(this->type(inner));
    }
    for (const Oid column : type.columns) worst.add(this->type(column));
    Type& done = types_.at(oid);
    done.finding = seen_as(worst, Reason::type_volatile);
    done.state = Type::State::known;
    return done.finding;
}

Finding CatalogBuilder::of_kind(Oid oid, const Relation& relation) const {
    switch (relation.kind) {
        case 'S': return {Effect::node, Reason::sequence};
        case 'f': return lists_.foreign_tables ? Finding() : writing(Reason::relation_foreign);
        case 'v': {
            if (oid >= first_user_oid) return {};
            const auto schema = schemas_.find(relation.schema);
            const bool standard =
                schema != schemas_.end() && schema->second == "information_schema";
            if (standard || is_replicated_view(relation.name)) return {};
            return {Effect::node, Reason::function_node};
        }
        default:
            if (relation.persistence == 'u') return {Effect::node, Reason::relation_unlogged};
            return {};
    }
}

Finding CatalogBuilder::relation(Oid oid) {
    const auto at = relations_.find(oid);
    if (at == relations_.end()) return writing(Reason::relation_unknown);
    Relation& relation = at->second;
    if (relation.state != Relation::State::fresh) return relation.all;
    relation.state = Relation::State::visited;

    Finding own = of_kind(oid, relation);
    own.add(seen_as(refs(relation.rule), Reason::view_writes));
    own.add(seen_as(refs(relation.policies), Reason::policy_writes));
    Finding all = own;
    for (const Oid child : relation.children) all.add(this->relation(child));
    relation.own = own;
    relation.all = all;
    relation.state = Relation::State::known;
    return all;
}

void CatalogBuilder::name_functions(Catalog& catalog) {
    for (auto& [oid, function] : functions_) function.finding = by_mark(function);
    // Every aggregate is immutable by its own mark.
    for (const auto& [oid, support] : support_) {
        const auto at = functions_.find(oid);
        if (at == functions_.end()) continue;
        for (const Oid used : support) at->second.finding.add(function(used));
    }
    // Of two functions alike in name and types the one that is searched first hides the other.
    std::set<std::pair<std::string_view, std::string_view>> own;
    for (const auto& [oid, function] : functions_) {
        if (function.schema == pg_catalog) own.emplace(function.name, function.types);
    }
    for (const auto& [oid, function] : functions_) {
        const bool hidden = function.schema != pg_catalog && function.optional == 0 &&
                            own.contains({function.name, function.types});
        catalog.functions_.add(function.name, function.schema, function.finding, hidden);
    }
    for (const auto& [oid, operation] : operators_)
        catalog.operators_.add(operation.name, operation.schema,
                               seen_as(function(operation.function), Reason::operator_volatile));
}

void CatalogBuilder::name_types(Catalog& catalog) {
    for (const auto& [oid, type] : types_) {
        if (type.name.empty()) continue;
        const Finding finding = this->type(oid);
        catalog.types_.add(type.name, type.schema, finding);
        if (finding.effect == Effect::writes) catalog.attributes_.insert(type.name);
    }
    for (auto& [oid, found] : relations_) {
        const Finding all = relation(oid);
        catalog.relations_.add(found.name, found.schema, all);
        catalog.relations_only_.add(found.name, found.schema, found.own);
    }
}

bool CatalogBuilder::is_row_type(Oid oid) const {
    const auto at = types_.find(oid);
    if (at == types_.end()) return true;
    if (at->second.kind == 'd') return is_row_type(at->second.base);
    return at->second.kind == 'c' || at->second.kind == 'p';
}

void CatalogBuilder::note_attributes(Catalog& catalog) {
    for (const auto& [oid, function] : functions_) {
        if (function.finding.effect != Effect::writes || function.kind != 'f') continue;
        const bool one = function.arguments >= 1 && function.arguments - 1 <= function.optional;
        Oid first = 0;
        std::from_chars(function.types.data(), function.types.data() + function.types.size(),
                        first);
        if (one && is_row_type(first)) catalog.attributes_.insert(function.name);
    }
}

void CatalogBuilder::find_paths(Catalog& catalog) {
    bool own = false;
    std::optional<std::string> of_database;
    for (const Path& path : paths_) {  // those of the database come last and win
        if (!path.role.empty()) {
            catalog.role_paths_[path.role] = path.path;
            own = own || path.role == user_;
        } else if (path.database) {
            of_database = path.path;
        }
    }
    // What the loading session began with is what everybody does, unless it is its role's own.
    if (!own) {
        catalog.base_path_ = base_path_;
    } else {
        catalog.base_path_ = of_database;
    }
}

void CatalogBuilder::remark(Catalog& catalog) const {
    const auto remark = [&](std::string text) {
        if (catalog.remarks_.size() < remarks_max) catalog.remarks_.push_back(std::move(text));
    };
    for (const auto& [source, cast] : outward_casts_) {
        const auto type = types_.find(source);
        if (type == types_.end() || function(cast).effect != Effect::writes) continue;
        remark("a cast from " + type->second.name +
               " calls a volatile function: only a replica's refusal shows where it is used");
    }
    for (const auto& [oid, function] : functions_) {
        if (!function.user || function.finding.effect != Effect::writes) continue;
        const auto* const same = catalog.functions_.find(function.name);
        const auto own = std::ranges::find_if(*same, [&](const Names::Object& object) {
            return object.schema == pg_catalog && object.finding.effect == Effect::reads;
        });
        if (own == same->end()) continue;
        remark("a volatile function has the name of PostgreSQL's own " + function.name +
               "(): calls of it go to the primary where search_path has its schema");
    }
}

CatalogPtr CatalogBuilder::build() {
    static std::atomic<std::uint64_t> built = 0;
    auto catalog = std::make_shared<Catalog>();
    catalog->number_ = ++built;
    catalog->version_ = std::move(version_);
    for (const auto& [oid, name] : schemas_) catalog->schemas_[name] = oid;
    catalog->settings_alike_ =
        std::ranges::any_of(lists_.replica_safe_functions, [](const std::string& name) {
            return name == "current_setting" || name == "pg_catalog.current_setting";
        });
    name_functions(*catalog);
    name_types(*catalog);
    note_attributes(*catalog);
    find_paths(*catalog);
    remark(*catalog);
    return catalog;
}

}  // namespace pgweir::router
