#include "config/check.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/unit/config/files.hpp"

namespace pgweir::config {
namespace {

struct CheckCase {
    const char* name;
    std::string_view path;
    Files files;
    int code;
    std::string_view output;
};

const CheckCase check_cases[] = {
    {"good",
     "a.ini",
     {{"a.ini", "[pgbouncer]\nauth_type = trust\n[databases]\na =\n"}},
     0,
     "a.ini: ok, 1 database\n"},
    {"with a warning",
     "a.ini",
     {{"a.ini", "[pgbouncer]\nauth_type = trust\nauth_file = x\n"}},
     0,
     "a.ini:3: warning: auth_file: cannot read \"x\": no such file\n"
     "a.ini: ok, 0 databases, 1 warning\n"},
    {"bad",
     "a.toml",
     {{"a.toml", "[pool]\nsize = -1\nmod = \"x\"\n"}},
     1,
     "a.toml:2: pool.size: expected a whole number from 0 to 2147483647, got \"-1\"\n"
     "a.toml:3: unknown key \"pool.mod\", did you mean \"mode\"?\n"
     "a.toml: 2 problems\n"},
    {"missing", "a.ini", {}, 1, "a.ini:1: cannot read \"a.ini\": no such file\na.ini: 1 problem\n"},
};

TEST(Check, Prints) {
    for (const CheckCase& c : check_cases) {
        SCOPED_TRACE(c.name);
        std::ostringstream out;
        EXPECT_EQ(check(std::string(c.path), out, sources_of(c.files)), c.code);
        EXPECT_EQ(out.str(), c.output);
    }
}

}  // namespace
}  // namespace pgweir::config
