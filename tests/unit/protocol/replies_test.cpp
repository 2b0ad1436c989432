// Backend messages (protocol/replies).
#include "protocol/replies.hpp"

#include <gtest/gtest.h>

#include "protocol/startup.hpp"
#include "tests/unit/protocol/prefixes.hpp"

namespace pgweir::protocol {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

using Accepts = bool (*)(Bytes payload);

constexpr Accepts status = [](Bytes p) { return read_parameter_status(p).has_value(); };
constexpr Accepts key = [](Bytes p) { return read_backend_key_data(p).has_value(); };
constexpr Accepts ready = [](Bytes p) { return read_ready_for_query(p).has_value(); };
constexpr Accepts login = [](Bytes p) { return read_authentication(p).has_value(); };
constexpr Accepts mechanisms = [](Bytes p) { return read_sasl_mechanisms(p).has_value(); };
constexpr Accepts negotiate = [](Bytes p) {
    return read_negotiate_protocol_version(p).has_value();
};
constexpr Accepts notification = [](Bytes p) { return read_notification(p).has_value(); };
constexpr Accepts columns = [](Bytes p) { return read_row_description(p).has_value(); };
constexpr Accepts row = [](Bytes p) { return read_data_row(p).has_value(); };
constexpr Accepts types = [](Bytes p) { return read_parameter_description(p).has_value(); };
constexpr Accepts copy = [](Bytes p) { return read_copy_response(p).has_value(); };

struct PayloadCase {
    const char* name;
    Accepts accepts;
    std::string_view payload;
    bool good;
};

constexpr PayloadCase payload_cases[] = {
    {"status", status, "TimeZone\0UTC\0"sv, true},
    {"status, empty value", status, "x\0\0"sv, true},
    {"status, no value", status, "x\0"sv, false},
    {"status, bytes behind", status, "x\0y\0z"sv, false},

    {"key", key, "\0\0\0\1abcd"sv, true},
    {"key too short", key, "\0\0\0\1abc"sv, false},

    {"idle", ready, "I"sv, true},
    {"in a transaction", ready, "T"sv, true},
    {"failed", ready, "E"sv, true},
    {"unknown status", ready, "X"sv, false},
    {"status and more", ready, "II"sv, false},
    {"no status", ready, ""sv, false},

    {"authenticated", login, "\0\0\0\0"sv, true},
    {"authenticated, bytes behind", login, "\0\0\0\0x"sv, false},
    {"md5", login, "\0\0\0\5salt"sv, true},
    {"md5, salt too long", login, "\0\0\0\5salt!"sv, false},
    {"md5, salt too short", login, "\0\0\0\5sal"sv, false},
    {"a method we do not know", login, "\0\0\0\x63"sv, true},

    {"mechanisms", mechanisms, "A\0B\0\0"sv, true},
    {"no mechanism", mechanisms, "\0"sv, false},
    {"mechanisms, bytes behind", mechanisms, "A\0\0x"sv, false},
    {"mechanisms, no end", mechanisms, "A\0"sv, false},

    {"negotiate", negotiate, "\0\3\0\0\0\0\0\1_pq_.x\0"sv, true},
    {"negotiate, option missing", negotiate, "\0\3\0\0\0\0\0\2_pq_.x\0"sv, false},
    {"negotiate, option too many", negotiate, "\0\3\0\0\0\0\0\0_pq_.x\0"sv, false},
    {"negotiate, four billion options", negotiate, "\0\3\0\0\xff\xff\xff\xff"sv, false},

    {"notification", notification, "\0\0\0\1ch\0text\0"sv, true},
    {"notification, bytes behind", notification, "\0\0\0\1ch\0text\0x"sv, false},

    {"a column", columns, "\0\1a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"sv, true},
    {"column missing", columns, "\0\2a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"sv,
     false},
    {"65535 columns", columns, "\xff\xff"sv, false},

    {"row", row, "\0\2\0\0\0\1a\xff\xff\xff\xff"sv, true},
    {"row, value too long", row, "\0\1\0\0\0\2a"sv, false},
    {"row, length below -1", row, "\0\1\xff\xff\xff\xfe"sv, false},
    {"row, bytes behind", row, "\0\1\0\0\0\1ab"sv, false},

    {"types", types, "\0\1\0\0\0\x17"sv, true},
    {"types, bytes behind", types, "\0\1\0\0\0\x17x"sv, false},

    {"copy", copy, "\1\0\2\0\1\0\1"sv, true},
    {"copy, unknown format", copy, "\2\0\0"sv, false},
    {"copy, bytes behind", copy, "\0\0\0x"sv, false},
};

TEST(Replies, TakeWhatIsWellFormedOnly) {
    for (const PayloadCase& c : payload_cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(c.accepts(c.payload), c.good);
        if (!c.good) continue;
        for_each_prefix(c.payload, [&c](Bytes prefix) { EXPECT_FALSE(c.accepts(prefix)); });
    }
}

TEST(Replies, BlameTheServer) {
    const Error error = read_data_row("").error();
    EXPECT_EQ(error.sqlstate, sqlstate::protocol_violation);
    EXPECT_EQ(error.origin, Origin::server);
    EXPECT_EQ(error.message, "invalid DataRow message");
}

TEST(Replies, ReadyMadeOnes) {
    EXPECT_EQ(parse_complete, "1\0\0\0\4"sv);
    EXPECT_EQ(bind_complete, "2\0\0\0\4"sv);
    EXPECT_EQ(close_complete, "3\0\0\0\4"sv);
    EXPECT_EQ(no_data, "n\0\0\0\4"sv);
    EXPECT_EQ(portal_suspended, "s\0\0\0\4"sv);
    EXPECT_EQ(empty_query, "I\0\0\0\4"sv);
    EXPECT_EQ(copy_done, "c\0\0\0\4"sv);
}

TEST(Replies, StatusRoundTrips) {
    for (const TxStatus tx : {TxStatus::idle, TxStatus::transaction, TxStatus::failed}) {
        std::string message;
        write_ready_for_query(message, tx);
        EXPECT_EQ(read_ready_for_query(payload_of(message, 'Z')), tx);
    }
}

TEST(Replies, ParametersAndKeysRoundTrip) {
    std::string message;
    write_parameter_status(message, "TimeZone", "UTC");
    EXPECT_EQ(read_parameter_status(payload_of(message, 'S'))->name, "TimeZone");
    EXPECT_EQ(read_parameter_status(payload_of(message, 'S'))->value, "UTC");
    for (const std::size_t size : {4u, 256u}) {
        std::string with_key;
        write_backend_key_data(with_key, 0xffffffffu, std::string(size, '\0'));
        EXPECT_EQ(read_backend_key_data(payload_of(with_key, 'K'))->pid, 0xffffffffu);
        EXPECT_EQ(read_backend_key_data(payload_of(with_key, 'K'))->key, std::string(size, '\0'));
    }
    EXPECT_TRUE(read_backend_key_data(std::string(4 + 257, 'k')).has_error());
}

TEST(Replies, AuthenticationRoundTrips) {
    const auto read = [](const std::string& message) {
        return read_authentication(payload_of(message, 'R')).value();
    };
    std::string message;
    write_authentication_ok(message);
    EXPECT_EQ(read(message).kind, authentication::ok);
    message.clear();
    write_authentication_cleartext(message);
    EXPECT_EQ(read(message).kind, authentication::cleartext);
    message.clear();
    write_authentication_md5(message, "salt");
    EXPECT_EQ(read(message).kind, authentication::md5);
    EXPECT_EQ(read(message).data, "salt");
    message.clear();
    const std::string_view offered[] = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"};
    write_authentication_sasl(message, offered);
    EXPECT_EQ(read(message).kind, authentication::sasl);
    EXPECT_EQ(*read_sasl_mechanisms(read(message).data),
              std::vector(std::begin(offered), std::end(offered)));
    EXPECT_TRUE(offers_mechanism(read(message).data, "SCRAM-SHA-256"));
    EXPECT_FALSE(offers_mechanism(read(message).data, "SCRAM-SHA-1"));
    EXPECT_FALSE(offers_mechanism(read(message).data, ""));
    EXPECT_FALSE(offers_mechanism("SCRAM-SHA-256", "SCRAM-SHA-256"));
    message.clear();
    write_authentication_sasl_continue(message, "r=x");
    EXPECT_EQ(read(message).kind, authentication::sasl_continue);
    EXPECT_EQ(read(message).data, "r=x");
    message.clear();
    write_authentication_sasl_final(message, "v=y");
    EXPECT_EQ(read(message).kind, authentication::sasl_final);
    EXPECT_EQ(read(message).data, "v=y");
}

TEST(Replies, NegotiationNamesAWholeVersion) {
    const std::string unknown[] = {"_pq_.a", "_pq_.b"};
    for (const std::uint32_t newest : {2u, protocol_3_2}) {
        std::string message;
        write_negotiate_protocol_version(message, newest, unknown);
        const auto read = read_negotiate_protocol_version(payload_of(message, 'v'));
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(read->newest, protocol_3_2);
        EXPECT_EQ(read->unknown_options, std::vector<std::string_view>({"_pq_.a", "_pq_.b"}));
    }
}

TEST(Replies, TagsAndNotificationsRoundTrip) {
    std::string message;
    write_command_complete(message, "INSERT 0 1");
    EXPECT_EQ(read_command_tag(payload_of(message, 'C')), "INSERT 0 1");
    EXPECT_EQ(read_command_tag("no NUL"), "");
    message.clear();
    write_notification(message, 9, "channel", "");
    const auto read = read_notification(payload_of(message, 'A'));
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->pid, 9u);
    EXPECT_EQ(read->channel, "channel");
    EXPECT_EQ(read->payload, "");
}

TEST(Replies, RowsRoundTrip) {
    const Column described[] = {{"name"}, {"count", oid::int8, 8}, {"raw", oid::bytea, -1, 1}};
    std::string message;
    write_row_description(message, described);
    const auto fields = read_row_description(payload_of(message, 'T'));
    ASSERT_TRUE(fields.has_value());
    ASSERT_EQ(fields->size(), 3u);
    EXPECT_EQ((*fields)[0].name, "name");
    EXPECT_EQ((*fields)[0].type_oid, oid::text);
    EXPECT_EQ((*fields)[0].type_size, -1);
    EXPECT_EQ((*fields)[0].type_modifier, -1);
    EXPECT_EQ((*fields)[1].type_oid, oid::int8);
    EXPECT_EQ((*fields)[1].type_size, 8);
    EXPECT_EQ((*fields)[1].format, 0);
    EXPECT_EQ((*fields)[2].format, 1);

    const std::optional<std::string_view> values[] = {"a"sv, std::nullopt, ""sv};
    message.clear();
    write_data_row(message, values);
    EXPECT_EQ(*read_data_row(payload_of(message, 'D')),
              std::vector(std::begin(values), std::end(values)));

    const std::uint32_t type_oids[] = {oid::int4, 0xffffffffu};
    message.clear();
    write_parameter_description(message, type_oids);
    EXPECT_EQ(*read_parameter_description(payload_of(message, 't')),
              std::vector(std::begin(type_oids), std::end(type_oids)));
}

TEST(Replies, CopyResponsesRoundTrip) {
    std::string in;
    write_copy_in(in, false, 2);
    EXPECT_FALSE(read_copy_response(payload_of(in, 'G'))->binary);
    EXPECT_EQ(read_copy_response(payload_of(in, 'G'))->formats, std::vector<std::uint16_t>({0, 0}));
    std::string out;
    write_copy_out(out, true, 1);
    EXPECT_TRUE(read_copy_response(payload_of(out, 'H'))->binary);
    EXPECT_EQ(read_copy_response(payload_of(out, 'H'))->formats, std::vector<std::uint16_t>({1}));
    std::string both;
    write_copy_both(both, false, 0);
    EXPECT_TRUE(read_copy_response(payload_of(both, 'W'))->formats.empty());
}

}  // namespace
}  // namespace pgweir::protocol
