// A database of a few objects, as rows of load_queries().
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "router/catalog_builder.hpp"

namespace pgweir::tests {

using router::CatalogBuilder;
using Part = router::CatalogPart;

inline void take(CatalogBuilder& builder, Part part, std::initializer_list<std::string_view> row) {
    std::vector<std::optional<std::string_view>> values{std::string_view()};
    const std::string number = std::to_string(static_cast<int>(part));
    values[0] = number;
    values.insert(values.end(), row.begin(), row.end());
    EXPECT_TRUE(builder.take(values)) << number;
}

/// Schemas pg_catalog, public and app. Functions: lower(text), now(), count, random and nextval of
/// PostgreSQL; app.calm (stable), app.busy (volatile), public.lower(varchar) and app.now() (both
/// volatile), the aggregates app.sum_calm and app.sum_busy, app.note(row of app.t). The operator
/// app.=== and the types app.strict (a domain that writes) and app.mild (one that does not).
inline CatalogBuilder small_database(router::CatalogLists lists = {}) {
    CatalogBuilder builder(std::move(lists));
    const auto row = [&](Part part, std::initializer_list<std::string_view> values) {
        take(builder, part, values);
    };
    row(Part::version, {"one"});
    row(Part::settings, {"\"$user\", public", "postgres"});
    row(Part::paths, {"tenant", "f", "app"});
    row(Part::schemas, {"11", "pg_catalog"});
    row(Part::schemas, {"2200", "public"});
    row(Part::schemas, {"20000", "app"});
    row(Part::types, {"23", "11", "int4", "b", "0", "0", "1", "2", "0"});
    row(Part::types, {"25", "11", "text", "b", "0", "0", "1", "2", "0"});
    row(Part::types, {"1043", "11", "varchar", "b", "0", "0", "1", "2", "0"});
    row(Part::types, {"20100", "20000", "strict", "d", "23", "0", "100", "100", "0"});
    row(Part::types, {"20101", "20000", "mild", "d", "23", "0", "100", "100", "0"});
    row(Part::types, {"20102", "20000", "_strict", "b", "0", "20100", "100", "100", "0"});
    row(Part::types, {"20103", "20000", "t", "c", "0", "0", "100", "100", "0"});
    row(Part::types, {"20104", "20000", "pair", "c", "0", "0", "100", "100", "0"});
    row(Part::columns, {"20104", "20100"});
    row(Part::functions, {"100", "11", "lower", "i", "f", "1", "0", "25"});
    row(Part::functions, {"101", "11", "now", "s", "f", "0", "0", ""});
    row(Part::functions, {"102", "11", "count", "i", "a", "0", "0", ""});
    row(Part::functions, {"103", "11", "random", "v", "f", "0", "0", ""});
    row(Part::functions, {"104", "11", "nextval", "v", "f", "1", "0", "2205"});
    row(Part::functions, {"105", "11", "pg_is_in_recovery", "v", "f", "0", "0", ""});
    row(Part::functions, {"106", "11", "current_setting", "s", "f", "1", "0", "25"});
    row(Part::functions, {"107", "11", "set_config", "v", "f", "3", "0", "25 25 16"});
    row(Part::functions, {"20200", "20000", "calm", "s", "f", "1", "0", "23"});
    row(Part::functions, {"20201", "20000", "busy", "v", "f", "1", "0", "23"});
    row(Part::functions, {"20202", "2200", "lower", "v", "f", "1", "0", "1043"});
    row(Part::functions, {"20203", "20000", "now", "v", "f", "0", "0", ""});
    row(Part::functions, {"20204", "20000", "sum_calm", "i", "a", "1", "0", "23"});
    row(Part::functions, {"20205", "20000", "sum_busy", "i", "a", "1", "0", "23"});
    row(Part::functions, {"20206", "20000", "note", "v", "f", "1", "0", "20103"});
    row(Part::functions, {"20207", "20000", "work", "v", "p", "0", "0", ""});
    row(Part::aggregates, {"20204", "20200"});
    row(Part::aggregates, {"20205", "20201"});
    row(Part::operators, {"96", "11", "=", "100"});
    row(Part::operators, {"20300", "20000", "===", "20201"});
    row(Part::casts, {"20104", "20201", "23"});
    row(Part::casts, {"25", "20201", "20103"});
    row(Part::checks, {"20100", "{FUNCEXPR :funcid 20201 :funcresulttype 16}"});
    row(Part::checks, {"20101", "{OPEXPR :opno 96 :opfuncid 100}"});
    const auto table = [&](std::string_view oid, std::string_view name, std::string_view kind,
                           std::string_view persistence = "p") {
        row(Part::relations, {oid, "20000", name, kind, persistence});
    };
    table("20400", "t", "r");
    table("20401", "scratch", "r", "u");
    table("20402", "ids", "S");
    table("20403", "remote", "f");
    table("20404", "calm_view", "v");
    table("20405", "busy_view", "v");
    table("20406", "nested_view", "v");
    table("20407", "lock_view", "v");
    table("20408", "parent", "p");
    table("20409", "guarded", "r");
    table("20410", "scratch_view", "v");
    row(Part::relations, {"12000", "11", "pg_stat_activity", "v", "p"});
    row(Part::relations, {"12001", "11", "pg_tables", "v", "p"});
    row(Part::relations, {"1259", "11", "pg_class", "r", "p"});
    row(Part::inherits, {"20408", "20400"});
    row(Part::inherits, {"20408", "20401"});
    row(Part::rules, {"20404", "({QUERY :rowMarks <> :relid 20400 :funcid 20200})"});
    row(Part::rules, {"20405", "({QUERY :rowMarks <> :relid 20400 :funcid 20201})"});
    row(Part::rules, {"20406", "({QUERY :rowMarks <> :relid 20405})"});
    row(Part::rules, {"20407", "({QUERY :rowMarks ({ROWMARKCLAUSE}) :relid 20400})"});
    row(Part::rules, {"20410", "({QUERY :rowMarks <> :relid 20401})"});
    row(Part::policies, {"20409", "{FUNCEXPR :funcid 20201}"});
    return builder;
}

}  // namespace pgweir::tests
