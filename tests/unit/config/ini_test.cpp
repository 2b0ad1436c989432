#include <gtest/gtest.h>

#include "config/ini.hpp"
#include "tests/unit/config/files.hpp"

namespace pgweir::config {
namespace {

using Lines = std::vector<std::string>;

struct Read {
    Lines entries;  // "section/key=value@line"
    Lines problems;
};

Read read(const Files& files) {
    Findings findings;
    Read result;
    for (const IniEntry& entry : read_ini("a.ini", sources_of(files).read, findings)) {
        std::string at = std::to_string(entry.at.line);
        if (entry.at.file != "a.ini") at = entry.at.file + ":" + at;
        result.entries.push_back(entry.section + "/" + entry.key + "=" + entry.value + "@" + at);
    }
    result.problems = lines_of(findings.problems);
    return result;
}

struct IniCase {
    const char* name;
    std::string_view text;
    Lines entries;
    int problem_line = 0;  // of the only problem; 0: there is none
};

const IniCase ini_cases[] = {
    {"nothing", "", {}},
    {"empty section", "[users]\n", {}},
    {"a key", "[users]\na = b\n", {"users/a=b@2"}},
    {"no newline at the end", "[users]\na=b", {"users/a=b@2"}},
    {"Windows line ends", "[users]\r\na = b\r\n", {"users/a=b@2"}},
    {"indented", "  [users]\n\t a\t= b \t\n", {"users/a=b@2"}},
    {"key on the section's line", "[users] a = b\n", {"users/a=b@1"}},
    {"comment on the section's line", "[users] ; x\na=b\n", {"users/a=b@2"}},
    {"comments", "; x\n# y\n[users]\n ;z\na = b\n", {"users/a=b@5"}},
    {"no trailing comments", "[users]\na = b ; c # d\n", {"users/a=b ; c # d@2"}},
    {"empty value", "[users]\na =\nb=\n", {"users/a=@2", "users/b=@3"}},
    {"equals in the value", "[users]\na = b = c\n", {"users/a=b = c@2"}},
    {"all key characters", "[users]\na_B.9*- = x\n", {"users/a_B.9*-=x@2"}},
    {"key in double quotes", "[users]\n\"my db\" = x\n", {"users/my db=x@2"}},
    {"key in single quotes", "[users]\n'my db'=x\n", {"users/my db=x@2"}},
    {"doubled quotes",
     "[users]\n'it''s' = x\n\"a\"\"b\" = y\n",
     {"users/it's=x@2", "users/a\"b=y@3"}},
    {"section twice", "[users]\na=1\n[peers]\n[users]\nb=2\n", {"users/a=1@2", "users/b=2@5"}},
    {"key twice", "[users]\na=1\na=2\n", {"users/a=1@2", "users/a=2@3"}},
    {"unclosed quote", "[users]\n\"a = b\n", {}, 2},
    {"space in a key", "[users]\nmy db = b\n", {}, 2},
    {"no equals", "[users]\nfoo\nb=1\n", {"users/b=1@3"}, 2},
    {"no key", "[users]\n= b\n", {}, 2},
    {"before any section", "a = b\n[users]\nc=d\n", {"users/c=d@3"}, 1},
    {"unclosed section", "[users]\na=b\n[pee\nc=d\n", {"users/a=b@2", "users/c=d@4"}, 3},
    {"unknown section", "[user]\na=b\n[users]\nc=d\n", {"users/c=d@4"}, 1},
    {"sections have case", "[Users]\na=b\n", {}, 1},
    {"NUL", std::string_view("[users]\na=\0b\n", 13), {}, 2},
    {"include of nothing", "[users]\n%include missing\na=b\n", {"users/a=b@3"}, 2},
    {"percent but no include", "[users]\n%includes x\n", {}, 2},
};

TEST(Ini, Reads) {
    for (const IniCase& c : ini_cases) {
        SCOPED_TRACE(c.name);
        const Read got = read({{"a.ini", std::string(c.text)}});
        EXPECT_EQ(got.entries, c.entries);
        ASSERT_EQ(got.problems.size(), c.problem_line ? 1u : 0u);
        if (!c.problem_line) continue;
        const std::string place = "a.ini:" + std::to_string(c.problem_line) + ": ";
        EXPECT_TRUE(got.problems[0].starts_with(place)) << got.problems[0];
    }
}

TEST(Ini, SaysWhatASectionCouldBe) {
    EXPECT_EQ(read({{"a.ini", "[database]\n"}}).problems,
              Lines{"a.ini:1: unknown section \"database\", did you mean \"databases\"?"});
}

TEST(Ini, IncludesGoOnInTheSection) {
    const Read got =
        read({{"a.ini", "[users]\n%include b.ini\nc = 3\n"}, {"b.ini", "a = 1\n[peers]\nb = 2\n"}});
    EXPECT_EQ(got.entries, (Lines{"users/a=1@b.ini:1", "peers/b=2@b.ini:3", "peers/c=3@3"}));
    EXPECT_EQ(got.problems, Lines{});
}

TEST(Ini, IncludesOfItselfEnd) {
    const Read got = read({{"a.ini", "[users]\na = 1\n%include a.ini\n"}});
    EXPECT_EQ(got.entries.size(), 11u);
    ASSERT_EQ(got.problems.size(), 1u);
    EXPECT_EQ(got.problems[0], "a.ini:3: files include each other more than 10 deep");
}

TEST(Ini, ManyIncludesEnd) {
    std::string text = "[users]\n";
    for (int i = 0; i < 10; ++i) text += "%include a.ini\n";
    const Read got = read({{"a.ini", text}});
    EXPECT_LE(got.problems.size(), Findings::problems_max);
}

TEST(Ini, ProblemsAreBounded) {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += "x\n";
    EXPECT_EQ(read({{"a.ini", text}}).problems.size(), Findings::problems_max);
}

TEST(Ini, AnyBytesAreSafe) {
    std::uint32_t random = 1;
    const std::string_view alphabet = "[]=%include users'\"\n\r\t;#a\0\xff.*-";
    for (int round = 0; round < 2000; ++round) {
        std::string text = "[users]\n";
        for (int i = 0; i < 60; ++i) {
            random = random * 1664525 + 1013904223;
            text += alphabet[(random >> 16) % alphabet.size()];
        }
        (void)read({{"a.ini", text}});
    }
}

}  // namespace
}  // namespace pgweir::config
