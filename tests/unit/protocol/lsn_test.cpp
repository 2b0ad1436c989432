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

}  // namespace
}  // namespace pgweir::protocol
