// What queries are, given a database: tests/unit/router/small_catalog.hpp.
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "router/router.hpp"
#include "tests/unit/router/small_catalog.hpp"

namespace pgweir::router {
namespace {

constexpr std::string_view app_path = "app, public";

struct QueryCase {
    std::string_view sql;
    Reason reason;  // read, or why not
};

const QueryCase query_cases[] = {
    // Functions.
    {"select calm(1)", Reason::read},
    {"select app.calm(1), pg_catalog.now()", Reason::read},
    {"select busy(1)", Reason::function_volatile},
    {"select 1 where exists (select busy(1))", Reason::function_volatile},
    {"select case when true then 1 else busy(2) end", Reason::function_volatile},
    {"select * from busy(1) with ordinality", Reason::function_volatile},
    {"select count(*) filter (where busy(1) > 0)", Reason::function_volatile},
    {"select count(*) over (order by busy(1))", Reason::function_volatile},
    {"values (busy(1))", Reason::function_volatile},
    {"select 1 limit busy(1)", Reason::function_volatile},
    {"select array[[1], [busy(1)]]", Reason::function_volatile},
    {"with x as (select busy(1)) select 1", Reason::function_volatile},
    {"copy (select busy(1)) to stdout", Reason::function_volatile},
    {"explain select busy(1)", Reason::function_volatile},
    {"execute p (busy(1))", Reason::function_volatile},
    {"select nosuch(1)", Reason::function_unknown},
    {"select pg_catalog.calm(1)", Reason::function_unknown},
    {"select lower('A')", Reason::function_volatile},  // public.lower(varchar) may be meant
    {"select pg_catalog.lower('A')", Reason::read},
    {"select now()", Reason::read},  // app.now() is hidden by pg_catalog's
    {"select app.now()", Reason::function_volatile},
    {"select random()", Reason::read},
    {"select nextval('ids')", Reason::function_volatile},
    {"select pg_is_in_recovery()", Reason::function_node},
    {"select sum_calm(1)", Reason::read},
    {"select sum_busy(1)", Reason::function_volatile},
    {"select work()", Reason::function_volatile},
    // Functions that are casts, casts, domains.
    {"select mild(5), strict(5)", Reason::type_volatile},
    {"select 5::mild, cast('a' as text)", Reason::read},
    {"select 5::strict", Reason::type_volatile},
    {"select '{5}'::strict[]", Reason::type_volatile},
    {"select 5::pair", Reason::type_volatile},
    {"select strict '5'", Reason::type_volatile},
    {"select * from calm(1) as x(a strict)", Reason::type_volatile},
    {"select 5::nosuch", Reason::type_unknown},
    // Operators.
    {"select 1 = 1", Reason::read},
    {"select 1 === 1", Reason::operator_volatile},
    {"select 1 operator(app.===) any (array[1])", Reason::operator_volatile},
    {"select 1 order by 1 using ===", Reason::operator_volatile},
    {"select 1 ==== 1", Reason::operator_unknown},
    // Attributes that are calls.
    {"select t.note from t", Reason::attribute},
    {"select (t).note from t", Reason::attribute},
    {"select note from t", Reason::read},
    {"select t.id from t", Reason::read},
    // Relations.
    {"select * from t", Reason::read},
    {"table app.t", Reason::read},
    {"copy t to stdout", Reason::read},
    {"select * from public.t", Reason::relation_unknown},
    {"select * from nosuch", Reason::relation_unknown},
    {"select * from scratch", Reason::relation_unlogged},
    {"select last_value from ids", Reason::sequence},
    {"select * from remote", Reason::relation_foreign},
    {"select * from calm_view", Reason::read},
    {"select 1 from busy_view", Reason::view_writes},
    {"select 1 from nested_view", Reason::view_writes},
    {"select 1 from lock_view", Reason::view_writes},
    {"select 1 from scratch_view", Reason::relation_unlogged},
    {"select 1 from parent", Reason::relation_unlogged},
    {"select 1 from only parent", Reason::read},
    {"select 1 from guarded", Reason::policy_writes},
    {"select * from pg_class, pg_tables", Reason::read},
    {"select * from pg_stat_activity", Reason::function_node},
    // Names of common table expressions, where they hold.
    {"with nosuch as (select 1) select * from nosuch", Reason::read},
    {"with busy_view as (select * from busy_view) select 1", Reason::view_writes},
    {"with recursive nosuch as (select 1 union all select * from nosuch) table nosuch",
     Reason::read},
    {"select * from (with a as (select 1) table a) x, a", Reason::relation_unknown},
    // Settings.
    {"select current_setting('app.tenant')", Reason::read},
    {"select current_setting('TimeZone')", Reason::read},
    {"select current_setting('transaction_read_only')", Reason::function_node},
    {"select current_setting($1)", Reason::function_node},
    {"select set_config('work_mem', '1', false)", Reason::session_setting},
    // What the walk does not know.
    {"select * from t tablesample odd (1)", Reason::function_unknown},
    {"select * from t tablesample system (1)", Reason::read},
};

TEST(Catalog, SaysWhatQueriesDo) {
    const CatalogPtr catalog = tests::small_database().build();
    const Conditions conditions{.catalog = catalog.get(), .search_path = app_path};
    Router router;
    for (const QueryCase& c : query_cases) {
        for (int again = 0; again < 2; ++again) {
            SCOPED_TRACE(c.sql);
            const auto verdict = router.judge(c.sql, conditions);
            EXPECT_EQ(reason_text(verdict->reason), c.sql.starts_with("execute") && verdict->read
                                                        ? "prepared"
                                                        : reason_text(c.reason));
            EXPECT_EQ(verdict->read, c.reason == Reason::read);
        }
    }
}

TEST(Catalog, TellsWhatShowsTheNodeAndDoesNothingElse) {
    const CatalogPtr catalog = tests::small_database().build();
    const Conditions conditions{.catalog = catalog.get(), .search_path = app_path};
    Router router;
    const auto tells = [&](std::string_view sql) {
        return router.judge(sql, conditions)->tells_of_node;
    };
    EXPECT_TRUE(tells("select pg_is_in_recovery()"));
    EXPECT_TRUE(tells("select current_setting('port'), id from t"));
    EXPECT_TRUE(tells("select * from pg_stat_activity"));
    EXPECT_FALSE(tells("select 1"));
    EXPECT_FALSE(tells("select pg_is_in_recovery(), busy(1)"));
    EXPECT_FALSE(tells("select busy(1), pg_is_in_recovery()"));
    EXPECT_FALSE(tells("select pg_is_in_recovery() from nosuch"));
    EXPECT_FALSE(tells("select pg_is_in_recovery() from t for update"));
    EXPECT_FALSE(tells("insert into t select pg_is_in_recovery()"));
    EXPECT_FALSE(router.judge("select pg_is_in_recovery()", {})->tells_of_node);
}

TEST(Catalog, CountsWhatIsOnTheSearchPath) {
    const CatalogPtr catalog = tests::small_database().build();
    Router router;
    const auto reads = [&](std::string_view sql, std::optional<std::string_view> path,
                           std::string_view user = "") {
        return router.judge(sql, {.catalog = catalog.get(), .search_path = path, .user = user})
            ->read;
    };
    EXPECT_TRUE(reads("select lower('a')", "app"));
    EXPECT_FALSE(reads("select lower('a')", "public"));
    EXPECT_FALSE(reads("select lower('a')", std::nullopt));
    EXPECT_TRUE(reads("select now()", "app"));
    EXPECT_TRUE(reads("select now()", "pg_catalog, app"));
    EXPECT_FALSE(reads("select now()", "app, pg_catalog"));
    EXPECT_FALSE(reads("select now()", std::nullopt));
    EXPECT_TRUE(reads("select * from t", "\"$user\", public", "app"));
    EXPECT_FALSE(reads("select * from t", "\"$user\", public", "other"));
    EXPECT_TRUE(reads("select * from t", std::nullopt));
    EXPECT_FALSE(reads("select lower('a')", "app; odd"));
    EXPECT_FALSE(reads("select * from t", std::nullopt, "anybody"));
    EXPECT_TRUE(reads("select * from t", std::nullopt, "tenant"));
    EXPECT_TRUE(reads("select lower('a')", std::nullopt, "tenant"));
    EXPECT_EQ(catalog->default_search_path("tenant"), "app");
    EXPECT_EQ(catalog->default_search_path("anybody"), "\"$user\", public");
}

TEST(Catalog, KnowsWhatTheOperatorKnows) {
    const CatalogPtr catalog =
        tests::small_database({.replica_safe_functions = {"app.busy", "current_setting"},
                               .primary_functions = {"calm"},
                               .foreign_tables = true})
            .build();
    Router router;
    const auto reads = [&](std::string_view sql) {
        return router.judge(sql, {.catalog = catalog.get(), .search_path = app_path})->read;
    };
    EXPECT_TRUE(reads("select busy(1)"));
    EXPECT_TRUE(reads("select 1 from nested_view"));
    EXPECT_FALSE(reads("select calm(1)"));
    EXPECT_FALSE(reads("select 1 from calm_view"));
    EXPECT_TRUE(reads("select * from remote"));
    EXPECT_TRUE(reads("select current_setting('port'), current_setting($1) from t"));
}

TEST(Catalog, RemarksOnWhatItCannotSee) {
    const CatalogPtr catalog = tests::small_database().build();
    ASSERT_EQ(catalog->remarks().size(), 3U);  // the cast from t, lower(), now()
    EXPECT_NE(catalog->remarks()[0].find("cast from t"), std::string::npos);
}

TEST(Catalog, RefusesRowsOfAnotherShape) {
    CatalogBuilder builder;
    const std::optional<std::string_view> few[] = {"3", "11"}, unknown[] = {"99", "a"};
    EXPECT_FALSE(builder.take(few));
    EXPECT_FALSE(builder.take(unknown));
    EXPECT_FALSE(builder.take({}));
}

TEST(Router, RemembersShapesAndNotWhatLiteralsDecide) {
    const CatalogPtr catalog = tests::small_database().build();
    Router router;
    const Conditions conditions{.catalog = catalog.get(), .search_path = app_path};
    const auto reads = [&](std::string_view sql) { return router.judge(sql, conditions)->read; };
    EXPECT_TRUE(reads("select * from t where id in (1, 2, 3)"));
    EXPECT_TRUE(reads("select * from t where id in (4)  -- by now known"));
    EXPECT_EQ(router.stats().parses, 1U);
    EXPECT_TRUE(reads("select current_setting('app.a')"));
    EXPECT_FALSE(reads("select current_setting('port')"));
    EXPECT_TRUE(reads("select current_setting('app.a')"));
    EXPECT_EQ(router.stats().parses, 3U);
    // The escape character is a part of the name.
    EXPECT_FALSE(reads("select U&\"b!0075sy\" uescape '!' (1)"));
    EXPECT_FALSE(reads("select U&\"b\\0075sy\" (1)"));
}

TEST(Router, KnowsTextsByTheSettingsTheyName) {
    const CatalogPtr catalog = tests::small_database().build();
    const Conditions conditions{.catalog = catalog.get(), .search_path = app_path};
    Router router;
    const auto reads = [&](std::string_view sql) { return router.judge(sql, conditions)->read; };
    const auto parses = [&] { return router.stats().parses; };
    EXPECT_TRUE(reads("select 'a', current_setting('app.a')"));
    EXPECT_TRUE(reads("select 'b', current_setting('app.a')"));
    EXPECT_EQ(parses(), 1U);
    EXPECT_FALSE(reads("select 'a', current_setting('port')"));
    EXPECT_FALSE(reads("select 'b', current_setting('port')"));
    EXPECT_EQ(parses(), 2U);
    EXPECT_FALSE(reads("select set_config('app.a', 'x', true)"));
    EXPECT_FALSE(reads("select set_config('app.a', 'y', true)"));
    EXPECT_EQ(router.judge("select set_config('pgweir.route', 'y', true)", conditions)->kind,
              Verdict::Kind::own);
    EXPECT_EQ(parses(), 4U);
    for (const char* const value : {"x", "y", "z"}) {
        const std::string sql = std::string("set app.who = '") + value + '\'';
        EXPECT_EQ(router.judge(sql, conditions)->reason, Reason::session_setting);
    }
    EXPECT_EQ(parses(), 5U);
    EXPECT_TRUE(reads("copy (select * from t where id = 1) to stdout"));
    EXPECT_TRUE(reads("COPY (select * from t where id = 2) TO STDOUT"));
    EXPECT_TRUE(reads("copy (select * from t where id = 3) to stdout"));
    EXPECT_EQ(parses(), 7U);
    EXPECT_TRUE(reads("copy t to ''"));  // which PostgreSQL refuses anywhere
    EXPECT_FALSE(reads("copy t to '/tmp/t'"));
    EXPECT_EQ(router.judge("copy t to '/tmp/t'", conditions)->reason, Reason::server_file);
    EXPECT_TRUE(router.judge("copy t to '/tmp/t'", conditions)->dirties);
    EXPECT_TRUE(reads("copy t to E''"));
    EXPECT_FALSE(reads("copy t to E'/tmp/t'"));
    EXPECT_FALSE(reads("copy t to program 'cat'"));
    // Of one skeleton, though not of one meaning.
    EXPECT_NE(router.judge("select set_config('pgweir.lsn', 'a', 'b', true)", conditions)->kind,
              Verdict::Kind::own);
    EXPECT_EQ(router.judge("select set_config('pgweir.lsn', 'a', true)", conditions)->kind,
              Verdict::Kind::own);
    // Written so that the skeleton has not got the name.
    EXPECT_FALSE(reads("select current_setting(E'port')"));
    EXPECT_TRUE(reads("select current_setting(E'app.a')"));
    EXPECT_TRUE(reads("select current_setting('app.'\n'')"));
    EXPECT_TRUE(reads("select current_setting('role'\n'')"));
    EXPECT_FALSE(reads("select current_setting('role'\n's')"));
}

TEST(Router, BlamesALiteralAlone) {
    Router router;
    EXPECT_EQ(router.judge("select E'\\u00'", {})->reason, Reason::parse_error);
    EXPECT_TRUE(router.judge("select E'\\u0041'", {})->read);
    EXPECT_EQ(router.judge("selec 1", {})->reason, Reason::parse_error);
    EXPECT_EQ(router.judge("selec 2", {})->reason, Reason::parse_error);
    EXPECT_EQ(router.stats().parses, 3U);
}

TEST(Router, JudgesAnewWhatHasChanged) {
    const CatalogPtr catalog = tests::small_database().build();
    CatalogBuilder changed = tests::small_database({.primary_functions = {"calm"}});
    const CatalogPtr newer = changed.build();
    Router router;
    const std::string_view sql = "select calm(1)";
    Conditions conditions{.catalog = catalog.get(), .search_path = app_path};
    EXPECT_TRUE(router.judge(sql, conditions)->read);
    conditions.suspect = true;
    EXPECT_EQ(router.judge(sql, conditions)->reason, Reason::catalog_suspect);
    EXPECT_TRUE(router.judge("select 1", conditions)->read);
    conditions.suspect = false;
    EXPECT_TRUE(router.judge(sql, conditions)->read);
    conditions.catalog = newer.get();
    EXPECT_FALSE(router.judge(sql, conditions)->read);
    conditions.catalog = nullptr;
    EXPECT_EQ(router.judge(sql, conditions)->reason, Reason::catalog_missing);
    EXPECT_EQ(router.stats().parses, 2U);

    conditions.catalog = catalog.get();
    EXPECT_TRUE(router.judge("select random()", conditions)->read);
    conditions.seeded = true;
    EXPECT_EQ(router.judge("select random()", conditions)->reason, Reason::random_seeded);
}

TEST(Router, LearnsFromRefusals) {
    const CatalogPtr catalog = tests::small_database().build();
    const Conditions conditions{.catalog = catalog.get(), .search_path = app_path};
    Router router;
    EXPECT_TRUE(router.judge("select calm(1)", conditions)->read);
    router.learn_primary("select calm(2)", conditions);
    const auto verdict = router.judge("select calm(3)", conditions);
    EXPECT_EQ(verdict->reason, Reason::learned);
    EXPECT_TRUE(!verdict->read && verdict->dirties);
    EXPECT_TRUE(router.judge("select calm(1), 2", conditions)->read);
}

TEST(Router, IsBounded) {
    Router few({.entries_max = 3});
    for (const char* const sql :
         {"select 1 as a", "select 1 as b", "select 1 as c", "select 1 as d", "select 1 as a"}) {
        EXPECT_TRUE(few.judge(sql, {})->read);
    }
    EXPECT_EQ(few.stats().entries, 3U);
    EXPECT_EQ(few.stats().parses, 5U);

    Router small({.bytes_max = 4000});
    for (char c = 'a'; c <= 'z'; ++c) small.judge(std::string("select 1 as ") + c, {});
    EXPECT_LE(small.stats().bytes, 4000U);

    Router texts({.texts_max = 3});
    EXPECT_TRUE(texts.judge("select 1", {})->read);
    for (char c = 'a'; c <= 'z'; ++c)
        texts.judge(std::string("set pgweir.causal_token = '") + c + '\'', {});
    EXPECT_EQ(texts.stats().entries, 5U);  // one more stands in for them
    EXPECT_TRUE(texts.judge("select 2", {})->read);
    EXPECT_EQ(texts.stats().parses, 27U);

    Router slow({.parse_us_second = 25});
    EXPECT_TRUE(slow.judge("select 1 as a", {.now_us = 1'000'000})->read);
    EXPECT_EQ(slow.judge("select 1 as b", {.now_us = 1'000'001})->reason, Reason::too_many);
    EXPECT_TRUE(slow.judge("select 1 as a", {.now_us = 1'000'002})->read);
    EXPECT_TRUE(slow.judge("select 1 as b", {.now_us = 3'000'000})->read);
}

TEST(Router, ParsesNothingTooLongOrTooDeep) {
    const auto repeated = [](std::string text, std::string_view part, int times) {
        for (int i = 0; i < times; ++i) text += part;
        return text;
    };
    Router router;
    const auto reason = [&](const std::string& sql) { return router.judge(sql, {})->reason; };
    EXPECT_EQ(reason("select '" + std::string(1 << 20, 'x') + "'"), Reason::read);
    EXPECT_EQ(reason(repeated("select 1", ", 1", 100'000)), Reason::read);
    EXPECT_EQ(reason(repeated("select a", ", a", 100'000)), Reason::too_long);
    EXPECT_EQ(reason(repeated("select 1", "+1", 3000)), Reason::catalog_missing);
    EXPECT_EQ(reason(repeated("select 1", "+1", 5000)), Reason::too_long);
    EXPECT_EQ(reason(repeated("select ", "(", 30'000)), Reason::too_long);
    std::string names = "select 1";
    for (int i = 0; i < 2000; ++i) names += ", t.c" + std::to_string(i);
    EXPECT_EQ(reason(names), Reason::too_long);
    EXPECT_EQ(reason(repeated("select 1", " union select 1", 3000)), Reason::too_long);
    EXPECT_EQ(reason("insert into t values ('" + std::string(1 << 20, 'x') + "')"), Reason::write);
}

}  // namespace
}  // namespace pgweir::router
