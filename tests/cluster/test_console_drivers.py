"""Drivers with their default settings on the console: JDBC, node-postgres, psycopg, libpq."""
import shutil
import subprocess

import psycopg
import pytest
from harness.wire import SYNC, bind, describe_statement, execute, parse, query
from test_console import console, kinds
from test_drivers import DRIVERS, ENVIRONMENT, JDBC, node

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]


def lines(command, proxy):
    done = subprocess.run([*command, str(proxy.port)], check=False, capture_output=True, text=True, timeout=120,
                          env=ENVIRONMENT, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_jdbc(pgweir, tmp_path):
    if not (JDBC.exists() and shutil.which("javac")):
        pytest.skip(f"{JDBC} or javac is not there: ./dev packages drivers")
    subprocess.run(["javac", "-cp", JDBC, "-d", tmp_path, DRIVERS / "Console.java"], check=True, timeout=120)
    command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{JDBC}:{tmp_path}", "Console"]
    assert lines(command, pgweir()) == [
        "valid: true",
        "lists: databases 7",
        "stats: true",
        "type: numeric",
        "help: true",
        "set: 0",
        "failure: 08P01 ERROR: database app is not paused",
        "failure: 08P01 ERROR: invalid command 'nonsense', use SHOW HELP;",
        "state: yes",
        "isolation: true",
        "valid: true",
    ]


def test_node(pgweir):
    command = node(None)[:1] + [str(DRIVERS / "console.js")]
    assert lines(command, pgweir()) == [
        'lists: ["databases",7]',
        'state: [{"key":"active","value":"yes"},{"key":"paused","value":"no"},{"key":"suspended","value":"no"}]',
        'command: "PAUSE"',
        'command: "RESUME"',
        'failure: "08P01 database app is not paused"',
        "failure: \"08P01 invalid command 'nonsense', use SHOW HELP;\"",
        'alive: [{"?column?":1}]',
        'alive: [{"?column?":1}]',
        'pool: ["PgBouncer","PgBouncer","PgBouncer","PgBouncer"]',
    ]


def test_psycopg_without_autocommit(pgweir):
    """Its default: a BEGIN before the first statement."""
    with pgweir().connect(user="postgres", dbname="pgbouncer", autocommit=False) as link:
        assert ("active", "yes") in link.execute("show state").fetchall()
        link.commit()
        with link.transaction():
            assert link.execute("select 1", prepare=True).fetchone() == (1,)
        with pytest.raises(psycopg.errors.ProtocolViolation):
            link.execute("nonsense")
        link.rollback()
        assert link.execute("show version").fetchone()[0].startswith("PgBouncer")
        link.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        link.execute("show state")


@pytest.mark.parametrize("wanted", ["read-write", "primary", "any"])
def test_libpq_asks_whether_it_may_write(pgweir, wanted):
    with pgweir().connect(user="postgres", dbname="pgbouncer", target_session_attrs=wanted) as link:
        assert link.execute("show version").fetchone()


@pytest.mark.parametrize("text, tag", [
    ("SELECT 1", "SELECT 1"), ("select 1;", "SELECT 1"), ("BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN"),
    ("start transaction", "START TRANSACTION"), ("COMMIT", "COMMIT"), ("rollback;", "ROLLBACK"),
    ("show transaction_read_only", "SHOW"), ("SHOW TRANSACTION ISOLATION LEVEL", "SHOW"),
    ("select pg_catalog.pg_is_in_recovery()", "SELECT 1"), ("DISCARD ALL", "DISCARD ALL"),
    ("SET extra_float_digits = 3", "SET"), ("SET SESSION application_name TO 'a b'", "SET"),
    ("set search_path = public, other", "SET"), ("set statement_timeout = -1", "SET"), ("SET TIME ZONE 'UTC'", "SET"),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET"),
])
def test_sentence(pgweir, text, tag):
    """By either protocol, for who may only look too; it changes nothing."""
    with console(pgweir(), user="monitor") as wire:
        simple = wire.query(text)
        assert simple[-2].text() == tag and simple[-1].body == b"I"
        extended = wire.ask(parse(text, "s"), describe_statement("s"), bind(statement="s"), execute(), SYNC)
        assert kinds(extended[:2]) == "1t"
        assert [message for message in extended if message.type in "TDNC"] == \
            [message for message in simple if message.type in "TDNC"]


def test_several_at_once_are_none(pgweir):
    with console(pgweir()) as wire:
        assert kinds(wire.query("begin; shutdown")) == "EZ"
        assert kinds(wire.query("set no_such = 1, 2")) == "EZ"


@pytest.mark.parametrize("text", ["", ";", " ; "])
def test_empty_query(pgweir, text):
    """An error in a simple query, as in PgBouncer; in the extended protocol it is how JDBC asks for life."""
    with console(pgweir()) as wire:
        assert kinds(wire.ask(query(text))) == "EZ"
        assert kinds(wire.ask(parse(text), bind(), execute(), SYNC)) == "12IZ"
