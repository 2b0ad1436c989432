// Texts that name prepared statements, and texts with more behind them: what of them a server hears
// (proxy/renames, proxy/frontend).
#include <gtest/gtest.h>

#include "proxy/frontend.hpp"
#include "tests/unit/spoken.hpp"

namespace pgweir::tests {
namespace {

using protocol::Segments;

/// A client that has prepared a by the protocol and b by SQL; servers call them PGWEIR_1 and
/// PGWEIR_2. Its start-up packet said x = start.
class Naming : public ::testing::Test {
protected:
    Naming() {
        rules.server_max = 9;
        rules.table = &table;
        rules.session = &session;
        say("Parse a 'select 1'; Sync; Query 'prepare b as select 2'");
        hear("ParseComplete; ReadyForQuery idle; CommandComplete PREPARE; ReadyForQuery idle");
        heard.clear();
    }

    /// What the server is sent.
    Spoken say(const char* words) {
        const std::string bytes = requests(words);
        Segments out;
        const auto step = frontend.translate(bytes, rules, server, out);
        EXPECT_TRUE(step.has_value());
        if (step) undecided = step->undecided;
        Segments fakes;
        server.flush_fakes(fakes);
        heard += fakes.joined();
        return spoken_requests(out.joined());
    }

    /// The server's answer.
    void hear(const char* words) {
        const std::string bytes = replies(words);
        Segments out;
        ASSERT_TRUE(server.scan(bytes, out).has_value());
        heard += out.joined();
        frontend.statements().undo(server.pipeline().undone());
        if (server.findings().discarded_all) frontend.statements().discard_all(server.pipeline());
    }

    std::string names() const {
        std::string found;
        for (const char* const name : {"a", "b", "c", "d"}) {
            if (frontend.statements().names().find(name)) found += name;
        }
        return found;
    }

    protocol::VarTable vars;
    proxy::FunctionBook book;
    protocol::Vars own = vars.with(vars.empty(), "x", "start");
    const std::string user = "me";
    proxy::Session session{vars, book, own, own, user};
    protocol::StatementTable table{proxy::traits_of};
    proxy::RequestRules rules;
    proxy::Frontend frontend;
    pool::Backend server;
    std::string heard;
    bool undecided = false;
};

struct NamingCase {
    const char* name;
    const char* said;
    Spoken sent;
    const char* answer;
    Spoken heard;
    const char* names;  // that the client has then, of a b c d
};

const NamingCase query_cases[] = {
    {"executed",
     "Query 'execute b; execute a'",
     {R"(Query "execute \"PGWEIR_2\"; execute \"PGWEIR_1\"")"},
     "CommandComplete 'SELECT 1'; CommandComplete 'SELECT 1'; ReadyForQuery idle",
     {"CommandComplete \"SELECT 1\"", "CommandComplete \"SELECT 1\"", "ReadyForQuery idle"},
     "ab"},
    {"explained",
     "Query 'explain (costs off) execute b'",
     {R"(Query "explain (costs off) execute \"PGWEIR_2\"")"},
     "CommandComplete EXPLAIN; ReadyForQuery idle",
     {"CommandComplete EXPLAIN", "ReadyForQuery idle"},
     "ab"},
    {"an unknown name",
     "Query 'execute c'",
     {R"(Query "execute c")"},
     "ErrorResponse ERROR 26000 'c?'; ReadyForQuery idle",
     {"ErrorResponse ERROR 26000 \"c?\"", "ReadyForQuery idle"},
     "ab"},
    {"prepared",
     "Query 'prepare c(int) as select $1'",
     {R"(Query "prepare \"PGWEIR_3\"(int) as select $1")"},
     "CommandComplete PREPARE; ReadyForQuery idle",
     {"CommandComplete PREPARE", "ReadyForQuery idle"},
     "abc"},
    {"not prepared",
     "Query 'prepare c as select'",
     {R"(Query "prepare \"PGWEIR_3\" as select")"},
     "ErrorResponse ERROR 42601 no; ReadyForQuery idle",
     {"ErrorResponse ERROR 42601 \"no\"", "ReadyForQuery idle"},
     "ab"},
    {"prepared, then an error",
     "Query 'prepare c as select 3; select 1/0; prepare d as select 4'",
     {R"(Query "prepare \"PGWEIR_3\" as select 3; select 1/0; prepare \"PGWEIR_4\" as select 4")"},
     "CommandComplete PREPARE; ErrorResponse ERROR 22012 no; ReadyForQuery idle",
     {"CommandComplete PREPARE", "ErrorResponse ERROR 22012 \"no\"", "ReadyForQuery idle"},
     "abc"},
    {"prepared, executed and dropped",
     "Query 'prepare c as select 3; execute c; deallocate c'",
     {R"(Query "prepare \"PGWEIR_3\" as select 3; execute \"PGWEIR_3\"; deallocate \"PGWEIR_3\"")"},
     "CommandComplete PREPARE; CommandComplete 'SELECT 1'; CommandComplete DEALLOCATE; "
     "ReadyForQuery idle",
     {"CommandComplete PREPARE", "CommandComplete \"SELECT 1\"", "CommandComplete DEALLOCATE",
      "ReadyForQuery idle"},
     "ab"},
    {"the name is taken",
     "Query 'prepare b as select 3'",
     {R"(Query "prepare \"PGWEIR_2\" as select 3")"},
     "ErrorResponse ERROR 42P05 'PGWEIR_2 is there'; ReadyForQuery idle",
     {"ErrorResponse ERROR 42P05 \"b is there\"", "ReadyForQuery idle"},
     "ab"},
    {"dropped",
     "Query 'deallocate prepare a; deallocate b'",
     {R"(Query "deallocate prepare \"PGWEIR_1\"; deallocate \"PGWEIR_2\"")"},
     "CommandComplete DEALLOCATE; CommandComplete DEALLOCATE; ReadyForQuery idle",
     {"CommandComplete DEALLOCATE", "CommandComplete DEALLOCATE", "ReadyForQuery idle"},
     ""},
    {"one of them dropped",
     "Query 'deallocate a; select 1/0; deallocate b'",
     {R"(Query "deallocate \"PGWEIR_1\"; select 1/0; deallocate \"PGWEIR_2\"")"},
     "CommandComplete DEALLOCATE; ErrorResponse ERROR 22012 no; ReadyForQuery idle",
     {"CommandComplete DEALLOCATE", "ErrorResponse ERROR 22012 \"no\"", "ReadyForQuery idle"},
     "b"},
    {"all dropped, another prepared",
     "Query 'deallocate all; prepare c as select 3'",
     {R"(Query "deallocate all; prepare \"PGWEIR_3\" as select 3")"},
     "CommandComplete 'DEALLOCATE ALL'; CommandComplete PREPARE; ReadyForQuery idle",
     {"CommandComplete \"DEALLOCATE ALL\"", "CommandComplete PREPARE", "ReadyForQuery idle"},
     "c"},
};

const NamingCase batch_cases[] = {
    {"executed",
     "Parse '' 'execute b'; Bind '' ''; Execute ''; Sync",
     {R"(Parse "" "execute b")", R"(Parse PGWEIR_4 "execute \"PGWEIR_2\"")", R"(Bind "" PGWEIR_4)",
      R"(Execute "")", "Sync"},
     "ParseComplete; ParseComplete; BindComplete; CommandComplete 'SELECT 1'; ReadyForQuery idle",
     {"ParseComplete", "BindComplete", "CommandComplete \"SELECT 1\"", "ReadyForQuery idle"},
     "ab"},
    {"prepared",
     "Parse '' 'prepare c as select 3'; Bind '' ''; Execute ''; Sync",
     {R"(Parse "" "prepare c as select 3")", R"(Parse PGWEIR_5 "prepare \"PGWEIR_4\" as select 3")",
      R"(Bind "" PGWEIR_5)", R"(Execute "")", "Sync"},
     "ParseComplete; ParseComplete; BindComplete; CommandComplete PREPARE; ReadyForQuery idle",
     {"ParseComplete", "BindComplete", "CommandComplete PREPARE", "ReadyForQuery idle"},
     "abc"},
    {"not prepared",
     "Parse '' 'prepare c as select x'; Bind '' ''; Execute ''; Sync",
     {R"(Parse "" "prepare c as select x")", R"(Parse PGWEIR_5 "prepare \"PGWEIR_4\" as select x")",
      R"(Bind "" PGWEIR_5)", R"(Execute "")", "Sync"},
     "ParseComplete; ParseComplete; BindComplete; ErrorResponse ERROR 42703 no; ReadyForQuery idle",
     {"ParseComplete", "BindComplete", "ErrorResponse ERROR 42703 \"no\"", "ReadyForQuery idle"},
     "ab"},
    {"dropped",
     "Parse '' 'deallocate a'; Bind '' ''; Execute ''; Sync",
     {R"(Parse "" "deallocate a")", R"(Parse PGWEIR_4 "deallocate \"PGWEIR_1\"")",
      R"(Bind "" PGWEIR_4)", R"(Execute "")", "Sync"},
     "ParseComplete; ParseComplete; BindComplete; CommandComplete DEALLOCATE; ReadyForQuery idle",
     {"ParseComplete", "BindComplete", "CommandComplete DEALLOCATE", "ReadyForQuery idle"},
     "b"},
    {"bound, not executed",
     "Parse '' 'deallocate a'; Bind '' ''; Sync",
     {R"(Parse "" "deallocate a")", R"(Parse PGWEIR_4 "deallocate \"PGWEIR_1\"")",
      R"(Bind "" PGWEIR_4)", "Sync"},
     "ParseComplete; ParseComplete; BindComplete; ReadyForQuery idle",
     {"ParseComplete", "BindComplete", "ReadyForQuery idle"},
     "ab"},
    {"it had gone",
     "Parse '' 'execute b'; Bind '' ''; Execute ''; Sync",
     {R"(Parse "" "execute b")", R"(Parse PGWEIR_4 "execute \"PGWEIR_2\"")", R"(Bind "" PGWEIR_4)",
      R"(Execute "")", "Sync"},
     "ParseComplete; ParseComplete; BindComplete; ErrorResponse ERROR 26000 'PGWEIR_2?'; "
     "ReadyForQuery idle",
     {"ParseComplete", "BindComplete", "ErrorResponse ERROR 26000 \"b?\"", "ReadyForQuery idle"},
     "ab"},
};

class EachNaming : public Naming, public ::testing::WithParamInterface<NamingCase> {};

TEST_P(EachNaming, IsRenamed) {
    const NamingCase& c = GetParam();
    SCOPED_TRACE(c.name);
    EXPECT_EQ(say(c.said), c.sent);
    hear(c.answer);
    EXPECT_EQ(spoken_replies(heard), c.heard);
    EXPECT_EQ(names(), c.names);
    EXPECT_TRUE(server.settled());
}

INSTANTIATE_TEST_SUITE_P(Query, EachNaming, ::testing::ValuesIn(query_cases));
INSTANTIATE_TEST_SUITE_P(Batch, EachNaming, ::testing::ValuesIn(batch_cases));

TEST_F(Naming, AnotherServerIsToldFirst) {
    server = {};
    EXPECT_EQ(say("Query 'execute a; execute b'"),
              (Spoken{R"(Parse PGWEIR_1 "select 1")", "Sync",
                      R"(Query "PREPARE \"PGWEIR_2\" as select 2")",
                      R"(Query "execute \"PGWEIR_1\"; execute \"PGWEIR_2\"")"}));
}

/// What cannot be prepared any more is what EXECUTE cannot find the table of.
TEST_F(Naming, ExecuteSaysWhyTheServerCannotBeTold) {
    for (const char* const query : {"Query 'execute b'", "Query 'execute a'"}) {
        SCOPED_TRACE(query);
        server = {};
        heard.clear();
        say(query);
        hear("ErrorResponse ERROR 42P01 gone; ReadyForQuery idle");
        hear("ErrorResponse ERROR 26000 'what?'; ReadyForQuery idle");
        EXPECT_EQ(spoken_replies(heard),
                  (Spoken{"ErrorResponse ERROR 42P01 \"gone\"", "ReadyForQuery idle"}));
        EXPECT_TRUE(server.settled());
        EXPECT_EQ(names(), "ab");
    }
    heard.clear();
    say("Query 'execute c'");
    hear("ErrorResponse ERROR 26000 'c?'; ReadyForQuery idle");
    EXPECT_EQ(spoken_replies(heard),
              (Spoken{"ErrorResponse ERROR 26000 \"c?\"", "ReadyForQuery idle"}));
}

// ---------------------------------------------------------------- plans that are out of date

TEST_F(Naming, WhoHasJustPreparedDoesNotHearOfAnotherPlan) {
    frontend = {};  // another client
    EXPECT_EQ(say("Parse c 'select 1'; Bind '' c; Execute ''; Sync"),
              (Spoken{"Bind \"\" PGWEIR_1", "Execute \"\"", "Sync"}));
    hear("ErrorResponse ERROR 0A000 'result type'");
    EXPECT_EQ(spoken_requests(server.findings().again),
              (Spoken{"Close S PGWEIR_1", "Parse PGWEIR_1 \"select 1\"", "Bind \"\" PGWEIR_1",
                      "Execute \"\"", "Sync"}));
    EXPECT_TRUE(server.findings().schema_changed);
    hear("ReadyForQuery idle");
    EXPECT_FALSE(server.settled());
    hear("CloseComplete; ParseComplete; BindComplete; CommandComplete 'SELECT 1'");
    EXPECT_TRUE(server.findings().again.empty());
    hear("ReadyForQuery idle");
    EXPECT_EQ(spoken_replies(heard),
              (Spoken{"ParseComplete", "BindComplete", "CommandComplete \"SELECT 1\"",
                      "ReadyForQuery idle"}));
    EXPECT_TRUE(server.settled());
}

TEST_F(Naming, OthersHearOfTheirPlan) {
    constexpr const char* parse = "Parse c 'select 1'; ";
    struct {
        const char* name;
        std::string first, second;
    } const cases[] = {
        {"prepared before", "", "Bind '' a; Execute ''; Sync"},
        {"more behind it", parse, "Bind '' c; Execute ''; Sync; Bind '' a; Sync"},
        {"in a transaction", "Query 'begin'; ", "Bind '' a; Execute ''; Sync"},
        {"another statement", parse, "Bind '' a; Execute ''; Sync"},
    };
    for (const auto& c : cases) {
        SCOPED_TRACE(c.name);
        const std::string text = c.first + c.second;
        if (c.first.starts_with("Query")) {
            say("Query 'begin'");
            hear("CommandComplete BEGIN; ReadyForQuery transaction");
            say("Parse d 'select 1'; Bind '' d; Sync");
        } else {
            frontend.statements().undo(server.pipeline().undone());
            say(text.c_str());
        }
        heard.clear();
        hear("ErrorResponse ERROR 0A000 'result type'");
        EXPECT_EQ(server.findings().again, "");
        EXPECT_FALSE(spoken_replies(heard).empty());
        hear("ReadyForQuery idle");
        if (c.second.ends_with("a; Sync")) hear("BindComplete; ReadyForQuery idle");
        EXPECT_TRUE(server.settled());
    }
}

TEST_F(Naming, WhatCannotBePreparedAnewSaysWhy) {
    frontend = {};
    say("Parse c 'select 1'; Bind '' c; Execute ''; Sync");
    hear("ErrorResponse ERROR 0A000 'result type'; ReadyForQuery idle");
    hear("CloseComplete; ErrorResponse ERROR 42P01 gone; ReadyForQuery idle");
    EXPECT_EQ(spoken_replies(heard), (Spoken{"ParseComplete", "ErrorResponse ERROR 42P01 \"gone\"",
                                             "ReadyForQuery idle"}));
    EXPECT_TRUE(server.settled());
}

// ---------------------------------------------------------------- the client's own names

TEST_F(Naming, WhoLooksSeesTheOwnNames) {
    EXPECT_EQ(
        say("Query 'select * from pg_prepared_statements'"),
        (Spoken{"Close S PGWEIR_2", "Close S PGWEIR_1", "Close S PGWEIR_SCRATCH",
                "Close S PGWEIR_TAKEN", "Query \"prepare b as select 2\"", "Parse a \"select 1\"",
                "Sync", "Query \"select * from pg_prepared_statements\""}));
    EXPECT_TRUE(session.unsettled());
    hear("CloseComplete; CloseComplete; CloseComplete; CloseComplete; CommandComplete PREPARE; "
         "ReadyForQuery idle; ParseComplete; ReadyForQuery idle; CommandComplete 'SELECT 2'; "
         "ReadyForQuery idle");
    EXPECT_EQ(spoken_replies(heard),
              (Spoken{"CommandComplete \"SELECT 2\"", "ReadyForQuery idle"}));
    EXPECT_EQ(say("Query 'select * from pg_prepared_statements'"),
              (Spoken{"Query \"select * from pg_prepared_statements\""}));
    hear("CommandComplete 'SELECT 2'; ReadyForQuery idle");
    EXPECT_EQ(say("Bind '' a; Execute ''; Close S a; Sync"),
              (Spoken{"Bind \"\" a", "Execute \"\"", "Close S a", "Sync"}));
    hear("BindComplete; CommandComplete 'SELECT 1'; CloseComplete; ReadyForQuery idle");
    EXPECT_EQ(names(), "b");
    EXPECT_EQ(say("Parse '' 'execute b'; Bind '' ''; Execute ''; Sync"),
              (Spoken{"Parse \"\" \"execute b\"", "Bind \"\" \"\"", "Execute \"\"", "Sync"}));
    hear("ParseComplete; BindComplete; CommandComplete 'SELECT 1'; ReadyForQuery idle");
    EXPECT_EQ(say("Query 'deallocate b; prepare c as select 3'"),
              (Spoken{"Query \"deallocate b; prepare c as select 3\""}));
    hear("CommandComplete DEALLOCATE; CommandComplete PREPARE; ReadyForQuery idle");
    EXPECT_EQ(names(), "c");
}

TEST_F(Naming, OwnNamesEndWithTheServer) {
    say("Query 'select * from pg_prepared_statements'");
    hear("CloseComplete; CloseComplete; CloseComplete; CloseComplete; CommandComplete PREPARE; "
         "ReadyForQuery idle; ParseComplete; ReadyForQuery idle; CommandComplete 'SELECT 2'; "
         "ReadyForQuery idle");
    frontend.statements().share_names(table, &server);
    EXPECT_EQ(server.statements().size(), 0);
    EXPECT_EQ(say("Bind '' a; Execute ''; Sync").front(), "Parse PGWEIR_6 \"select 1\"");
}

TEST_F(Naming, OnlyTextsThatMayRunItNeedThem) {
    EXPECT_EQ(say("Query 'select run($$execute b$$)'").back(),
              "Query \"select run($$execute b$$)\"");
    EXPECT_TRUE(frontend.statements().has_own_names());
    frontend = {};  // another client, which has prepared nothing
    EXPECT_EQ(say("Query 'select run($$execute b$$)'"),
              (Spoken{"Query \"select run($$execute b$$)\""}));
}

// ---------------------------------------------------------------- what comes behind

TEST_F(Naming, WhatComesNextWaitsForTheAnswer) {
    say("Query 'deallocate a'");
    for (const char* const next : {"Query 'execute a'", "Bind '' a", "Parse a 'select 3'"}) {
        SCOPED_TRACE(next);
        EXPECT_EQ(say(next), Spoken{});
        EXPECT_TRUE(undecided);
    }
    say("Query 'execute b'");
    EXPECT_FALSE(undecided);
}

// ---------------------------------------------------------------- RESET

TEST_F(Naming, ResetGivesStartUpValuesBack) {
    EXPECT_EQ(
        say("Query 'reset x'"),
        (Spoken{R"(Parse "" "reset x")", R"(Bind "" "")", R"(Execute "")", "Close S PGWEIR_SCRATCH",
                R"-(Parse PGWEIR_SCRATCH "SELECT pg_catalog.set_config('x','start',false)")-",
                R"(Bind "" PGWEIR_SCRATCH)", R"(Execute "")", "Close S PGWEIR_SCRATCH", "Sync"}));
    hear("ParseComplete; BindComplete; CommandComplete RESET; CloseComplete; ParseComplete; "
         "BindComplete; DataRow [start]; CommandComplete 'SELECT 1'; CloseComplete; "
         "ReadyForQuery transaction");
    EXPECT_EQ(spoken_replies(heard),
              (Spoken{"CommandComplete RESET", "ReadyForQuery transaction"}));
    EXPECT_TRUE(server.settled());
}

TEST_F(Naming, AResetThatFailsDoesNot) {
    say("Query 'reset all'");
    hear("ErrorResponse ERROR 25P02 no; ReadyForQuery failed");
    EXPECT_EQ(spoken_replies(heard),
              (Spoken{"ErrorResponse ERROR 25P02 \"no\"", "ReadyForQuery failed"}));
    EXPECT_TRUE(server.settled());
}

TEST_F(Naming, ABoundResetDoes) {
    EXPECT_EQ(
        say("Parse '' 'reset x'; Bind '' ''; Execute ''; Execute ''; Sync"),
        (Spoken{R"(Parse "" "reset x")", R"(Bind "" "")", R"(Execute "")", "Close S PGWEIR_SCRATCH",
                R"-(Parse PGWEIR_SCRATCH "SELECT pg_catalog.set_config('x','start',false)")-",
                R"(Bind "" PGWEIR_SCRATCH)", R"(Execute "")", "Close S PGWEIR_SCRATCH",
                R"(Execute "")", "Sync"}));
}

TEST_F(Naming, OtherResetsAreSentAsTheyAre) {
    EXPECT_EQ(say("Query 'reset y'"), (Spoken{R"(Query "reset y")"}));
    EXPECT_EQ(say("Query 'reset x; select 1'"), (Spoken{R"(Query "reset x; select 1")"}));
}

}  // namespace
}  // namespace pgweir::tests
