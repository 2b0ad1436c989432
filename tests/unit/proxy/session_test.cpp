// What a client may rely on over several servers, as a dialogue with one of them (proxy/session).
#include "proxy/session.hpp"

#include <gtest/gtest.h>

#include "protocol/frame.hpp"
#include "protocol/requests.hpp"

namespace pgweir::proxy {
namespace {

using Row = Session::Row;
namespace trace = router::trace;

/// A client whose start-up packet said a = start, on a server that is as new.
class Tracked : public ::testing::Test {
protected:
    void say(std::string_view sql) { session.note(sql, traits_of(sql)); }

    /// Says what was asked.
    std::string ask(const std::vector<Row>& rows) {
        EXPECT_TRUE(session.unsettled());
        std::string question = session.ask();
        session.answer(rows, fresh, have);
        session.transaction_over();
        return question;
    }
    std::string promised(std::string_view name) const {
        const std::string* const value = session.vars()->find(name);
        return value ? *value : "(none)";
    }

    protocol::VarTable table;
    FunctionBook book;
    protocol::Vars fresh = table.with(table.empty(), "TimeZone", "UTC");
    protocol::Vars have = fresh;
    const std::string user = "me";
    Session session{table, book, table.with(fresh, "a", "start"),
                    table.with(table.empty(), "a", "start"), user};
};

TEST_F(Tracked, AsksNothingAboutWhatLeavesNothing) {
    for (const char* const sql :
         {"select 1", "begin", "set local work_mem = 1", "insert into t values (1)", "notify a",
          "commit", "rollback to x"}) {
        SCOPED_TRACE(sql);
        say(sql);
        EXPECT_FALSE(session.unsettled());
    }
}

TEST_F(Tracked, WhatALostTransactionHasReportedHasNeverBeen) {
    session.report("TimeZone", "EST");
    session.report("TimeZone", "CET");
    EXPECT_EQ(promised("TimeZone"), "CET");
    session.server_lost();
    EXPECT_EQ(promised("TimeZone"), "UTC");
    session.report("TimeZone", "EST");
    session.transaction_over();
    session.server_lost();
    EXPECT_EQ(promised("TimeZone"), "EST");
    say("set TimeZone = 'CET'");
    session.report("TimeZone", "CET");
    const std::string question = session.ask();
    session.server_lost();  // before it has answered that
    EXPECT_EQ(promised("TimeZone"), "CET");
}

TEST_F(Tracked, VariablesAreAskedForByNameAndFollow) {
    say("set search_path = x");
    const std::string question = ask({Row{"v", "search_path", "x"}});
    EXPECT_NE(question.find("current_setting('search_path',true)"), std::string::npos) << question;
    EXPECT_EQ(question.find("pg_settings"), std::string::npos) << question;
    EXPECT_EQ(promised("search_path"), "x");
    EXPECT_EQ(promised("a"), "start");
    EXPECT_EQ(*have->find("search_path"), "x");
    EXPECT_FALSE(session.unsettled());
    EXPECT_EQ(session.pins(), 0u);
}

TEST_F(Tracked, WhatDoesNotExistIsNotKept) {
    say("set no.such = 1");
    ask({Row{"v", "no.such", std::nullopt}});
    EXPECT_EQ(promised("no.such"), "(none)");
    EXPECT_EQ(have->find("no.such"), nullptr);
}

TEST_F(Tracked, AResetGivesStartUpValuesBack) {
    say("set b = 1; reset a");
    have = table.with(have, "a", "old");
    const std::string question = ask({Row{"v", "role", "none"}, Row{"v", "b", "1"}});
    EXPECT_NE(question.find("pg_settings"), std::string::npos) << question;
    EXPECT_EQ(promised("a"), "start");
    EXPECT_EQ(promised("b"), "1");
    EXPECT_EQ(promised("role"), "(none)");
    EXPECT_EQ(have->find("a"), nullptr) << "the server has it no more: the next lending sets it";
}

TEST_F(Tracked, WhatIsAsInANewServerIsKeptThroughAnotherReset) {
    Session other{table, book, table.with(fresh, "TimeZone", "Asia/Tokyo"),
                  table.with(table.empty(), "TimeZone", "Asia/Tokyo"), user};
    const auto after = [&](std::string_view sql, const std::vector<Row>& rows) {
        other.note(sql, traits_of(sql));
        other.ask();
        other.answer(rows, fresh, have);
        return *other.vars()->find("TimeZone");
    };
    EXPECT_EQ(after("set timezone = 'UTC'", {Row{"v", "timezone", "UTC"}}), "UTC");
    // Another server had it by a RESET: it is not among what is set.
    EXPECT_EQ(after("reset work_mem", {}), "UTC");
    EXPECT_EQ(after("reset timezone; select 1", {}), "Asia/Tokyo");
}

TEST_F(Tracked, GivesBackWhatAResetTakes) {
    const std::string giving = "SELECT pg_catalog.set_config('a','start',false)";
    for (const char* const sql :
         {"reset a", "set A to default;", "reset all", "discard all", "/* x */ RESET \"a\""}) {
        SCOPED_TRACE(sql);
        EXPECT_EQ(session.giving_back(sql), giving);
    }
    for (const char* const sql :
         {"reset b", "set a = 1", "reset timezone", "set local a to default", "reset a; select 1",
          "select 'reset a'"}) {
        SCOPED_TRACE(sql);
        EXPECT_EQ(session.giving_back(sql), "");
    }
}

TEST_F(Tracked, ParametersNameVariables) {
    constexpr std::string_view sql = "select set_config($2, $1, false), set_config($3, 'x', true)";
    std::string bind;
    const protocol::Value values[] = {"x", "App.Name", "b"};
    protocol::write_bind(bind, "", "s", values);
    session.note(sql, traits_of(sql), std::string_view(bind).substr(protocol::header_size));
    const std::string question = ask({Row{"v", "app.name", "x"}});
    EXPECT_NE(question.find("current_setting('app.name',true)"), std::string::npos) << question;
    EXPECT_EQ(question.find("pg_settings"), std::string::npos) << question;
    EXPECT_EQ(promised("app.name"), "x");
    EXPECT_EQ(session.pins(), 0u);

    session.note(sql, traits_of(sql));
    EXPECT_NE(ask({}).find("pg_settings"), std::string::npos);
    EXPECT_EQ(pin_text(session.pins()), "custom variable");
}

TEST_F(Tracked, WhatCouldNotBeSetIsNotPromised) {
    say("set log_statement = 'all'; set timezone = 'x'; set b.c = 'd'; set work_mem = 1");
    have = table.with(table.with(have, "work_mem", "2MB"), "TimeZone", "Asia/Tokyo");
    const std::string question = session.ask(true);
    EXPECT_NE(question.find("pg_settings"), std::string::npos) << question;
    EXPECT_NE(question.find("current_setting('b.c',true)"), std::string::npos) << question;
    session.answer({Row{"v", "b.c", "d"}, Row{"v", "work_mem", "1MB"}}, fresh, have);
    EXPECT_EQ(promised("log_statement"), "(none)");
    EXPECT_EQ(promised("work_mem"), "1MB");
    EXPECT_EQ(promised("TimeZone"), "UTC") << "as in a new server";
    EXPECT_EQ(*have->find("TimeZone"), "UTC");
    EXPECT_EQ(promised("b.c"), "d");
}

TEST_F(Tracked, VariablesOfTheTransactionDoNotFollow) {
    say("set transaction_read_only = on");
    EXPECT_FALSE(session.unsettled());
    say("do $$ begin end $$");
    ask({Row{"v", "transaction_isolation", "serializable"}, Row{"v", "b", "1"}});
    EXPECT_EQ(promised("transaction_isolation"), "(none)");
    EXPECT_EQ(have->find("transaction_isolation"), nullptr);
    EXPECT_EQ(promised("b"), "1");
}

TEST_F(Tracked, WhatIsNotedWhileAQuestionIsOpenIsForTheNextOne) {
    say("select pg_advisory_lock(1)");
    EXPECT_NE(session.ask().find("pg_locks"), std::string::npos);
    say("select pg_advisory_unlock(1)");
    session.answer({Row{"l", std::nullopt, std::nullopt}}, fresh, have);
    EXPECT_EQ(session.pins(), trace::locks);
    ask({});
    EXPECT_EQ(session.pins(), 0u);
}

struct PinCase {
    const char* sql;
    const char* kind;
    router::Traces pin;
    const char* undone_by;
};

const PinCase pin_cases[] = {
    {"select pg_advisory_lock(1)", "l", trace::locks, "select pg_advisory_unlock_all()"},
    {"create temp table t (a int)", "t", trace::temporary, "drop table t"},
    {"declare c cursor with hold for select 1", "h", trace::cursors, "close c"},
    {"prepare p as select 1", "p", trace::statements, "deallocate p"},
    {"listen a", "n", trace::channels, "unlisten *"},
};

TEST_F(Tracked, PinsLastUntilTheServerSaysThatTheyAreGone) {
    for (const PinCase& c : pin_cases) {
        SCOPED_TRACE(c.sql);
        say(c.sql);
        ask({Row{c.kind, std::nullopt, std::nullopt}});
        EXPECT_EQ(session.pins(), c.pin);
        EXPECT_FALSE(pin_text(session.pins()).empty());
        say(c.undone_by);
        ask({});
        EXPECT_EQ(session.pins(), 0u);
        EXPECT_FALSE(session.spoils_server());
    }
    say("select setseed(0.5)");
    EXPECT_TRUE(session.spoils_server());
}

TEST_F(Tracked, AServerThatCannotBeAskedStays) {
    say("set a = 1");
    session.ask();
    session.no_answer();
    EXPECT_EQ(session.pins(), pin_unknown);
    say("set a = 1");
    ask({Row{"v", "a", "1"}});
    EXPECT_EQ(session.pins(), 0u);
}

TEST_F(Tracked, WhatWasCancelledIsAskedAgain) {
    say("set a = 1");
    const std::string question = session.ask();
    EXPECT_TRUE(session.ask_again());
    EXPECT_EQ(session.pins(), 0u);
    EXPECT_TRUE(session.unsettled());
    EXPECT_EQ(session.ask(), question);
    EXPECT_FALSE(session.ask_again());  // a statement_timeout would cancel it for ever
}

TEST_F(Tracked, FunctionsAreLookedUpOnce) {
    say("select f(1)");
    EXPECT_NE(ask({Row{"f", "plpgsql v", "begin perform g(); end"}}).find("pg_proc"),
              std::string::npos);
    EXPECT_NE(ask({Row{"g", "sql v", "select set_config('app.x', '1', false)"}}).find("pg_proc"),
              std::string::npos);
    EXPECT_NE(ask({Row{"v", "app.x", "1"}}).find("'app.x'"), std::string::npos);
    EXPECT_EQ(promised("app.x"), "1");

    say("select f(2)");
    EXPECT_NE(ask({Row{"v", "app.x", "2"}}).find("'app.x'"), std::string::npos) << "known by now";
    book.forget();
    say("select f(3)");
    EXPECT_NE(session.ask().find("pg_proc"), std::string::npos);
}

TEST_F(Tracked, FunctionsThatCallEachOtherComeToAnEnd) {
    say("select f()");
    ask({Row{"f", "sql v", "select f(), g()"}});
    ask({Row{"g", "sql v", "select f()"}});
    EXPECT_FALSE(session.unsettled());
}

struct FunctionCase {
    const char* name;
    const char* language;
    const char* source;
    router::Traces traces;
};

const FunctionCase function_cases[] = {
    {"stable: it leaves nothing", "plpgsql s", "begin perform set_config('a', 'b', false); end", 0},
    {"of C", "c v", "postgis_full", 0},
    {"of C, that keeps connections", "c v", "dblink_connect", trace::library},
    {"of another language", "plpython3u v", "pass", trace::anything},
    {"plain", "plpgsql v", "begin update t set a = 1; return new; end", 0},
    {"SQL made while it runs", "plpgsql v", "begin execute 'set a = 1'; end", trace::anything},
    {"a command behind THEN", "plpgsql v", "begin if true then set a = 1; end if; end",
     trace::anything},
    {"a lock", "sql v", "select pg_advisory_lock(1)", trace::locks},
};

TEST(FunctionBook, ReadsDefinitions) {
    for (const FunctionCase& c : function_cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(FunctionBook::read(c.language, c.source).traces, c.traces);
    }
}

// ---------------------------------------------------------------- what a text means

TEST_F(Tracked, AContextIsKnownWhileNothingChanges) {
    const auto before = session.context(1);
    ASSERT_TRUE(before.has_value());
    EXPECT_EQ(session.context(1), before);
    EXPECT_NE(session.context(2), before) << "the schema is another";
    say("set search_path = x");
    EXPECT_EQ(session.context(1), std::nullopt);
    ask({Row{"v", "search_path", "x"}});
    ASSERT_TRUE(session.context(1).has_value());
    EXPECT_NE(session.context(1), before);
    const auto of_path = session.context(1);
    say("set application_name = y");
    ask({Row{"v", "application_name", "y"}});
    EXPECT_EQ(session.context(1), of_path) << "that means nothing to a text";

    say("set local x.y = 1");
    EXPECT_EQ(session.context(1), std::nullopt);
    session.transaction_over();
    EXPECT_TRUE(session.context(1).has_value());
    session.schema_changed();
    EXPECT_EQ(session.context(1), std::nullopt);
}

struct ShareableCase {
    const char* sql;
    bool shareable;
};

const ShareableCase shareable_cases[] = {
    {"select 1", true},
    {"  SELECT 1", true},
    {"with x as (select 1) insert into t select * from x", true},
    {"values (1)", true},
    {"select now()", true},
    {"select 'now'::timestamptz", false},
    {"select date 'Today '", false},
    {"selection", false},
    {"begin", false},
    {"explain select 1", false},
    {"", false},
};

TEST(Traits, ATextThatMeansTheSameWheneverItIsRead) {
    for (const ShareableCase& c : shareable_cases) {
        SCOPED_TRACE(c.sql);
        EXPECT_EQ((traits_of(c.sql) & trait_shareable) != 0, c.shareable);
    }
}

}  // namespace
}  // namespace pgweir::proxy
