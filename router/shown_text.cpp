#include "router/shown_text.hpp"

#include "protocol/utf8.hpp"
#include "router/lexer.hpp"

namespace pgweir::router {

namespace {

constexpr std::string_view rest = "…";

bool is_value(TokenKind kind) {
    switch (kind) {
        case TokenKind::string:
        case TokenKind::escape_string:
        case TokenKind::unicode_string:
        case TokenKind::bit_string:
        case TokenKind::dollar_string:
        case TokenKind::number:
        case TokenKind::parameter: return true;
        default: return false;
    }
}

}  // namespace

std::string shown_text(std::string_view sql, std::size_t size_max) {
    std::string shown;
    Lexer lexer(sql);
    unsigned values = 0;
    const char* behind = sql.data();
    for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next()) {
        if (token.begin != behind && !shown.empty()) shown += ' ';
        behind = token.begin + token.size;
        if (token.kind == TokenKind::error || token.kind == TokenKind::other) return shown += rest;
        if (!is_value(token.kind)) {
            shown += token.text();
        } else {
            shown += '$' + std::to_string(++values);
            const bool unsure = token.kind == TokenKind::string &&
                                token.text().find('\\') != std::string_view::npos;
            if (unsure) return shown += rest;
        }
        if (shown.size() > size_max) {
            shown.resize(protocol::whole_characters(shown, size_max).size());
            return shown += rest;
        }
    }
    return shown;
}

}  // namespace pgweir::router
