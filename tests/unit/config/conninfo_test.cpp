#include "config/conninfo.hpp"

#include <gtest/gtest.h>

namespace pgweir::config {
namespace {

using Pairs = std::vector<ConninfoPair>;

struct ConninfoCase {
    std::string_view text;
    std::optional<Pairs> pairs;  // nullopt: a syntax error
};

const ConninfoCase conninfo_cases[] = {
    {"", Pairs{}},
    {"  \t ", Pairs{}},
    {"host=x", Pairs{{"host", "x"}}},
    {"host=x port=5432", Pairs{{"host", "x"}, {"port", "5432"}}},
    {" host =  x\tport= 77 ", Pairs{{"host", "x"}, {"port", "77"}}},
    {"host=x host=y", Pairs{{"host", "x"}, {"host", "y"}}},
    {"a='b c'", Pairs{{"a", "b c"}}},
    {"a='it''s' b=c", Pairs{{"a", "it's"}, {"b", "c"}}},
    {"a='' b=c", Pairs{{"a", ""}, {"b", "c"}}},
    {"a=x'y", Pairs{{"a", "x'y"}}},
    {"a=b=c", Pairs{{"a", "b=c"}}},
    {"a=\"b c=d", Pairs{{"a", "\"b"}, {"c", "d"}}},
    {"a=", {}},
    {"a", {}},
    {"a b=c", {}},
    {"=b", {}},
    {"a='b", {}},
    {"a='", {}},
    {"a='b''", {}},
    {"a='b'c=d", {}},
    {"a=b c= ", {}},
};

TEST(Conninfo, Parses) {
    for (const ConninfoCase& c : conninfo_cases) {
        SCOPED_TRACE(c.text);
        const auto pairs = parse_conninfo(c.text);
        ASSERT_EQ(pairs.has_value(), c.pairs.has_value());
        if (c.pairs)
            EXPECT_EQ(*pairs, *c.pairs);
        else
            EXPECT_TRUE(pairs.error().message.starts_with("syntax error in connection string: "));
    }
}

}  // namespace
}  // namespace pgweir::config
