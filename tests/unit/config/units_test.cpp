#include <gtest/gtest.h>

#include "config/units.hpp"

namespace pgweir::config {
namespace {

using namespace std::chrono_literals;

struct IntegerCase {
    std::string_view text;
    std::optional<std::int64_t> value;  // nullopt: refused
};

constexpr IntegerCase integer_cases[] = {
    {"0", 0},
    {"20", 20},
    {"+7", 7},
    {"-1", -1},
    {"0x10", 16},
    {"0XfF", 255},
    {"010", 8},
    {"0777", 511},
    {"-010", -8},
    {"9223372036854775807", {}},
    {"", {}},
    {"-", {}},
    {"+-1", {}},
    {"--1", {}},
    {"0x", {}},
    {"08", {}},
    {"12x", {}},
    {" 12", {}},
    {"1.5", {}},
    {"20 ; x", {}},
    {"99999999999999999999", {}},
    {"1001", {}},
    {"-1001", {}},
};

TEST(Units, Integers) {
    for (const IntegerCase& c : integer_cases) {
        SCOPED_TRACE(c.text);
        const auto value = parse_integer(c.text, -1000, 1000);
        ASSERT_EQ(value.has_value(), c.value.has_value());
        if (c.value) {
            EXPECT_EQ(*value, *c.value);
        }
    }
    EXPECT_EQ(parse_integer("x", 0, 5).error().message,
              "expected a whole number from 0 to 5, got \"x\"");
}

struct TimeCase {
    std::string_view text;
    std::optional<Duration> value;
};

constexpr TimeCase second_cases[] = {
    {"0", 0s},     {"30", 30s},       {"0.25", 250ms},
    {".5", 500ms}, {"2.", 2s},        {"1e1", 10s},
    {"1E-3", 1ms}, {"0.0000001", 0s}, {"1e12", Duration(1'000'000'000'000'000'000)},
    {"1e13", {}},  {"1e999", {}},     {"", {}},
    {"-1", {}},    {"+1", {}},        {"1.5s", {}},
    {"0x1p3", {}}, {"inf", {}},       {"nan", {}},
    {" 1", {}},    {"1 ", {}},        {".", {}},
};

TEST(Units, Seconds) {
    for (const TimeCase& c : second_cases) {
        SCOPED_TRACE(c.text);
        const auto value = parse_seconds(c.text);
        ASSERT_EQ(value.has_value(), c.value.has_value());
        if (c.value) {
            EXPECT_EQ(*value, *c.value);
        }
    }
}

constexpr TimeCase duration_cases[] = {
    {"250ms", 250ms}, {"5s", 5s},     {"1h", 1h},        {"2m", 2min},  {"2min", 2min},
    {"1d", 24h},      {"10us", 10us}, {"5", 5s},         {"0", 0s},     {"1.5s", 1500ms},
    {"0.5", 500ms},   {"5 s", 5s},    {"250 ms", 250ms}, {"s", {}},     {"", {}},
    {"-5s", {}},      {"5S", {}},     {"5 parsecs", {}}, {"1h30m", {}}, {"5s5", {}},
    {"1e300h", {}},   {"inf", {}},
};

TEST(Units, Durations) {
    for (const TimeCase& c : duration_cases) {
        SCOPED_TRACE(c.text);
        const auto value = parse_duration(c.text);
        ASSERT_EQ(value.has_value(), c.value.has_value());
        if (c.value) {
            EXPECT_EQ(*value, *c.value);
        }
    }
}

constexpr IntegerCase size_cases[] = {
    {"0", 0},          {"4096", 4096}, {"64KiB", 65536}, {"16MB", 16'000'000},
    {"1 KiB", 1024},   {"1kB", 1000},  {"1B", 1},        {"0.5KiB", 512},
    {"1GiB", 1 << 30}, {"2GiB", {}},   {"64kib", {}},    {"1.5", {}},
    {"-1", {}},        {"", {}},       {"KiB", {}},      {"1e40GiB", {}},
};

TEST(Units, Sizes) {
    for (const IntegerCase& c : size_cases) {
        SCOPED_TRACE(c.text);
        const auto value = parse_size(c.text, 0, 1 << 30);
        ASSERT_EQ(value.has_value(), c.value.has_value());
        if (c.value) {
            EXPECT_EQ(*value, *c.value);
        }
    }
}

TEST(Units, FlagsAndMilliseconds) {
    EXPECT_EQ(*parse_flag("0"), false);
    EXPECT_EQ(*parse_flag("1"), true);
    EXPECT_EQ(*parse_flag("2"), true);
    for (const std::string_view text : {"on", "true", "", "yes", "1.0"}) {
        EXPECT_EQ(parse_flag(text).error().message.substr(0, 15), "expected 0 or 1");
    }
    EXPECT_EQ(*parse_milliseconds("1500"), 1500ms);
    EXPECT_TRUE(parse_milliseconds("1.5").has_error());
    EXPECT_TRUE(parse_milliseconds("-1").has_error());
}

TEST(Units, Lists) {
    using List = std::vector<std::string>;
    EXPECT_EQ(split_list(""), List());
    EXPECT_EQ(split_list(" , ,"), List());
    EXPECT_EQ(split_list("a, b ,c"), (List{"a", "b", "c"}));
    EXPECT_EQ(split_list("one"), List{"one"});
    EXPECT_EQ(join_list(List{"a", "b"}), "a, b");
    EXPECT_EQ(join_list(List{}), "");
}

TEST(Units, TimesAreShownAsPgBouncerDoes) {
    EXPECT_EQ(show_seconds(0s), "0");
    EXPECT_EQ(show_seconds(250ms), "0.25");
    EXPECT_EQ(show_seconds(Duration(333'333)), "0.333333");
    EXPECT_EQ(show_seconds(1'234'567s), "1.23457e+06");
    EXPECT_EQ(show_seconds(1'000'000s), "1e+06");
    EXPECT_EQ(show_seconds(3600s), "3600");
}

TEST(Units, DurationsForPeople) {
    EXPECT_EQ(show_duration(0s), "0");
    EXPECT_EQ(show_duration(250ms), "250ms");
    EXPECT_EQ(show_duration(5s), "5s");
    EXPECT_EQ(show_duration(90s), "90s");
    EXPECT_EQ(show_duration(120s), "2m");
    EXPECT_EQ(show_duration(3600s), "1h");
    EXPECT_EQ(show_duration(2h), "2h");
    EXPECT_EQ(show_duration(Duration(1)), "1us");
}

TEST(Units, WordsIgnoreCaseAndAreListedOnError) {
    EXPECT_EQ(*parse_word<PoolMode>("Transaction"), PoolMode::transaction);
    EXPECT_EQ(*parse_word<AuthType>("SCRAM-SHA-256"), AuthType::scram_sha_256);
    EXPECT_EQ(parse_word<PoolMode>("fast").error().message,
              "expected one of session, transaction, statement, got \"fast\"");
    EXPECT_EQ(word_for(SslMode::verify_ca), "verify-ca");
    EXPECT_EQ(word_for(NodeRole::automatic), "auto");
}

TEST(Units, LongTextsAreCutInMessages) {
    const std::string text(100'000, 'x');
    EXPECT_LT(parse_integer(text, 0, 5).error().message.size(), 250u);
}

}  // namespace
}  // namespace pgweir::config
