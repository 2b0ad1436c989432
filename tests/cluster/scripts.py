"""Conversations a client may have with PostgreSQL, as functions over one raw connection.

test_differential.py holds each of them twice, directly and through pgweir, and compares every message that
comes back. A script is free to look at replies in order to know when to go on, but has nothing to check.
Table t (id int primary key, v text) holds (1, 'one'), (2, 'two'), (3, 'three') before each run.
"""
from harness.wire import (COPY_DONE, FLUSH, SYNC, bind, close_portal, close_statement, copy_data, copy_fail,
                          describe_portal, describe_statement, execute, function_call, parse, query)

EVERY_MODE = ("session", "transaction", "statement")
WITH_TRANSACTIONS = ("session", "transaction")
SESSION_ONLY = ("session",)

INT4PL, INT4DIV = 177, 154  # oids of int4pl and int4div
INT4 = 23

scripts = []


def script(modes=EVERY_MODE, pgweir_only=False):
    """modes: where it means the same as directly. pgweir_only: PgBouncer 1.18 cannot do it when pooling."""
    def add(function):
        function.modes = modes
        function.pgweir_only = pgweir_only
        scripts.append(function)
        return function
    return add


def run(sql, values=(), **options):
    """Parse, Bind, Describe, Execute of the unnamed statement; no Sync."""
    return parse(sql, **options) + bind(values) + describe_portal() + execute()


# ---------------------------------------------------------------- simple queries


@script()
def simple_queries(c):
    c.query("select 1")
    c.query("select id, v, null::int, 1.5, true from t order by id")
    c.query("select * from t where false")
    c.query("insert into t values (4, 'four')")
    c.query("update t set v = upper(v)")
    c.query("delete from t where id > 2")
    c.query("select")
    c.query("table t order by id")
    c.query("/* nothing */ values (1), (2)")


@script()
def simple_many_rows(c):
    c.query("select x, repeat('y', x % 50) from generate_series(1, 5000) x")
    c.query("select repeat('z', 3000000), 1")


@script()
def empty_queries(c):
    for text in ("", ";", " ", "-- only a comment", ";;", "select 1;", "select 1;;"):
        c.query(text)
    c.ask(parse(""), describe_statement(), bind(), describe_portal(), execute(), SYNC)


@script()
def multi_statement(c):
    c.query("select 1; select 2, 3; select 4")
    c.query("insert into t values (4, 'four'); select count(*) from t; delete from t where id = 4")
    c.query("insert into t values (5, 'five'); select 1/0; select 2")
    c.query("select count(*) from t")
    c.query("select 1; nonsense")
    c.query("select 1; select * from no_such_table; select 2")


@script(WITH_TRANSACTIONS)
def multi_statement_with_transactions(c):
    c.query("begin; insert into t values (4, 'four'); commit; select count(*) from t")
    c.query("begin; select 1")
    c.query("select 2")
    c.query("commit; begin; delete from t")
    c.query("rollback; select count(*) from t")
    c.query("begin; select 1/0; select 2")
    c.query("select 3")
    c.query("rollback")


@script()
def errors(c):
    c.query("selec 1")
    c.query("select 1/0")
    c.query("select * from no_such_table")
    c.query("select no_such_column from t")
    c.query("insert into t values (1, 'again')")
    c.query("select 'x'::int")
    c.query("do $$ begin raise exception 'mine' using errcode = 'ZZ001', detail = 'd', hint = 'h'; end $$")
    c.query("select 10 / (3 - id) from t order by id")  # rows first, then the error
    c.query("select 1")


@script(WITH_TRANSACTIONS)
def transactions(c):
    c.query("begin")
    c.query("insert into t values (4, 'four')")
    c.query("savepoint a")
    c.query("select 1/0")
    c.query("select 1")
    c.query("rollback to a")
    c.query("select count(*) from t")
    c.query("commit")
    c.query("begin read only")
    c.query("delete from t")
    c.query("commit")  # answers ROLLBACK
    c.query("commit")  # a warning: there is none
    c.query("start transaction isolation level serializable")
    c.query("rollback and chain")
    c.query("commit")
    c.query("select count(*) from t")


@script(WITH_TRANSACTIONS)
def prepared_transactions(c):
    c.query("begin; insert into t values (4, 'four')")
    c.query("prepare transaction 'differential'")
    c.query("select count(*) from t")
    c.query("rollback prepared 'differential'")
    c.query("rollback prepared 'differential'")


@script()
def notices(c):
    c.query("select noisy('a')")
    c.query("select noisy(v) from t order by id")
    c.query("drop table if exists no_such_table")
    c.query("do $$ begin raise warning 'w'; raise info 'i'; raise notice 'n'; end $$")
    c.ask(run("select noisy('extended')"), SYNC)
    c.query("select noisy('before'); select 1/0")


@script(WITH_TRANSACTIONS)
def parameter_status(c):
    c.query("begin")
    c.query("set local application_name = 'first'")
    c.query("set local datestyle = 'German'")
    c.query("select '2020-02-01'::date")
    c.query("rollback")
    c.query("set application_name = 'second'")
    c.query("show application_name")
    c.ask(run("set application_name = 'third'"), run("show application_name"), SYNC)
    c.query("reset application_name")


@script(SESSION_ONLY)
def session_state(c):
    c.query("set work_mem = '7MB'")
    c.query("show work_mem")
    c.query("create temp table mine as select 1 as a")
    c.query("select a + 1 from mine")
    c.query("set client_encoding = 'LATIN1'")
    c.query("select chr(233)")
    c.query("reset client_encoding")
    c.query("declare held cursor with hold for select * from t order by id")
    c.query("fetch 2 from held")
    c.query("fetch 2 from held")
    c.query("close held")
    c.query("prepare p as select $1::int + 1")
    c.query("execute p(1)")
    c.query("deallocate p")
    c.query("discard all")
    c.query("show work_mem")


@script(SESSION_ONLY)
def notifications(c):
    c.query("listen differential")
    c.query("notify differential")
    c.query("notify differential, 'payload'")
    c.query("begin; notify differential, 'in a transaction'; select 1")
    c.query("commit")
    c.ask(run("notify differential, 'extended'"), SYNC)
    c.query("unlisten *")
    c.query("notify differential")


# ---------------------------------------------------------------- extended protocol


@script()
def extended_unnamed(c):
    c.ask(run("select $1::int + 1", [41]), SYNC)
    c.ask(run("select $1::text, $2::int", ["a", None]), SYNC)
    c.ask(run("select * from t where id = $1", [2]), SYNC)
    c.ask(run("insert into t values ($1, $2)", [4, "four"]), SYNC)
    c.ask(run("select $1", ["typed"], types=[25]), SYNC)
    c.ask(parse("select $1::int, $2::text", types=[INT4, 0]),
          bind([b"\0\0\0\7", "x"], formats=[1, 0], result_formats=[1, 0]), execute(), SYNC)
    c.ask(run("select x from generate_series(1, 3000) x"), SYNC)
    c.ask(SYNC)
    c.ask(SYNC, SYNC)
    c.read_until("Z")


@script()
def extended_describe(c):
    c.ask(parse("select id, v from t where id = $1 and v = $2"), describe_statement(), SYNC)
    c.ask(parse("insert into t values (9, 'n')"), describe_statement(), bind(), describe_portal(), SYNC)
    c.ask(parse("insert into t values (9, 'n') returning id"), describe_statement(), bind(),
          describe_portal(), execute(), SYNC)
    c.ask(describe_statement("no_such_statement"), SYNC)
    c.ask(describe_portal("no_such_portal"), SYNC)
    c.ask(parse("show timezone"), describe_statement(), SYNC)


@script()
def extended_unnamed_lives_on(c):
    """Parse under one Sync, Bind under another, as drivers do that want the types first."""
    c.ask(parse("select $1::int * 2"), describe_statement(), SYNC)
    c.ask(bind([21]), execute(), SYNC)
    c.ask(bind([22]), execute(), SYNC)
    c.ask(parse("select v from t where id = $1"), describe_statement(), SYNC)
    c.ask(bind([1]), describe_portal(), execute(), SYNC)
    c.query("select 'a simple query replaces the unnamed statement'")
    c.ask(bind([1]), execute(), SYNC)


@script(pgweir_only=True)
def extended_named(c):
    c.ask(parse("select v from t where id = $1", "by_id"), describe_statement("by_id"), SYNC)
    for value in (1, 2, 3):
        c.ask(bind([value], "by_id"), describe_portal(), execute(), SYNC)
    c.ask(parse("select $1::int", "other"), SYNC)
    c.ask(bind([1], "by_id"), execute(), bind([5], "other"), execute(), SYNC)
    c.query("select 'simple in between'")
    c.ask(describe_statement("by_id"), describe_statement("other"), SYNC)
    c.ask(close_statement("by_id"), SYNC)
    c.ask(bind([1], "by_id"), execute(), SYNC)  # 26000
    c.ask(bind([6], "other"), execute(), SYNC)
    c.ask(close_statement("no_such_statement"), SYNC)


@script(pgweir_only=True)
def named_twice(c):
    c.ask(parse("select 1", "s"), SYNC)
    c.ask(parse("select 2", "s"), SYNC)  # 42P05
    c.ask(parse("select 1", "s"), SYNC)  # 42P05 as well: the text does not matter
    c.ask(bind((), "s"), execute(), SYNC)
    c.ask(close_statement("s"), parse("select 3", "s"), bind((), "s"), execute(), SYNC)
    c.ask(parse("select 4", "u"), bind((), "u"), execute(), parse("select 5", "u"), bind((), "u"), SYNC)
    c.ask(bind((), "u"), execute(), SYNC)
    c.ask(parse("select 6", "s2"), close_statement("s2"), bind((), "s2"), execute(), SYNC)


@script(pgweir_only=True)
def named_that_never_were(c):
    c.ask(bind((), "missing"), execute(), SYNC)
    c.ask(describe_statement("missing"), SYNC)
    c.ask(parse("selec", "broken"), SYNC)
    c.ask(bind((), "broken"), execute(), SYNC)
    c.ask(parse("selec"), parse("select 1", "skipped"), SYNC)
    c.ask(bind((), "skipped"), execute(), SYNC)
    c.ask(parse("select 2", "skipped"), bind((), "skipped"), execute(), SYNC)
    c.ask(parse("selec"), close_statement("skipped"), SYNC)
    c.ask(bind((), "skipped"), execute(), SYNC)
    c.ask(parse("select * from no_such_table", "broken"), describe_statement("broken"), SYNC)
    c.ask(parse("select 3", "broken"), bind((), "broken"), execute(), SYNC)


@script(WITH_TRANSACTIONS, pgweir_only=True)
def named_in_transactions(c):
    c.query("begin")
    c.ask(parse("select count(*) from t", "n"), bind((), "n"), execute(), SYNC)
    c.query("select 1/0")
    c.ask(parse("select 7", "late"), SYNC)
    c.ask(bind((), "n"), execute(), SYNC)
    c.query("rollback")
    c.ask(bind((), "n"), execute(), SYNC)  # statements outlive a rollback
    c.ask(bind((), "late"), execute(), SYNC)


@script(pgweir_only=True)
def named_deallocated(c):
    c.ask(parse("select 1", "a"), parse("select 2", "b"), SYNC)
    c.query("deallocate all")
    c.ask(bind((), "a"), execute(), SYNC)
    c.ask(parse("select 3", "a"), bind((), "a"), execute(), SYNC)
    c.query("discard all")
    c.ask(bind((), "a"), execute(), SYNC)
    c.ask(parse("select 4", "a"), bind((), "a"), execute(), SYNC)


@script(pgweir_only=True)
def named_by_the_hundred(c):
    """More than max_prepared_statements: what a server has dropped must come back unseen."""
    for number in range(300):
        c.ask(parse(f"select {number}, $1::text", f"s{number}"), SYNC)
    for number in [*range(0, 300, 7), 299, 0, 150]:
        c.ask(bind([number], f"s{number}"), execute(), SYNC)
    c.ask(*[bind([number], f"s{number}") + execute() for number in range(0, 300, 3)], SYNC)


@script(pgweir_only=True)
def named_and_changed_tables(c):
    c.ask(parse("select * from t where id = 1", "star"), bind((), "star"), execute(), SYNC)
    c.query("alter table t add column extra int")
    c.ask(bind((), "star"), execute(), SYNC)  # 0A000: cached plan must not change result type
    c.query("alter table t drop column extra")
    c.ask(bind((), "star"), execute(), SYNC)


@script()
def extended_errors_skip_to_sync(c):
    c.ask(parse("selec"), bind(), describe_portal(), execute(), run("select 1"), SYNC)
    c.ask(run("select 1"), run("select 1/0"), run("select 2"), SYNC)
    c.ask(run("select 1"), run("select 1/0"), query("select 'skipped'"), SYNC)
    c.ask(run("select 1/0"), close_statement(), close_portal(), FLUSH, SYNC)
    c.ask(run("select 1/0"), SYNC, run("select 3"), SYNC)
    c.read_until("Z")
    c.ask(run("select $1::int", ["not a number"]), SYNC)
    c.ask(parse("select $1::int"), bind([1, 2]), execute(), SYNC)  # too many values
    c.ask(bind([1], "no_such_statement"), SYNC)
    c.ask(execute("no_such_portal"), SYNC)
    c.query("select 4")


@script()
def extended_implicit_transaction(c):
    """Everything up to Sync is one transaction."""
    c.ask(run("insert into t values (4, 'four')"), run("select 1/0"), SYNC)
    c.query("select count(*) from t")
    c.ask(run("insert into t values (4, 'four')"), run("select count(*) from t"), SYNC)
    c.query("select count(*) from t")


@script(WITH_TRANSACTIONS)
def extended_transactions(c):
    c.ask(run("begin"), SYNC)
    c.ask(run("insert into t values (4, 'four')"), SYNC)
    c.ask(run("select 1/0"), SYNC)
    c.ask(run("select 1"), SYNC)
    c.ask(run("rollback"), SYNC)
    c.ask(run("begin"), run("insert into t values (5, 'five')"), run("commit"), run("select 1"), SYNC)
    c.ask(run("begin"), run("select 1"), SYNC, run("commit"), run("select count(*) from t"), SYNC)
    c.read_until("Z")


@script()
def flushes(c):
    for message, answer in ((parse("select v from t where id = $1"), "1"), (describe_statement(), "T"),
                            (bind([2]), "2"), (describe_portal(), "T"), (execute(), "C")):
        c.send(message, FLUSH)
        c.read_until(answer)
    c.ask(SYNC)
    c.send(run("select 1"), FLUSH)
    c.read_until("C")
    c.send(run("select 2"), FLUSH)
    c.read_until("C")
    c.send(run("select 1/0"), FLUSH)
    c.read_until("E")
    c.ask(run("select 3"), SYNC)
    c.send(FLUSH)
    c.query("select 4")


@script()
def portals(c):
    rows = "select x from generate_series(1, 7) x"
    c.ask(parse(rows), bind(portal="p"), execute("p", 3), execute("p", 3), execute("p", 3), execute("p"), SYNC)
    c.ask(parse(rows), bind(), execute("", 7), execute(), SYNC)
    c.ask(parse(rows), bind(portal="p"), execute("p", 2), close_portal("p"), execute("p"), SYNC)
    c.ask(parse(rows), bind(portal="p"), bind(portal="p"), SYNC)  # 42P03
    c.ask(parse(rows), bind(portal="p"), bind(portal="q"), execute("p", 2), execute("q", 3), execute("p", 2),
          execute("q"), execute("p"), SYNC)
    c.ask(execute("p"), SYNC)  # portals end with the transaction
    c.ask(parse(rows), bind(portal="p"), execute("p", 2), run("select 'in between'"), execute("p", 2), SYNC)
    c.send(parse(rows), bind(portal="p"), execute("p", 2), FLUSH)
    c.read_until("s")
    c.send(execute("p", 2), FLUSH)
    c.read_until("s")
    c.ask(SYNC)


@script(WITH_TRANSACTIONS)
def portals_over_several_syncs(c):
    c.query("begin")
    c.ask(parse("select x from generate_series(1, 10) x"), bind(portal="p"), describe_portal("p"),
          execute("p", 4), SYNC)
    c.ask(execute("p", 4), SYNC)
    c.query("select 'simple in between'")
    c.ask(describe_portal("p"), execute("p", 4), SYNC)
    c.ask(close_portal("p"), SYNC)
    c.query("declare cur cursor for select id from t order by id")
    c.ask(describe_portal("cur"), execute("cur", 2), SYNC)
    c.query("fetch all from cur")
    c.query("commit")
    c.ask(execute("cur"), SYNC)


# ---------------------------------------------------------------- pipelines


@script()
def pipeline_of_syncs(c):
    c.send(*[run("select $1::int", [number]) + SYNC for number in range(1000)])
    for _ in range(1000):
        c.read_until("Z")


@script()
def pipeline_of_one_sync(c):
    c.ask(*[run("select $1::int", [number]) for number in range(1000)], SYNC)
    c.ask(parse("select $1::int"), *[bind([number]) + execute() for number in range(1000)], SYNC)


@script()
def pipeline_of_simple_queries(c):
    c.send(*[query(f"select {number}") for number in range(1000)])
    for _ in range(1000):
        c.read_until("Z")


@script()
def pipeline_with_errors(c):
    sent = []
    for number in range(300):
        sent.append(run("select 100 / $1::int", [number % 7]) + run("select 'maybe skipped'") + SYNC)
        if number % 5 == 0:
            sent.append(query(f"select {number} / {number % 3}"))
    c.send(*sent)
    for _ in sent:
        c.read_until("Z")


@script(pgweir_only=True)
def pipeline_with_named_statements(c):
    sent = []
    for number in range(300):
        name = f"s{number % 10}"
        if number % 50 < 10:
            sent.append(close_statement(name) + parse(f"select {number}, $1::int", name))
        sent.append(bind([number], name) + describe_portal() + execute())
        if number % 4 == 0:
            sent.append(SYNC)
    c.send(*sent, SYNC)
    for _ in range(sum(1 for part in sent if part == SYNC) + 1):
        c.read_until("Z")


@script()
def pipeline_of_large_rows(c):
    c.send(*[run("select repeat('x', 200000)") + SYNC for _ in range(40)])
    for _ in range(40):
        c.read_until("Z")


# ---------------------------------------------------------------- COPY


ROWS = b"4\tfour\n5\tfive\n"


@script()
def copy_out(c):
    c.query("copy t to stdout")
    c.query("copy (select x, repeat('y', 100) from generate_series(1, 20000) x) to stdout")
    c.query("copy (select 1 where false) to stdout")
    c.query("copy t to stdout (format binary)")
    c.query("copy (select 10 / (3 - id) from t order by id) to stdout")
    c.query("copy t to stdout; select 1; copy t to stdout with csv header")
    c.query("copy no_such_table to stdout")
    c.query("copy t to '/forbidden'")


@script()
def copy_in(c):
    c.send(query("copy t from stdin"))
    c.read_until("G")
    c.ask(copy_data(b"4\tfo"), copy_data(b"ur\n5\tfive\n"), COPY_DONE)
    c.query("select count(*) from t")
    c.ask(query("copy t from stdin"), copy_data(b"6\tsix\n"), COPY_DONE)  # without waiting for the G
    c.ask(query("copy t from stdin"), COPY_DONE)
    c.ask(query("copy t from stdin; select count(*) from t; copy t from stdin; select count(*) from t"),
          copy_data(b"7\tseven\n"), COPY_DONE, copy_data(b"8\teight\n"), COPY_DONE)
    c.ask(query("copy t from stdin"), *[copy_data(b"%d\t%s\n" % (number, b"z" * 2000))
                                        for number in range(100, 2000)], COPY_DONE)
    c.query("select count(*), sum(length(v)) from t")


@script()
def copy_in_failing(c):
    c.ask(query("copy t from stdin"), copy_data(ROWS), copy_fail("changed my mind"))
    c.query("select count(*) from t")
    c.ask(query("copy t from stdin"), copy_data(b"not a number\tx\n"), COPY_DONE)
    c.send(query("copy t from stdin"), copy_data(b"not a number\tx\n"))
    c.read_until("E")
    c.read_until("Z")
    c.send(copy_data(ROWS), copy_data(ROWS), COPY_DONE)  # on its way when the error came: ignored
    c.query("select count(*) from t")
    c.ask(query("copy t from stdin"), copy_data(b"1\tduplicate\n"), COPY_DONE)
    c.ask(query("copy no_such_table from stdin"), copy_data(ROWS), COPY_DONE)
    c.ask(query("copy t from stdin; select 'not reached'"), copy_fail("no"))
    c.query("select count(*) from t")


@script(WITH_TRANSACTIONS)
def copy_in_transaction(c):
    c.query("begin")
    c.ask(query("copy t from stdin"), copy_data(ROWS), COPY_DONE)
    c.query("copy t to stdout")
    c.ask(query("copy t from stdin"), copy_fail("no"))
    c.query("select 1")
    c.query("rollback")
    c.query("select count(*) from t")


@script()
def copy_extended(c):
    into = parse("copy t from stdin") + bind() + execute()
    c.send(into, FLUSH)
    c.read_until("G")
    c.ask(copy_data(ROWS), COPY_DONE, SYNC)
    c.send(into, SYNC)  # this Sync is ignored: the server is in COPY mode when it comes
    c.read_until("G")
    c.ask(copy_data(b"6\tsix\n"), COPY_DONE, SYNC)
    c.ask(into, copy_data(b"7\tseven\n"), COPY_DONE, SYNC)
    c.ask(into, copy_data(b"8\teight\n"), COPY_DONE, run("select count(*) from t"), SYNC)
    c.ask(parse("copy t to stdout"), bind(), describe_portal(), execute(), SYNC)
    c.ask(parse("copy t to stdout"), bind(), execute(), run("select 1"), SYNC)
    c.query("select count(*) from t")


@script()
def copy_extended_failing(c):
    into = parse("copy t from stdin") + bind() + execute()
    c.ask(into, copy_data(ROWS), copy_fail("no"), SYNC)
    c.ask(into, copy_data(ROWS), copy_fail("no"), run("select 'skipped'"), SYNC)
    c.ask(into, copy_data(b"not a number\tx\n"), copy_data(ROWS), COPY_DONE, SYNC)
    c.send(into, copy_data(b"not a number\tx\n"), FLUSH)
    c.read_until("E")
    c.ask(copy_data(ROWS), COPY_DONE, run("select 'skipped'"), SYNC)
    c.ask(parse("copy (select 10 / (3 - id) from t order by id) to stdout"), bind(), execute(),
          run("select 'skipped'"), SYNC)
    c.query("select count(*) from t")


# ---------------------------------------------------------------- the rest


@script()
def function_calls(c):
    numbers = [b"\0\0\0\x28", b"\0\0\0\2"]
    c.ask(function_call(INT4PL, numbers, formats=[1], result_format=1))
    c.ask(function_call(INT4PL, ["40", "2"]))
    c.ask(function_call(INT4PL, ["40", None]))
    c.ask(function_call(INT4DIV, ["1", "0"]))
    c.ask(function_call(1, ["1"]))
    c.send(function_call(INT4PL, ["1", "2"]), query("select 1"), function_call(INT4PL, ["3", "4"]))
    for _ in range(3):
        c.read_until("Z")
    c.ask(run("select 1/0"), function_call(INT4PL, ["1", "2"]), SYNC)  # skipped


@script(WITH_TRANSACTIONS)
def function_calls_in_transaction(c):
    c.query("begin")
    c.ask(function_call(INT4PL, ["1", "2"]))
    c.ask(function_call(INT4DIV, ["1", "0"]))
    c.ask(function_call(INT4PL, ["1", "2"]))
    c.query("rollback")


@script()
def stray_copy_messages(c):
    """Outside COPY PostgreSQL ignores these."""
    c.send(copy_data(b"x"), COPY_DONE, copy_fail("y"))
    c.query("select 1")
    c.ask(run("select 2"), copy_data(b"x"), COPY_DONE, SYNC)


@script(pgweir_only=True)
def everything_in_one_breath(c):
    c.send(query("select 1"), run("select 2"), SYNC, query(""), query("copy t from stdin"), copy_data(ROWS),
           COPY_DONE, run("select count(*) from t"), SYNC, function_call(INT4PL, ["1", "2"]),
           query("select 1/0"), run("select 1/0"), run("select 3"), SYNC, query("select 4; select 5"))
    for _ in range(9):
        c.read_until("Z")
