// Where reads of some sessions are to go (config/preference).
#include "config/preference.hpp"

#include <gtest/gtest.h>

namespace pgweir::config {
namespace {

using Target = Preference::Target;

Preference parsed(std::string_view text) {
    const auto preference = parse_preference(text);
    EXPECT_TRUE(preference.has_value()) << text;
    return preference.has_value() ? *preference : Preference();
}

TEST(Preference, ThereAndBack) {
    EXPECT_EQ(parsed("psql:primary"), (Preference{"psql", Target::primary, {}, 1}));
    EXPECT_EQ(parsed("re.*:replica(0.25)"), (Preference{"re.*", Target::replica, {}, 0.25}));
    EXPECT_EQ(parsed("a|b:10.0.0.1:5433"),
              (Preference{"a|b", Target::node, {"10.0.0.1", 5433}, 1}));
    EXPECT_EQ(parsed("x:[::1]:5432(0)"), (Preference{"x", Target::node, {"::1", 5432}, 0}));
    for (const char* text : {"psql:primary", "re.*:replica(0.25)", "x:[::1]:5432(0)", "y:h:1(0.5)"})
        EXPECT_EQ(preference_text(parsed(text)), text);
}

TEST(Preference, WhatIsNone) {
    for (const char* text : {"", "psql", ":primary", "psql:", "psql:standby", "psql:h:x", "psql::5",
                             "psql:primary(2)", "psql:primary(-1)", "psql:primary(x)",
                             "psql:primary)", "(:primary", "psql:primary(0.5) "}) {
        SCOPED_TRACE(text);
        EXPECT_TRUE(parse_preference(text).has_error());
    }
}

TEST(Preference, APatternIsSmall) {
    EXPECT_FALSE(parse_preference("[a-z]+_[0-9]{1,3}:primary").has_error());
    for (const std::string& pattern : {std::string(40, '+'), std::string("(a{200}){200}"),
                                       std::string("a{99999999999999999999}")}) {
        EXPECT_TRUE(parse_preference("x" + pattern + ":primary").has_error()) << pattern;
    }
}

TEST(Preference, TheFirstThatFitsTheWholeName) {
    Reads reads;
    reads.prefer_database = {parsed("app:primary"), parsed("app.*:replica")};
    const auto found = [&](const SessionNames& names) {
        const Preference* const one = find_preference(reads, names);
        return one ? preference_text(*one) : "";
    };
    EXPECT_EQ(found({"psql", "app", "me"}), "app:primary");
    EXPECT_EQ(found({"psql", "app2", "me"}), "app.*:replica");
    EXPECT_EQ(found({"psql", "my_app", "me"}), "");
    reads.prefer_user = {parsed("me:h:1")};
    EXPECT_EQ(found({"psql", "app", "me"}), "app:primary");
    EXPECT_EQ(found({"psql", "other", "me"}), "me:h:1");
    reads.prefer_application = {parsed("psql|pg_dump:h:2")};
    EXPECT_EQ(found({"psql", "app", "me"}), "psql|pg_dump:h:2");
    EXPECT_EQ(found({"psql2", "app", "me"}), "app:primary");
}

}  // namespace
}  // namespace pgweir::config
