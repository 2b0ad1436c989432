#include "proxy/handed_client.hpp"

#include <gtest/gtest.h>

namespace pgweir::proxy {
namespace {

HandedClient example() {
    HandedClient client;
    client.user = "app";
    client.database = "shop";
    client.address = *net::numeric_address("192.0.2.7", 54'321);
    client.connected_us = 0x1'2345'6789'abcd;
    client.cancel_key = {4711, std::string("\0\1\2\3", 4)};
    client.long_cancel_key = true;
    client.credentials.user = "app";
    client.credentials.secret = "secret";
    client.credentials.client_key = std::string("k\0y", 3);
    client.startup = {{"TimeZone", "UTC"}};
    client.own = {{"TimeZone", "UTC"}};
    client.vars = {{"search_path", "a, \"b\""}, {"TimeZone", "Asia/Tokyo"}};
    client.statements = {{"s", "select $1", std::string("\0\1\0\0\0\x17", 6), true},
                         {"p", " as select 1", "", false},
                         {"", "", std::string("\0\0", 2), true}};
    return client;
}

TEST(HandedClient, ComesOutAsItWentIn) {
    const HandedClient client = example();
    const auto read = decode_handed_client(encode(client));
    ASSERT_FALSE(read.has_error());
    EXPECT_EQ(read->user, client.user);
    EXPECT_EQ(read->database, client.database);
    EXPECT_EQ(read->address.text(), "192.0.2.7:54321");
    EXPECT_EQ(read->connected_us, client.connected_us);
    EXPECT_EQ(read->cancel_key.pid, client.cancel_key.pid);
    EXPECT_EQ(read->cancel_key.secret, client.cancel_key.secret);
    EXPECT_TRUE(read->long_cancel_key);
    EXPECT_EQ(read->credentials.secret, "secret");
    EXPECT_EQ(read->credentials.client_key, client.credentials.client_key);
    EXPECT_EQ(read->startup, client.startup);
    EXPECT_EQ(read->own, client.own);
    EXPECT_EQ(read->vars, client.vars);
    ASSERT_EQ(read->statements.size(), client.statements.size());
    for (std::size_t i = 0; i < client.statements.size(); ++i) {
        EXPECT_EQ(read->statements[i].name, client.statements[i].name);
        EXPECT_EQ(read->statements[i].query, client.statements[i].query);
        EXPECT_EQ(read->statements[i].types, client.statements[i].types);
        EXPECT_EQ(read->statements[i].current, client.statements[i].current);
    }
}

TEST(HandedClient, NoPrefixAndNothingMoreIsOne) {
    const std::string bytes = encode(example());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_TRUE(decode_handed_client({bytes.data(), size}).has_error()) << size;
    }
    EXPECT_TRUE(decode_handed_client(bytes + '\0').has_error());
}

}  // namespace
}  // namespace pgweir::proxy
