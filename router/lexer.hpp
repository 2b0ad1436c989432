// PostgreSQL's tokens, as its scan.l (version 15) cuts them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/ascii.hpp"

namespace pgweir::router {

enum class TokenKind : std::uint8_t {
    end,                 // of the text; its text is empty
    identifier,          // name or keyword, as written: select, Abc, été, a$b
    quoted_identifier,   // "Abc" with its quotes
    unicode_identifier,  // U&"\0061bc"; what it names is for whoever decodes it
    string,              // '…', with '' for a quote and the parts on later lines
    escape_string,       // E'…', and '…' while standard_conforming_strings is off
    unicode_string,      // U&'…'
    bit_string,          // B'…' and X'…'
    dollar_string,       // $tag$…$tag$
    number,              // 1, 1.5, .5, 1e5
    parameter,           // $1
    operation,           // an operator of any length: + <> ->> =
    punctuation,         // , ( ) [ ] . ; : :: .. :=
    other,               // a byte that begins no token
    error,  // not terminated, or what version 15 calls junk: 123abc; the next token comes after it
};

/// One token where it lies. Borrowed: valid as long as the text it was cut from. Two machine words,
/// so that it travels in registers.
struct Token {
    const char* begin = nullptr;
    std::uint32_t size = 0;  // bytes
    TokenKind kind = TokenKind::end;

    std::string_view text() const { return {begin, size}; }
    /// For punctuation and operators of one character.
    bool is(char c) const { return size == 1 && *begin == c; }
};

/// Cuts a text into tokens; whitespace and comments are left out. A value; copying one is how to
/// look ahead. Allocates nothing. Texts are below 4 GiB, as messages are.
///
/// It finds where tokens begin and end, no more: a wrong escape or an operator that is too long is
/// for the server to refuse. Bytes above 127 count as letters. In client encodings that have ASCII
/// bytes inside of characters (SJIS, BIG5, GBK, UHC, GB18030, JOHAB) the server cuts a converted
/// text, so the tokens here may be wrong.
class Lexer {
public:
    /// `standard_strings`: the session's standard_conforming_strings.
    explicit Lexer(std::string_view sql, bool standard_strings = true)
        : at_(sql.data()),
          end_(sql.data() + sql.size()),
          standard_strings_(standard_strings) {}

    /// At the end of the text it is `end`, as often as it is asked.
    Token next();

private:
    Token token(TokenKind kind, const char* end);
    /// Goes behind the comment that begins here, if one does; to the end when it has no end.
    enum class Comment : std::uint8_t { none, skipped, endless };
    Comment skip_comment();
    Token word();
    Token string(TokenKind kind, const char* content);
    Token quoted_identifier(TokenKind kind, const char* content);
    Token dollar();
    Token number();
    Token operation();
    Token punctuation();

    const char* at_;
    const char* end_;
    bool standard_strings_;
};

using protocol::folded;

/// `word` folded is `lower`.
bool is_folded(std::string_view word, std::string_view lower);

/// An unquoted word that is `lower` when folded.
bool is_word(const Token& token, std::string_view lower);

/// What an identifier names: folded, or without its quotes; cut to 63 bytes as PostgreSQL does.
std::string identifier_name(const Token& identifier);

}  // namespace pgweir::router
