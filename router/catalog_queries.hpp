// How a catalog is asked for: SQL for PostgreSQL 12 and later, for a primary or any copy of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pgweir::router {

/// What a row of load_queries() tells: the number in its first column. The others are named beside.
enum class CatalogPart : std::uint8_t {
    version,     // as poll_query() gives it
    settings,    // search_path a session begins with, user
    paths,       // role ("" = all), database's own (t or f), search_path
    schemas,     // oid, name
    types,       // oid, schema, name, typtype, base, element, input, output, typmod input
    columns,     // oid of the composite type, oid of the column's type: user-defined ones
    functions,   // oid, schema, name, volatility, kind, arguments, of these optional, their types
    aggregates,  // oid of the function, oid of a support function
    operators,   // oid, schema, name, oid of the function
    casts,       // target type, oid of the function, source type
    checks,      // oid of the domain, expression as pg_node_tree
    relations,   // oid, schema, name, relkind, relpersistence
    inherits,    // parent, child
    rules,       // relation, ON SELECT action as pg_node_tree: user-defined ones
    policies,    // relation, USING as pg_node_tree
    count,
};

/// One transaction in one simple query; its rows come in the order of CatalogPart.
const std::string& load_queries();

/// One row, the first of load_queries(): a text that is another one when something that a catalog
/// knows was created, altered or dropped. PostgreSQL's own objects are not looked at, nor are
/// temporary ones.
const std::string& poll_query();

}  // namespace pgweir::router
