// What kind of statement a text is, as far as no catalog is needed for it.
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "router/hints.hpp"
#include "router/router.hpp"

namespace pgweir::router {
namespace {

using Kind = Verdict::Kind;

struct StatementCase {
    std::string_view sql;
    Kind kind;
    bool read;
    Reason reason;
};

const StatementCase statement_cases[] = {
    {"", Kind::empty, true, Reason::empty},
    {" ; -- nothing", Kind::empty, true, Reason::empty},
    {"select 1", Kind::statement, true, Reason::read},
    {"/* a /* b */ c */ VALUES (1), (2);", Kind::statement, true, Reason::read},
    {"select 1; select 2", Kind::statement, true, Reason::read},
    {"select 'it''s; delete from t'", Kind::statement, true, Reason::read},
    {"select $x$ ; delete from t $x$", Kind::statement, true, Reason::read},
    {"select 1; delete from t", Kind::statement, false, Reason::write},
    {"insert into t values (1)", Kind::statement, false, Reason::write},
    {"insert into t values (1); commit", Kind::several, false, Reason::several},
    {"with x as (delete from t returning 1) select 1", Kind::statement, false, Reason::write},
    {"select 1 into t", Kind::statement, false, Reason::write},
    {"select 1 union select 2 for update", Kind::statement, false, Reason::lock},
    {"select (select 1 for no key update)", Kind::statement, false, Reason::lock},
    {"merge into a using b on false when matched then do nothing", Kind::statement, false,
     Reason::write},
    {"truncate t", Kind::statement, false, Reason::write},
    {"create table t (a int)", Kind::statement, false, Reason::ddl},
    {"create table t as select 1", Kind::statement, false, Reason::write},
    {"vacuum", Kind::statement, false, Reason::ddl},
    {"do 'begin end'", Kind::statement, false, Reason::code},
    {"call p()", Kind::statement, false, Reason::code},
    {"lock table t", Kind::statement, false, Reason::lock},
    {"notify a", Kind::statement, false, Reason::notification},
    {"load 'x'", Kind::statement, false, Reason::server_file},
    {"copy t from stdin", Kind::statement, false, Reason::write},
    {"copy t to '/tmp/x'", Kind::statement, false, Reason::server_file},
    {"copy (select 1) to program 'x'", Kind::statement, false, Reason::server_file},
    {"copy (select 1) to stdout", Kind::statement, true, Reason::read},
    {"copy (delete from t returning 1) to stdout", Kind::statement, false, Reason::write},
    {"explain select 1", Kind::statement, true, Reason::read},
    {"explain (analyze off) delete from t", Kind::statement, false, Reason::write},
    {"begin", Kind::begin, false, Reason::transaction},
    {"commit and chain", Kind::end, false, Reason::transaction},
    {"abort", Kind::end, false, Reason::transaction},
    {"rollback to a", Kind::statement, false, Reason::transaction},
    {"prepare transaction 'x'", Kind::statement, false, Reason::two_phase},
    {"commit prepared 'x'", Kind::statement, false, Reason::two_phase},
    {"select 1; begin", Kind::several, false, Reason::several},
    {"set a.b = 1; select 1", Kind::several, false, Reason::several},
    {"set work_mem = 1", Kind::set, false, Reason::session_setting},
    {"show all", Kind::set, false, Reason::session_setting},
    {"reset all", Kind::set, false, Reason::session_setting},
    {"discard all", Kind::set, false, Reason::session_setting},
    {"listen a", Kind::set, false, Reason::notification},
    {"deallocate a", Kind::set, false, Reason::prepared},
    {"execute a", Kind::statement, true, Reason::prepared},
    {"declare c cursor for select 1", Kind::statement, true, Reason::read},
    {"declare c cursor with hold for select 1", Kind::statement, false, Reason::cursor},
    {"fetch c", Kind::statement, false, Reason::cursor},
    {"set transaction read only", Kind::set_transaction, false, Reason::transaction},
    {"set transaction_read_only = on", Kind::set_transaction, false, Reason::transaction},
    {"select now()", Kind::statement, false, Reason::catalog_missing},
    {"selec 1", Kind::statement, false, Reason::parse_error},
};

TEST(Statements, AreWhatTheyAre) {
    Router router;
    for (const StatementCase& c : statement_cases) {
        for (int again = 0; again < 2; ++again) {  // parsed, then remembered
            SCOPED_TRACE(c.sql);
            const auto verdict = router.judge(c.sql, {});
            EXPECT_EQ(verdict->kind, c.kind);
            EXPECT_EQ(verdict->read, c.read);
            EXPECT_EQ(reason_text(verdict->reason), reason_text(c.reason));
        }
    }
}

TEST(Statements, TellWhatTheyLeave) {
    Router router;
    const auto judge = [&](std::string_view sql) { return *router.judge(sql, {}); };
    EXPECT_TRUE(judge("savepoint a").follows && judge("savepoint a").holds);
    EXPECT_TRUE(judge("set local work_mem = 1").follows);
    EXPECT_TRUE(judge("fetch c").follows);
    EXPECT_TRUE(judge("commit and chain").chains);
    EXPECT_TRUE(judge("declare c cursor for select 1").holds);
    EXPECT_TRUE(judge("create table t (a int)").alters);
    EXPECT_FALSE(judge("create temp table t (a int)").alters);
    EXPECT_TRUE(judge("do 'begin end'").alters);
    EXPECT_TRUE(judge("delete from t").refused_read_only);
    EXPECT_FALSE(judge("vacuum").refused_read_only);
    EXPECT_FALSE(judge("show all").dirties);
    EXPECT_FALSE(judge("select 1").shows);
    EXPECT_TRUE(judge("select a from t").shows);
    EXPECT_TRUE(judge("select f()").shows);
    EXPECT_TRUE(judge("fetch c").shows);
    EXPECT_TRUE(judge("call p()").dirties);
    EXPECT_EQ(judge("explain analyze execute p").executes, std::vector<std::string>{"p"});
    const Verdict prepared = judge("prepare p (int) as insert into t values (1)");
    EXPECT_EQ(prepared.kind, Kind::set);
    EXPECT_EQ(prepared.prepares, "p");
    EXPECT_FALSE(prepared.read || prepared.dirties);
    EXPECT_TRUE(judge("prepare p as select 1").read);
}

struct OptionsCase {
    std::string_view sql;
    TransactionOptions options;
};

TEST(Statements, HaveTransactionOptions) {
    const auto options = [](std::optional<bool> read_only, std::optional<bool> serializable = {}) {
        TransactionOptions made;
        made.read_only = read_only;
        made.serializable = serializable;
        return made;
    };
    TransactionOptions all = options(true, true);
    all.deferrable = true;
    TransactionOptions odd = options({}, false);
    odd.well_known = false;
    TransactionOptions repeatable = options({}, false);
    repeatable.repeatable_read = true;
    TransactionOptions snapshot;
    snapshot.snapshot = true;
    snapshot.well_known = false;
    const OptionsCase cases[] = {
        {"begin", {}},
        {"start transaction read only", options(true)},
        {"begin read only, read write", options(false)},
        {"begin isolation level serializable, read only, deferrable", all},
        {"set transaction isolation level repeatable read", repeatable},
        {"set session characteristics as transaction read only", options(true)},
        {"set default_transaction_isolation = 'Serializable'", options({}, true)},
        {"set default_transaction_read_only to on", options(true)},
        {"set transaction_read_only = 'of'", options(false)},
        {"set default_transaction_isolation = 'none'", odd},
        {"set transaction snapshot '00000003-1'", snapshot},
    };
    Router router;
    for (const OptionsCase& c : cases) {
        EXPECT_TRUE(router.judge(c.sql, {})->options == c.options) << c.sql;
    }
}

TEST(Statements, MayBeOurOwnSettings) {
    struct Case {
        std::string_view sql;
        OwnSetting own;
    };
    using enum OwnSetting::Action;
    const Case cases[] = {
        {"SET pgweir.route = 'primary'", {set, "pgweir.route", "primary"}},
        {"SET pgweir.route = 'replica'", {set, "pgweir.route", "replica"}},
        {"set local \"PgWeir.Route\" to auto", {set, "pgweir.route", "auto", true}},
        {"reset pgweir.route", {reset, "pgweir.route", ""}},
        {"set pgweir.route to default", {reset, "pgweir.route", ""}},
        {"show pgweir.causal_token", {show, "pgweir.causal_token", ""}},
        {"select set_config('pgweir.lsn', '0/1', true)", {set, "pgweir.lsn", "0/1", true, true}},
        {"select current_setting('pgweir.lsn', true)", {show, "pgweir.lsn", "", false, true}},
    };
    Router router;
    for (const Case& c : cases) {
        SCOPED_TRACE(c.sql);
        const auto verdict = router.judge(c.sql, {});
        EXPECT_EQ(verdict->kind, Kind::own);
        EXPECT_TRUE(verdict->own == c.own) << verdict->own.name << '=' << verdict->own.value;
    }
    EXPECT_NE(router.judge("select set_config('pgweir.route', $1, false)", {})->kind, Kind::own);
    EXPECT_NE(router.judge("select set_config('work_mem', '1', false)", {})->kind, Kind::own);
    EXPECT_NE(router.judge("select 1, set_config('pgweir.a', '1', false)", {})->kind, Kind::own);
}

TEST(Hints, AreFirstTokens) {
    EXPECT_EQ(hint_of("/* pgweir: primary */ select 1"), Hint::primary);
    EXPECT_EQ(hint_of("\n /*PGWEIR :replica*/select 1"), Hint::replica);
    EXPECT_EQ(hint_of("/*NO LOAD BALANCE*/ select 1"), Hint::primary);
    EXPECT_EQ(hint_of("select 1 /* pgweir: primary */"), Hint::none);
    EXPECT_EQ(hint_of("/* a */ /* pgweir: primary */ select 1"), Hint::none);
    EXPECT_EQ(hint_of("/* pgweir: primary and more */ select 1"), Hint::none);
    EXPECT_EQ(hint_of("/* pgweir: primary"), Hint::none);
}

TEST(Hints, DecideUnlessItIsInVain) {
    Router router;
    const auto judge = [&](std::string_view sql) { return *router.judge(sql, {}); };
    EXPECT_FALSE(judge("/*pgweir: primary*/ select 1").read);
    EXPECT_FALSE(judge("/*pgweir: primary*/ select 1").dirties);
    EXPECT_TRUE(judge("/*pgweir: replica*/ select f() from t").read);
    EXPECT_FALSE(judge("/*pgweir: replica*/ delete from t").read);
    EXPECT_EQ(judge("/*pgweir: primary*/ begin").kind, Kind::begin);
    EXPECT_TRUE(judge("select 1").read);
}

TEST(Router, TrustsNoTextItMayMisread) {
    Router router;
    const std::string backslash = "select 'a\\', 'b; delete from t; --'";
    EXPECT_TRUE(router.judge(backslash, {})->read);
    EXPECT_FALSE(router.judge(backslash, {.standard_strings = false})->read);
    const std::string sjis = "select '\x83\x5c'";
    EXPECT_TRUE(router.judge(sjis, {})->read);
    EXPECT_FALSE(router.judge(sjis, {.unsafe_encoding = true})->read);
    EXPECT_TRUE(is_unsafe_encoding("Shift_JIS"));
    EXPECT_TRUE(is_unsafe_encoding("gb18030"));
    EXPECT_FALSE(is_unsafe_encoding("UTF8"));
}

}  // namespace
}  // namespace pgweir::router
