#include "router/calls.hpp"

#include <algorithm>
#include <cstddef>
#include <initializer_list>

namespace pgweir::router {
namespace {

using protocol::mentions;

bool is_one_of(const Token& token, std::initializer_list<std::string_view> words) {
    return std::any_of(words.begin(), words.end(),
                       [&](std::string_view word) { return is_word(token, word); });
}

/// Behind a parenthesis a name is an alias, `) x(a, b)`, or begins a clause, but for the calls in
/// DISTINCT ON (a) f(b), a OPERATOR(s.+) f(b) and RETURNING WITH (OLD AS o) f(b).
bool may_follow_parenthesis(const Called& called) {
    if (is_one_of(called.name, {"over", "filter", "include", "inherits", "within"})) return false;
    const std::string_view before =
        called.text.substr(0, static_cast<std::size_t>(called.front.begin - called.text.data()));
    return mentions(before, "distinct") || mentions(before, "operator") ||
           mentions(before, "returning");
}

/// `front` is a word, and no punctuation.
bool may_follow_word(const Called& called, const Word& what) {
    const Word& front = word_of(called.front.text());
    // A name in front of a name is a column's or table's: data geometry(Point).
    if (front.keyword == Keyword::none || front.names) return false;
    if (called.in_index && is_word(called.front, "on")) return false;
    if (is_word(called.front, "using") &&
        is_one_of(called.name, {"btree", "hash", "gist", "gin", "spgist", "brin"})) {
        return false;
    }
    return !what.opens || front.begins;
}

}  // namespace

bool is_call(const Called& called, const Word& what) {
    if (what.keyword == Keyword::reserved || what.keyword == Keyword::column_name) return false;
    if (what.opens && what.keyword == Keyword::function_name) return false;
    const Token& front = called.front;
    switch (front.kind) {
        case TokenKind::end: return false;                // EXPLAIN (
        case TokenKind::quoted_identifier: return false;  // "column" type(1)
        case TokenKind::identifier: return may_follow_word(called, what);
        default: break;
    }
    if (front.is(';') || front.text() == "::") return false;  // a verb, a type
    if (front.is(')')) return may_follow_parenthesis(called);
    if (!what.opens || front.kind == TokenKind::operation || front.is('(')) return true;
    return front.is(',') && !is_one_of(called.name, {"cube", "rollup"});
}

}  // namespace pgweir::router
