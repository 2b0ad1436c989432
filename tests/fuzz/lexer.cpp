// SQL from anywhere: tokens begin and end where libpg_query's scanner says, which is PostgreSQL
// 15's own, reading traces stays inside the text, and what is plain has none.
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "router/lexer.hpp"
#include "router/plain.hpp"
#include "router/traces.hpp"
#include "tests/fuzz/targets.hpp"

namespace pgweir::fuzz {

namespace {

using pgweir::router::Lexer;
using pgweir::router::Token;
using pgweir::router::TokenKind;

bool is_comment(const PgQuery__ScanToken& token) {
    return token.token == PG_QUERY__TOKEN__SQL_COMMENT || token.token == PG_QUERY__TOKEN__C_COMMENT;
}

/// libpg_query says where U&'…' begins, but not where it ends.
bool has_end(const Token& token) {
    return token.kind != TokenKind::unicode_string && token.kind != TokenKind::unicode_identifier;
}

/// Of strings that go on behind a comment libpg_query makes two, other than PostgreSQL.
bool goes_on_behind_comment(const Token& token) {
    const bool string = token.kind == TokenKind::string || token.kind == TokenKind::bit_string ||
                        token.kind == TokenKind::escape_string ||
                        token.kind == TokenKind::unicode_string;
    return string && token.text().find("--") != std::string_view::npos;
}

void compare(const std::string& sql, const PgQuery__ScanResult& theirs) {
    Lexer lexer(sql);
    for (std::size_t i = 0; i < theirs.n_tokens; ++i) {
        const PgQuery__ScanToken& their = *theirs.tokens[i];
        if (is_comment(their)) continue;
        const Token ours = lexer.next();
        const long begin = ours.begin - sql.data();
        if (ours.kind == TokenKind::end || begin != their.start) std::abort();
        if (has_end(ours) && begin + ours.size == their.end) continue;
        if (goes_on_behind_comment(ours)) return;
        if (has_end(ours)) std::abort();
    }
    if (lexer.next().kind != TokenKind::end) std::abort();
}

}  // namespace

void lexer(std::string_view input) {
    const std::string sql(input);
    const auto traces = pgweir::router::traces_of(sql);
    if (pgweir::router::details_of(sql).traces != traces) std::abort();
    const auto escaping = pgweir::router::details_of(sql, false).traces;
    if (pgweir::router::is_plain(sql) && (traces | escaping) != 0) std::abort();

    // No text has a NUL in it, and \v is blank from version 16 on.
    if (sql.find('\0') != std::string::npos || sql.find('\v') != std::string::npos) return;
    const PgQueryScanResult scanned = pg_query_scan(sql.c_str());
    if (!scanned.error) {
        PgQuery__ScanResult* const theirs = pg_query__scan_result__unpack(
            nullptr, scanned.pbuf.len, reinterpret_cast<const std::uint8_t*>(scanned.pbuf.data));
        if (theirs) compare(sql, *theirs);
        if (theirs) pg_query__scan_result__free_unpacked(theirs, nullptr);
    }
    pg_query_free_scan_result(scanned);
}

}  // namespace pgweir::fuzz
