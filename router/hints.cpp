#include "router/hints.hpp"

#include "router/lexer.hpp"

namespace pgweir::router {

namespace {

constexpr std::string_view blanks = " \t\r\n\f";

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

}  // namespace

Hint hint_of(std::string_view sql) {
    if (sql.empty() || (sql.front() != '/' && sql.front() > ' ')) return Hint::none;
    const std::size_t first = sql.find_first_not_of(blanks);
    if (first == std::string_view::npos || sql.substr(first, 2) != "/*") return Hint::none;
    const std::size_t end = sql.find("*/", first + 2);
    if (end == std::string_view::npos) return Hint::none;
    const std::string_view comment = trimmed(sql.substr(first + 2, end - first - 2));
    if (is_folded(comment, "no load balance")) return Hint::primary;
    const std::size_t colon = comment.find(':');
    if (colon == std::string_view::npos) return Hint::none;
    if (!is_folded(trimmed(comment.substr(0, colon)), "pgweir")) return Hint::none;
    const std::string_view where = trimmed(comment.substr(colon + 1));
    if (is_folded(where, "primary")) return Hint::primary;
    if (is_folded(where, "replica")) return Hint::replica;
    return Hint::none;
}

}  // namespace pgweir::router
