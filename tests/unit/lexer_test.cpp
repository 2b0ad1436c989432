#include "router/lexer.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace pgweir::router {
namespace {

using Kind = TokenKind;
using Tokens = std::vector<std::pair<Kind, std::string>>;

Tokens tokens_of(std::string_view sql, bool standard_strings = true) {
    Lexer lexer(sql, standard_strings);
    Tokens tokens;
    for (Token token = lexer.next(); token.kind != Kind::end; token = lexer.next()) {
        tokens.emplace_back(token.kind, token.text());
    }
    EXPECT_EQ(lexer.next().kind, Kind::end) << "twice";
    return tokens;
}

struct LexerCase {
    const char* name;
    std::string_view sql;
    Tokens tokens;
};

constexpr Kind id = Kind::identifier, op = Kind::operation, punct = Kind::punctuation,
               num = Kind::number;

const LexerCase lexer_cases[] = {
    {"nothing", "", {}},
    {"blanks", " \t\r\n\f\v", {}},
    {"comment to the end", "-- select", {}},
    {"comment to a newline", "--a\nb--c\rd", {{id, "b"}, {id, "d"}}},
    {"comments nest", "a/* /* b */ c */d", {{id, "a"}, {id, "d"}}},
    {"comments of stars and slashes", "/***/a/*/*/**/*/*/b/**/", {{id, "a"}, {id, "b"}}},
    {"comment without end", "a /* /* */", {{id, "a"}, {Kind::error, "/* /* */"}}},
    {"comment with half an end", "/*/", {{Kind::error, "/*/"}}},

    {"words",
     "Select _a a$1 été x",
     {{id, "Select"}, {id, "_a"}, {id, "a$1"}, {id, "été"}, {id, "x"}}},
    {"quoted",
     R"("a""b" "c d")",
     {{Kind::quoted_identifier, R"("a""b")"}, {Kind::quoted_identifier, R"("c d")"}}},
    {"quoted without end", R"(a "b)", {{id, "a"}, {Kind::error, R"("b)"}}},
    {"quoted of nothing", R"("" a)", {{Kind::error, R"("")"}, {id, "a"}}},
    {"Unicode",
     R"(U&"\0061" u&'\0061' U&a)",
     {{Kind::unicode_identifier, R"(U&"\0061")"},
      {Kind::unicode_string, R"(u&'\0061')"},
      {id, "U"},
      {op, "&"},
      {id, "a"}}},

    {"string", "'a''b' ''", {{Kind::string, "'a''b'"}, {Kind::string, "''"}}},
    {"string's backslash", R"('a\' b)", {{Kind::string, R"('a\')"}, {id, "b"}}},
    {"string on two lines", "'a' \n 'b'c", {{Kind::string, "'a' \n 'b'"}, {id, "c"}}},
    {"string goes on behind comments",
     "'a'--x\n--y\n\t'b'",
     {{Kind::string, "'a'--x\n--y\n\t'b'"}}},
    {"strings on one line", "'a' 'b'", {{Kind::string, "'a'"}, {Kind::string, "'b'"}}},
    {"other comments end it", "'a'\n/**/'b'", {{Kind::string, "'a'"}, {Kind::string, "'b'"}}},
    {"string without end", "a 'b''", {{id, "a"}, {Kind::error, "'b''"}}},
    {"second part without end", "'a'\n'b", {{Kind::error, "'a'\n'b"}}},
    {"minus behind a string",
     "'a'\n-'b'",
     {{Kind::string, "'a'"}, {op, "-"}, {Kind::string, "'b'"}}},
    {"escapes",
     R"(E'a\'b' e'\\' E'''')",
     {{Kind::escape_string, R"(E'a\'b')"},
      {Kind::escape_string, R"(e'\\')"},
      {Kind::escape_string, "E''''"}}},
    {"escape at the end", R"(E'\)", {{Kind::error, R"(E'\)"}}},
    {"bits",
     "B'01' x'f'''",
     {{Kind::bit_string, "B'01'"}, {Kind::bit_string, "x'f'"}, {Kind::string, "''"}}},
    {"national", "N'a'", {{id, "N"}, {Kind::string, "'a'"}}},
    {"no prefix", "be'a'", {{id, "be"}, {Kind::string, "'a'"}}},
    {"dollars",
     "$$a'$$ $x$ $$ $y$ $x$",
     {{Kind::dollar_string, "$$a'$$"}, {Kind::dollar_string, "$x$ $$ $y$ $x$"}}},
    {"dollars share one", "$a$b$a$", {{Kind::dollar_string, "$a$b$a$"}}},
    {"dollars without end", "$a$ $A$", {{Kind::error, "$a$ $A$"}}},
    {"dollar alone", "$a + $", {{Kind::other, "$"}, {id, "a"}, {op, "+"}, {Kind::other, "$"}}},
    {"parameters",
     "$1+$23,$4a",
     {{Kind::parameter, "$1"},
      {op, "+"},
      {Kind::parameter, "$23"},
      {punct, ","},
      {Kind::error, "$4a"}}},

    {"numbers",
     "1 1.5 .5 1. 1e5 1.5E-3 .5e+1",
     {{num, "1"},
      {num, "1.5"},
      {num, ".5"},
      {num, "1."},
      {num, "1e5"},
      {num, "1.5E-3"},
      {num, ".5e+1"}}},
    {"range", "1..10", {{num, "1"}, {punct, ".."}, {num, "10"}}},
    {"two points", "1.5.3", {{num, "1.5"}, {num, ".3"}}},
    {"junk",
     "123abc 0x1F 1e 1.a 1e+ 1e5x",
     {{Kind::error, "123abc"},
      {Kind::error, "0x1F"},
      {Kind::error, "1e"},
      {Kind::error, "1.a"},
      {Kind::error, "1e+"},
      {Kind::error, "1e5x"}}},

    {"operators",
     "a<>b->>c !=~ @",
     {{id, "a"}, {op, "<>"}, {id, "b"}, {op, "->>"}, {id, "c"}, {op, "!=~"}, {op, "@"}}},
    {"signs behind",
     "a=-1 a<+-2",
     {{id, "a"},
      {op, "="},
      {op, "-"},
      {num, "1"},
      {id, "a"},
      {op, "<"},
      {op, "+"},
      {op, "-"},
      {num, "2"}}},
    {"signs that belong to it", "@- ?+ +-", {{op, "@-"}, {op, "?+"}, {op, "+"}, {op, "-"}}},
    {"comment in an operator",
     "a+/*x*/b*--c\n=",
     {{id, "a"}, {op, "+"}, {id, "b"}, {op, "*"}, {op, "="}}},
    {"trims before a comment", "<-/*x*/-1", {{op, "<"}, {op, "-"}, {op, "-"}, {num, "1"}}},
    {"punctuation",
     "(a,[1:2])::b.c:=;",
     {{punct, "("},
      {id, "a"},
      {punct, ","},
      {punct, "["},
      {num, "1"},
      {punct, ":"},
      {num, "2"},
      {punct, "]"},
      {punct, ")"},
      {punct, "::"},
      {id, "b"},
      {punct, "."},
      {id, "c"},
      {punct, ":="},
      {punct, ";"}}},
    {"others", "{\\}", {{Kind::other, "{"}, {Kind::other, "\\"}, {Kind::other, "}"}}},
};

TEST(Lexer, Cuts) {
    for (const LexerCase& c : lexer_cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(tokens_of(c.sql), c.tokens);
    }
}

TEST(Lexer, NeedsStandardConformingStringsOnlyForPlainStrings) {
    EXPECT_EQ(tokens_of(R"('a\'b' c)", false),
              (Tokens{{Kind::escape_string, R"('a\'b')"}, {id, "c"}}));
    EXPECT_EQ(tokens_of(R"("a\" $$\$$ B'\')", false), (Tokens{{Kind::quoted_identifier, R"("a\")"},
                                                              {Kind::dollar_string, R"($$\$$)"},
                                                              {Kind::bit_string, R"(B'\')"}}));
}

TEST(Lexer, TokensLieInTheText) {
    for (const LexerCase& c : lexer_cases) {
        SCOPED_TRACE(c.name);
        // Every beginning of every text, each in memory of its own size for ASan to watch.
        for (std::size_t size = 0; size <= c.sql.size(); ++size) {
            const std::vector<char> cut(c.sql.begin(), c.sql.begin() + static_cast<long>(size));
            Lexer lexer(std::string_view(cut.data(), cut.size()));
            const char* end = cut.data();
            for (Token token = lexer.next(); token.kind != Kind::end; token = lexer.next()) {
                ASSERT_GE(token.begin, end);
                ASSERT_GT(token.size, 0u);
                end = token.begin + token.size;
                ASSERT_LE(end, cut.data() + cut.size());
            }
        }
    }
}

TEST(Lexer, NamesIdentifiers) {
    const auto name = [](std::string_view sql) { return identifier_name(Lexer(sql).next()); };
    EXPECT_EQ(name("Abc_É"), "abc_É");
    EXPECT_EQ(name(R"("A""b")"), R"(A"b)");
    EXPECT_EQ(name(std::string(70, 'A')), std::string(63, 'a'));
    EXPECT_EQ(name(std::string(62, 'a') + "é"), std::string(62, 'a'));
}

TEST(Lexer, ComparesWords) {
    EXPECT_TRUE(is_word(Lexer("SeLect").next(), "select"));
    EXPECT_FALSE(is_word(Lexer("\"select\"").next(), "select"));
    EXPECT_FALSE(is_word(Lexer("selects").next(), "select"));
}

}  // namespace
}  // namespace pgweir::router
