#include "router/traces.hpp"

#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "router/plain.hpp"

namespace pgweir::router {
namespace {

using Names = std::vector<std::string>;
using namespace trace;  // NOLINT: the tables below are little else

constexpr Traces all_of_discard =
    variables | locks | temporary | cursors | statements | channels | sequences;

struct TracesCase {
    std::string_view sql;
    Traces traces;
};

constexpr TracesCase statement_cases[] = {
    {"", 0},
    {";;", 0},
    {"SELECT 1", 0},
    {"BEGIN; SELECT 1; COMMIT", 0},
    {"START TRANSACTION ISOLATION LEVEL SERIALIZABLE", 0},

    {"SET x = 1", variables},
    {"set SESSION search_path to a, b", variables},
    {"SET my.own TO 'x'", variables},
    {"SET TIME ZONE 'UTC'", variables},
    {"SET NAMES 'LATIN1'", variables},
    {"SET ROLE bob", variables},
    {"SET SESSION AUTHORIZATION bob", variables},
    {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", variables},
    {"SET x FROM CURRENT", variables},
    {"/* hint */ -- more\n SET x = 1", variables},
    {"SELECT 1; SET x = 1; SELECT 2", variables},
    {"EXPLAIN SELECT 1; RESET ALL", variables},
    {"RESET x", variables},
    {"RESET SESSION AUTHORIZATION", variables},
    {"SELECT set_config('x', 'y', false)", variables},
    {"SELECT pg_catalog.set_config ('search_path', '', false)", variables},
    {"SELECT SET_CONFIG/* */('x', 'y', true)", local},
    {"SELECT \"set_config\"('x', 'y', 't')", local},
    {"SELECT set_config('x', 'y', true), set_config('z', (SELECT 'y'), 'true')", local},
    {"SELECT set_config($1, $2, true)", local | routes},
    {"SELECT set_config('x', 'y', true AND false)", variables},
    {"SELECT set_config('x', f('a', true), $1)", variables | functions},
    {"SELECT set_config('x', 'y', 'yes', true)", variables},
    {"SELECT set_config('x', 'y'", variables},
    {"SELECT set_config(null, 'y', false)", 0},
    {"UPDATE pg_settings SET setting = 1", variables},
    {"WITH x AS (SELECT 1) UPDATE ONLY pg_catalog . pg_settings SET setting = 1", variables},
    {"SELECT * FROM pg_settings, pg_catalog.pg_settings", 0},
    {"SET LOCAL x = 1", local},
    {"SET LOCAL TIME ZONE 'UTC'", local},
    {"SET LOCAL ROLE bob", local},
    {"SET transaction_read_only = on", local},
    {"RESET TRANSACTION ISOLATION LEVEL", local},
    {"SET TRANSACTION READ ONLY", 0},
    {"SET SESSION TRANSACTION READ ONLY", 0},
    {"SET CONSTRAINTS ALL DEFERRED", 0},
    {"SET local.x = 1", variables},         // a setting of that name
    {"SET transaction.x TO 1", variables},  // likewise
    {"SET constraints = 1", variables},
    {"UPDATE t SET x = 1", 0},
    {"ALTER ROLE bob SET x = 1", 0},
    {"ALTER SYSTEM RESET x", 0},
    {"SELECT 'SET x = 1'", 0},
    {"SELECT $$; SET x = 1$$", 0},
    {"SELECT 1 -- ; SET x = 1", 0},
    {"SHOW x", 0},

    {"SELECT pg_advisory_lock(1)", locks},
    {"SELECT pg_try_advisory_lock_shared(1, 2)", locks},
    {"SELECT a FROM t WHERE pg_advisory_unlock(a)", locks},
    {"SELECT pg_catalog.pg_advisory_unlock_all()", locks},
    {"SELECT pg_advisory_xact_lock(hashtext('x'))", 0},
    {"SELECT pg_try_advisory_xact_lock_shared(1)", 0},
    {"SELECT pg_advisory_lock FROM t", 0},
    {"SELECT 'pg_advisory_lock(1)'", 0},

    {"CREATE TEMP TABLE t (a int)", temporary},
    {"CREATE TABLE pg_temp.t (a int)", temporary},
    {"CREATE TABLE t (a int)", temporary},  // search_path may begin with pg_temp
    {"CREATE OR REPLACE TEMPORARY VIEW v AS SELECT 1", temporary},
    {"SELECT 1 INTO TEMP t", temporary},
    {"SELECT 1 AS a INTO t", temporary},
    {"DROP TABLE t", temporary},
    {"INSERT INTO \"pg_temp\".t VALUES (1)", temporary},
    {"SELECT * FROM pg_temp_3.t", temporary},
    {"EXPLAIN (ANALYZE, COSTS off) CREATE TABLE t AS SELECT 1", temporary},
    {"SELECT temp, temporary FROM weather", 0},
    {"INSERT INTO temp VALUES (1)", 0},
    {"MERGE INTO t USING s ON true WHEN NOT MATCHED THEN INSERT (a) VALUES (1)", 0},
    {"SELECT 'pg_temp.x'", 0},
    {"ALTER TABLE t DROP COLUMN a", 0},
    {"DISCARD TEMP", temporary},
    {"DISCARD ALL", all_of_discard},
    {"DISCARD PLANS", 0},

    {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", cursors},
    {"DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1", 0},
    {"DECLARE c CURSOR FOR SELECT 1", 0},
    {"FETCH 10 FROM c", 0},
    {"CLOSE c", cursors},
    {"SELECT hold FROM t", 0},

    {"PREPARE p AS SELECT 1", statements},
    {"PREPARE p (int, text) AS SELECT $1", statements},
    {"PREPARE transaction AS SELECT 1", statements},
    {"PREPARE TRANSACTION 'x'", 0},
    {"DEALLOCATE p", statements},
    {"DEALLOCATE PREPARE ALL", statements},
    {"EXECUTE p(1)", executes},
    {"EXPLAIN ANALYZE VERBOSE EXECUTE p", executes},
    {"EXPLAIN (ANALYZE) EXECUTE p", executes},
    {"CREATE TABLE t AS EXECUTE p(1)", temporary | executes},
    {"GRANT EXECUTE ON FUNCTION f(int) TO bob", 0},
    {"CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()", temporary},

    {"LISTEN c", channels},
    {"UNLISTEN *", channels},
    {"NOTIFY c, 'x'", notifies},
    {"SELECT pg_notify('c', 'x')", notifies},
    {"SELECT nextval('s')", sequences},
    {"INSERT INTO t (id) VALUES (nextval('s'::regclass)) RETURNING id", sequences},
    {"SELECT setval('s', max(id)) FROM t", sequences},
    {"DISCARD SEQUENCES", sequences},
    {"SELECT currval('s'), lastval()", reads_sequences},
    {"SELECT setseed(0.5), random()", random_seed},
    {"SET LOCAL seed TO 0.5", random_seed},
    {"SET seed = 0.5", random_seed},
    {"SET seed.x = 1", variables},
    {"LOAD 'auto_explain'", library},
    {"SAVEPOINT s", savepoints},
    {"ROLLBACK TO s", savepoints},
    {"ROLLBACK WORK TO SAVEPOINT s", savepoints},
    {"ROLLBACK; SELECT 1", 0},
    {"RELEASE s", 0},

    {"SELECT my_function(1)", functions},
    {"SELECT * FROM app.report(1)", functions},
    {"SELECT app.lower('x')", functions},
    {"SELECT \"LOWER\"('x')", functions},
    {"SELECT \"select\"(1)", functions},
    {"SELECT pg_catalog.my_function(1)", functions},
    {"SELECT DISTINCT ON (a) f(b) FROM t", functions},
    {"SELECT 1 OPERATOR(pg_catalog.+) f(2)", functions},
    {"SELECT now() AT TIME ZONE f(1)", functions},
    {"INSERT INTO t (a) VALUES (f(1))", functions},
    {"SELECT set_config('a.b'::text, 'c'::text, true)", local},
    {"WITH a AS (INSERT INTO t VALUES (1) RETURNING b) SELECT * FROM a", writes},
    {"WITH a AS (SELECT 1), b AS (UPDATE t SET c = 1 RETURNING c) SELECT * FROM b", writes},
    {"SELECT (updated) FROM t FOR UPDATE", 0},
    {"SELECT key('x')", functions},
    {"CALL p(1)", functions},
    {"CREATE INDEX ON t (f(a))", temporary | functions},
    {"DO $$ BEGIN END $$", anything},
    {"SELECT query_to_xml('select 1', true, false, '')", anything},
    {"SELECT U&\"\\0061\"(1)", anything},

    {"SELECT name FROM pg_prepared_statements", shows_statements},
    {"SELECT * FROM pg_catalog.\"pg_prepared_statements\"", shows_statements},
    {"SELECT * FROM pg_prepared_statement()", shows_statements},
    {"SELECT * FROM pg_prepared_xacts", 0},
    {"SELECT run('execute p')", functions | executes_text},
    {"SELECT run($$ EXECUTE p(1) $$)", functions | executes_text},
    {"SELECT run('execut'), 'xecute', run('p')", functions},
    {"SELECT 'execute p', lower('execute p')", 0},
    {"DO $$ BEGIN EXECUTE 'execute p'; END $$", anything | executes_text},
    {"SET pgweir.route = 'primary'", variables | routes},
    {"SET LOCAL \"pgweir.route\" = 'primary'", routes | local},
    {"SHOW pgweir.causal_token", routes},
    {"SELECT current_setting('PGWEIR.x')", routes},
    {"SELECT current_setting('server_version_num')", 0},
    {"SELECT set_config($1, $2, false)", variables | routes},  // it may be

    {"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SET x = 1",
     temporary | variables},
    {"CREATE RULE r AS ON INSERT TO t DO (NOTIFY a; NOTIFY b); LISTEN c",
     temporary | notifies | channels},
    {"SELECT 123abc; SET x = 1", variables},  // version 15 refuses it, others may not
    {"SET x = 1; SELECT 'no end", variables},
};

TEST(Traces, OfStatements) {
    for (const TracesCase& c : statement_cases) {
        SCOPED_TRACE(c.sql);
        EXPECT_EQ(traces_of(c.sql), c.traces);
        EXPECT_EQ(details_of(c.sql).traces, c.traces);
    }
}

/// What drivers, frameworks and psql send day in, day out: it must cost no question.
constexpr std::string_view everyday[] = {
    "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;",
    "UPDATE pgbench_accounts SET abalance = abalance + -1 WHERE aid = 1;",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 2, 3, 4, "
    "CURRENT_TIMESTAMP);",
    // Django
    "SELECT COUNT(*) AS \"__count\" FROM \"auth_user\" WHERE UPPER(\"auth_user\".\"name\"::text) "
    "LIKE UPPER('%a%')",
    "SELECT \"a\".\"id\", COALESCE(SUM(\"a\".\"n\") FILTER (WHERE \"a\".\"n\" > 1), 0) AS \"s\" "
    "FROM \"a\" WHERE (\"a\".\"x\" IN (1, 2) AND NOT (EXISTS(SELECT 1 AS \"b\" FROM \"c\"))) "
    "GROUP BY \"a\".\"id\" HAVING COUNT(\"a\".\"id\") > 1 LIMIT 21",
    "INSERT INTO \"a\" (\"b\", \"c\") VALUES ('x', NULL) ON CONFLICT (\"b\") DO UPDATE SET "
    "\"c\" = EXCLUDED.\"c\" RETURNING \"a\".\"id\"",
    "SELECT DATE_TRUNC('day', \"t\".\"at\" AT TIME ZONE 'UTC'), EXTRACT(YEAR FROM \"t\".\"at\"), "
    "(\"t\".\"data\" #>> '{a,b}') FROM \"t\" FOR UPDATE OF \"t\" SKIP LOCKED",
    // Hibernate
    "select u1_0.id,u1_0.name,case when (u1_0.x is null) then (0) else (1) end from users u1_0 "
    "left join (select a from b) o1_0 on (o1_0.a=u1_0.id) where u1_0.id=? fetch first ? rows only",
    "select cast(x as varchar(255)), cast(y as numeric(19,2)), z::timestamp(3) from t",
    "select count(distinct p.id) from post p where lower(p.title) like ? escape '\\'",
    // Rails
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), "
    "a.attnotnull, col_description(a.attrelid, a.attnum) AS comment FROM pg_attribute a LEFT JOIN "
    "pg_attrdef d ON a.attrelid = d.adrelid WHERE a.attrelid = '\"users\"'::regclass",
    "SELECT \"users\".* FROM \"users\" WHERE \"users\".\"id\" = $1 ORDER BY \"users\".\"id\" ASC "
    "LIMIT $2 /*application:App,controller:users*/",
    "SELECT 1 AS one, x::character varying(20) FROM \"t\" WHERE (a BETWEEN (1) AND (2))",
    // SQLAlchemy
    "SELECT anon_1.a FROM (SELECT t.a AS a, row_number() OVER (PARTITION BY t.b ORDER BY t.c "
    "DESC) AS r FROM t) AS anon_1 WHERE anon_1.r = %(p)s",
    "WITH c(a, b) AS (SELECT 1, 2 UNION ALL VALUES (3, 4)) SELECT * FROM c JOIN d USING (a)",
    "INSERT INTO t (a) SELECT p0::INTEGER FROM (VALUES (1, 0), (2, 1)) AS s(p0, n) ORDER BY n "
    "RETURNING t.id",
    "select pg_catalog.version()",
    "select current_schema()",
    "show standard_conforming_strings",
    // psql \d
    "SELECT n.nspname as \"Schema\", CASE c.relkind WHEN 'r' THEN 'table' END, "
    "pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c WHERE c.relkind IN "
    "('r','p','') AND n.nspname !~ '^pg_toast' AND pg_catalog.pg_table_is_visible(c.oid)",
    "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(t)$' "
    "COLLATE pg_catalog.default AND pg_catalog.array_to_string(c.relacl, E'\\n') = ANY (ARRAY[1])",
    // JDBC
    "SELECT (information_schema._pg_expandarray(i.indkey)).n FROM pg_catalog.pg_index i",
    // By hand
    "COPY public.t (a, b) FROM STDIN WITH (FORMAT csv)",
    "SELECT * FROM generate_series(1, 3) AS g(x), unnest(ARRAY[1, 2]) u(y) WHERE x IN (1)",
    "SELECT a, count(*) FROM t GROUP BY GROUPING SETS ((a), ()), ROLLUP (a, b) WINDOW w AS ()",
    "SELECT jsonb_agg(x ORDER BY y) WITHIN GROUP (ORDER BY z) FROM ROWS FROM (now()) AS r",
    "EXPLAIN (ANALYZE, BUFFERS) SELECT substring(a from 1 for 2), position('a' in b) FROM t",
    "VACUUM (VERBOSE) t (a)",
    "ANALYZE t (a)",
    "TRUNCATE t RESTART IDENTITY",
    "ALTER TABLE \"t\" ADD COLUMN \"p\" geometry(Point,4326), ADD CONSTRAINT c UNIQUE (a, b)",
    "ALTER TABLE t ADD PRIMARY KEY (a), ADD FOREIGN KEY (b) REFERENCES u (c) ON DELETE CASCADE",
    "GRANT SELECT (a) ON t TO bob",
    "SELECT ST.x, 'f(x)', \"f(x)\" FROM st -- f(x)",
};

TEST(Traces, NoneOfEverydayStatements) {
    for (const std::string_view sql : everyday) {
        SCOPED_TRACE(sql);
        const Details details = details_of(sql);
        EXPECT_EQ(details.traces, 0u);
        EXPECT_EQ(traces_of(sql), 0u);
        EXPECT_EQ(details.functions, Names{});
    }
}

TEST(Traces, DefinitionsCallNothing) {
    for (const std::string_view sql :
         {"CREATE TABLE t (id serial PRIMARY KEY, a varchar(10), CHECK (a > 1), p my_type(3))",
          "CREATE TABLE IF NOT EXISTS s.t (a int) PARTITION BY RANGE (a)",
          "CREATE UNIQUE INDEX CONCURRENTLY i ON s.t USING gin (a my_ops) INCLUDE (b)",
          "CREATE TYPE e AS ENUM ('a')", "CREATE FUNCTION s.f(a int) RETURNS TABLE (b int)",
          "DROP FUNCTION IF EXISTS f(int)", "CREATE VIEW v (a) AS SELECT 1"}) {
        SCOPED_TRACE(sql);
        EXPECT_EQ(traces_of(sql), temporary);
    }
}

TEST(Traces, StringsDependOnStandardConformingStrings) {
    constexpr std::string_view sql = R"(SELECT '\'; SET x = 1; SELECT '')";
    EXPECT_EQ(traces_of(sql, true), variables);
    EXPECT_EQ(traces_of(sql, false), 0u);
}

// ---------------------------------------------------------------- names

struct VariablesCase {
    std::string_view sql;
    Names variables;
    Names resets;
};

const VariablesCase variables_cases[] = {
    {"SET Work_Mem = 1", {"work_mem"}, {}},
    {"SET SESSION \"A\".b . C TO 1", {"a.b.c"}, {}},
    {"SET TIME ZONE 'UTC'; SET timezone TO 'UTC'", {"TimeZone"}, {}},
    {"SET TIME ZONE LOCAL", {"TimeZone"}, {"TimeZone"}},
    {"RESET TIME ZONE", {"TimeZone"}, {"TimeZone"}},
    {"SET NAMES 'UTF8'", {"client_encoding"}, {}},
    {"SET NAMES", {"client_encoding"}, {"client_encoding"}},
    {"SET SCHEMA 'x'", {"search_path"}, {}},
    {"SET ROLE NONE", {"role"}, {}},
    {"SET XML OPTION DOCUMENT", {"xmloption"}, {}},
    {"SET SESSION AUTHORIZATION bob", {"session_authorization", "role"}, {}},
    {"SET SESSION SESSION AUTHORIZATION DEFAULT",
     {"session_authorization", "role"},
     {"session_authorization"}},
    {"RESET SESSION AUTHORIZATION", {"session_authorization", "role"}, {"session_authorization"}},
    {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
     {"default_transaction_isolation", "default_transaction_read_only",
      "default_transaction_deferrable"},
     {}},
    {"SET a = 1; RESET b; SET c TO DEFAULT; SET a = DEFAULT", {"a", "b", "c"}, {"b", "c", "a"}},
    {"SET session = 1; SET local.x = 1", {"session", "local.x"}, {}},
    {"SELECT set_config('My.Name', $1, false), set_config('b', 'c', $2)", {"my.name", "b"}, {}},
    {"SELECT set_config('b', 'c', true)", {}, {}},
    {"SET LOCAL a = 1; SET seed = 1", {}, {}},
};

TEST(Traces, VariablesByName) {
    for (const VariablesCase& c : variables_cases) {
        SCOPED_TRACE(c.sql);
        const Details details = details_of(c.sql);
        EXPECT_EQ(details.variables, c.variables);
        EXPECT_EQ(details.resets, c.resets);
        EXPECT_FALSE(details.all_variables);
        EXPECT_FALSE(details.reset_all);
    }
}

TEST(Traces, AllVariables) {
    for (const std::string_view sql :
         {"SELECT set_config(name, 'x', false) FROM t", "SELECT set_config('a' || 'b', 'x', false)",
          "SELECT set_config('a'::text || 'b', 'x', false)",
          "SELECT set_config('a'::name, '', false)", "SELECT set_config(E'a', 'x', false)",
          "SELECT set_config('a''b', 'x', false)",
          "SELECT set_config(setting_name => 'a', new_value => 'b', is_local => false)"}) {
        SCOPED_TRACE(sql);
        EXPECT_TRUE(details_of(sql).all_variables);
    }
    for (const std::string_view sql : {"SET SOMETHING NEW", "UPDATE pg_settings SET setting = 1"}) {
        SCOPED_TRACE(sql);
        EXPECT_FALSE(details_of(sql).all_variables);
        EXPECT_TRUE(details_of(sql).shown_variables);
    }
    const Details named = details_of("SELECT set_config($2, $1, false), set_config($3, '', $4)");
    EXPECT_EQ(named.variable_parameters, (std::vector<unsigned>{2, 3}));
    EXPECT_FALSE(named.all_variables);
    const Details cast = details_of("SELECT set_config('a.b'::text, 'x'::text, false)");
    EXPECT_EQ(cast.variables, (Names{"a.b"}));
    EXPECT_FALSE(cast.all_variables);
    EXPECT_TRUE(details_of("RESET ALL").reset_all);
    EXPECT_FALSE(details_of("RESET ALL").discard_all);
    EXPECT_TRUE(details_of("DISCARD ALL").reset_all);
    EXPECT_TRUE(details_of("DISCARD ALL").discard_all);
}

TEST(Traces, Channels) {
    using What = Details::Channel::What;
    const Details details = details_of("LISTEN Abc; UNLISTEN \"Abc\"; UNLISTEN *; LISTEN d");
    ASSERT_EQ(details.channels.size(), 4u);
    EXPECT_EQ(details.channels[0].what, What::listen);
    EXPECT_EQ(details.channels[0].name, "abc");
    EXPECT_EQ(details.channels[1].what, What::unlisten);
    EXPECT_EQ(details.channels[1].name, "Abc");
    EXPECT_EQ(details.channels[2].what, What::unlisten_all);
    EXPECT_EQ(details.channels[2].name, "");
    EXPECT_EQ(details.channels[3].name, "d");
}

TEST(Traces, FunctionsByName) {
    const Details details = details_of(
        "SELECT F(g(1), f(2)), \"My\".\"Fun\"(3), S.lower('x'), db.s.h(), lower('y'); CALL p(1)");
    EXPECT_EQ(details.functions, (Names{"f", "g", "My.Fun", "s.lower", "s.h", "p"}));
}

TEST(Traces, PreparedByNameAndPlace) {
    using What = Details::Prepared::What;
    constexpr std::string_view sql =
        "PREPARE Abc (int) AS SELECT 1; EXPLAIN EXECUTE \"A\"\"b\"(1); DEALLOCATE PREPARE c; "
        "DEALLOCATE ALL; CREATE TEMP TABLE t AS EXECUTE d; DEALLOCATE prepare";
    struct Expected {
        What what;
        const char* name;
        const char* written;
    };
    constexpr Expected expected[] = {
        {What::prepare, "abc", "Abc"}, {What::execute, "A\"b", "\"A\"\"b\""},
        {What::deallocate, "c", "c"},  {What::deallocate_all, "", "ALL"},
        {What::execute, "d", "d"},     {What::deallocate, "prepare", "prepare"},
    };
    const Details details = details_of(sql);
    ASSERT_EQ(details.prepared.size(), std::size(expected));
    for (std::size_t i = 0; i < std::size(expected); ++i) {
        SCOPED_TRACE(i);
        EXPECT_EQ(details.prepared[i].what, expected[i].what);
        EXPECT_EQ(details.prepared[i].name, expected[i].name);
        EXPECT_EQ(sql.substr(details.prepared[i].offset, details.prepared[i].length),
                  expected[i].written);
    }
}

TEST(Plain, Statements) {
    for (const std::string_view sql :
         {"insert into t default values ; \n", "BEGIN;", "begin", "END;", "Commit", "rollback ; ",
          "START TRANSACTION", "begin transaction", "INSERT INTO t (a, b) VALUES (1, 'x')",
          "INSERT INTO \"T\"(\"a\") VALUES ($1), ($2)",
          "INSERT INTO public . t (a) SELECT a FROM t", "INSERT INTO count (a) VALUES (1)",
          "SELECT * FROM t WHERE a IN (1, 2) AND (b = 1 OR c = (2 * (3 + 4)))",
          "SELECT count(*), max (a) FROM t WHERE \"b\" in\t(1)",
          "UPDATE t SET a = now() WHERE EXISTS (SELECT 1)", "SELECT '= (' || lower('(x.')"})
        EXPECT_TRUE(is_plain(sql)) << sql;
    for (const std::string_view sql : {"",
                                       ";",
                                       "select",
                                       "selects 1",
                                       "SELECT/**/1",
                                       "table t",
                                       "SELECT 1; LISTEN c",
                                       "SELECT 1 INTO t",
                                       "SELECT * FROM PG_TEMP.t",
                                       "SELECT U&\"a\"",
                                       "SELECT f (1)",
                                       "SELECT f(1)",
                                       "SELECT s.count(1)",
                                       "SELECT s . count(1)",
                                       "SELECT s./**/count(1)",
                                       "SELECT s.\ncount(1)",
                                       "SELECT s.\vcount(1)",
                                       "SELECT f\n(1)",
                                       "SELECT f -- ,\n(1)",
                                       "SELECT f/*,*/(1)",
                                       "SELECT s.in (1)",
                                       "SELECT \"f\"(1)",
                                       "SELECT \"in\" (1)",
                                       "SELECT set_config('a', 'b', true)",
                                       "SELECT current_setting('pgweir.x')",
                                       "SELECT nextval('s')",
                                       "INSERT INTO pg_temp.t (a) VALUES (1)",
                                       "INSERT INTO a.b.c.d (a) VALUES (1)",
                                       "INSERT INTO nextval (a) VALUES (1)",
                                       "INSERT INTO $nextval (a) VALUES (1)",
                                       "INSERT INTO a.$nextval (a) VALUES (1)",
                                       "INSERT INTO t (a) VALUES (f(1))",
                                       "INSERT INTO pg_catalog.nextval (a) SELECT 1",
                                       "rollback to",
                                       "rollback to a",
                                       "begin; listen c",
                                       "commit and chain; listen c"})
        EXPECT_FALSE(is_plain(sql)) << sql;
}

/// What it calls plain has no traces, whatever words follow each other.
TEST(Plain, AgreesWithReading) {
    constexpr const char* words[] = {"SELECT",
                                     "select",
                                     "Insert",
                                     "INTO",
                                     "update ",
                                     "DELETE",
                                     "t",
                                     "SET",
                                     "pg_temp",
                                     "LISTEN",
                                     "pgweir",
                                     "(",
                                     ")",
                                     "f(1)",
                                     ";",
                                     "; ",
                                     "'",
                                     "\"",
                                     "$$",
                                     "/*",
                                     "*/",
                                     "--",
                                     "\n",
                                     "U&\"x\"",
                                     "1",
                                     "pg",
                                     "_temp",
                                     "pgw",
                                     "execute",
                                     "prepare",
                                     "hold",
                                     "with",
                                     "as",
                                     "in",
                                     "to",
                                     "atomic",
                                     "begin",
                                     "case",
                                     "e'\\",
                                     ".",
                                     "values",
                                     "IN (",
                                     "count(",
                                     "and",
                                     "set_config(",
                                     "nextval",
                                     "current_setting",
                                     ",",
                                     "=",
                                     "max",
                                     "(1)",
                                     "(",
                                     "pg_catalog",
                                     "\"nextval\"",
                                     "\v",
                                     "\t",
                                     "pgweir_",
                                     "$a$",
                                     "é",
                                     "insert into t",
                                     "row",
                                     "on",
                                     "distinct",
                                     "operator"};
    std::minstd_rand random(1);
    int plain = 0, calls = 0;
    for (int round = 0; round < 400'000; ++round) {
        std::string sql = words[random() % 6];
        if (random() % 4 == 0) sql = "insert into ";
        for (auto length = random() % 8; length > 0; --length) {
            if (random() % 4 != 0) sql += ' ';
            sql += words[random() % std::size(words)];
        }
        if (!is_plain(sql)) continue;
        ++plain;
        calls += sql.find('(') != std::string::npos;
        ASSERT_EQ(details_of(sql).traces & ~writes, 0u) << sql;
        ASSERT_EQ(details_of(sql, false).traces & ~writes, 0u) << sql;
    }
    EXPECT_GT(plain, 10'000);
    EXPECT_GT(calls, 5'000);
}

TEST(Traces, CountsStatements) {
    EXPECT_EQ(details_of("").statements, 0u);
    EXPECT_EQ(details_of(" ; /* */ ; ").statements, 0u);
    EXPECT_EQ(details_of("SELECT 1").statements, 1u);
    EXPECT_EQ(details_of("SELECT 1; ; SELECT ';'; (SELECT 2)").statements, 3u);
    EXPECT_EQ(
        details_of("CREATE RULE r AS ON INSERT TO t DO (NOTIFY a; NOTIFY b); SELECT 1").statements,
        2u);
    EXPECT_EQ(details_of("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN "
                         "1 END; SELECT 2; END; SELECT 1")
                  .statements,
              2u);
}

}  // namespace
}  // namespace pgweir::router
