#include "proxy/explain_route.hpp"

#include <algorithm>

#include "router/lexer.hpp"

namespace pgweir::proxy {

using router::Verdict;

namespace {

/// The statements as semicolons cut them.
std::vector<std::string_view> cut(std::string_view sql) {
    std::vector<std::string_view> statements;
    router::Lexer lexer(sql);
    const char* begin = nullptr;  // of the present one
    const char* end = nullptr;
    const auto add = [&] {
        if (begin) statements.emplace_back(begin, static_cast<std::size_t>(end - begin));
        begin = nullptr;
    };
    for (auto token = lexer.next(); token.kind != router::TokenKind::end; token = lexer.next()) {
        if (token.is(';')) {
            add();
            continue;
        }
        // From the start of the text, for the sake of a hint in front of the first.
        if (!begin) begin = statements.empty() ? sql.data() : token.begin;
        end = token.begin + token.size;
    }
    add();
    return statements;
}

}  // namespace

std::optional<std::string_view> explained(std::string_view sql) {
    router::Lexer lexer(sql);
    if (!router::is_word(lexer.next(), "explain") || !router::is_word(lexer.next(), "route"))
        return std::nullopt;
    const router::Token first = lexer.next();
    if (first.kind == router::TokenKind::end) return std::string_view();
    return sql.substr(static_cast<std::size_t>(first.begin - sql.data()));
}

std::string_view place_text(const Verdict& verdict) {
    switch (verdict.kind) {
        case Verdict::Kind::own:
        case Verdict::Kind::empty: return "pgweir";
        case Verdict::Kind::set: return "session";
        case Verdict::Kind::begin:
        case Verdict::Kind::end:
        case Verdict::Kind::set_transaction: return "transaction";
        case Verdict::Kind::several: return "primary";
        case Verdict::Kind::statement: break;
    }
    if (verdict.follows) return "transaction";
    return verdict.read ? "replica" : "primary";
}

std::vector<Verdict> judge_each(std::string_view sql, const Judge& judge) {
    std::vector<Verdict> verdicts;
    for (const std::string_view statement : cut(sql)) verdicts.push_back(judge(statement));
    // A body in BEGIN ATOMIC has semicolons of its own.
    const bool miscut = std::ranges::any_of(verdicts, [](const Verdict& verdict) {
        return verdict.reason == router::Reason::parse_error;
    });
    if (verdicts.empty() || (miscut && judge(sql).reason != router::Reason::parse_error))
        return {judge(sql)};
    return verdicts;
}

}  // namespace pgweir::proxy
