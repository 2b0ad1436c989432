"""What is collected on the way and shown: SHOW QUERIES, SHOW ROUTES, EXPLAIN ROUTE, the log of slow queries."""
import json
import re

import pytest
from harness import Cluster, ServerError, eventually
from harness.split import LOGGING, ran_on, split_toml, tag, wait_for_reads
from harness.wire import SYNC, bind, execute, parse, query

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]

SETUP = """
create table numbers (id int primary key, note text);
insert into numbers select n, 'note ' || n from generate_series(1, 100) n;
grant all on all tables in schema public to public;
"""
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def split_cluster():
    with Cluster(replicas=2, settings=LOGGING, setup=SETUP) as made:
        yield made


@pytest.fixture
def split(pgweir, split_cluster):
    return wait_for_reads(pgweir(toml=split_toml(split_cluster)), split_cluster, "numbers")


def queries(proxy, text):
    """The rows of SHOW QUERIES with this text."""
    return [row for row in proxy.console("SHOW QUERIES") if row["query"] == text]


def routes(proxy):
    return {(row["database"], row["reason"], row["target"]): int(row["count"])
            for row in proxy.console("SHOW ROUTES")}


def test_queries_are_counted_by_shape(pgweir, cluster):
    proxy = pgweir(cluster)
    with proxy.wire() as wire:
        for secret in ("s3cret", "t0psecret"):
            assert wire.rows(f"select '{secret}'::text, 7 from generate_series(1, 3)") == [(secret, "7")] * 3
    shown = proxy.console("SHOW QUERIES")
    assert not any("secret" in row["query"] or "s3cret" in row["query"] for row in shown)
    row, = queries(proxy, "select $1::text, $2 from generate_series($3)")
    assert (row["database"], row["user"], row["calls"], row["rows"]) == ("app", "app", "2", "6")
    assert (row["primary"], row["replica"]) == ("2", "0")
    assert int(row["bytes"]) > 100
    times = [float(row[name]) for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms", "total_ms")]
    assert times == sorted(times)
    assert float(row["mean_ms"]) <= float(row["max_ms"])


@pytest.mark.parametrize("mode", ["transaction", "session", "statement"])
def test_prepared_statements_are_counted_when_they_run(pgweir, cluster, mode):
    proxy = pgweir(cluster)
    with proxy.wire(dbname=f"app_{mode}") as wire:
        wire.ask(parse("select $1::int + 41", name="s"), SYNC)
        for value in (b"1", b"2", b"3"):
            wire.ask(bind([value], statement="s"), execute(), SYNC)
        wire.ask(parse("select $1::int + 41"), bind([b"4"]), execute(), SYNC)
    row, = queries(proxy, "select $1::int + $2")
    assert (row["database"], row["calls"], row["rows"]) == (f"app_{mode}", "4", "4")


def test_queries_can_be_forgotten_by_admins(pgweir, cluster):
    proxy = pgweir(cluster)
    assert proxy.rows("select 1") == [("1",)]
    assert queries(proxy, "select $1")
    with proxy.wire(user="monitor", dbname="pgbouncer") as wire:
        with pytest.raises(ServerError):
            wire.rows("RESET QUERIES")
    assert queries(proxy, "select $1")
    with proxy.wire(user="postgres", dbname="pgbouncer") as wire:
        wire.rows("RESET QUERIES")
    assert not queries(proxy, "select $1")
    assert proxy.rows("select 1") == [("1",)]
    assert queries(proxy, "select $1")[0]["calls"] == "1"


def test_few_shapes_are_kept(pgweir, cluster):
    proxy = pgweir(cluster, companion="[admin]\nquery_shapes = 20\n[workers]\nthreads = 1\n")
    with proxy.wire() as wire:
        for number in range(200):
            wire.rows(f"select 1 as c{number}x")
        for _ in range(5):
            wire.rows("select 'last'")
    shown = proxy.console("SHOW QUERIES")
    assert len(shown) <= 20
    assert queries(proxy, "select $1")[0]["calls"] == "5"


def test_nothing_is_counted_when_that_is_off(pgweir, cluster):
    proxy = pgweir(cluster, companion="[admin]\nquery_shapes = 0\n")
    assert proxy.rows("select 1") == [("1",)]
    assert proxy.console("SHOW QUERIES") == []


def test_routes_and_queries_say_where_requests_went(split):
    before = routes(split)
    with split.wire() as wire:
        for _ in range(4):
            wire.query("select count(*) from numbers where id < 50")
        for _ in range(3):
            wire.query("update numbers set note = note where id = 1")
        wire.query("begin")
        wire.query("select note from numbers where id = 1")
        wire.query("select id from numbers where id = 2")
        wire.query("commit")
        wire.query("set pgweir.route = 'primary'")
        wire.query("select 1")
    after = routes(split)

    def more(reason, target):
        key = ("app", reason, target)
        return after.get(key, 0) - before.get(key, 0)

    # A node whose probe is late on a busy machine is no reason to fail.
    reads = more("read", "replica")
    assert reads + more("no_replica", "primary") + more("not_fresh", "primary") == 4
    assert more("write", "primary") == 3
    assert more("in_transaction", "primary") == 2
    assert more("route_setting", "primary") == 1
    read, = queries(split, "select count(*) from numbers where id < $1")
    assert (read["calls"], read["primary"], read["replica"]) == ("4", str(4 - reads), str(reads))
    write, = queries(split, "update numbers set note = note where id = $1")
    assert (write["calls"], write["primary"], write["replica"], write["rows"]) == ("3", "3", "0", "3")


def test_pool_nodes_count_queries(split):
    with split.wire() as wire:
        for _ in range(3):
            wire.query("select count(*) from numbers")
    rows = split.console("SHOW POOL_NODES")
    assert sum(int(row["select_cnt"]) for row in rows) >= 3
    assert sum(int(row["select_cnt"]) for row in rows if row["role"] == "standby") >= 1


def test_a_client_may_ask_where_its_statement_would_go(split, split_cluster):
    mark = tag()
    replicas = {f"{node.host}:{node.port}" for node in split_cluster.replicas}
    primary = f"{split_cluster.primary.host}:{split_cluster.primary.port}"
    with split.wire() as wire:
        def ask(sql):
            row, = wire.table(f"EXPLAIN ROUTE {sql} {mark}")
            return row["route"], row["reason"], row["detail"], row["node"]

        eventually(lambda: ask("select count(*) from numbers")[:3] == ("replica", "read", ""), what="a replica")
        assert ask("select 1")[3] in replicas | {primary}
        assert ask("select nextval('x')") == ("primary", "function_volatile", "nextval", primary)
        assert ask("set pgweir.route = 'primary'")[0] == "pgweir"
        wire.query("begin")
        assert ask("select 1") == ("primary", "in_transaction", "", primary)
        wire.query("update numbers set note = note where id = 1")
        assert ask("select 1") == ("primary", "in_transaction", "", primary)
        assert wire.rows("select 1") == [("1",)]
        wire.query("commit")
        wire.ask(parse(f"explain route delete from numbers {mark}"), bind(), execute(), SYNC)
    assert ran_on(split_cluster, mark) == []


def test_the_console_explains_routes(split, split_cluster):
    with split.wire(user="monitor", dbname="pgbouncer") as wire:
        def ask(sql):
            return [(row["route"], row["reason"], row["detail"]) for row in wire.table(f"EXPLAIN ROUTE {sql}")]

        assert ask("select nextval('x'); select 1") == [("primary", "function_volatile", "nextval"),
                                                        ("replica", "read", None)]
        assert ask("select absent()") == [("replica", "read", None)]
        eventually(lambda: ask("app select absent()") == [("primary", "function_unknown", "absent")],
                   what="app's catalog")
        assert ask("app_primary select 1") == [("primary", "entry_role", None)]
        replicas = {f"{node.host}:{node.port}" for node in split_cluster.replicas}
        eventually(lambda: set(wire.table("EXPLAIN ROUTE app select 1")[0]["node"].split(", ")) == replicas,
                   what="both replicas")
        with pytest.raises(ServerError):
            wire.rows("EXPLAIN ROUTE")


def test_slow_queries_are_logged_without_literals(pgweir, cluster):
    proxy = pgweir(cluster, companion='[log]\nslow_query = "50ms"\n')
    with proxy.wire() as wire:
        wire.rows("select pg_sleep(0.1), 's3cret'")
    line = eventually(lambda: [line for line in proxy.log().splitlines() if "slow query:" in line],
                      what="a line about it")[0]
    fields = dict(word.split("=", 1) for word in line.split(" slow query: ")[1].split(" query=")[0].split())
    assert float(fields["duration_ms"]) >= 100
    assert fields["database"] == fields["user"] == "app"
    assert fields["node"] == f"{cluster.primary.host}:{cluster.primary.port}"
    assert line.endswith(" query=select pg_sleep($1), $2")
    assert "s3cret" not in proxy.log()


def test_slow_queries_in_json_carry_their_facts(pgweir, split_cluster):
    toml = split_toml(split_cluster) + '[log]\nslow_query = "50ms"\nslow_query_literals = true\nformat = "json"\n'
    proxy = wait_for_reads(pgweir(toml=toml), split_cluster, "numbers")
    with proxy.wire() as wire:
        wire.rows(f"select pg_sleep(0.1), 'shown' /*traceparent='{PARENT}'*/")

    def seen():
        lines = [json.loads(line) for line in proxy.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] == "slow query" and "shown" in line.get("query", "")]
    line = eventually(seen, what="a line about it")[0]
    assert line["duration_ms"] >= 100 and line["wait_ms"] >= 0
    assert line["route"] in ("read", "no_replica", "not_fresh") and line["traceparent"] == PARENT
    assert line["node"] in {f"{node.host}:{node.port}" for node in split_cluster.nodes}
    assert re.fullmatch(r"C-0x[0-9a-f]+: app/app@127\.0\.0\.1:\d+", line["context"])


def parents(proxy, message):
    """The traceparents of the JSON lines that begin so; None: a line without."""
    lines = [json.loads(line) for line in proxy.log().splitlines() if line.startswith("{")]
    return [line.get("traceparent") for line in lines if line["message"].startswith(message)]


def test_lines_in_json_carry_the_traceparent(pgweir, cluster):
    """Of what is under way, waits, or was the last of the open transaction; else of application_name."""
    own = PARENT.replace("b7ad", "c0de")
    proxy = pgweir(cluster, companion='[log]\nformat = "json"\nslow_query = "0"\n', default_pool_size=1,
                   query_wait_timeout=1, idle_transaction_timeout=2)
    with proxy.wire() as wire:
        wire.rows(f"select 1 /*traceparent='{PARENT}'*/")  # over when the client goes
    with proxy.wire(application_name=own) as holder, proxy.wire() as waits:
        assert parents(proxy, "login attempt")[-2:] == [own, None]
        holder.rows("begin")
        holder.rows(f"select 1 /*traceparent='{PARENT}'*/")
        waits.send(query(f"/*traceparent='{PARENT}'*/ select 2"))
        eventually(lambda: parents(proxy, "pooler error: query_wait_timeout") == [PARENT], what="its line")
        eventually(lambda: parents(proxy, "closing because: query_wait_timeout") == [PARENT], what="its end")
        eventually(lambda: parents(proxy, "closing because: idle transaction timeout") == [PARENT], what="the other's")
    with proxy.wire(application_name=f"tests {own}") as wire:
        wire.rows(f"select 1 /*traceparent='{PARENT}'*/")
    eventually(lambda: parents(proxy, "closing because: client unexpected eof") == [None, own], what="its end")


def test_lines_of_text_are_without_the_traceparent(pgweir, cluster):
    proxy = pgweir(cluster)
    proxy.rows("select 1", application_name=PARENT)
    eventually(lambda: "closing because: client unexpected eof" in proxy.log(), what="its end")
    assert PARENT not in proxy.log()


def test_slow_queries_are_not_logged_when_that_is_off(pgweir, cluster):
    proxy = pgweir(cluster, companion='[log]\nslow_query = "0"\n')
    assert len(proxy.rows("select pg_sleep(0.1)")) == 1
    assert proxy.rows("select 1") == [("1",)]
    assert "slow query" not in proxy.log()
