// The packets before everything else (protocol/startup).
#include "protocol/startup.hpp"

#include <gtest/gtest.h>

#include "tests/unit/protocol/prefixes.hpp"

namespace pgweir::protocol {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

/// A packet of the right length with this code and body.
std::string packet(std::uint32_t code, std::string_view body) {
    std::string bytes;
    Writer(bytes).begin_untyped().u32(code).bytes(body).end();
    return bytes;
}

struct RefusedCase {
    const char* name;
    std::string bytes;
    Sqlstate sqlstate;
    std::string_view message;
};

const RefusedCase refused_cases[] = {
    {"length below eight", "\0\0\0\7"s, sqlstate::protocol_violation,
     "invalid length of startup packet"},
    {"length too large", "\0\0\x27\x15"s, sqlstate::protocol_violation,
     "invalid length of startup packet"},
    {"length with the top bit", "\xff\xff\xff\xff"s, sqlstate::protocol_violation,
     "invalid length of startup packet"},
    {"a TLS hello", "\x16\3\1\2"s, sqlstate::protocol_violation,
     "invalid length of startup packet"},
    {"no terminator", packet(protocol_3_0, "user\0u\0"sv), sqlstate::protocol_violation,
     "invalid startup packet layout: expected terminator as last byte"},
    {"nothing at all", packet(protocol_3_0, ""), sqlstate::protocol_violation,
     "invalid startup packet layout: expected terminator as last byte"},
    {"value missing", packet(protocol_3_0, "user\0"sv), sqlstate::protocol_violation,
     "invalid startup packet layout: expected terminator as last byte"},
    {"value not ended", packet(protocol_3_0, "user\0u"sv), sqlstate::protocol_violation,
     "invalid startup packet layout: expected terminator as last byte"},
    {"terminator not last", packet(protocol_3_0, "user\0u\0\0x"sv), sqlstate::protocol_violation,
     "invalid startup packet layout: expected terminator as last byte"},
    {"no user", packet(protocol_3_0, "database\0d\0\0"sv), sqlstate::invalid_authorization,
     "no username supplied"},
    {"empty user", packet(protocol_3_0, "user\0\0\0"sv), sqlstate::invalid_authorization,
     "no username supplied"},
    {"user twice", packet(protocol_3_0, "user\0u\0user\0v\0\0"sv), sqlstate::protocol_violation,
     "duplicate startup parameter: user"},
    {"database twice", packet(protocol_3_0, "user\0u\0database\0d\0database\0d\0\0"sv),
     sqlstate::protocol_violation, "duplicate startup parameter: database"},
    {"protocol 2", packet(0x00020000u, "user\0u\0\0"sv), sqlstate::feature_not_supported,
     "old V2 protocol not supported"},
    {"protocol 4", packet(0x00040001u, "user\0u\0\0"sv), sqlstate::feature_not_supported,
     "unsupported frontend protocol 4.1: server supports 3.0 to 3.2"},
    {"unknown request code", packet(1234u << 16 | 1u, ""), sqlstate::feature_not_supported,
     "unsupported frontend protocol 1234.1: server supports 3.0 to 3.2"},
    {"SSL request with a tail", packet(ssl_request_code, "x"), sqlstate::protocol_violation,
     "invalid length of SSL request"},
    {"GSSAPI request with a tail", packet(gss_request_code, "x"), sqlstate::protocol_violation,
     "invalid length of GSSAPI request"},
    {"cancel without pid", packet(cancel_request_code, "\0\0\0"sv), sqlstate::protocol_violation,
     "invalid length of query cancel packet"},
    {"cancel without key", packet(cancel_request_code, "\0\0\0\1"sv), sqlstate::protocol_violation,
     "invalid length of query cancel packet"},
    {"cancel key too short", packet(cancel_request_code, "\0\0\0\1abc"sv),
     sqlstate::protocol_violation, "invalid length of query cancel packet"},
    {"cancel key too long", packet(cancel_request_code, std::string(4 + 257, 'k')),
     sqlstate::protocol_violation, "invalid length of query cancel packet"},
};

TEST(FirstPacket, Refuses) {
    for (const RefusedCase& c : refused_cases) {
        SCOPED_TRACE(c.name);
        const auto cut = first_packet(c.bytes);
        ASSERT_TRUE(cut.has_error());
        EXPECT_EQ(cut.error().sqlstate, c.sqlstate);
        EXPECT_EQ(cut.error().origin, Origin::client);
        EXPECT_EQ(cut.error().message, c.message);
    }
}

TEST(FirstPacket, CutsEachKindAndNothingBehindIt) {
    std::string startup;
    write_startup(startup, protocol_3_0, {{"user", "u"}});
    std::string cancel;
    write_cancel_request(cancel, 7, "abcd");
    std::string ssl;
    write_ssl_request(ssl);
    std::string gss;
    write_gss_request(gss);
    const std::string packets[] = {startup, cancel, ssl, gss};

    for (std::size_t kind = 0; kind < std::size(packets); ++kind) {
        SCOPED_TRACE(kind);
        for_each_prefix(packets[kind], [](Bytes prefix) {
            const auto cut = first_packet(prefix);
            ASSERT_TRUE(cut.has_value());
            EXPECT_FALSE(cut->has_value());
        });
        const auto cut = first_packet(packets[kind] + "next");
        ASSERT_TRUE(cut.has_value() && cut->has_value());
        EXPECT_EQ((*cut)->packet.index(), kind);
        EXPECT_EQ((*cut)->size, packets[kind].size());
    }
}

TEST(FirstPacket, KeepsParametersInOrder) {
    const StartupParameters parameters = {
        {"user", "u"}, {"database", ""}, {"_pq_.x", "1"}, {"options", "-c a=b"}, {"options", "x"}};
    std::string bytes;
    write_startup(bytes, 0x00030009u, parameters);
    const auto cut = first_packet(bytes);
    ASSERT_TRUE(cut.has_value() && cut->has_value());
    const auto& startup = std::get<StartupPacket>((*cut)->packet);
    EXPECT_EQ(startup.version, 0x00030009u);
    EXPECT_EQ(startup.parameters, parameters);
    EXPECT_EQ(*startup.find("options"), "-c a=b");
    EXPECT_EQ(*startup.find("database"), "");
    EXPECT_EQ(startup.find("User"), nullptr);
}

TEST(FirstPacket, CutsTheBodyShortAndRefusesIt) {
    for_each_prefix("user\0u\0database\0d\0\0"sv, [](Bytes body) {
        EXPECT_TRUE(first_packet(packet(protocol_3_0, body)).has_error());
    });
}

TEST(FirstPacket, TakesTheLargestPacket) {
    const std::string head = "user\0u\0application_name\0"s;
    const std::size_t room = startup_size_max - 8 - head.size() - 2;
    std::string bytes = packet(protocol_3_0, head + std::string(room, 'a') + "\0\0"s);
    ASSERT_EQ(bytes.size(), startup_size_max);
    const auto cut = first_packet(bytes);
    ASSERT_TRUE(cut.has_value() && cut->has_value());
    EXPECT_EQ((*cut)->size, startup_size_max);
}

TEST(FirstPacket, ReadsCancelKeysOfBothProtocols) {
    for (const std::size_t size : {4u, 32u, 256u}) {
        std::string bytes;
        write_cancel_request(bytes, 0xfffffffeu, std::string(size, '\xee'));
        const auto cut = first_packet(bytes);
        ASSERT_TRUE(cut.has_value() && cut->has_value());
        const auto& cancel = std::get<CancelRequest>((*cut)->packet);
        EXPECT_EQ(cancel.pid, 0xfffffffeu);
        EXPECT_EQ(cancel.key, std::string(size, '\xee'));
    }
}

TEST(Startup, ReadsBooleansAsPostgresDoes) {
    for (const char* const text : {"1", "t", "TRUE", "tru", "y", "Yes", "on", "ON"})
        EXPECT_EQ(read_bool(text), std::optional(true)) << text;
    for (const char* const text : {"0", "f", "False", "n", "NO", "of", "off"})
        EXPECT_EQ(read_bool(text), std::optional(false)) << text;
    for (const char* const text : {"", "o", "2", "10", "truer", "yes ", "onn", "offf", "database"})
        EXPECT_EQ(read_bool(text), std::nullopt) << text;
}

TEST(Startup, WritesTheBytesOfTheManual) {
    std::string bytes;
    write_ssl_request(bytes);
    EXPECT_EQ(bytes, "\0\0\0\x08\x04\xd2\x16\x2f"s);
    bytes.clear();
    write_cancel_request(bytes, 1, "\0\0\0\2"sv);
    EXPECT_EQ(bytes, "\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2"s);
    bytes.clear();
    write_startup(bytes, protocol_3_2, {{"user", "u"}});
    EXPECT_EQ(bytes, "\0\0\0\x10\0\3\0\2user\0u\0\0"s);
}

}  // namespace
}  // namespace pgweir::protocol
