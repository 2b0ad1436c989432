#include "pool/net/proxy_header.hpp"

#include <gtest/gtest.h>

#include "tests/unit/protocol/prefixes.hpp"

namespace pgweir::net {
namespace {

using namespace std::string_literals;

const std::string sign = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string four = "\x0a\1\2\3\x7f\0\0\1\x30\x39\x19\x20"s;  // 10.1.2.3:12345 to 127.0.0.1
const std::string six =
    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05"s + std::string(15, '\0') + "\1\0\x50\x19\x20"s;
const std::string own = "the connection's own";

/// Version 2, with the length that `body` has.
std::string binary(char command, char family, const std::string& body) {
    std::string header = sign + command + family;
    header += static_cast<char>(body.size() >> 8);
    header += static_cast<char>(body.size() & 0xff);
    return header + body;
}

struct Case {
    const char* name;
    std::string bytes;
    std::string source;  // `own`, or the address
};

const Case good[] = {
    {"TCP4", "PROXY TCP4 10.1.2.3 127.0.0.1 12345 6432\r\n", "10.1.2.3:12345"},
    {"TCP6", "PROXY TCP6 2001:db8::5 ::1 80 6432\r\n", "[2001:db8::5]:80"},
    {"ports", "PROXY TCP4 10.1.2.3 127.0.0.1 0 65535\r\n", "10.1.2.3:0"},
    {"longest TCP6",
     "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
     "65535 65535\r\n",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {"unknown", "PROXY UNKNOWN\r\n", own},
    {"unknown with more", "PROXY UNKNOWN ffff::1 nonsense 1\r\n", own},
    {"binary TCP4", binary(0x21, 0x11, four), "10.1.2.3:12345"},
    {"binary TCP6", binary(0x21, 0x21, six), "[2001:db8::5]:80"},
    {"additions", binary(0x21, 0x11, four + "\4\0\2ab"), "10.1.2.3:12345"},
    {"largest", binary(0x21, 0x11, four + std::string(proxy_header_size_max - 28, 'x')),
     "10.1.2.3:12345"},
    {"local", binary(0x20, 0x00, ""), own},
    {"local with addresses", binary(0x20, 0x11, four), own},
    {"unspecified", binary(0x21, 0x00, "whatever"), own},
    {"Unix socket", binary(0x21, 0x31, std::string(216, 'u')), own},
};

const Case bad[] = {
    {"a start-up packet", "\0\0\0\x08\4\xd2\x16\x2f"s, {}},
    {"TLS", "\x16\3\1"s, {}},
    {"lower case", "proxy TCP4 ", {}},
    {"no family", "PROXY \r\n", {}},
    {"other family", "PROXY UDP4 10.1.2.3 127.0.0.1 1 2\r\n", {}},
    {"no addresses", "PROXY TCP4\r\n", {}},
    {"too few", "PROXY TCP4 10.1.2.3 127.0.0.1 1\r\n", {}},
    {"too many", "PROXY TCP4 10.1.2.3 127.0.0.1 1 2 3\r\n", {}},
    {"two blanks", "PROXY TCP4  10.1.2.3 127.0.0.1 1 2\r\n", {}},
    {"blank at the end", "PROXY TCP4 10.1.2.3 127.0.0.1 1 2 \r\n", {}},
    {"wrong family", "PROXY TCP4 ::1 ::1 1 2\r\n", {}},
    {"the other wrong family", "PROXY TCP6 10.1.2.3 127.0.0.1 1 2\r\n", {}},
    {"leading zero", "PROXY TCP4 010.1.2.3 127.0.0.1 1 2\r\n", {}},
    {"bad destination", "PROXY TCP4 10.1.2.3 nowhere 1 2\r\n", {}},
    {"port too large", "PROXY TCP4 10.1.2.3 127.0.0.1 65536 2\r\n", {}},
    {"port with a sign", "PROXY TCP4 10.1.2.3 127.0.0.1 +1 2\r\n", {}},
    {"port with a zero", "PROXY TCP4 10.1.2.3 127.0.0.1 01 2\r\n", {}},
    {"no port", "PROXY TCP4 10.1.2.3 127.0.0.1  2\r\n", {}},
    {"bad second port", "PROXY TCP4 10.1.2.3 127.0.0.1 1 x\r\n", {}},
    {"NUL", "PROXY TCP4 10.1.2.3\0 127.0.0.1 1 2\r\n"s, {}},
    {"LF alone, and a line too long",
     "PROXY TCP4 10.1.2.3 127.0.0.1 1 2\n" + std::string(80, ' '),
     {}},
    {"line too long", "PROXY UNKNOWN " + std::string(100, 'x') + "\r\n", {}},
    {"version 1 in binary", binary(0x11, 0x11, four), {}},
    {"version 3", binary(0x31, 0x11, four), {}},
    {"unknown command", binary(0x22, 0x11, four), {}},
    {"UDP", binary(0x21, 0x12, four), {}},
    {"unknown family", binary(0x21, 0x41, four), {}},
    {"too short for TCP4", binary(0x21, 0x11, four.substr(1)), {}},
    {"too short for TCP6", binary(0x21, 0x21, four), {}},
    {"too large", binary(0x21, 0x11, std::string(proxy_header_size_max - 15, 'x')), {}},
};

TEST(ProxyHeader, SaysWhereAConnectionComesFrom) {
    for (const Case& c : good) {
        SCOPED_TRACE(c.name);
        const auto header = read_proxy_header(c.bytes + "rest");
        ASSERT_TRUE(header.has_value() && *header);
        EXPECT_EQ((*header)->size, c.bytes.size());
        EXPECT_EQ((*header)->source ? (*header)->source->text() : own, c.source);
        if (c.bytes.size() > 1000) continue;
        protocol::for_each_prefix(c.bytes, [](protocol::Bytes part) {
            const auto cut = read_proxy_header(part);
            ASSERT_TRUE(cut.has_value());
            EXPECT_FALSE(*cut);
        });
    }
}

TEST(ProxyHeader, RefusesEverythingElse) {
    for (const Case& c : bad) {
        SCOPED_TRACE(c.name);
        const auto header = read_proxy_header(c.bytes);
        ASSERT_TRUE(header.has_error());
        EXPECT_EQ(header.error().sqlstate, protocol::sqlstate::protocol_violation);
        EXPECT_EQ(header.error().origin, protocol::Origin::client);
        protocol::for_each_prefix(c.bytes, [](protocol::Bytes part) {
            const auto cut = read_proxy_header(part);
            EXPECT_TRUE(cut.has_error() || !*cut);
        });
    }
}

}  // namespace
}  // namespace pgweir::net
