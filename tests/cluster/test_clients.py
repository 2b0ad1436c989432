"""Real clients: psql, pgbench in all its modes, psycopg."""
import subprocess

import psycopg
import pytest
from harness.pooler import TARGET
from harness.postgres import PG_BIN
from harness.processes import IDENTITY

MODES = ("session", "transaction", "statement")


def run(proxy, program, *arguments, stdin=""):
    done = subprocess.run([PG_BIN / program, "-h", proxy.host, "-p", str(proxy.port), "-U", "app", *arguments],
                          check=False, input=stdin, capture_output=True, text=True, timeout=120, cwd="/",
                          **IDENTITY)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def tables(cluster):
    run(cluster.primary, "pgbench", "-q", "-i", "-s", "2", "app")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench(pgweir, mode, protocol):
    """In statement mode without transactions. With prepared statements not more clients than servers:
    pgbench waits for a PREPARE with the whole thread, whose other clients may hold the servers."""
    if TARGET == "pgbouncer" and protocol == "prepared" and mode != "session":
        pytest.skip("not in PgBouncer")
    proxy = pgweir(default_pool_size=8)
    clients = 8 if mode == "session" or protocol == "prepared" else 24
    script = ["-S"] if mode == "statement" else ["-b", "tpcb-like"]
    output = run(proxy, "pgbench", "-n", "-M", protocol, "-c", str(clients), "-j", "2", "-t", "50", *script,
                 proxy.entry(mode))
    assert f"number of transactions actually processed: {clients * 50}/{clients * 50}" in output
    assert "number of failed transactions: 0 " in output


@pytest.mark.pgweir
@pytest.mark.parametrize("mode", MODES)
def test_pgbench_pipelines(pgweir, mode):
    proxy = pgweir(default_pool_size=4)
    script = proxy.write("pipeline.sql", "\\startpipeline\n" + "select 1;\n" * 20 + "\\endpipeline\n") \
        if proxy.has_console else None
    if script is None:
        pytest.skip("needs a directory")
    clients = 4 if mode == "session" else 16
    for protocol in ("extended", "prepared"):
        output = run(proxy, "pgbench", "-n", "-M", protocol, "-c", str(clients), "-t", "50", "-f", str(script),
                     proxy.entry(mode))
        assert f"actually processed: {clients * 50}/{clients * 50}" in output


def test_pgbench_reconnecting(pgweir):
    """A login for every transaction."""
    output = run(pgweir(default_pool_size=4), "pgbench", "-n", "-C", "-S", "-c", "8", "-t", "50", "app")
    assert "actually processed: 400/400" in output


@pytest.mark.short
@pytest.mark.parametrize("mode", MODES)
def test_psql(pgweir, mode):
    proxy = pgweir()
    script = """
\\set ON_ERROR_STOP on
select 1 as a, null as b;
\\copy (select x from generate_series(1, 3) x) to stdout
\\d pgbench_accounts
create table psql_made (a int);
\\copy psql_made from stdin
1
2
\\.
select count(*) from psql_made;
drop table psql_made;
select 'a' as x \\gset
\\echo :x
"""
    output = run(proxy, "psql", "-X", "-q", proxy.entry(mode), stdin=script)
    assert "pgbench_accounts_pkey" in output and "1\n2\n3\n" in output and output.endswith("a\n")
    if mode != "statement":
        output = run(proxy, "psql", "-X", "-At", "-1", proxy.entry(mode), "-c", "select 1", "-c", "select 2")
        assert output == "1\n2\n"


@pytest.mark.short
@pytest.mark.parametrize("mode", MODES)
def test_psycopg(pgweir, mode):
    proxy = pgweir(default_pool_size=2)
    prepare = None if TARGET == "pgbouncer" and mode != "session" else 2
    with proxy.connect(dbname=proxy.entry(mode), prepare_threshold=prepare) as link:
        for number in range(10):  # from the third on as a prepared statement
            assert link.execute("select %s::int, %b::text", [number, "x"]).fetchone() == (number, "x")
        with pytest.raises(psycopg.errors.DivisionByZero):
            link.execute("select 1 / %s", [0])
        if mode == "statement":
            return
        with link.transaction():
            link.execute("create table made (a int, b text)")
            with link.cursor() as cursor:
                with cursor.copy("copy made from stdin") as copy:
                    for number in range(1000):
                        copy.write_row((number, "é" * 10))
                cursor.executemany("insert into made values (%s, %s)", [(n, None) for n in range(200)])
                with cursor.copy("copy made to stdout") as copy:
                    assert sum(1 for _ in copy.rows()) == 1200
            with link.cursor("server_side") as cursor:
                cursor.execute("select * from made")
                assert len(cursor.fetchmany(100)) == 100
            link.execute("drop table made")


@pytest.mark.short
@pytest.mark.pgweir
@pytest.mark.parametrize("mode", MODES)
def test_psycopg_pipeline(pgweir, mode):
    proxy = pgweir(default_pool_size=2)
    with proxy.connect(dbname=proxy.entry(mode), prepare_threshold=2) as link:
        with link.pipeline() as pipeline:
            cursors = [link.execute("select %s::int", [number]) for number in range(300)]
            pipeline.sync()
            assert [cursor.fetchone()[0] for cursor in cursors] == list(range(300))
