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
    client.session_mode = true;
    client.pins = 0x8000'0001;
    client.prepared = {5, {"work_mem"}, true, {"f", "g"}};
    client.channels = {{"news", "a \"b\""}, {{7, "news", "x"}}, "pgweir_12", "over 1 2"};
    client.route = {{{"pgweir.route", "replica"}}, {{"pgweir.consistency", "global"}}, true};
    client.server = pool::HandedServer{.address = *net::numeric_address("192.0.2.8", 5432),
                                       .host = "db",
                                       .connected_us = 99,
                                       .backend_pid = 12,
                                       .cancel_key = std::string("\0\1", 2),
                                       .close_needed = true,
                                       .holders_sequences = true,
                                       .startup = {{"a", "b"}},
                                       .vars = {{"c", "d"}},
                                       .fresh_vars = {{"e", "f"}}};
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
    EXPECT_TRUE(read->session_mode);
    EXPECT_FALSE(read->unasked);
    EXPECT_EQ(read->pins, client.pins);
    EXPECT_EQ(read->prepared.traces, 5u);
    EXPECT_EQ(read->prepared.variables, client.prepared.variables);
    EXPECT_TRUE(read->prepared.all_variables);
    EXPECT_EQ(read->prepared.functions, client.prepared.functions);
    EXPECT_EQ(read->channels.names, client.channels.names);
    ASSERT_EQ(read->channels.echoes.size(), 1u);
    EXPECT_EQ(read->channels.echoes[0].payload, "x");
    EXPECT_EQ(read->channels.marker, "pgweir_12");
    EXPECT_EQ(read->channels.payload, "over 1 2");
    EXPECT_EQ(read->route.startup, client.route.startup);
    EXPECT_EQ(read->route.settings, client.route.settings);
    EXPECT_TRUE(read->route.has_seen);
    ASSERT_TRUE(read->server);
    EXPECT_EQ(read->server->address.text(), "192.0.2.8:5432");
    EXPECT_EQ(read->server->host, "db");
    EXPECT_EQ(read->server->connected_us, 99);
    EXPECT_EQ(read->server->backend_pid, 12u);
    EXPECT_EQ(read->server->cancel_key, client.server->cancel_key);
    EXPECT_TRUE(read->server->close_needed && read->server->holders_sequences);
    EXPECT_EQ(read->server->startup, client.server->startup);
    EXPECT_EQ(read->server->vars, client.server->vars);
    EXPECT_EQ(read->server->fresh_vars, client.server->fresh_vars);
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

TEST(HandedNotification, ComesOutAsItWentIn) {
    const CancelKey key{4711, std::string("\0\1\2\3", 4)};
    const HandedNotification said{key, pool::Notification{7, "news", "x"}, 8, false};
    const auto read = decode_handed_notification(encode(said));
    ASSERT_FALSE(read.has_error());
    EXPECT_EQ(read->client.pid, 4711u);
    EXPECT_EQ(read->client.secret, key.secret);
    ASSERT_TRUE(read->said);
    EXPECT_EQ(read->said->channel, "news");
    EXPECT_EQ(read->as_pid, 8u);
    const auto over =
        decode_handed_notification(encode({.client = key, .said = {}, .missed = true}));
    ASSERT_FALSE(over.has_error());
    EXPECT_TRUE(!over->said && over->missed);
    EXPECT_TRUE(decode_handed_notification("x").has_error());
}

}  // namespace
}  // namespace pgweir::proxy
