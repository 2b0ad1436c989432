#include "proxy/admin/commands.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>

#include "proxy/process.hpp"

namespace pgweir::proxy::admin {
namespace {

Statement must_resolve(std::string_view text) {
    const auto statement = resolve(text);
    EXPECT_TRUE(statement.has_value()) << text;
    return statement.has_value() ? *statement : Statement();
}

/// Every command of PgBouncer and who may give it. What is in the tables and not here is new: it
/// has to be written down here before anybody gets it.
const std::map<std::string, Access> commands = {
    {"SET verbose=1", Access::admin},
    {"RELOAD", Access::admin},
    {"PAUSE", Access::admin},
    {"PAUSE app", Access::admin},
    {"RESUME", Access::admin},
    {"RESUME app", Access::admin},
    {"DISABLE app", Access::admin},
    {"ENABLE app", Access::admin},
    {"RECONNECT", Access::admin},
    {"RECONNECT app", Access::admin},
    {"KILL", Access::admin},
    {"KILL app", Access::admin},
    {"KILL_CLIENT 1", Access::admin},
    {"SUSPEND", Access::admin},
    {"SHUTDOWN", Access::admin},
    {"SHUTDOWN WAIT_FOR_SERVERS", Access::admin},
    {"SHUTDOWN WAIT_FOR_CLIENTS", Access::admin},
    {"WAIT_CLOSE", Access::admin},
    {"WAIT_CLOSE app", Access::admin},
    {"NODE DRAIN 10.0.0.1:5432", Access::admin},
    {"RESET QUERIES", Access::admin},
    {"EXPLAIN ROUTE select 1", Access::stats},
};

const std::set<std::string> stats_shows_expected = {
    "help",       "config",    "databases", "pools",      "clients",      "servers",
    "users",      "peers",     "pins",      "peer_pools", "sockets",      "active_sockets",
    "lists",      "mem",       "state",     "stats",      "stats_totals", "stats_averages",
    "totals",     "dns_hosts", "dns_zones", "version",    "nodes",        "events",
    "pool_nodes", "queries",   "routes"};
const std::set<std::string> admin_shows_expected = {"fds"};

TEST(ConsoleAccess, OfVerbs) {
    std::set<std::string_view> seen;
    for (const auto& [text, access] : commands) {
        SCOPED_TRACE(text);
        const Statement statement = must_resolve(text);
        ASSERT_TRUE(statement.verb);
        seen.insert(statement.verb->name);
        EXPECT_EQ(statement.access(), access);
        EXPECT_TRUE(permitted(ConsoleRole::admin, statement.access()));
        EXPECT_EQ(permitted(ConsoleRole::stats, statement.access()), access == Access::stats);
        EXPECT_FALSE(permitted(ConsoleRole::none, statement.access()));
    }
    for (const Verb& verb : all_verbs()) EXPECT_TRUE(seen.contains(verb.name)) << verb.name;
}

TEST(ConsoleAccess, OfShows) {
    std::set<std::string> stats, admin;
    for (const auto section : {connection_shows(), pool_shows(), stats_shows(), node_shows(),
                               query_shows(), process_shows()}) {
        for (const Show& show : section) {
            (show.access == Access::stats ? stats : admin).emplace(show.name);
            const Statement statement = must_resolve("show " + std::string(show.name));
            EXPECT_EQ(statement.show, &show);
            EXPECT_EQ(statement.access(), show.access);
            EXPECT_FALSE(permitted(ConsoleRole::none, show.access));
            EXPECT_TRUE(statement.title().empty());  // nothing to be logged
        }
    }
    EXPECT_EQ(stats, stats_shows_expected);
    EXPECT_EQ(admin, admin_shows_expected);
}

/// A text that is no command, and what is said beside PgBouncer's message.
const std::map<std::string, std::string> hints = {
    {"SHW POOLS", "Did you mean \"SHOW POOLS\"?"},
    {"show pool;", "Did you mean \"SHOW POOLS\"?"},
    {"select serves", "Did you mean \"SHOW SERVERS\"?"},
    {"pools", "Did you mean \"SHOW POOLS\"?"},
    {"relod", "Did you mean \"RELOAD\"?"},
    {"puase app", "Did you mean \"PAUSE\"?"},
    {"shutdown soon", ""},
    {"shutdown wait_for_client", "Did you mean \"SHUTDOWN WAIT_FOR_CLIENTS\"?"},
    {"reset queris", "Did you mean \"RESET QUERIES\"?"},
    {"node drian a:1", "Did you mean \"NODE DRAIN\"?"},
    {"pause a b", ""},
    {"show bogus", ""},
    {"select 2", ""},
    {"insert into t values (1)", ""},
    {std::string(10'000, 'x'), ""},
    {"", ""},
};

TEST(ConsoleHints, OfCommands) {
    for (const auto& [text, hint] : hints) {
        SCOPED_TRACE(text);
        const auto statement = resolve(text);
        ASSERT_TRUE(statement.has_error());
        EXPECT_EQ(statement.error().hint, hint);
    }
}

TEST(ConsoleAccess, OfCourtesies) {
    EXPECT_EQ(must_resolve("set datestyle = iso").access(), Access::stats);
    EXPECT_EQ(must_resolve("SHOW TimeZone").access(), Access::stats);
}

TEST(ConsoleCommands, WhatDoesNotExist) {
    for (const char* text : {"node", "node drain", "node kill a:1", "node drain a:1 b:2", "show",
                             "show nothing", "select 2", "drop", "reload now", "suspend app",
                             "set verbose", "shutdown now", "pause a b", "drop app", "\"\"", ""}) {
        SCOPED_TRACE(text);
        const auto statement = resolve(text);
        ASSERT_TRUE(statement.has_error());
        EXPECT_EQ(statement.error().message, invalid_command(text).message);
    }
}

TEST(ConsoleCommands, Titles) {
    EXPECT_EQ(must_resolve("resume;").title(), "RESUME");
    EXPECT_EQ(must_resolve("pause app").title(), "PAUSE 'app'");
    EXPECT_EQ(must_resolve("shutdown wait_for_servers").title(), "SHUTDOWN wait_for_servers");
    EXPECT_EQ(must_resolve("node Drain a:1;").title(), "NODE drain 'a:1'");
    EXPECT_EQ(must_resolve("set verbose = 2").title(), "SET verbose");
}

TEST(ConsoleCommands, Courtesies) {
    Answer answer = answer_courtesy(must_resolve("SHOW client_encoding"));
    EXPECT_EQ(answer.rows, Rows{{"UTF-8"}});
    EXPECT_EQ(answer.tag, "SHOW");
    EXPECT_EQ(must_resolve("SHOW client_encoding").columns.front().name, "client_encoding");

    answer = answer_courtesy(must_resolve("set extra_float_digits = 3"));
    EXPECT_EQ(answer.notice, "SET ignored");
    EXPECT_EQ(answer.tag, "SET");
    EXPECT_TRUE(answer.rows.empty());
    EXPECT_TRUE(must_resolve("set extra_float_digits = 3").columns.empty());
}

}  // namespace
}  // namespace pgweir::proxy::admin
