#include "proxy/admin/answer.hpp"

#include <gtest/gtest.h>

namespace pgweir::proxy::admin {
namespace {

using namespace std::string_literals;

struct BinaryCase {
    Type type;
    const char* text;
    std::string bytes;
};

const BinaryCase binary_cases[] = {
    {Type::text, "abc", "abc"},
    {Type::bytea, "abc", "abc"},
    {Type::int4, "1", "\0\0\0\1"s},
    {Type::int4, "-2", "\xff\xff\xff\xfe"s},
    {Type::int8, "4294967298", "\0\0\0\1\0\0\0\2"s},
    {Type::int8, "-1", std::string(8, '\xff')},
    {Type::int4, "no number", "\0\0\0\0"s},
    {Type::numeric, "0", "\0\0\0\0\0\0\0\0"s},
    {Type::numeric, "7", "\0\1\0\0\0\0\0\0\0\7"s},
    {Type::numeric, "10000", "\0\2\0\1\0\0\0\0\0\1\0\0"s},
    {Type::numeric, "123456789", "\0\3\0\2\0\0\0\0\0\1\x09\x29\x1a\x85"s},
    {Type::numeric, "18446744073709551615",
     "\0\5\0\4\0\0\0\0\x07\x34\x1a\x58\x02\xe1\x03\xbb\x06\x4f"s},
};

TEST(ConsoleAnswer, Binary) {
    for (const BinaryCase& c : binary_cases) {
        SCOPED_TRACE(c.text);
        EXPECT_EQ(binary(c.type, c.text), c.bytes);
    }
}

constexpr Column columns[] = {{"a"}, {"b", Type::int4}, {"c", Type::numeric}};

TEST(ConsoleAnswer, DescribesColumns) {
    std::string out;
    const std::uint16_t formats[] = {0, 1, 0};
    write_columns(out, columns, formats);
    const auto fields = protocol::read_row_description(std::string_view(out).substr(5));
    ASSERT_TRUE(fields.has_value());
    ASSERT_EQ(fields->size(), 3u);
    EXPECT_EQ((*fields)[0].name, "a");
    EXPECT_EQ((*fields)[0].type_oid, 25u);
    EXPECT_EQ((*fields)[1].type_oid, 23u);
    EXPECT_EQ((*fields)[1].type_size, 4);
    EXPECT_EQ((*fields)[1].format, 1);
    EXPECT_EQ((*fields)[2].type_oid, 1700u);
    EXPECT_EQ((*fields)[2].format, 0);
}

TEST(ConsoleAnswer, WritesRows) {
    std::string out;
    write_row(out, columns, {"x", "5", std::nullopt});
    auto row = protocol::read_data_row(std::string_view(out).substr(5));
    ASSERT_TRUE(row.has_value());
    EXPECT_EQ((*row)[0], "x");
    EXPECT_EQ((*row)[1], "5");
    EXPECT_FALSE((*row)[2]);

    out.clear();
    const std::uint16_t all_binary[] = {1};
    write_row(out, columns, {"x", "5", "0"}, all_binary);
    row = protocol::read_data_row(std::string_view(out).substr(5));
    EXPECT_EQ((*row)[0], "x");
    EXPECT_EQ((*row)[1], "\0\0\0\5"s);
    EXPECT_EQ((*row)[2], std::string(8, '\0'));
}

TEST(ConsoleAnswer, FormatsFit) {
    using List = std::vector<std::uint16_t>;
    EXPECT_TRUE(formats_fit(List{}, 3));
    EXPECT_TRUE(formats_fit(List{1}, 3));
    EXPECT_TRUE(formats_fit(List{1}, 0));  // drivers ask so before they know that there are none
    EXPECT_TRUE(formats_fit(List{0, 1, 0}, 3));
    EXPECT_FALSE(formats_fit(List{0, 1}, 3));
    EXPECT_FALSE(formats_fit(List{2}, 3));
}

}  // namespace
}  // namespace pgweir::proxy::admin
