#include "router/catalog_queries.hpp"

#include <array>

namespace pgweir::router {

namespace {

constexpr std::string_view begin =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = pg_catalog; "
    "SET LOCAL statement_timeout = '60s'; ";

constexpr std::string_view no_temporary_schema =
    "NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_(toast_)?temp_')";

/// New rows of a table count with the transaction that made them.
std::string changes_of(std::string_view table, std::string_view where) {
    return std::string("(SELECT count(*) || '.' || coalesce(sum(xmin::text::bigint), 0) FROM ") +
           std::string(table) + " WHERE " + std::string(where) + ")";
}

std::string version_query() {
    const std::string not_temporary(no_temporary_schema);
    const std::array changes = {
        changes_of("pg_proc", "oid >= 16384 AND pronamespace " + not_temporary),
        changes_of("pg_class", "oid >= 16384 AND relkind IN ('r', 'p', 'm', 'v', 'S', 'f', 'c') "
                               "AND relpersistence <> 't'"),
        changes_of("pg_rewrite", "oid >= 16384"),
        changes_of("pg_operator", "oid >= 16384"),
        changes_of("pg_cast", "oid >= 16384"),
        changes_of("pg_policy", "true"),
        changes_of("pg_type", "oid >= 16384 AND typnamespace " + not_temporary),
        changes_of("pg_constraint", "contypid > 0"),
        changes_of("pg_inherits", "inhrelid >= 16384"),
        changes_of("pg_namespace", "nspname !~ '^pg_(toast_)?temp_'"),
        changes_of("pg_db_role_setting", "true"),
    };
    std::string query = "SELECT 0, concat_ws(' '";
    for (const std::string& one : changes) query += ", " + one;
    return query + "); ";
}

std::string make_load() {
    const std::string not_temporary(no_temporary_schema);
    return std::string(begin) + version_query() +
           "SELECT 1, reset_val, session_user FROM pg_settings WHERE name = 'search_path'; "

           "SELECT 2, coalesce(r.rolname, ''), s.setdatabase <> 0, substr(c, 13) "
           "FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c "
           "LEFT JOIN pg_roles r ON r.oid = s.setrole WHERE lower(c) LIKE 'search\\_path=%' AND "
           "s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) "
           "ORDER BY s.setdatabase; "

           "SELECT 3, oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'; "

           "SELECT 4, oid, typnamespace, typname, typtype, typbasetype, typelem, typinput::oid, "
           "typoutput::oid, typmodin::oid FROM pg_type WHERE typnamespace " +
           not_temporary +
           "; "

           "SELECT 5, c.reltype, a.atttypid FROM pg_attribute a JOIN pg_class c ON c.oid = "
           "a.attrelid "
           "WHERE a.atttypid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped AND c.reltype <> 0; "

           "SELECT 6, oid, pronamespace, proname, provolatile, prokind, pronargs, "
           "CASE WHEN provariadic <> 0 AND pronargdefaults = 0 THEN 1 ELSE pronargdefaults END, "
           "proargtypes FROM pg_proc WHERE pronamespace " +
           not_temporary +
           "; "

           "SELECT 7, aggfnoid::oid, f FROM pg_aggregate CROSS JOIN unnest(ARRAY[aggtransfn::oid, "
           "aggfinalfn::oid, aggcombinefn::oid, aggserialfn::oid, aggdeserialfn::oid, "
           "aggmtransfn::oid, aggminvtransfn::oid, aggmfinalfn::oid]) f WHERE f <> 0; "

           "SELECT 8, oid, oprnamespace, oprname, oprcode::oid FROM pg_operator; "

           "SELECT 9, casttarget, castfunc, castsource FROM pg_cast WHERE castfunc <> 0; "

           "SELECT 10, contypid, conbin::text FROM pg_constraint "
           "WHERE contypid > 0 AND conbin IS NOT NULL; "

           "SELECT 11, oid, relnamespace, relname, relkind, relpersistence FROM pg_class "
           "WHERE relkind IN ('r', 'p', 'm', 'v', 'S', 'f') AND relpersistence <> 't'; "

           "SELECT 12, inhparent, inhrelid FROM pg_inherits; "

           "SELECT 13, ev_class, ev_action::text FROM pg_rewrite "
           "WHERE ev_type = '1' AND ev_class >= 16384; "

           "SELECT 14, polrelid, polqual::text FROM pg_policy "
           "WHERE polcmd IN ('r', '*') AND polqual IS NOT NULL; "
           "COMMIT";
}

}  // namespace

const std::string& load_queries() {
    static const std::string text = make_load();
    return text;
}

const std::string& poll_query() {
    static const std::string text = std::string(begin) + version_query() + "COMMIT";
    return text;
}

}  // namespace pgweir::router
