#include "router/lexer.hpp"

#include <algorithm>
#include <array>

#include "protocol/utf8.hpp"

namespace pgweir::router {
namespace {

enum Class : std::uint8_t {
    blank = 1,
    letter = 2,  // begins an identifier
    digit = 4,
    inside = 8,   // goes on in an identifier
    symbol = 16,  // makes operators
    plain = 32,   // makes operators, but none that may end in + or -
    in_tag = 64,  // goes on in the tag of a dollar quote
};

constexpr std::array<std::uint8_t, 256> make_classes() {
    std::array<std::uint8_t, 256> classes{};
    // \v is blank from version 16 on, and an error before.
    for (const char c : {' ', '\t', '\n', '\r', '\f', '\v'}) classes[std::size_t(c)] = blank;
    for (std::size_t c = '0'; c <= '9'; ++c) classes[c] = digit | inside | in_tag;
    for (std::size_t c = 'a'; c <= 'z'; ++c) classes[c] = letter | inside | in_tag;
    for (std::size_t c = 'A'; c <= 'Z'; ++c) classes[c] = letter | inside | in_tag;
    for (std::size_t c = 128; c < 256; ++c) classes[c] = letter | inside | in_tag;
    classes['_'] = letter | inside | in_tag;
    classes['$'] = inside;
    for (const char c : std::string_view("~!@#^&|`?%")) classes[std::size_t(c)] = symbol;
    for (const char c : std::string_view("+-*/<>=")) classes[std::size_t(c)] = symbol | plain;
    return classes;
}

constexpr std::array<std::uint8_t, 256> classes = make_classes();

bool is(char c, unsigned of) { return (classes[static_cast<unsigned char>(c)] & of) != 0; }

const char* skip(const char* at, const char* end, unsigned of) {
    while (at < end && is(*at, of)) ++at;
    return at;
}

/// skip() for what is often long.
const char* skip_word(const char* at, const char* end) {
    for (; end - at >= 4; at += 4) {
        if (!is(at[0], inside)) return at;
        if (!is(at[1], inside)) return at + 1;
        if (!is(at[2], inside)) return at + 2;
        if (!is(at[3], inside)) return at + 3;
    }
    return skip(at, end, inside);
}

bool is_newline(char c) { return c == '\n' || c == '\r'; }

const char* line_end(const char* at, const char* end) { return std::find_if(at, end, is_newline); }

/// Behind the comment whose inside begins at `at`; nullptr when it does not end.
const char* comment_end(const char* at, const char* end) {
    for (int depth = 1; at + 1 < end;) {
        if (at[0] == '/' && at[1] == '*') {
            ++depth;
            at += 2;
        } else if (at[0] == '*' && at[1] == '/') {
            at += 2;
            if (--depth == 0) return at;
        } else {
            ++at;
        }
    }
    return nullptr;
}

/// Behind the quote that continues a string on another line; nullptr when none does.
const char* continuation(const char* at, const char* end) {
    bool newline = false;
    while (at < end) {
        if (is(*at, blank)) {
            newline = newline || is_newline(*at);
            ++at;
        } else if (end - at > 1 && at[0] == '-' && at[1] == '-') {
            at = line_end(at, end);
        } else {
            return newline && *at == '\'' ? at + 1 : nullptr;
        }
    }
    return nullptr;
}

}  // namespace

inline Token Lexer::token(TokenKind kind, const char* end) {
    const char* const begin = at_;
    at_ = end;
    return {begin, static_cast<std::uint32_t>(end - begin), kind};
}

Lexer::Comment Lexer::skip_comment() {
    if (end_ - at_ < 2) return Comment::none;
    if (at_[0] == '-' && at_[1] == '-') {
        at_ = line_end(at_, end_);
        return Comment::skipped;
    }
    if (at_[0] != '/' || at_[1] != '*') return Comment::none;
    const char* const behind = comment_end(at_ + 2, end_);
    if (!behind) return Comment::endless;
    at_ = behind;
    return Comment::skipped;
}

inline Token Lexer::word() {
    const char* const stop = skip_word(at_ + 1, end_);
    if (stop - at_ > 1 || stop == end_) return token(TokenKind::identifier, stop);
    if (*stop == '\'') {
        switch (folded(*at_)) {
            case 'e': return string(TokenKind::escape_string, stop + 1);
            case 'b':
            case 'x': return string(TokenKind::bit_string, stop + 1);
            default: break;  // N'…' is the keyword NCHAR and a string
        }
    }
    if (folded(*at_) == 'u' && end_ - stop > 1 && *stop == '&') {
        if (stop[1] == '"') return quoted_identifier(TokenKind::unicode_identifier, stop + 2);
        if (stop[1] == '\'') return string(TokenKind::unicode_string, stop + 2);
    }
    return token(TokenKind::identifier, stop);
}

Token Lexer::next() {
    for (;;) {
        at_ = skip(at_, end_, blank);
        if (at_ == end_) return token(TokenKind::end, end_);
        if (is(*at_, letter)) return word();
        if (is(*at_, digit)) return number();
        if (!is(*at_, symbol)) break;
        const Comment comment = skip_comment();
        if (comment == Comment::none) return operation();
        if (comment == Comment::endless) return token(TokenKind::error, end_);
    }
    switch (*at_) {
        case '\'':
            return string(standard_strings_ ? TokenKind::string : TokenKind::escape_string,
                          at_ + 1);
        case '"': return quoted_identifier(TokenKind::quoted_identifier, at_ + 1);
        case '$': return dollar();
        default: return punctuation();
    }
}

Token Lexer::string(TokenKind kind, const char* content) {
    const bool backslashes = kind == TokenKind::escape_string;
    for (const char* at = content; at < end_;) {
        if (*at == '\\' && backslashes) {
            at += end_ - at > 1 ? 2 : 1;
            continue;
        }
        if (*at++ != '\'') continue;
        if (at < end_ && *at == '\'' && kind != TokenKind::bit_string) {
            ++at;
            continue;
        }
        const char* const more = continuation(at, end_);
        if (!more) return token(kind, at);
        at = more;
    }
    return token(TokenKind::error, end_);
}

Token Lexer::quoted_identifier(TokenKind kind, const char* content) {
    for (const char* at = content; at < end_; ++at) {
        if (*at != '"') continue;
        if (at + 1 < end_ && at[1] == '"') {
            ++at;
            continue;
        }
        return token(at == content ? TokenKind::error : kind, at + 1);
    }
    return token(TokenKind::error, end_);
}

Token Lexer::dollar() {
    const char* at = at_ + 1;
    if (at < end_ && is(*at, digit)) {
        at = skip(at, end_, digit);
        if (at == end_ || !is(*at, letter)) return token(TokenKind::parameter, at);
        return token(TokenKind::error, skip(at, end_, inside));
    }
    if (at < end_ && is(*at, letter)) at = skip(at, end_, in_tag);
    if (at == end_ || *at != '$') return token(TokenKind::other, at_ + 1);

    const std::string_view tag(at_, static_cast<std::size_t>(at + 1 - at_));
    const std::string_view rest(at + 1, static_cast<std::size_t>(end_ - at - 1));
    const std::size_t close = rest.find(tag);
    if (close == std::string_view::npos) return token(TokenKind::error, end_);
    return token(TokenKind::dollar_string, rest.data() + close + tag.size());
}

Token Lexer::number() {
    const char* at = skip(at_, end_, digit);
    if (at < end_ && *at == '.') {
        const bool range = end_ - at > 1 && at[1] == '.' && at > at_;  // 1..10
        if (range) return token(TokenKind::number, at);
        at = skip(at + 1, end_, digit);
    }
    if (at < end_ && folded(*at) == 'e') {
        const char* exponent = at + 1;
        if (exponent < end_ && (*exponent == '+' || *exponent == '-')) ++exponent;
        const char* const stop = skip(exponent, end_, digit);
        if (stop == exponent && exponent > at + 1) return token(TokenKind::error, exponent);
        if (stop > exponent) at = stop;
    }
    if (at < end_ && is(*at, letter)) return token(TokenKind::error, skip(at, end_, inside));
    return token(TokenKind::number, at);
}

Token Lexer::operation() {
    const char* stop = at_;
    bool only_plain = true;
    for (; stop < end_ && is(*stop, symbol); ++stop) {
        const bool more = end_ - stop > 1;
        if (more && stop[0] == '-' && stop[1] == '-') break;
        if (more && stop[0] == '/' && stop[1] == '*') break;
        only_plain = only_plain && is(*stop, plain);
    }
    // So that a=-1 is two operators, while @- may be one.
    if (only_plain) {
        while (stop - at_ > 1 && (stop[-1] == '+' || stop[-1] == '-')) --stop;
    }
    return token(TokenKind::operation, stop);
}

Token Lexer::punctuation() {
    const char following = end_ - at_ > 1 ? at_[1] : '\0';
    switch (*at_) {
        case '(':
        case ')':
        case ',':
        case ';':
        case '[':
        case ']': return token(TokenKind::punctuation, at_ + 1);
        case ':':
            return token(TokenKind::punctuation,
                         at_ + (following == ':' || following == '=' ? 2 : 1));
        case '.':
            if (is(following, digit)) return number();
            return token(TokenKind::punctuation, at_ + (following == '.' ? 2 : 1));
        default: return token(TokenKind::other, at_ + 1);
    }
}

bool is_folded(std::string_view word, std::string_view lower) {
    return word.size() == lower.size() && std::equal(word.begin(), word.end(), lower.begin(),
                                                     [](char a, char b) { return folded(a) == b; });
}

bool is_word(const Token& token, std::string_view lower) {
    return token.kind == TokenKind::identifier && is_folded(token.text(), lower);
}

std::string identifier_name(const Token& identifier) {
    constexpr std::size_t name_max = 63;  // NAMEDATALEN - 1
    std::string name;
    if (identifier.kind == TokenKind::quoted_identifier) {
        const std::string_view content = identifier.text().substr(1, identifier.size - 2);
        for (std::size_t at = 0; at < content.size(); ++at) {
            name += content[at];
            if (content[at] == '"') ++at;  // the second of two
        }
    } else {
        for (const char c : identifier.text()) name += folded(c);
    }
    name.resize(protocol::whole_characters(name, name_max).size());
    return name;
}

}  // namespace pgweir::router
