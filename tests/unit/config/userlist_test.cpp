#include "config/userlist.hpp"

#include <gtest/gtest.h>

namespace pgweir::config {
namespace {

struct UserlistCase {
    const char* name;
    std::string text;
    std::vector<Credential> users;
    int warning_line = 0;  // of the only warning; 0: none
};

const UserlistCase userlist_cases[] = {
    {"nothing", "", {}},
    {"plain", "\"bob\" \"secret\"\n", {{"bob", "secret"}}},
    {"no newline", "\"bob\" \"secret\"", {{"bob", "secret"}}},
    {"empty secret", "\"bob\" \"\"\n", {{"bob", ""}}},
    {"doubled quotes", "\"b\"\"ob\" \"\"\"s\"\"\"\n", {{"b\"ob", "\"s\""}}},
    {"rest is ignored", "\"bob\" \"x\" \"y\" nonsense\n", {{"bob", "x"}}},
    {"comments and blanks", ";\"a\" \"b\"\n\n  \n  ; c\n \"bob\"\t\"x\"\r\n", {{"bob", "x"}}},
    {"semicolon inside", "\"b;b\" \"x;y\"\n", {{"b;b", "x;y"}}},
    {"later counts", "\"a\" \"1\"\n\"a\" \"2\"\n", {{"a", "2"}}},
    {"a secret's forms",
     "\"a\" \"md5d41d8cd98f00b204e9800998ecf8427e\"\n\"b\" \"SCRAM-SHA-256$4096:c2FsdA==$a:b\"\n",
     {{"a", "md5d41d8cd98f00b204e9800998ecf8427e"}, {"b", "SCRAM-SHA-256$4096:c2FsdA==$a:b"}}},
    {"hash is no comment", "# x\n\"a\" \"1\"\n", {{"a", "1"}}, 1},
    {"no quotes", "bob secret\n", {}, 1},
    {"unclosed name", "\"bob\n\"a\" \"1\"\n", {{"a", "1"}}, 1},
    {"no secret", "\"a\" \"1\"\n\"bob\"\n", {{"a", "1"}}, 2},
    {"unclosed secret", "\"bob\" \"x\n", {}, 1},
    {"longest name", "\"" + std::string(127, 'n') + "\" \"x\"\n", {{std::string(127, 'n'), "x"}}},
    {"name too long", "\"" + std::string(128, 'n') + "\" \"x\"\n", {}, 1},
    {"longest secret",
     "\"a\" \"" + std::string(65530, 's') + "\"\n",
     {{"a", std::string(65530, 's')}}},
    {"secret too long", "\"a\" \"" + std::string(65531, 's') + "\"\n", {}, 1},
};

TEST(Userlist, Reads) {
    for (const UserlistCase& c : userlist_cases) {
        SCOPED_TRACE(c.name);
        Findings findings;
        std::vector<Credential> users;
        for (auto& [name, user] : parse_userlist(c.text, "u.txt", findings)) {
            EXPECT_EQ(name, user.name);
            users.push_back(user);
        }
        EXPECT_EQ(users, c.users);
        EXPECT_EQ(findings.problems.size(), 0u);
        ASSERT_EQ(findings.warnings.size(), c.warning_line ? 1u : 0u);
        if (c.warning_line) {
            EXPECT_EQ(findings.warnings[0].line, c.warning_line);
        }
    }
}

}  // namespace
}  // namespace pgweir::config
