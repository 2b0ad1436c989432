#include "config/network.hpp"

#include <gtest/gtest.h>

namespace pgweir::config {
namespace {

struct Case {
    std::vector<std::string> networks;
    const char* address;  // "" = a Unix socket
    bool covered;
};

const Case cases[] = {
    {{}, "10.0.0.1", false},
    {{}, "", false},
    {{"10.0.0.1"}, "10.0.0.1", true},
    {{"10.0.0.1"}, "10.0.0.2", false},
    {{"10.0.0.0/8"}, "10.255.0.1", true},
    {{"10.0.0.0/8"}, "11.0.0.1", false},
    {{"0.0.0.0/0"}, "192.0.2.1", true},
    {{"0.0.0.0/0"}, "::1", false},
    {{"::1"}, "::1", true},
    {{"fe80::/10"}, "febf::1", true},
    {{"fe80::/10"}, "fec0::1", false},
    {{"10.0.0.1", "::/0"}, "::2", true},
    {{"10.0.0.1", "unix"}, "", true},
    {{"0.0.0.0/0", "::/0"}, "", false},
};

TEST(Networks, CoverAddresses) {
    for (const Case& c : cases) {
        SCOPED_TRACE(std::string(c.networks.empty() ? "" : c.networks[0]) + " " + c.address);
        const auto networks = parse_networks(c.networks);
        ASSERT_TRUE(networks.has_value());
        EXPECT_EQ(networks->empty(), c.networks.empty());
        EXPECT_EQ(networks->covers(*c.address ? parse_address(c.address) : std::nullopt),
                  c.covered);
    }
}

TEST(Networks, AreRefused) {
    for (const char* const text :
         {"", "all", "localhost", "10.0.0", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/", "10.0.0.1/8",
          "::1/129", "::1/64", "10.0.0.0/8 ", "10.0.0.0/0x8", "unix/1"}) {
        SCOPED_TRACE(text);
        EXPECT_TRUE(parse_networks({"::1", text}).has_error());
    }
}

}  // namespace
}  // namespace pgweir::config
