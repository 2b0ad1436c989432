#include "proxy/admin/grammar.hpp"

#include <gtest/gtest.h>

namespace pgweir::proxy::admin {
namespace {

struct Good {
    const char* name;
    std::string text;
    Command command;
};

const Good good[] = {
    {"one word", "reload", {"reload", "", "", ""}},
    {"two words", "show pools", {"show", "pools", "", ""}},
    {"semicolon", "SHOW POOLS;", {"show", "POOLS", "", ""}},
    {"blanks everywhere", " \t\r\nPause\n app \t; \n", {"pause", "app", "", ""}},
    {"SELECT is SHOW", "Select version", {"show", "version", "", ""}},
    {"quoted argument", "pause \"My app-1\"", {"pause", "My app-1", "", ""}},
    {"doubled quote", "pause \"a\"\"b\"", {"pause", "a\"b", "", ""}},
    {"quoted verb", "\"SHOW\" \"pools\"", {"show", "pools", "", ""}},
    {"empty quoted argument", "pause \"\"", {"pause", "", "", ""}},
    {"number", "kill_client 17", {"kill_client", "17", "", ""}},
    {"set", "set verbose=1", {"set", "", "verbose", "1"}},
    {"set with blanks", "SET  verbose =\t1 ;", {"set", "", "verbose", "1"}},
    {"set to", "set verbose TO 1", {"set", "", "verbose", "1"}},
    {"set to text", "set Timezone to'GMT'", {"set", "", "Timezone", "GMT"}},
    {"value in single quotes", "set a = 'it''s; -- so'", {"set", "", "a", "it's; -- so"}},
    {"empty value", "set a = ''", {"set", "", "a", ""}},
    {"value in double quotes", "set a = \"b c\"", {"set", "", "a", "b c"}},
    {"key in double quotes", "set \"a b\" = c", {"set", "", "a b", "c"}},
    {"set of two words only", "set verbose", {"set", "verbose", "", ""}},
    {"node", "NODE Drain db-1.example:5432;", {"node", "", "drain", "db-1.example:5432"}},
    {"node by IPv6", "node detach [::1]:5432", {"node", "", "detach", "[::1]:5432"}},
    {"node in quotes", "node resume '/tmp:5432' ;", {"node", "", "resume", "/tmp:5432"}},
    {"longest verb", "abcdefghijklmno", {"abcdefghijklmno", "", "", ""}},
    {"longest argument", "a " + std::string(63, 'b'), {"a", std::string(63, 'b'), "", ""}},
    {"longest value", "set a=" + std::string(255, 'b'), {"set", "", "a", std::string(255, 'b')}},
};

TEST(ConsoleGrammar, Reads) {
    for (const Good& c : good) {
        SCOPED_TRACE(c.name);
        const auto command = parse_command(c.text);
        ASSERT_TRUE(command.has_value()) << command.error().message;
        EXPECT_EQ(command->verb, c.command.verb);
        EXPECT_EQ(command->argument, c.command.argument);
        EXPECT_EQ(command->key, c.command.key);
        EXPECT_EQ(command->value, c.command.value);
    }
}

struct Bad {
    const char* name;
    std::string text;
    std::string message;  // "": invalid command
};

const Bad bad[] = {
    {"nothing", "", ""},
    {"only a semicolon", ";", ""},
    {"only blanks", " \n", ""},
    {"three words", "show pools now", ""},
    {"two commands", "show pools; show stats", ""},
    {"two semicolons", "reload;;", ""},
    {"other characters", "show pools*", ""},
    {"a parameter", "kill_client $1", ""},
    {"quote not closed", "pause \"app", ""},
    {"nothing between the words", "pause\"app\"", ""},
    {"single quotes are for values", "pause 'app'", ""},
    {"set without value", "set a =", ""},
    {"set without key", "set = 1", ""},
    {"bare value of other characters", "set a = 1.5", ""},
    {"more behind the value", "set a = 1 2", ""},
    {"value not closed", "set a = 'x''", ""},
    {"a comment", "-- show pools", ""},
    {"a NUL", std::string("show\0pools", 10), ""},
    {"bytes above ASCII", "show \xc3\xa4", ""},
    {"long verb", "abcdefghijklmnop", "bad arguments"},
    {"long argument", "a " + std::string(64, 'b'), "bad arguments"},
    {"quotes count", "a \"" + std::string(62, 'b') + "\"", "bad arguments"},
    {"long key", "set " + std::string(64, 'k') + "=1", "bad arguments"},
    {"long value", "set a=" + std::string(256, 'v'), "bad arguments"},
    {"empty key", "set \"\" = 1", "bad arguments"},
};

TEST(ConsoleGrammar, Refuses) {
    for (const Bad& c : bad) {
        SCOPED_TRACE(c.name);
        const auto command = parse_command(c.text);
        ASSERT_TRUE(command.has_error());
        EXPECT_EQ(command.error().sqlstate, protocol::sqlstate::protocol_violation);
        const std::string invalid = "invalid command '" + c.text + "', use SHOW HELP;";
        EXPECT_EQ(command.error().message, c.message.empty() ? invalid : c.message);
    }
}

TEST(ConsoleGrammar, RepeatsNoEndlessText) {
    const auto command = parse_command(std::string(10'000, '*'));
    ASSERT_TRUE(command.has_error());
    EXPECT_LT(command.error().message.size(), 1024u);
    EXPECT_TRUE(parse_command("node " + std::string(64, 'j') + " a:1").has_error());
}

}  // namespace
}  // namespace pgweir::proxy::admin
