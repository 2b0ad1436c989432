"""Reads on replicas: where each statement ran, by the nodes' own logs."""
from contextlib import contextmanager

import psycopg
import pytest
from harness import Cluster, eventually
from harness.postgres import HBA
from harness.processes import write
from harness.split import LOGGING, place_of, ran_on, split_toml, tag, wait_for_reads
from harness.wire import (COPY_DONE, FLUSH, SYNC, TERMINATE, ServerError, Wire, bind, close_statement, copy_data,
                          describe_portal, describe_statement, execute, parse, query)

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]

SETUP = """
create table numbers (id int primary key, note text);
insert into numbers select n, 'note ' || n from generate_series(1, 100) n;
create table scratch (id int primary key, n int);
insert into scratch values (1, 0);
create sequence counter;
create function writes() returns int language sql volatile as 'insert into scratch values (99, 1) returning 1';
create function reads() returns bigint language sql stable as 'select count(*) from numbers';
create function noisy() returns int language plpgsql stable as
    $$begin raise notice 'soon'; perform pg_sleep(0.3); return 7; end$$;
create view harmless as select id from numbers where id < 10;
create view harmful as select nextval('counter') as n;
create unlogged table unlogged (id int);
grant all on all tables in schema public to public;
grant all on all sequences in schema public to public;
"""


@pytest.fixture(scope="module")
def split_cluster():
    with Cluster(replicas=2, settings=LOGGING, setup=SETUP) as made:
        yield made


@pytest.fixture
def proxy(pgweir, split_cluster):
    return wait_for_reads(pgweir(toml=split_toml(split_cluster)), split_cluster, "numbers")


def run(wire, cluster, sql):
    """Runs it by a simple query; where that was."""
    mark = tag()
    wire.query(f"{sql} {mark}")
    return place_of(cluster, mark)


def status(messages):
    """The transaction status of the last ReadyForQuery."""
    return messages[-1].body.decode()


READS = [
    "select 1",
    "select * from numbers where id = 5",
    "select reads()",
    "select id from harmless",
    "values (1), (2)",
    "table numbers",
    "with a as (select id from numbers) select max(id) from a",
    "select now(), current_date, random()",
    "explain select * from numbers",
    "copy numbers to stdout",
    "select relname from pg_class limit 1",
]

WRITES = [
    "insert into scratch values (2, 2) on conflict do nothing",
    "update scratch set n = n + 1 where id = 1",
    "delete from scratch where id = 99",
    "select nextval('counter')",
    "select * from harmful",
    "select n from scratch for update",
    "with w as (update scratch set n = 1 returning n) select * from w",
    "select writes() where false",
    "select * from unlogged",
    "select last_value from counter",
    "select pg_advisory_xact_lock(1)",
    "select txid_current()",
    "select pg_is_in_recovery()",
    "lock table scratch",
    "do 'begin end'",
    "explain analyze update scratch set n = 2",
    "create table if not exists made (id int)",
    "select no_such_function()",
    "set work_mem = '5MB'",
    "show server_version",
    "notify somebody",
]


@pytest.mark.parametrize("sql", READS)
def test_reads_go_to_a_replica(proxy, split_cluster, sql):
    with proxy.wire() as wire:
        assert run(wire, split_cluster, sql) == "replica"


@pytest.mark.parametrize("sql", WRITES)
def test_everything_else_goes_to_the_primary(proxy, split_cluster, sql):
    with proxy.wire() as wire:
        assert run(wire, split_cluster, sql) == "primary"


def test_the_entry_says_where(proxy, split_cluster):
    with proxy.wire(dbname="app_primary") as wire:
        assert run(wire, split_cluster, "select 1") == "primary"
    with proxy.wire(dbname="app_replica") as wire:
        assert run(wire, split_cluster, "select 1") == "replica"
        mark = tag()
        [error] = [m for m in wire.query(f"insert into scratch values (5, 5) {mark}") if m.type == "E"]
        assert b"25006" in error.body
        assert place_of(split_cluster, mark) == "replica"


def test_hints(proxy, split_cluster):
    with proxy.wire() as wire:
        mark = tag()
        wire.query(f"/* pgweir: primary */ select 1 {mark}")
        assert place_of(split_cluster, mark) == "primary"
        mark = tag()
        wire.query(f"/*NO LOAD BALANCE*/ select 1 {mark}")
        assert place_of(split_cluster, mark) == "primary"
        assert [m.type for m in wire.query("set pgweir.route = 'primary'")] == ["C", "Z"]
        assert run(wire, split_cluster, "select 1") == "primary"
        assert wire.rows("show pgweir.route") == [("primary",)]
        wire.query("reset pgweir.route")
        assert run(wire, split_cluster, "select 1") == "replica"


def test_transactions(proxy, split_cluster):
    with proxy.wire() as wire:
        wire.query("set pgweir.consistency = 'eventual'")  # what a transaction wrote is not waited for
        wire.query("begin")
        assert run(wire, split_cluster, "select 1") == "primary"
        assert run(wire, split_cluster, "select 2") == "primary"
        wire.query("commit")
        wire.query("begin read only")
        assert run(wire, split_cluster, "select 3") == "replica"
        assert run(wire, split_cluster, "select count(*) from numbers") == "replica"
        assert status(wire.query("commit")) == "I"
        wire.query("begin isolation level serializable read only")
        assert run(wire, split_cluster, "select 4") == "primary"
        wire.query("rollback")
        wire.query("begin")
        wire.query("set transaction read only")
        assert run(wire, split_cluster, "select 5") == "replica"
        wire.query("rollback")


def test_a_read_only_transaction_moves_when_it_needs_the_primary(proxy, split_cluster):
    with proxy.wire() as wire:
        wire.query("begin read only")
        assert run(wire, split_cluster, "select 1") == "replica"
        assert run(wire, split_cluster, "select pg_advisory_xact_lock(5)") == "primary"
        assert wire.rows("show transaction_read_only") == [("on",)]
        assert status(wire.query("commit")) == "I"


def test_a_write_in_a_read_only_transaction_fails_as_it_should(proxy):
    with proxy.wire() as wire:
        wire.query("begin read only")
        wire.query("select 1")
        messages = wire.query("insert into scratch values (7, 7)")
        assert [m.fields()["C"] for m in messages if m.type == "E"] == ["25006"]
        assert status(messages) == "E"
        assert status(wire.query("rollback")) == "I"


def test_extended_protocol(proxy, split_cluster):
    with proxy.wire() as wire:
        for sql, place in (("select count(*) from numbers", "replica"),
                           ("update scratch set n = 5", "primary")):
            mark = tag()
            wire.send(parse(f"{sql} {mark}") + bind() + describe_portal() + execute() + SYNC)
            assert [m.type for m in wire.read_until("Z")][-2] == "C"
            assert place_of(split_cluster, mark) == place


def test_a_flush_is_answered(proxy, split_cluster):
    """As many drivers do: Parse and Describe, and the answer, before Bind."""
    with proxy.wire() as wire:
        mark = tag()
        wire.send(parse(f"select note from numbers where id = $1::int {mark}") + describe_statement() + FLUSH)
        assert [m.type for m in wire.read_until("T")] == ["1", "t", "T"]
        wire.send(bind(["5"]) + execute() + SYNC)
        assert [m.type for m in wire.read_until("Z")] == ["2", "D", "C", "Z"]
        assert place_of(split_cluster, mark) == "replica"


def test_the_last_option_of_a_begin_counts(proxy, split_cluster):
    with proxy.wire() as wire:
        wire.query("begin read write, read only")
        assert run(wire, split_cluster, "select 1") == "replica"
        assert status(wire.query("commit")) == "I"


def test_a_statement_is_prepared_wherever_it_runs(proxy, split_cluster):
    with proxy.wire() as wire:
        mark = tag()
        wire.send(parse(f"select count(*) from numbers {mark}", "mine") + SYNC)
        wire.read_until("Z")
        wire.send(bind(statement="mine") + execute() + SYNC)
        assert [m.type for m in wire.read_until("Z")] == ["2", "D", "C", "Z"]
        wire.query("begin")
        wire.query("update scratch set n = 6")
        wire.send(bind(statement="mine") + execute() + SYNC)
        assert [m.type for m in wire.read_until("Z")] == ["2", "D", "C", "Z"]
        wire.query("commit")
        assert place_of(split_cluster, mark) not in ("primary", "replica"), "on both"


def test_a_listener_reads_from_replicas(proxy, split_cluster):
    """What a replica cannot do is not asked of it: to LISTEN before a prepared read, which might be about channels."""
    with proxy.wire() as wire, proxy.wire() as other:
        wire.query("listen news")
        mark = tag()
        wire.send(parse(f"select count(*) from numbers {mark}", "mine") + SYNC)
        wire.read_until("Z")

        def read_there():
            wire.send(bind(statement="mine") + execute() + SYNC)
            assert [m.type for m in wire.read_until("Z")] == ["2", "D", "C", "Z"]
            return set(ran_on(split_cluster, mark)) - {split_cluster.primary.name}

        eventually(read_there)
        other.query("notify news, 'heard'")
        assert b"heard" in wire.read_until("A")[-1].body


def test_own_notifications_come_with_the_commit(proxy):
    """As directly, although its server was taken for a statement that says nothing of channels: BEGIN waits for one."""
    with proxy.wire() as wire:
        wire.query("listen news")
        eventually(lambda: proxy.console("show pins") == [], what="a client that keeps no server")
        for payload in ("one", "two"):
            wire.query("begin")
            wire.query("insert into scratch values (2, 0) on conflict do nothing")
            wire.query(f"notify news, '{payload}'")
            assert [m.type for m in wire.query("commit")] == ["C", "A", "Z"]
            assert wire.is_quiet(0)


@pytest.mark.parametrize("hint", ["", "/* pgweir: primary */ "])
def test_what_was_kept_back_comes_when_more_is_asked(proxy, hint):
    """The beginning of an answer, while the request may have to run again."""
    with proxy.wire() as wire:
        wire.send(query(hint + "select noisy()"))
        wire.is_quiet(0.1)  # description and notice are at pgweir
        wire.send(query(hint + "select 2"))
        said = wire.read_until("Z") + wire.read_until("Z")
        assert "".join(one.type for one in said) == "TNDCZTDCZ"


def test_pipelined_requests_keep_their_order(proxy):
    with proxy.wire() as wire:
        wire.query("update scratch set n = 0")
        for number in range(1, 30):
            wire.send(query(f"update scratch set n = {number}") + query("select n from scratch where id = 1"))
            wire.read_until("Z")
            rows = [m for m in wire.read_until("Z") if m.type == "D"]
            assert rows[0].body.endswith(str(number).encode())


def test_own_writes_are_seen(proxy):
    with proxy.wire() as wire:
        for number in range(200):
            wire.query(f"update scratch set n = {number}")
            assert wire.rows("select n from scratch where id = 1") == [(str(number),)]


def test_what_a_replica_refuses_runs_on_the_primary(proxy, split_cluster):
    """A function that lies about itself: the catalog says stable, and it writes."""
    split_cluster.primary.rows("create or replace function lies() returns bigint language sql stable"
                               " as 'select txid_current()'", dbname="app")
    split_cluster.catch_up()

    def known():
        with proxy.wire() as wire:
            mark = tag()
            rows = wire.rows(f"select lies() > 0 {mark}")
            assert rows == [("t",)]
            return place_of(split_cluster, mark)

    assert eventually(lambda: known() in ("primary+replica1", "primary+replica2", "primary"))


def test_settings_follow_to_replicas(proxy, split_cluster):
    with proxy.wire() as wire:
        wire.query("set search_path = pg_catalog")
        mark = tag()
        [error] = [m for m in wire.query(f"select count(*) from numbers {mark}") if m.type == "E"]
        assert b"42P01" in error.body
        wire.query("set search_path = public")
        assert wire.rows("select count(*) from numbers") == [("100",)]


def test_replicas_share_the_reads(proxy, split_cluster):
    marks = []
    wires = [proxy.wire() for _ in range(8)]
    for wire in wires:
        for _ in range(5):
            mark = tag()
            wire.query(f"select 1 {mark}")
            marks.append(mark)
        wire.close()
    counts = [sum(mark in node.process.log() for mark in marks) for node in split_cluster.nodes]
    assert counts[0] == 0 and sum(counts) == len(marks)
    assert min(counts[1:]) >= 0.3 * len(marks)  # one that is late for a moment gets less


def test_some_sessions_prefer_a_place(pgweir, split_cluster):
    first, second = split_cluster.replicas
    reads = f"""split = false
prefer_application = ["odd:primary", "reports_.*:127.0.0.1:{second.port}", "never:replica(0)"]
prefer_database = ["app:127.0.0.1:{first.port}"]"""
    databases = '[databases.other]\ncluster = "main"\ndbname = "app"'
    proxy = pgweir(toml=split_toml(split_cluster, reads=reads, databases=databases))

    def place(dbname, application):
        with proxy.wire(dbname=dbname, application_name=application) as wire:
            mark = tag()
            wire.query(f"select count(*) from numbers {mark}")
            return eventually(lambda: ran_on(split_cluster, mark), what=mark)

    eventually(lambda: place("app", "psql") == [first.name], what="reads at the preferred one")
    assert place("app", "reports_1") == [second.name]
    assert place("app", "odd") == place("other", "odd") == [split_cluster.primary.name]
    assert place("other", "reports_2") == [second.name]
    assert place("other", "psql") == place("app", "never") == [split_cluster.primary.name]


def test_no_replica_is_left(pgweir, private_cluster):
    cluster = private_cluster(replicas=1, settings=LOGGING)
    proxy = pgweir(toml=split_toml(cluster))
    with proxy.wire() as wire:
        eventually(lambda: run(wire, cluster, "select 1") == "replica")
        cluster.replicas[0].kill()
        assert wire.rows("select 1") == [("1",)]
        assert eventually(lambda: run(wire, cluster, "select 2") == "primary")


@pytest.fixture
def closed_replicas(split_cluster):
    """Their pg_hba.conf turns the user `other` away."""

    def write_hba(first):
        for node in split_cluster.replicas:
            write(node.data / "pg_hba.conf", first + HBA)
            node.rows("select pg_reload_conf()")

    def is_out(node):
        try:
            node.connect(user="other", dbname="app").close()
        except psycopg.OperationalError:
            return True
        return False

    write_hba("host all other 127.0.0.1/32 reject\n")
    for node in split_cluster.replicas:
        eventually(lambda node=node: is_out(node), what="the rule")
    yield
    write_hba("")
    for node in split_cluster.replicas:
        eventually(lambda node=node: not is_out(node), what="the end of the rule")


def test_replicas_that_do_not_let_the_user_in(proxy, split_cluster, closed_replicas):
    """Nor do those that have not got his role or database yet: the primary reads for him."""
    with proxy.wire(user="other") as wire:
        for number in range(20):
            assert wire.rows(f"select {number}") == [(str(number),)]
        assert run(wire, split_cluster, "select 1") == "primary"
    with proxy.wire() as wire:
        assert run(wire, split_cluster, "select 1") == "replica"


# ---- what a session brings along


def test_settings_of_ours_may_come_with_the_start(proxy, split_cluster):
    with proxy.wire(options="-c pgweir.route=primary --pgweir.consistency=global") as wire:
        assert run(wire, split_cluster, "select 1") == "primary"
        assert wire.rows("show pgweir.consistency") == [("global",)]
        wire.query("set pgweir.route = 'auto'")
        wire.query("set pgweir.consistency = 'eventual'")
        assert run(wire, split_cluster, "select 1") == "replica"
        wire.query("reset pgweir.route")
        assert run(wire, split_cluster, "select 1") == "primary"
    for options, sqlstate in (("-c pgweir.route=nowhere", "22023"), ("-c pgweir.nothing=1", "42704")):
        with pytest.raises(ServerError) as refused, proxy.wire(options=options):
            pass
        assert refused.value.sqlstate == sqlstate


def place_for_anybody(proxy, cluster):
    """Where a read goes of who has seen nothing yet."""
    with proxy.wire() as wire:
        return run(wire, cluster, "select count(*) from numbers")


@contextmanager
def nothing_replayed(replicas):
    """What is written in the meantime is not to be seen there."""
    try:
        for node in replicas:
            node.rows("select pg_wal_replay_pause()")
            eventually(lambda node=node: node.value("select pg_get_wal_replay_pause_state()") == "paused")
        yield
    finally:
        for node in replicas:
            node.rows("select pg_wal_replay_resume()")


def test_a_session_sees_as_much_after_an_online_restart(pgweir, split_cluster):
    toml = split_toml(split_cluster, reads='max_lag = "1h"')
    proxy = wait_for_reads(pgweir(toml=toml), split_cluster, "numbers")
    with proxy.wire() as careful, proxy.wire() as careless, proxy.wire(options="-c pgweir.route=primary") as led:
        careless.query("set pgweir.consistency = 'eventual'")
        with nothing_replayed(split_cluster.replicas):
            for wire, number in ((careful, 501), (careless, 502)):
                wire.query(f"insert into scratch values ({number}, 0)")
            for _ in range(2):
                assert proxy.restart().wait(20) == 0
            assert careful.rows("select count(*) from scratch where id = 501") == [("1",)]
            eventually(lambda: place_for_anybody(proxy, split_cluster) == "replica")
            eventually(lambda: careful.rows("show pgweir.causal_token") != [("",)], what="its position to be known")
            assert careful.rows("select count(*) from scratch where id = 501") == [("1",)]
            assert careless.rows("select count(*) from scratch where id = 502") == [("0",)], "it reads from a replica"
            assert run(led, split_cluster, "select 1") == "primary"
        led.query("set pgweir.route = 'auto'")
        eventually(lambda: run(led, split_cluster, "select 1") == "replica")
        eventually(lambda: run(careful, split_cluster, "select count(*) from scratch") == "replica")
        careful.query("delete from scratch where id > 500")


def test_the_catalog_is_read_before_the_first_client(pgweir, split_cluster):
    proxy = pgweir(toml=split_toml(split_cluster))
    eventually(lambda: "database app: its catalog is known" in proxy.log(), what="the catalog")
    with proxy.wire() as wire:
        assert run(wire, split_cluster, "select * from numbers where id = 5") == "replica"


def test_settings_that_a_replica_cannot_have_yet(proxy, split_cluster):
    """A read of a client whose role is not there yet is the primary's, and no error."""
    for replica in split_cluster.replicas:
        with replica.connect() as link:
            link.execute("select pg_wal_replay_pause()")
    try:
        with split_cluster.primary.connect(dbname="app") as link:
            link.execute("create role newcomer; grant newcomer to app; grant select on numbers to newcomer")
        with proxy.wire() as wire:
            wire.query("set role newcomer")
            assert wire.rows("select current_user, count(*) from numbers") == [("newcomer", "100")]
    finally:
        for replica in split_cluster.replicas:
            with replica.connect() as link:
                link.execute("select pg_wal_replay_resume()")


def test_copied_out_of_a_replica(proxy, split_cluster):
    """Its tag is that of a COPY that inserts, and with it nextval() would have been called: not there."""
    with proxy.wire() as wire:
        with pytest.raises(ServerError, match="not yet defined"):
            wire.rows("select currval('counter')")  # from here on servers are kept for who may ask that
        assert run(wire, split_cluster, "copy numbers to stdout") == "replica"
        eventually(lambda: [row["state"] for row in proxy.console("SHOW CLIENTS") if row["database"] == "app"] ==
                   ["idle"], what="a server given back")


# What a client may send without waiting for answers, and how many ReadyForQuery it gets.
PIPELINED = {
    "copy and more": ([query("copy scratch from stdin"), copy_data(b"2\t2\n"), copy_data(b"3\t3\n"), COPY_DONE,
                       query("insert into scratch values (4, 4)"), query("select count(*) from scratch")], 3),
    "failed copy": ([query("copy scratch from stdin csv freeze"), copy_data(b"2,2\n"), COPY_DONE,
                     query("select 1")], 2),
    "failed copy, pinned": ([query("create temp table kept (a int)"), query("copy scratch from stdin csv freeze"),
                             copy_data(b"2,2\n"), COPY_DONE, query("begin"), query("rollback"),
                             query("drop table kept")], 5),
    "no copy at all": ([copy_data(b"x"), COPY_DONE, query("select 1"), copy_data(b"x"), SYNC], 2),
    "extended copy": ([parse("copy scratch from stdin"), bind(), execute(), SYNC, copy_data(b"2\t2\n"), SYNC,
                       copy_data(b"3\t3\n"), COPY_DONE, SYNC, query("select count(*) from scratch")], 2),
    "read without a sync": ([parse("select 5"), bind(), execute(), query("select 6")], 1),
    "close without a sync": ([parse("select 5", name="s"), close_statement("s"), query("select 6")], 1),
    "close of nothing": ([close_statement("s"), query("select 6")], 1),
    "close, pinned": ([query("create temp table kept (a int)"), close_statement("s"), FLUSH, query("select 6"),
                       query("drop table kept")], 3),
    "flush": ([FLUSH, query("select 6")], 1),
    "copy in a failed transaction": ([query("begin read only"), query("select 1/0"), query("copy scratch from stdin"),
                                      copy_data(b"2\t2\n"), COPY_DONE, query("rollback")], 4),
    "write and copy": ([query("insert into scratch values (2, 2)"), query("copy scratch from stdin"),
                        copy_data(b"3\t3\n"), COPY_DONE, query("select count(*) from scratch")], 3),
    "write without a sync": ([parse("insert into scratch values (2, 2)"), bind(), execute(),
                              query("select count(*) from scratch")], 1),
}


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "one by one"])
@pytest.mark.parametrize("case", PIPELINED)
def test_what_is_sent_ahead(proxy, split_cluster, case, apart):
    messages, ready = PIPELINED[case]
    said = []
    for port in (split_cluster.primary.port, proxy.port):
        with split_cluster.primary.connect(dbname="app") as link:
            link.execute("delete from scratch where id > 1")
        with Wire.open(port, user="app", dbname="app", timeout=10) as wire:
            for message in messages if apart else [b"".join(messages)]:
                wire.send(message)
                if apart:
                    wire.is_quiet(0.05)
            answers = [message for _ in range(ready) for message in wire.read_until("Z")]
            said.append([(answer.type, answer.body) for answer in answers])
    assert said[0] == said[1]


@pytest.mark.parametrize("messages", [[], [close_statement("s")], [parse("select 5"), bind(), execute()],
                                      [copy_data(b"x")]], ids=["nothing", "close", "batch", "copy data"])
def test_goodbye_behind_what_has_no_end(proxy, messages):
    with proxy.wire() as wire:
        wire.send(*messages, TERMINATE)
        wire.reads_eof()  # or TimeoutError


@pytest.mark.parametrize("request_", [parse("begin") + bind() + execute() + SYNC, query("begin"),
                                      query("begin") + query("commit"), query("begin; select 1")],
                         ids=["extended", "simple", "with its end", "several"])
def test_statement_mode_has_no_transactions(pgweir, split_cluster, request_):
    """Though a cluster's entry begins them without a server."""
    proxy = pgweir(toml=split_toml(split_cluster, pool='mode = "statement"'))
    with proxy.wire() as wire:
        wire.send(request_)
        refusal, = wire.reads_eof()
    assert refusal.fields()["M"] == "transaction blocks not allowed in statement pooling mode"
    assert proxy.rows("select 1") == [("1",)]
