// What is read of name servers' answers and of the file that names them (pool/net/resolver).
#include "pool/net/resolver.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>

namespace pgweir::net {
namespace {

using namespace std::string_literals;

/// An answer about "b.example.": a header, the question, and a record in one of the sections.
std::string answer(char answers, char authorities, const std::string& record) {
    return "\0\1\x84\0\0\1"s + '\0' + answers + '\0' + authorities + "\0\0"s +
           "\1b\7example\0\0\6\0\1"s + record;
}

/// The SOA of "example.", whose serial number is 2026112201.
const std::string soa = "\xc0\x0e\0\6\0\1\0\0\0\x3c\0\x1d"s + "\2ns\xc0\x0e\1h\xc0\x0e"s +
                        "\x78\xc3\x95\x49\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1"s;

TEST(Serial, StandsInTheAnswerOrInTheAuthority) {
    constexpr std::uint32_t serial = 0x78c39549;
    EXPECT_EQ(serial_in(answer(1, 0, soa)), serial);
    EXPECT_EQ(serial_in(answer(0, 1, soa)), serial);
}

TEST(Serial, IsNotMadeUp) {
    EXPECT_EQ(serial_in(""), std::nullopt);
    EXPECT_EQ(serial_in(answer(0, 0, "")), std::nullopt);
    EXPECT_EQ(serial_in(answer(1, 0, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1"s)), std::nullopt);
    const std::string whole = answer(1, 0, soa);
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_EQ(serial_in({whole.data(), size}), std::nullopt) << size;
}

TEST(NameServers, AreThoseOfTheFile) {
    const auto servers =
        name_servers_of("# none\nsearch example\nnameserver 127.0.0.9\nnameserver ::1\n"
                        "nameserver  10.1.2.3  # second\noptions nameserver\nnameserver\n"
                        "nameserver 10.0.0.3\nnameserver 10.0.0.4\n");
    ASSERT_EQ(servers.size(), 3u);
    EXPECT_EQ(servers[0].s_addr, inet_addr("127.0.0.9"));
    EXPECT_EQ(servers[1].s_addr, inet_addr("10.1.2.3"));
    EXPECT_EQ(servers[2].s_addr, inet_addr("10.0.0.3"));
    EXPECT_TRUE(name_servers_of("").empty());
}

}  // namespace
}  // namespace pgweir::net
