#include "proxy/function_book.hpp"

#include <algorithm>

#include "protocol/vars.hpp"
#include "router/lexer.hpp"

namespace pgweir::proxy {

namespace {

using router::trace::anything;

std::string bare_name(std::string_view function) {
    return std::string(function.substr(function.rfind('.') + 1));
}

/// Extensions that keep a session's state where PostgreSQL does not show it.
bool keeps_state(std::string_view source) { return source.starts_with("dblink_connect"); }

/// SQL or PL/pgSQL that may write rows.
bool writes(std::string_view source) {
    constexpr std::string_view words[] = {"insert", "update", "delete",
                                          "merge",  "copy",   "truncate"};
    router::Lexer lexer(source);
    for (router::Token token = lexer.next(); token.kind != router::TokenKind::end;
         token = lexer.next()) {
        if (std::any_of(std::begin(words), std::end(words),
                        [&](std::string_view word) { return router::is_word(token, word); })) {
            return true;
        }
    }
    return false;
}

/// PL/pgSQL with its own words for a SELECT, so that router::traces_of() sees what is called.
std::string as_sql(std::string_view source) {
    constexpr std::string_view words[] = {"perform", "return", "if",    "elsif",
                                          "elseif",  "while",  "assert"};
    std::string sql;
    router::Lexer lexer(source);
    for (router::Token token = lexer.next(); token.kind != router::TokenKind::end;
         token = lexer.next()) {
        const bool opens = std::any_of(std::begin(words), std::end(words),
                                       [&](auto word) { return router::is_word(token, word); });
        sql += opens ? "; select" : token.text();
        sql += ' ';
    }
    return sql;
}

/// PL/pgSQL: does it EXECUTE text, or has it commands where traces_of() sees no statement?
bool runs_more(std::string_view source) {
    constexpr std::string_view commands[] = {"set",     "reset",   "listen",     "unlisten",
                                             "discard", "prepare", "deallocate", "load"};
    constexpr std::string_view openings[] = {"begin", "then", "else", "loop"};
    const auto is_one_of = [](const router::Token& token, const auto& words) {
        return std::any_of(std::begin(words), std::end(words),
                           [&](std::string_view word) { return router::is_word(token, word); });
    };
    router::Lexer lexer(source);
    bool opened = false;
    for (router::Token token = lexer.next(); token.kind != router::TokenKind::end;
         token = lexer.next()) {
        if (router::is_word(token, "execute")) return true;
        if (opened && is_one_of(token, commands)) return true;
        opened = is_one_of(token, openings);
    }
    return false;
}

}  // namespace

bool changes_more(const router::Details& details) {
    return details.all_variables || details.shown_variables || details.reset_all ||
           !details.resets.empty();
}

void add_once(std::vector<std::string>& names, const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

void Doings::add(const Doings& others) {
    traces |= others.traces;
    all_variables |= others.all_variables;
    for (const std::string& name : others.variables) add_once(variables, name);
    for (const std::string& name : others.functions) add_once(functions, name);
}

std::optional<Doings> FunctionBook::find(const std::string& function) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(bare_name(function));
    if (found == entries_.end()) return std::nullopt;
    return found->second;
}

void FunctionBook::learn(const std::string& function, Doings doings) {
    constexpr std::size_t entries_max = 16 << 10;
    const std::lock_guard lock(mutex_);
    if (entries_.size() >= entries_max) entries_.clear();
    entries_.insert_or_assign(bare_name(function), std::move(doings));
}

void FunctionBook::forget() {
    const std::lock_guard lock(mutex_);
    writes_leave_nothing = false;
    entries_.clear();
}

std::string FunctionBook::question(const std::vector<std::string>& functions) {
    // A body that is no string (BEGIN ATOMIC, RETURN) has no source; what gives it alone is not in
    // PostgreSQL before 14.
    constexpr std::string_view definition =
        "pg_catalog.concat(l.lanname, ' ', p.provolatile), "
        "CASE WHEN p.prosrc OPERATOR(pg_catalog.=) '' THEN pg_catalog.substring("
        "pg_catalog.pg_get_functiondef(p.oid), "
        "pg_catalog.concat(pg_catalog.chr(10), '((?:BEGIN ATOMIC|RETURN ).*)$')) "
        "ELSE p.prosrc END "
        "FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l "
        "ON l.oid OPERATOR(pg_catalog.=) p.prolang ";
    std::string names, sql;
    bool writes = false;
    for (const std::string& function : functions) {
        if (function == behind_writes) {
            writes = true;
            continue;
        }
        names += (names.empty() ? "" : ",") + protocol::quote_literal(bare_name(function));
    }
    if (!names.empty()) {
        sql.append("SELECT p.proname::pg_catalog.text, ").append(definition);
        sql +=
            "WHERE p.proname OPERATOR(pg_catalog.=) ANY (ARRAY[" + names + "]::pg_catalog.name[])";
    }
    if (!writes) return sql;
    if (!sql.empty()) sql += " UNION ALL ";
    sql.append("(SELECT ").append(protocol::quote_literal(behind_writes)).append(", ");
    sql.append(definition)
        .append("WHERE p.provolatile OPERATOR(pg_catalog.=) 'v' AND p.oid OPERATOR(pg_catalog.=) "
                "ANY (ARRAY("
                "SELECT tgfoid FROM pg_catalog.pg_trigger "
                "WHERE NOT tgisinternal AND tgenabled OPERATOR(pg_catalog.<>) 'D' "
                "UNION SELECT refobjid FROM pg_catalog.pg_depend "
                "WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass "
                "AND classid OPERATOR(pg_catalog.=) ANY (ARRAY['pg_catalog.pg_rewrite',"
                "'pg_catalog.pg_attrdef','pg_catalog.pg_constraint','pg_catalog.pg_policy',"
                "'pg_catalog.pg_class','pg_catalog.pg_type','pg_catalog.pg_cast',"
                "'pg_catalog.pg_operator']::pg_catalog.regclass[]))) LIMIT ");
    sql.append(std::to_string(behind_writes_max)).append(")");
    return sql;
}

Doings FunctionBook::read(std::string_view language, std::string_view source) {
    Doings doings;
    if (!language.ends_with(" v")) return doings;  // it has promised to leave nothing
    language.remove_suffix(2);
    if (language == "internal") return doings;
    if (language == "c") {
        if (keeps_state(source)) doings.traces = router::trace::library;
        return doings;
    }
    if (language != "sql" && language != "plpgsql") {
        doings.traces = anything;
        return doings;
    }
    const bool plpgsql = language == "plpgsql";
    const std::string sql = plpgsql ? as_sql(source) : std::string(source);
    doings.traces = router::traces_of(sql);
    if (plpgsql && runs_more(source)) doings.traces |= anything;
    if (writes(source)) doings.functions.emplace_back(behind_writes);
    if (doings.traces == 0) return doings;
    router::Details details = router::details_of(sql);
    doings.variables = std::move(details.variables);
    details.all_variables |= !details.variable_parameters.empty();
    doings.all_variables = changes_more(details);
    if (details.all_variables) doings.traces |= pin_custom;
    for (const std::string& name : details.functions) add_once(doings.functions, name);
    return doings;
}

}  // namespace pgweir::proxy
