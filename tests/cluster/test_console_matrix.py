"""The console beside Debian's PgBouncer on the same ini, and every SHOW and command of PgBouncer 1.25.

What Debian's older PgBouncer has as well must be the same, but for addresses, times and process ids: columns
(it has fewer), rows, state words, tags, NOTICEs, errors. What it has not is compared with PgBouncer's manual
in test_console.py.
"""
import re
from pathlib import Path

import pytest
from harness import Pgweir
from harness.pooler import PGBOUNCER, TARGET
from test_console import COLUMNS, console, described

pytestmark = [
    pytest.mark.pgweir,
    pytest.mark.skipif(TARGET == "direct", reason="no pooler"),
]
side_by_side = pytest.mark.skipif(not Path(PGBOUNCER).exists(), reason="no PgBouncer here")

# Renamed in 1.24.
RENAMED = {"reserve_pool": "reserve_pool_size"}
# What two processes cannot agree on: addresses, times, ports of one's own, memory.
OWN = {"port", "local_port", "connect_time", "request_time", "wait", "wait_us", "ptr", "link", "remote_pid",
       "fd", "cancel", "size", "used", "free", "memtotal"}
# SHOW CONFIG: what is different in 1.25, and the files of the one or the other.
CONFIG_OWN = {"auth_query", "auth_file", "conffile", "listen_port", "unix_socket_dir", "client_tls_ciphers",
              "server_tls_ciphers", "server_tls_sslmode", "server_check_query", "tcp_defer_accept", "job_name",
              "pidfile", "logfile"}
# Shows whose rows are compared; of the others only columns.
ROWS = ("stats_totals", "servers", "clients", "pools", "users", "databases", "sockets", "config", "dns_hosts",
        "dns_zones")
SHOWS_OF_BOTH = (*ROWS, "version", "stats", "stats_averages", "totals", "lists", "fds", "active_sockets", "mem")
ERRORS = [
    "", ";", " ; ", "show", "show bogus", "show all", "select 2", "select version()", "show version;;",
    "-- comment", "show version -- comment", "/* c */ show version", "set", "set verbose 1",
    "set x = 1", "set x to 'y'", "set query_timeout = 5.5", "set query_timeout = -1", "set pool_mode = bogus",
    "set server_reset_query = DISCARD ALL", "set admin_users = postgres,foo", "show server_version",
    "pause nodb", "pause pgbouncer", "resume", "resume nodb", "resume app", "resume pgbouncer", "disable",
    "disable nodb", "disable pgbouncer", "disable 'app'", "disable *", 'disable "*"', 'disable "app""x"', "enable",
    "enable nodb", "reconnect nodb", "reconnect pgbouncer", "kill nodb", "kill pgbouncer", "wait_close pgbouncer",
    "wait_close nodb", "reload app", "shutdown soon", "suspend app", "averyveryverylongcommand",
    "show " + "a" * 64, "disable " + "a" * 63, "disable " + "a" * 64, f"set verbose = '{'a' * 254}'",
    "set " + "a" * 64 + " = 1",
]
TAGS = [
    "SeLeCt VeRsIoN ;", 'show "version"', "  show version ; ", "show client_encoding", "show datestyle",
    "show timezone", "show standard_conforming_strings", "show default_transaction_isolation",
    "set datestyle = 'ISO, MDY'", "set verbose = 1", "set verbose=0;", "SET verbose TO '0'", "set query_timeout = '5.5'",
    'set query_timeout = "5.5"', 'set "query_timeout" = 1', "set query_timeout to 0", "set listen_port = 5",
    "set pool_mode = session", "set pool_mode = transaction", "set server_reset_query = 'DISCARD ALL; select ''x'''",
    "set server_reset_query = ''", "set admin_users = 'postgres, foo'", "reload", "enable app", "disable app",
    "enable app", "pause app", "pause app", "resume app", "reconnect", "reconnect app_session", "wait_close",
    "wait_close app", "kill app", "resume app", "pause app_statement", "resume app_statement",
]


@pytest.fixture(scope="module", name="pair")
def both(cluster):
    """(pgweir, PgBouncer) of the same ini, each with a session at work, a transaction and an idle client."""
    settings = {"users": {"other": "pool_mode=session"}, "server_login_retry": 1, "stats_period": 600}
    with Pgweir(cluster, **settings) as ours, Pgweir(cluster, program=PGBOUNCER, **settings) as theirs:
        clients = [client for proxy in (ours, theirs) for client in at_work(proxy)]
        yield ours, theirs
        for client in clients:
            client.close()
        assert ours.stop() == 0


def at_work(proxy):
    session = proxy.wire(dbname="app_session", user="other")
    session.query("select 1")
    transaction = proxy.wire(dbname="app_transaction", user="other")
    transaction.query("select 1")
    transaction.query("begin")
    idle = proxy.wire(dbname="app")
    idle.query("select 1")
    return session, transaction, idle


def ask(proxy, command):
    with console(proxy) as wire:
        return wire.query(command)


def spoken(messages):
    """What is comparable: pgweir's errors carry PostgreSQL's V as well, and hints; and it has its own version."""
    said = []
    for message in messages:
        if message.type in "EN":
            more = "VDH" if message.type == "E" else "V"
            said.append((message.type, {key: text for key, text in message.fields().items() if key not in more}))
        elif message.type == "D":
            said.append(("D", tuple(re.sub(r"^PgBouncer .*", "PgBouncer", text or "") for text in message.columns())))
        elif message.type == "T":
            said.append(("T", described(message)))
        else:
            said.append((message.type, message.body))
    return said


def table(messages):
    """Rows as dictionaries, without what is their own, in an order that does not depend on it."""
    names = next(message for message in messages if message.type == "T").names()
    rows = [dict(zip(names, message.columns())) for message in messages if message.type == "D"]
    rows = [{RENAMED.get(key, key): value for key, value in row.items() if key not in OWN} for row in rows
            if row.get("key") not in CONFIG_OWN]
    return sorted(rows, key=str)


# ---------------------------------------------------------------- side by side


@side_by_side
@pytest.mark.parametrize("show", SHOWS_OF_BOTH)
def test_columns_are_those_of_debian_and_more(pair, show):
    ours, theirs = (described(ask(proxy, f"show {show}")[0]) for proxy in pair)
    at = iter(ours)
    for name, oid in theirs:
        assert (RENAMED.get(name, name), oid) in at, f"{name} is missing or has another place or type"


@side_by_side
@pytest.mark.parametrize("show", ROWS)
def test_rows_are_those_of_debian(pair, show):
    ours, theirs = (table(ask(proxy, f"show {show}")) for proxy in pair)
    if show == "config":
        ours = [row for row in ours if row["key"] in {row["key"] for row in theirs}]
    if show in ("clients", "sockets", "pools", "stats_totals"):  # the console: it comes and goes, and counts
        ours, theirs = ([row for row in rows if row["database"] != "pgbouncer"] for rows in (ours, theirs))
    if show == "clients":  # a client without a server is "idle" since 1.24
        for row in theirs:
            row["state"] = "idle" if row["database"] == "app" else row["state"]
    for row in (*ours, *theirs):  # times
        for key in ("xact_time", "query_time", "wait_time"):
            row.pop(key, None)
    if theirs:
        ours = sorted(({key: row[key] for key in row if key in theirs[0]} for row in ours), key=str)
    assert ours == sorted(theirs, key=str)


@side_by_side
def test_lists_and_totals(pair):
    ours, theirs = ({row["list"]: row["items"] for row in table(ask(proxy, "show lists"))} for proxy in pair)
    for name, items in theirs.items():
        if not name.startswith("free_") and name not in ("login_clients", "used_clients"):
            assert ours[name] == items, name
    ours, theirs = ([row["name"] for row in table(ask(proxy, "show totals"))] for proxy in pair)
    assert [name for name in ours if name in theirs] == theirs


@side_by_side
@pytest.mark.parametrize("command", ERRORS)
def test_error_is_that_of_debian(pair, command):
    ours, theirs = (spoken(ask(proxy, command)) for proxy in pair)
    assert ours == theirs and ours[0][0] == "E"


@side_by_side
def test_commands_answer_as_debians(cluster):
    """In a row, as they change the process."""
    with Pgweir(cluster) as ours, Pgweir(cluster, program=PGBOUNCER) as theirs:
        for command in TAGS:
            assert spoken(ask(ours, command)) == spoken(ask(theirs, command)), command
        assert ours.stop() == 0


@side_by_side
def test_help_has_every_line_of_debians(pair):
    ours, theirs = (ask(proxy, "show help") for proxy in pair)
    assert [message.type for message in ours] == [message.type for message in theirs]
    words = re.findall(r"\w+", ours[0].fields()["D"])
    assert set(re.findall(r"\w+", theirs[0].fields()["D"])) <= set(words)
    assert (ours[0].fields()["M"], ours[0].fields()["C"]) == (theirs[0].fields()["M"], theirs[0].fields()["C"])


@side_by_side
def test_parameters_at_login(pair):
    ours, theirs = ({**console(proxy).parameters, "server_version": ""} for proxy in pair)
    assert ours == theirs


@side_by_side
def test_stats_user(pair):
    """The same errors for who may only look."""
    for command in ("show fds", "reload", "pause", "resume app", "kill app", "suspend", "shutdown", "set verbose=1",
                    "set datestyle = iso", "disable app", "show clients"):
        said = []
        for proxy in pair:
            with console(proxy, "monitor") as wire:
                said.append([part for part in spoken(wire.query(command)) if part[0] in "EC"])
        assert said[0] == said[1], command


# ---------------------------------------------------------------- by the manual


def test_every_show_of_the_help_is_there(pgweir):
    """And none is there that the help does not tell."""
    (notice,) = [message for message in ask(pgweir(), "show help") if message.type == "N"]
    lines = [line.strip() for line in notice.fields()["D"].splitlines()]
    shows = {word.lower() for line in lines if line.startswith("SHOW ") for word in line[5:].split("|")}
    assert shows - {"help"} == set(COLUMNS)
