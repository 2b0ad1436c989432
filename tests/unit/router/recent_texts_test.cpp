#include "router/recent_texts.hpp"

#include <gtest/gtest.h>

#include "router/plain.hpp"
#include "router/skeleton.hpp"

namespace pgweir::router {
namespace {

struct Case {
    const char *first, *second;
    bool alike;
};

constexpr Case cases[] = {
    {"select abalance from accounts where aid = 12;",
     "select abalance from accounts where aid = 987654;", true},
    {"select abalance from accounts where aid = 12;",
     "select abalance from accounts where aid = 12", false},
    {"select abalance from accounts where aid = 12",
     "select abalance from accounts where aid = ", false},
    {"select abalance from accounts where a1 = 12", "select abalance from accounts where a2 = 12",
     false},
    {"select abalance from accounts where a = 12", "select abalance from accounts where a = b",
     false},
    {"select abalance from accounts where a = 12 and b = 3",
     "select abalance from accounts where a = 1 and b = 456", true},
    {"select abalance from accounts where a = 12 and b = 3",
     "select abalance from accounts where a = 12 and c = 3", false},
    {"select abalance from accounts where a = 1.25", "select abalance from accounts where a = 13.5",
     true},
    {"select abalance from accounts where a = 1e25", "select abalance from accounts where a = 1e26",
     false},
    {"select abalance from accounts where a = 1x1", "select abalance from accounts where a = 2x1",
     false},
    {"select abalance from accounts where a in (1, 2)",
     "select abalance from accounts where a in (11, 22)", true},
    {"select abalance from accounts where a = -12", "select abalance from accounts where a = -9",
     true},
    {"select abalance from accounts where a = 12", "select abalance from accounts where a = -9",
     false},
    {"select abalance / 12 from accounts", "select abalance / 9 from accounts", true},
    {"select 1", "select 22", false},  // what it begins with has to be the same
    {"select 1", "select 1;", false},
    {"select 1", "select", false},
    {"begin", "begin", true},
    {"select nothing from nowhere(1)", "select nothing from nowhere(2)", true},
};

// Digits of these need not be numbers.
constexpr const char* strangers[] = {
    "select abalance from accounts where a = 'x 1'",
    "select abalance from accounts where a = \"x 1\"",
    "select abalance from accounts where a = $1",
    "select abalance from accounts where a = E'\\1'",
    "select abalance from accounts -- 1",
    "select abalance from accounts where a = 1--1",
    "select abalance from accounts /* 1 */",
};

TEST(RecentTexts, KnowsATextThatDiffersInNumbers) {
    for (const auto& [first, second, alike] : cases) {
        SCOPED_TRACE(second);
        RecentTexts texts;
        const Familiar one = texts.look_at(first), other = texts.look_at(second);
        EXPECT_NE(one.number, 0u);
        EXPECT_EQ(one.number == other.number, alike);
        EXPECT_EQ(one.plain, is_plain(first));
        EXPECT_EQ(other.plain, is_plain(second));
        std::string room, other_room;
        if (alike) EXPECT_EQ(skeleton_of(first, room), skeleton_of(second, other_room));
        EXPECT_EQ(texts.look_at(first).number, one.number);  // both are remembered
    }
}

TEST(RecentTexts, DoesNotRememberWhatMayHoldDigitsThatAreNoNumbers) {
    RecentTexts texts;
    for (const char* const sql : strangers) {
        EXPECT_EQ(texts.look_at(sql).number, 0u) << sql;
        EXPECT_EQ(texts.look_at(sql).plain, is_plain(sql)) << sql;
    }
}

TEST(RecentTexts, GivesNoNumberAgain) {
    RecentTexts texts;
    std::uint64_t last = 0;
    for (int i = 0; i < 1'000; ++i) {
        const std::string sql = "select c" + std::to_string(i) + "x from a_table where b = 1";
        const std::uint64_t number = texts.look_at(sql).number;
        EXPECT_GT(number, last);
        EXPECT_NE(number & RecentTexts::number_bit, 0u);
        last = number;
    }
}

TEST(RecentTexts, MoreNumbersThanItMindsHaveToBeTheSame) {
    RecentTexts texts;
    std::string sql = "select a from some_table where b in (1";
    for (int i = 0; i < 40; ++i) sql += ", 1";
    const std::uint64_t number = texts.look_at(sql).number;
    EXPECT_EQ(texts.look_at(sql).number, number);
    std::string first = sql, last = sql;
    first[first.find('1')] = '2';
    last.back() = '2';
    EXPECT_EQ(texts.look_at(first).number, number);
    EXPECT_NE(texts.look_at(last).number, number);
}

}  // namespace
}  // namespace pgweir::router
