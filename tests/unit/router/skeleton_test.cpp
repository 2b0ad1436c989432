#include "router/skeleton.hpp"

#include <gtest/gtest.h>

namespace pgweir::router {
namespace {

struct SkeletonCase {
    std::string_view sql;
    std::optional<std::string_view> skeleton;
};

const SkeletonCase skeleton_cases[] = {
    {"", ""},
    {"select 1", "select 0"},
    {"select 'it''s', 4, $12 -- end", "select ''"},
    {"select a1, 7.5e3, .5 from t2", "select a1, 0.0e3, .0 from t2"},
    {"/* a /* b */ */  select /* c */ 1 /* d */", "select  0"},
    {"where id in (1,2 , 3,\n4)", "where id in (0)"},
    {"values (1, 'a'), (2, 'b')", "values (0), (0)"},
    {"select -1, -2", "select -0, -0"},
    {"select E'a\\'b', B'1', x'f', n'a'", "select E'', B'', x'', n''"},
    {"select date '2000-01-01', date'2000-01-01'", "select date '', date''"},
    {"select $$a$$, $x$ $$ ' $x$", "select ''"},
    {"select a$1$b, \"it's 1\", \"a\"\"1\"", "select a$1$b, \"it's 1\", \"a\"\"1\""},
    {"select 'a'\n'b'", "select ''\n''"},
    {"select a-1, b--1\n+2", "select a-0, b \n+0"},
    {"select a*/* b */2/3", "select a* 0/0"},
    {"select 'été', été1 from t", "select '', été1 from t"},
    {"select 1 \t\n", "select 0"},
    {"select 1 ; -- end\n;\n", "select 0"},
    {"select \"a;\"", "select \"a;\""},
    {" ; /* nothing */", ""},
    {"select 'open", std::nullopt},
    {"select \"open", std::nullopt},
    {"select $x$open", std::nullopt},
    {"select /* open", std::nullopt},
    {"select U&'\\0061'", std::nullopt},
    {"select U&\"a\" uescape '!'", std::nullopt},
    {"select d'1'", std::nullopt},
    {"select 1e'\\'", std::nullopt},
    {"select $1e'\\'", std::nullopt},
    {"select E'a'\n'\\''", std::nullopt},
    {"select a \\ b", std::nullopt},
    {"select 'a'$$b$$", std::nullopt},
    {"select $a$ b$a$'c'", std::nullopt},
    {"select 1, $a$ b$a$'c'", std::nullopt},
};

TEST(Skeleton, HasNoLiterals) {
    std::string room;
    for (const SkeletonCase& c : skeleton_cases) {
        SCOPED_TRACE(c.sql);
        const auto skeleton = skeleton_of(c.sql, room);
        EXPECT_TRUE(skeleton == c.skeleton) << skeleton.value_or("none");
    }
}

TEST(Skeleton, MayKeepNamesOfSettings) {
    const SkeletonCase cases[] = {
        {"select 'a', current_setting('app.a'), 1", "select '', current_setting('app.a'), 0"},
        {"select Set_Config('app.a' , 'b', true);", "select Set_Config('app.a' , '', true)"},
        {"select f('a'), current_setting ('a')", "select f(''), current_setting ('')"},
        {"select current_setting(E'a', true)", "select current_setting(E'', true)"},
        {"select current_setting('a'\n'b')", "select current_setting(''\n'')"},
        {"select current_setting('a'::text)", "select current_setting(''::text)"},
        {"select current_setting('a' /* b */)", "select current_setting('' )"},
    };
    std::string room;
    for (const SkeletonCase& c : cases) {
        SCOPED_TRACE(c.sql);
        const auto skeleton = setting_skeleton_of(c.sql, room);
        EXPECT_TRUE(skeleton == c.skeleton) << skeleton.value_or("none");
    }
}

TEST(Skeleton, IsItsOwn) {
    std::string room, again;
    for (const SkeletonCase& c : skeleton_cases) {
        if (!c.skeleton) continue;
        EXPECT_TRUE(skeleton_of(*c.skeleton, again) == c.skeleton) << c.sql;
    }
}

}  // namespace
}  // namespace pgweir::router
