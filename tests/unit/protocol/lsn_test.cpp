// Log positions (protocol/lsn).
#include "protocol/lsn.hpp"

#include <gtest/gtest.h>

namespace pgweir::protocol {
namespace {

struct LsnCase {
    std::string_view text;
    std::optional<std::uint64_t> value;
};

constexpr LsnCase lsn_cases[] = {
    {"0/0", 0},
    {"16/B374D848", 0x16B374D848},
    {"16/b374d848", 0x16B374D848},
    {"FFFFFFFF/FFFFFFFF", 0xFFFFFFFFFFFFFFFF},
    {"1/00000002", 0x100000002},
    {"", std::nullopt},
    {"/", std::nullopt},
    {"16", std::nullopt},
    {"16/", std::nullopt},
    {"/16", std::nullopt},
    {"1/2/3", std::nullopt},
    {"-1/2", std::nullopt},
    {"0x1/2", std::nullopt},
    {" 1/2", std::nullopt},
    {"1/2 ", std::nullopt},
    {"1/G", std::nullopt},
    {"123456789/0", std::nullopt},
    {"0/123456789", std::nullopt},
};

TEST(Lsn, Parses) {
    for (const LsnCase& c : lsn_cases) {
        SCOPED_TRACE(c.text);
        const auto lsn = parse_lsn(c.text);
        ASSERT_EQ(lsn.has_value(), c.value.has_value());
        if (lsn) {
            EXPECT_EQ(lsn->value, *c.value);
            EXPECT_EQ(parse_lsn(format_lsn(*lsn)), lsn);
        }
    }
}

TEST(Lsn, FormatsComparesSubtracts) {
    EXPECT_EQ(format_lsn(Lsn{0x16B374D848}), "16/B374D848");
    EXPECT_EQ(format_lsn(Lsn{2}), "0/2");
    EXPECT_LT(Lsn{0xFFFFFFFF}, Lsn{0x100000000});
    EXPECT_EQ((Lsn{10} - Lsn{4}), 6);
    EXPECT_EQ((Lsn{4} - Lsn{10}), -6);
}

struct HeaderCase {
    std::uint64_t from, to;
};

// Pages of 8 KiB, segments of 16 MiB.
constexpr HeaderCase header_cases[] = {
    {0x2A000028, 0x2A000000},  // the header of a segment
    {0x2A000029, 0x2A000029},
    {0x2A002018, 0x2A002000},  // of a page
    {0x2A002020, 0x2A002020},
    {0x2A002028, 0x2A002028},
    {0x2A001FFF, 0x2A001FFF},
    {0x2A002000, 0x2A002000},
    {0, 0},
};

TEST(Lsn, BeforePageHeader) {
    for (const HeaderCase& c : header_cases) {
        SCOPED_TRACE(c.from);
        EXPECT_EQ(before_page_header(Lsn{c.from}, 8192, 16 << 20).value, c.to);
    }
}

}  // namespace
}  // namespace pgweir::protocol
