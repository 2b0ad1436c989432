// Makes a Catalog of what a server says in answer to load_queries().
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "router/catalog.hpp"
#include "router/catalog_queries.hpp"
#include "router/node_tree.hpp"

namespace pgweir::router {

/// What the operator knows better, as `name` or `schema.name`.
struct CatalogLists {
    std::vector<std::string> replica_safe_functions{};  // volatile by mark, and yet only read
    std::vector<std::string> primary_functions{};  // not volatile by mark, and yet not for replicas
    bool foreign_tables = false;                   // a replica may read them
};

/// Takes the rows, in the order of their parts, and makes the catalog once. Value; not shared.
class CatalogBuilder {
public:
    using Oid = std::uint32_t;
    using Row = std::span<const std::optional<std::string_view>>;

    explicit CatalogBuilder(CatalogLists lists = {}) : lists_(std::move(lists)) {}

    /// False: the row is not what load_queries() gives.
    bool take(Row row);
    /// Uses up what was taken.
    CatalogPtr build();

private:
    struct Function {
        SchemaId schema;
        std::string name;
        char volatility, kind;
        unsigned arguments, optional;
        std::string types;  // of its arguments, "23 25"
        bool user;
        Finding finding{};
    };
    struct Operator {
        SchemaId schema;
        std::string name;
        Oid function;
    };
    struct Type {
        SchemaId schema;
        std::string name;
        char kind;
        Oid base, element, input, output, modifier;
        std::vector<Oid> columns{};
        std::vector<Oid> casts{};  // functions that make one of it
        NodeRefs checks{};
        Finding finding{};
        enum class State : std::uint8_t { fresh, visited, known } state = State::fresh;
    };
    struct Relation {
        SchemaId schema;
        std::string name;
        char kind, persistence;
        std::vector<Oid> children{};
        NodeRefs rule{}, policies{};
        Finding own{}, all{};
        enum class State : std::uint8_t { fresh, visited, known } state = State::fresh;
    };

    bool take(CatalogPart part, Row row);
    bool take_setting(CatalogPart part, Row row);
    bool take_object(CatalogPart part, Row row);
    bool take_tree(CatalogPart part, Row row);

    Finding by_mark(const Function& function) const;
    bool is_listed(const std::vector<std::string>& list, const Function& function) const;
    Finding function(Oid oid) const;
    Finding type(Oid oid);
    Finding relation(Oid oid);
    Finding refs(const NodeRefs& refs);
    Finding of_kind(Oid oid, const Relation& relation) const;
    void name_functions(Catalog& catalog);
    void name_types(Catalog& catalog);
    void note_attributes(Catalog& catalog);
    bool is_row_type(Oid oid) const;
    void find_paths(Catalog& catalog);
    void remark(Catalog& catalog) const;

    CatalogLists lists_;
    std::string version_, base_path_, user_;
    struct Path {
        std::string role, path;
        bool database;
    };
    std::vector<Path> paths_;
    std::unordered_map<SchemaId, std::string> schemas_;
    std::unordered_map<Oid, Function> functions_;
    std::unordered_map<Oid, std::vector<Oid>> support_;  // of aggregates
    std::unordered_map<Oid, Operator> operators_;
    std::unordered_map<Oid, Type> types_;
    std::unordered_map<Oid, Relation> relations_;
    std::vector<std::pair<Oid, Oid>> outward_casts_;  // to PostgreSQL's types: source, function
};

}  // namespace pgweir::router
