#include "router/shown_text.hpp"

#include <gtest/gtest.h>

#include "router/skeleton.hpp"

namespace pgweir::router {
namespace {

struct Case {
    const char* name;
    const char* sql;
    const char* shown;
};

constexpr Case cases[] = {
    {"nothing", "", ""},
    {"a number", "select 42", "select $1"},
    {"a number with an exponent", "select 1.5e7, .25", "select $1, $2"},
    {"strings", "select 'it''s', E'a\\'b', $q$c$q$, U&'\\0061', B'01'",
     "select $1, $2, $3, $4, $5"},
    {"parameters are numbered anew", "select $2 + 7", "select $1 + $2"},
    {"a digit in a name", "select a1 from t2", "select a1 from t2"},
    {"comments", "/* who */ select /* x */ 1 -- y\n, 2", "select $1 , $2"},
    {"blanks", "select\n\t  a\n from\tt", "select a from t"},
    {"a quoted name", "select \"A b\" from t", "select \"A b\" from t"},
    {"a type's name", "select date '2020-01-01'", "select date $1"},
    {"a password", "alter role a password 'secret'", "alter role a password $1"},
    {"a backslash that may escape the quote", "select 'it\\'s secret'", "select $1…"},
    {"a string that does not end", "select 'sec", "select …"},
    {"a dollar string that does not end", "select $$sec", "select …"},
    {"junk behind a number", "select 12sec", "select …"},
};

TEST(ShownText, HasNoLiterals) {
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(shown_text(c.sql, 1000), c.shown);
    }
}

TEST(ShownText, OfASkeleton) {
    std::string room;
    const auto skeleton = skeleton_of("select 1.5e7 from t where a in (1, 2, 3) and b = $7", room);
    ASSERT_TRUE(skeleton);
    EXPECT_EQ(shown_text(*skeleton, 1000), "select $1 from t where a in ($2) and b = $3");
}

TEST(ShownText, IsCutBetweenCharacters) {
    EXPECT_EQ(shown_text("select abc", 8), "select a…");
    EXPECT_EQ(shown_text("select aé", 10), "select aé");
    EXPECT_EQ(shown_text("select aéx", 10), "select aé…");
    EXPECT_EQ(shown_text("select aéx", 9), "select a…");
}

}  // namespace
}  // namespace pgweir::router
