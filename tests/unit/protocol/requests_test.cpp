// Frontend messages (protocol/requests).
#include "protocol/requests.hpp"

#include <gtest/gtest.h>

#include "tests/unit/protocol/prefixes.hpp"

namespace pgweir::protocol {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr auto none = std::nullopt;

/// Every reader of a whole payload as one shape: did it accept?
using Accepts = bool (*)(Bytes payload);

constexpr Accepts parse = [](Bytes p) { return read_parse(p).has_value(); };
constexpr Accepts bind = [](Bytes p) { return read_bind(p).has_value(); };
constexpr Accepts target = [](Bytes p) { return read_target(p).has_value(); };
constexpr Accepts execute = [](Bytes p) { return read_execute(p).has_value(); };
constexpr Accepts query = [](Bytes p) { return read_query(p).has_value(); };
constexpr Accepts function_call = [](Bytes p) { return read_function_call(p).has_value(); };
constexpr Accepts copy_fail = [](Bytes p) { return read_copy_fail(p).has_value(); };
constexpr Accepts password = [](Bytes p) { return read_password(p).has_value(); };
constexpr Accepts sasl_initial = [](Bytes p) { return read_sasl_initial(p).has_value(); };

struct PayloadCase {
    const char* name;
    Accepts accepts;
    std::string_view payload;
    bool good;
};

constexpr PayloadCase payload_cases[] = {
    {"parse without types", parse, "s\0select 1\0\0\0"sv, true},
    {"parse with types", parse, "\0select $1\0\0\2\0\0\0\x17\0\0\0\x19"sv, true},
    {"parse, types missing", parse, "\0select $1\0\0\2\0\0\0\x17\0\0\0"sv, false},
    {"parse, bytes behind", parse, "s\0select 1\0\0\0x"sv, false},
    {"parse, a count of 65535", parse, "\0q\0\xff\xff\0\0\0\x17"sv, false},
    {"parse, no count", parse, "s\0select 1\0"sv, false},

    {"bind without anything", bind, "\0\0\0\0\0\0\0\0"sv, true},
    {"bind of a value and a NULL", bind, "p\0s\0\0\1\0\1\0\2\0\0\0\1a\xff\xff\xff\xff\0\0"sv, true},
    {"bind, one format for each", bind, "\0\0\0\2\0\1\0\0\0\2\0\0\0\0\0\0\0\0\0\1\0\1"sv, true},
    {"bind, formats and values differ", bind, "\0\0\0\2\0\1\0\0\0\1\0\0\0\0\0\0"sv, false},
    {"bind, value longer than the message", bind, "\0\0\0\0\0\1\0\0\0\2a"sv, false},
    {"bind, length below -1", bind, "\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"sv, false},
    {"bind, length with the top bit", bind, "\0\0\0\0\0\1\x80\0\0\0\0\0"sv, false},
    {"bind, value count of 65535", bind, "\0\0\0\0\xff\xff\xff\xff\xff\xff"sv, false},
    {"bind, format count of 65535", bind, "\0\0\xff\xff\0\0"sv, false},
    {"bind, bytes behind", bind, "\0\0\0\0\0\0\0\0x"sv, false},

    {"describe a statement", target, "Sname\0"sv, true},
    {"close the unnamed portal", target, "P\0"sv, true},
    {"neither statement nor portal", target, "Xname\0"sv, false},
    {"target, bytes behind", target, "S\0x"sv, false},
    {"target, no NUL", target, "Sname"sv, false},

    {"execute all", execute, "\0\0\0\0\0"sv, true},
    {"execute, bytes behind", execute, "\0\0\0\0\0x"sv, false},

    {"query", query, "select 1\0"sv, true},
    {"empty query", query, "\0"sv, true},
    {"query, no NUL", query, "select 1"sv, false},
    {"query, a NUL inside", query, "select\0 1\0"sv, false},
    {"query, nothing at all", query, ""sv, false},

    {"function call", function_call, "\0\0\0\1\0\1\0\1\0\1\0\0\0\1a\0\0"sv, true},
    {"function call, bytes behind", function_call, "\0\0\0\1\0\0\0\0\0\0x"sv, false},

    {"copy fail", copy_fail, "no more\0"sv, true},
    {"copy fail, no NUL", copy_fail, "no more"sv, false},

    {"password", password, "secret\0"sv, true},
    {"empty password", password, "\0"sv, true},
    {"password, bytes behind", password, "secret\0x"sv, false},

    {"SASL with data", sasl_initial, "SCRAM-SHA-256\0\0\0\0\3n,,"sv, true},
    {"SASL with empty data", sasl_initial, "SCRAM-SHA-256\0\0\0\0\0"sv, true},
    {"SASL without data", sasl_initial, "SCRAM-SHA-256\0\xff\xff\xff\xff"sv, true},
    {"SASL, data behind none", sasl_initial, "SCRAM-SHA-256\0\xff\xff\xff\xffn"sv, false},
    {"SASL, length too large", sasl_initial, "SCRAM-SHA-256\0\0\0\0\4n,,"sv, false},
    {"SASL, length too small", sasl_initial, "SCRAM-SHA-256\0\0\0\0\2n,,"sv, false},
    {"SASL, length below -1", sasl_initial, "SCRAM-SHA-256\0\xff\xff\xff\xfen,,"sv, false},
    {"SASL, greatest length", sasl_initial, "SCRAM-SHA-256\0\x7f\xff\xff\xffn,,"sv, false},
    {"SASL, no length", sasl_initial, "SCRAM-SHA-256\0"sv, false},
};

TEST(Requests, TakeWhatIsWellFormedOnly) {
    for (const PayloadCase& c : payload_cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(c.accepts(c.payload), c.good);
        if (!c.good) continue;
        for_each_prefix(c.payload, [&c](Bytes prefix) { EXPECT_FALSE(c.accepts(prefix)); });
    }
}

TEST(Requests, BlameTheClient) {
    for (const Error& error : {read_parse("").error(), read_bind("").error(),
                               read_query("x").error(), read_sasl_initial("").error()}) {
        EXPECT_EQ(error.sqlstate, sqlstate::protocol_violation);
        EXPECT_EQ(error.origin, Origin::client);
    }
    EXPECT_EQ(read_parse("").error().message, "invalid Parse message");
    EXPECT_EQ(read_password("").error().message, "invalid password packet size");
}

TEST(Requests, ParseRoundTrip) {
    const Bytes types = "\0\1\0\0\0\x17"sv;
    std::string message;
    write_parse(message, "s", "select $1", types);
    const auto read = read_parse(payload_of(message, 'P'));
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->name, "s");
    EXPECT_EQ(read->query, "select $1");
    EXPECT_EQ(read->types, types);

    std::string again;
    write_parse(again, "", "q");
    EXPECT_EQ(read_parse(payload_of(again, 'P'))->types, "\0\0"sv);
}

TEST(Requests, BindNamesNeedBothNuls) {
    constexpr Bytes payload = "portal\0statement\0\0\0\0\0\0\0"sv;
    constexpr std::size_t names_size = 17;
    for_each_prefix(payload, [&](Bytes prefix) {
        const auto names = read_bind_names(prefix);
        ASSERT_EQ(names.has_value(), prefix.size() >= names_size);
        if (!names) return;
        EXPECT_EQ(names->portal, "portal");
        EXPECT_EQ(names->statement, "statement");
        EXPECT_EQ(names->size, names_size);
    });
}

TEST(Requests, BindRoundTrip) {
    const Value values[] = {"one"sv, none, ""sv, "a\0b"sv};
    const std::uint16_t formats[] = {0, 1, 0, 1};
    const std::uint16_t result_formats[] = {1};
    std::string message;
    write_bind(message, "p", "s", values, formats, result_formats);
    const auto read = read_bind(payload_of(message, 'B'));
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->portal, "p");
    EXPECT_EQ(read->statement, "s");
    EXPECT_EQ(read->values, std::vector<Value>(std::begin(values), std::end(values)));
    EXPECT_EQ(read->formats, std::vector<std::uint16_t>({0, 1, 0, 1}));
    EXPECT_EQ(read->result_formats, std::vector<std::uint16_t>({1}));
    for_each_prefix(payload_of(message, 'B'),
                    [](Bytes prefix) { EXPECT_TRUE(read_bind(prefix).has_error()); });
}

TEST(Requests, FunctionCallRoundTrip) {
    std::string message;
    write_function_call(message, {.function_oid = 0xfffffff0u,
                                  .formats = {1},
                                  .values = {Value("x"sv), none},
                                  .result_format = 1});
    const auto read = read_function_call(payload_of(message, 'F'));
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->function_oid, 0xfffffff0u);
    EXPECT_EQ(read->formats, std::vector<std::uint16_t>({1}));
    EXPECT_EQ(read->values, std::vector<Value>({Value("x"sv), none}));
    EXPECT_EQ(read->result_format, 1);
}

TEST(Requests, ShortOnesRoundTrip) {
    std::string message;
    write_describe(message, 'S', "s");
    EXPECT_EQ(read_target(payload_of(message, 'D'))->kind, 'S');
    EXPECT_EQ(read_target(payload_of(message, 'D'))->name, "s");
    message.clear();
    write_close(message, 'P', "");
    EXPECT_EQ(read_target(payload_of(message, 'C'))->kind, 'P');
    message.clear();
    write_execute(message, "p", -1);
    EXPECT_EQ(read_execute(payload_of(message, 'E'))->portal, "p");
    EXPECT_EQ(read_execute(payload_of(message, 'E'))->rows_max, -1);
    message.clear();
    write_query(message, "select 1");
    EXPECT_EQ(*read_query(payload_of(message, 'Q')), "select 1");
    message.clear();
    write_copy_fail(message, "why");
    EXPECT_EQ(*read_copy_fail(payload_of(message, 'f')), "why");
    message.clear();
    write_password(message, "secret");
    EXPECT_EQ(*read_password(payload_of(message, 'p')), "secret");
    message.clear();
    write_sasl_initial(message, "M", "data"sv);
    EXPECT_EQ(read_sasl_initial(payload_of(message, 'p'))->mechanism, "M");
    EXPECT_EQ(read_sasl_initial(payload_of(message, 'p'))->data, "data"sv);
    message.clear();
    write_sasl_initial(message, "M", none);
    EXPECT_EQ(read_sasl_initial(payload_of(message, 'p'))->data, none);
}

TEST(Requests, BodilessAndRawOnes) {
    std::string bytes;
    write_sync(bytes);
    write_flush(bytes);
    write_terminate(bytes);
    write_copy_done(bytes);
    write_copy_data(bytes, "row\n");
    write_sasl_response(bytes, "r");
    EXPECT_EQ(bytes, "S\0\0\0\4H\0\0\0\4X\0\0\0\4c\0\0\0\4d\0\0\0\x08row\np\0\0\0\5r"s);
}

TEST(Requests, TextCannotSmuggleAnotherField) {
    std::string message;
    write_query(message, "select 1\0Q"sv);
    EXPECT_EQ(*read_query(payload_of(message, 'Q')), "select 1");
}

}  // namespace
}  // namespace pgweir::protocol
