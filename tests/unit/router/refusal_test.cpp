#include "router/refusal.hpp"

#include <gtest/gtest.h>

namespace pgweir::router {
namespace {

TEST(Refusal, IsForThePrimaryOrAnotherNode) {
    constexpr Refusal primary{.again = true, .learn = true},
        elsewhere{.again = true, .elsewhere = true};
    const auto of = [](std::string_view code, std::string_view message = {},
                       std::string_view routine = {}) {
        return refusal_of({code, message, routine});
    };
    EXPECT_TRUE(of("25006") == primary);
    EXPECT_TRUE(of("0A000", "cannot access temporary or unlogged relations during recovery") ==
                primary);
    EXPECT_TRUE(of("XX000", "Nicht jetzt", "GetNewObjectId") == primary);
    EXPECT_TRUE(of("55000", "recovery is in progress") == primary);
    EXPECT_TRUE(of("0A000", "not supported") == Refusal());
    EXPECT_TRUE(of("40001", "canceling statement due to conflict with recovery") == elsewhere);
    EXPECT_TRUE(of("57P03") == elsewhere);
    EXPECT_TRUE(of("42P01") == (Refusal{.again = true}));
    EXPECT_TRUE(of("22012", "division by zero") == Refusal());
}

}  // namespace
}  // namespace pgweir::router
