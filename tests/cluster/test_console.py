"""The admin console over real connections: raw protocol, psycopg (extended protocol) and psql."""
import select
import signal
import struct
import subprocess
import threading
import time

import psycopg
import pytest
from harness import ConnectionClosed, ServerError, eventually
from harness.wire import SYNC, Wire, bind, describe_portal, execute, parse, query, startup

pytestmark = pytest.mark.pooler

SOCKET = ("type user database replication state addr port:4 local_addr local_port:4 connect_time request_time "
          "wait:4 wait_us:4 close_needed:4 ptr link remote_pid:4 tls application_name prepared_statements:4 id:4")
BUFFERS = " recv_pos:4 pkt_pos:4 pkt_remain:4 send_pos:4 send_remain:4 pkt_avail:4 send_avail:4"

# name, or name:4 (int4), name:8 (int8), name:n (numeric), name:b (bytea), name:f (float8)
COLUMNS = {
    "version": "version",
    "state": "key value",
    "databases": "name host port:4 database force_user pool_size:4 min_pool_size:4 reserve_pool_size:4 "
                 "server_lifetime:4 pool_mode load_balance_hosts max_connections:4 current_connections:4 "
                 "max_client_connections:4 current_client_connections:4 paused:4 disabled:4",
    "pools": "database user cl_active:4 cl_waiting:4 cl_active_cancel_req:4 cl_waiting_cancel_req:4 sv_active:4 "
             "sv_active_cancel:4 sv_being_canceled:4 sv_idle:4 sv_used:4 sv_tested:4 sv_login:4 maxwait:4 "
             "maxwait_us:4 pool_mode load_balance_hosts",
    "clients": SOCKET + " pins",
    "servers": SOCKET,
    "sockets": SOCKET + BUFFERS,
    "active_sockets": SOCKET + BUFFERS,
    "users": "name pool_size reserve_pool_size pool_mode max_user_connections:4 current_connections:4 "
             "max_user_client_connections:4 current_client_connections:4",
    "lists": "list items:4",
    "stats": "database total_server_assignment_count:n total_xact_count:n total_query_count:n total_received:n "
             "total_sent:n total_xact_time:n total_query_time:n total_wait_time:n total_client_parse_count:n "
             "total_server_parse_count:n total_bind_count:n avg_server_assignment_count:n avg_xact_count:n "
             "avg_query_count:n avg_recv:n avg_sent:n avg_xact_time:n avg_query_time:n avg_wait_time:n "
             "avg_client_parse_count:n avg_server_parse_count:n avg_bind_count:n",
    "stats_totals": "database server_assignment_count:n xact_count:n query_count:n bytes_received:n bytes_sent:n "
                    "xact_time:n query_time:n wait_time:n client_parse_count:n server_parse_count:n bind_count:n",
    "stats_averages": "database server_assignment_count:n xact_count:n query_count:n bytes_received:n bytes_sent:n "
                      "xact_time:n query_time:n wait_time:n avg_client_parse_count:n avg_server_parse_count:n "
                      "avg_bind_count:n",
    "totals": "name value:n",
    "config": "key value default changeable",
    "mem": "name size:4 used:4 free:4 memtotal:4",
    "peers": "peer_id:4 host port:4 pool_size:4",
    "peer_pools": "peer_id:4 cl_active_cancel_req:4 cl_waiting_cancel_req:4 sv_active_cancel:4 sv_login:4",
    "dns_hosts": "hostname ttl:8 addrs",
    "dns_zones": "zonename serial:8 count:4",
    "fds": "fd:4 task user database addr port:4 cancel:8 link:4 client_encoding std_strings datestyle timezone "
           "password scram_client_key:b scram_server_key:b",
    "pins": "client:4 user database since reasons",
    "nodes": "cluster host port:4 role status timeline:4 lsn streaming lag_bytes:8 lag_seconds eligible weight:4 "
             "last_probe_ms:8 probe_us:8 status_since reason",
    "events": "time cluster event node timeline:4 text",
    "pool_nodes": "node_id hostname port status pg_status lb_weight role pg_role select_cnt load_balance_node "
                  "replication_delay replication_state replication_sync_state last_status_change",
    "queries": "database user query calls:8 total_ms:f mean_ms:f p50_ms:f p95_ms:f p99_ms:f max_ms:f rows:8 bytes:8 "
               "primary:8 replica:8",
    "routes": "database reason target count:n",
}
TYPES = {"": 25, "4": 23, "8": 20, "n": 1700, "b": 17, "f": 701}


def expected(show):
    """[(name, type oid)…]"""
    return [(name, TYPES[kind]) for name, _, kind in (word.partition(":") for word in COLUMNS[show].split())]


def described(message):
    """The same from a RowDescription."""
    at, columns = 2, []
    for name in message.names():
        at += len(name) + 1
        columns.append((name, struct.unpack_from("!IHI", message.body, at)[2]))
        at += 18
    return columns


def console(proxy, user="postgres"):
    return proxy.wire(user=user, dbname="pgbouncer")


def kinds(messages):
    return "".join(message.type for message in messages)


def refused(proxy, command, user="postgres"):
    """(SQLSTATE, text) of the error."""
    with pytest.raises(ServerError) as error:
        proxy.console(command, user)
    assert error.value.fields["S"] == "ERROR"
    return error.value.sqlstate, error.value.fields["M"]


def tag_of(messages):
    assert kinds(messages) == "CZ", messages
    return messages[0].text()


def tag(proxy, command):
    with console(proxy) as wire:
        return tag_of(wire.query(command))


class Pending:
    """A command sent on a console of its own, whose answer is still to come."""

    def __init__(self, proxy, command):
        self.wire = console(proxy)
        self.wire.send(query(command))

    def is_waiting(self):
        return self.wire.is_quiet(0.3)

    def answer(self):
        with self.wire:
            return [message.text() if message.type == "C" else message.fields()["M"]
                    for message in self.wire.read_until("Z")[:-1]]


# ---------------------------------------------------------------- SHOW


@pytest.mark.short
@pytest.mark.pgweir
@pytest.mark.parametrize("show", COLUMNS)
def test_columns(pgweir, show):
    proxy = pgweir()
    with proxy.wire() as client, console(proxy) as wire:
        client.query("select 1")
        messages = wire.query(f"SHOW {show.upper()};")
        assert messages[0].type == "T" and messages[-2].text() == "SHOW"
        assert described(messages[0]) == expected(show)
        assert all(len(row.columns()) == len(expected(show)) for row in messages if row.type == "D")
        messages = wire.ask(parse(f"select {show}"), bind(), describe_portal(), execute(), SYNC)
        assert kinds(messages).startswith("12T") and kinds(messages).endswith("CZ")
        assert described(messages[2]) == expected(show)


@pytest.mark.short
@pytest.mark.pgweir
@pytest.mark.parametrize("binary", [False, True])
def test_psycopg(pgweir, binary):
    """Prepared statements, text and binary, values as Python's own types."""
    proxy = pgweir()
    with proxy.connect() as client, proxy.connect(user="postgres", dbname="pgbouncer") as link:
        client.execute("select 1")
        for show in COLUMNS:
            cursor = link.cursor(binary=binary)
            cursor.execute(f"show {show}", prepare=True)
            assert [(column.name, column.type_code) for column in cursor.description] == expected(show)
            cursor.fetchall()
        with link.pipeline():
            lists = link.execute("show lists")
            stats = link.execute("show stats")
        assert dict(lists.fetchall())["databases"] >= 5
        by_name = {row[0]: row for row in stats.fetchall()}
        assert by_name["app"][2] == 1 and by_name["pgbouncer"][3] > 10
        with pytest.raises(psycopg.errors.ProtocolViolation, match="invalid command 'nonsense'"):
            link.execute("nonsense", prepare=True)
        assert link.execute("show version", prepare=True).fetchone()[0].startswith("PgBouncer 1.25.2")


@pytest.mark.pgweir
def test_psql(pgweir):
    proxy = pgweir()
    base = ["psql", "-XAt", f"host=127.0.0.1 port={proxy.port} user=postgres dbname=pgweir"]

    def run(*commands):
        arguments = [word for command in commands for word in ("-c", command)]
        return subprocess.run(base + arguments, capture_output=True, text=True, timeout=20, check=False)

    done = run("show version", "SHOW STATE;", "pause", "resume")
    assert done.returncode == 0, done.stderr
    version, *rest = done.stdout.splitlines()
    assert version.startswith("PgBouncer 1.25.2")
    assert rest == ["active|yes", "paused|no", "suspended|no", "PAUSE", "RESUME"]
    done = run("show help")
    assert done.stdout == "SHOW\n" and "Console usage" in done.stderr
    assert "\tSHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS\n" in done.stderr
    assert "ERROR:  invalid command 'select 2', use SHOW HELP;" in run("select 2").stderr


@pytest.mark.short
@pytest.mark.pgweir
def test_pools_and_states(pgweir):
    proxy = pgweir(default_pool_size=1, query_wait_notify=0)
    with proxy.wire() as holder, proxy.wire() as waiter, proxy.wire() as idler:
        holder.query("begin")
        waiter.send(query("select 1"))
        eventually(lambda: proxy.pool()["cl_waiting"] == 1)
        time.sleep(1.1)
        pool = proxy.pool()
        assert (pool["cl_active"], pool["cl_waiting"], pool["sv_active"], pool["sv_idle"]) == (2, 1, 1, 0)
        assert pool["maxwait"] >= 1 and pool["maxwait_us"] < 1_000_000 and pool["pool_mode"] == "transaction"
        rows = [row for row in proxy.console("show clients") if row["database"] == "app"]
        assert sorted(row["state"] for row in rows) == ["active", "idle", "waiting"]
        active = next(row for row in rows if row["state"] == "active")
        (server,) = proxy.console("show servers")
        assert (active["link"], server["link"]) == (server["ptr"], active["ptr"])
        assert next(row for row in rows if row["state"] == "waiting")["wait"] >= "1"
        assert {row["state"] for row in proxy.console("show sockets")} == {"cl_active", "cl_waiting", "sv_active"}
        assert len({row["id"] for row in proxy.console("show sockets")}) == 5
        holder.query("commit")
        assert kinds(waiter.read_until("Z")) == "TDCZ"
        assert proxy.pool()["cl_active"] == 3 and proxy.pool()["sv_idle"] == 1
        idler.terminate()


@pytest.mark.pgweir
def test_counters(pgweir):
    proxy = pgweir()
    with proxy.wire(dbname="app_session") as client:
        for _ in range(3):
            client.query("select 1")
        client.query("begin")
        client.query("commit")
        (row,) = [row for row in proxy.console("show stats_totals") if row["database"] == "app_session"]
    assert (row["query_count"], row["xact_count"]) == ("5", "4")
    assert int(row["bytes_sent"]) > int(row["bytes_received"]) > 0
    totals = {row["name"]: int(row["value"]) for row in proxy.console("show totals")}
    assert totals["total_query_count"] == 5 + 2  # the console's own too
    (own,) = [row for row in proxy.console("show pools") if row["database"] == "pgbouncer"]
    assert (own["user"], own["cl_active"], own["pool_mode"]) == ("pgbouncer", "1", "statement")


def test_drivers_preamble(pgweir):
    with console(pgweir(), user="monitor") as wire:
        assert wire.rows("SHOW client_encoding;") == [("UTF-8",)]
        assert wire.rows("select timezone") == [("GMT",)]
        assert kinds(wire.query("SET DateStyle = 'ISO'")) == "NCZ"
        assert kinds(wire.query("set extra_float_digits to 3")) == "NCZ"
    assert wire.parameters["is_superuser"] == "on" and wire.parameters["server_version"].endswith("/bouncer")


# ---------------------------------------------------------------- commands


@pytest.mark.short
@pytest.mark.pgweir
def test_pause_waits_and_resume_lets_go(pgweir):
    proxy = pgweir(default_pool_size=2)
    with proxy.wire() as busy, proxy.wire() as other:
        busy.query("begin")
        pause = Pending(proxy, "pause")
        assert pause.is_waiting()
        assert refused(proxy, "pause") == ("08P01", "already suspended/paused")
        other.send(query("select 'late'"))
        assert other.is_quiet(0.3)
        busy.query("commit")
        assert pause.answer() == ["PAUSE"]
        assert proxy.console("show servers") == []
        assert {row["key"]: row["value"] for row in proxy.console("show state")}["paused"] == "yes"
        with proxy.wire() as newcomer:  # may log in and queue
            newcomer.send(query("select 'new'"))
            assert newcomer.is_quiet(0.3)
            assert tag(proxy, "resume") == "RESUME"
            assert newcomer.read_until("Z")[1].columns() == ("new",)
        assert other.read_until("Z")[1].columns() == ("late",)
    assert refused(proxy, "resume") == ("08P01", "pooler is not paused/suspended")
    assert "PAUSE command issued" in proxy.log() and "RESUME command issued" in proxy.log()


@pytest.mark.short
@pytest.mark.pgweir
def test_pause_of_one_database(pgweir):
    proxy = pgweir()
    with proxy.wire() as mine, proxy.wire(dbname="app_session") as other:
        mine.query("select 1")
        assert tag(proxy, "PAUSE app") == "PAUSE"
        mine.send(query("select 1"))
        assert other.rows("select 1") == [("1",)]
        assert mine.is_quiet(0.2)
        paused = {row["name"]: row["paused"] for row in proxy.console("show databases")}
        assert paused["app"] == "1" and paused["app_session"] == "0"
        assert tag(proxy, "PAUSE app_transaction") == "PAUSE"
        assert refused(proxy, "RESUME") == ("08P01", "pooler is not paused/suspended")
        assert tag(proxy, 'RESUME "app"') == "RESUME"
        assert kinds(mine.read_until("Z")) == "TDCZ"
        assert refused(proxy, "RESUME app") == ("08P01", "database app is not paused")
        assert tag(proxy, "RESUME app_transaction") == "RESUME"


@pytest.mark.short
@pytest.mark.pgweir
@pytest.mark.parametrize("how", ["cancel", "terminate", "reset"])
@pytest.mark.parametrize("command", ["pause", "pause app"])
def test_waiting_pause_is_undone(pgweir, how, command):
    proxy = pgweir(default_pool_size=2)
    with proxy.wire() as busy, proxy.wire() as other:
        busy.query("begin")
        pause = Pending(proxy, command)
        assert pause.is_waiting()
        if how == "cancel":
            pause.wire.cancel()
            assert pause.answer() == ["canceling statement due to user request"]
        elif how == "terminate":
            pause.wire.close()
        else:
            pause.wire.reset()
        assert other.rows("select 1") == [("1",)]
        assert proxy.console("show state")[0]["value"] == "yes"
        busy.query("rollback")


@pytest.mark.short
@pytest.mark.pgweir
def test_requests_behind_a_waiting_pause_stay_in_order(pgweir):
    proxy = pgweir()
    with proxy.wire() as busy, console(proxy) as admin:
        busy.query("begin")
        admin.send(query("pause"), query("show state"), parse("show version"), bind(), execute(), SYNC,
                   query("resume"), query("nonsense"))
        assert admin.is_quiet(0.3)
        busy.query("rollback")
        assert kinds(admin.read_until("Z")) == "CZ"
        assert [row.columns()[1] for row in admin.read_until("Z") if row.type == "D"] == ["no", "yes", "no"]
        assert kinds(admin.read_until("Z")) == "12DCZ"
        assert kinds(admin.read_until("Z")) == "CZ"
        assert kinds(admin.read_until("Z")) == "EZ"


@pytest.mark.pgweir
def test_much_is_sent_and_nothing_is_read(pgweir):
    """What a client does not read is not piled up: the console stops taking requests."""
    proxy = pgweir()
    with console(proxy) as wire:
        wire.rows("show config")
        before_kib, answers = proxy.rss_kib(), 6_000  # of 13 kB
        wire.socket.setblocking(True)
        sender = threading.Thread(target=wire.socket.sendall, args=(query("show config") * answers,))
        sender.start()
        time.sleep(1)
        assert proxy.rss_kib() - before_kib < 40_000
        for _ in range(answers):
            wire.read_until("Z")
        sender.join()


@pytest.mark.short
@pytest.mark.pgweir
def test_reload(cluster, pgweir):
    proxy = pgweir(databases={"gone": f"host={cluster.primary.host} port={cluster.primary.port} dbname=app"})
    with proxy.wire(dbname="gone") as leaving, proxy.wire() as staying:
        leaving.query("select 1")
        good = proxy.config.read_text()
        proxy.config.write_text(good.replace("[pgbouncer]", "[pgbouncer]\nno_such_key = 1"))
        assert refused(proxy, "reload") == ("F0000", "RELOAD failed, see logs for additional details")
        assert leaving.rows("select 1") == [("1",)]
        without = "\n".join(line for line in good.splitlines() if not line.startswith("gone"))
        proxy.config.write_text(without + "\nquery_wait_timeout = 7\n")
        assert tag(proxy, "RELOAD") == "RELOAD"
        config = {row["key"]: row for row in proxy.console("show config")}
        assert config["query_wait_timeout"]["value"] == "7" and config["listen_port"]["changeable"] == "no"
        assert "database removed" in leaving.reads_eof()[-1].fields()["M"]
        assert staying.rows("select 1") == [("1",)]


@pytest.mark.short
@pytest.mark.pgweir
def test_set(pgweir):
    proxy = pgweir()
    with proxy.wire() as client:
        client.query("select 1")
    assert tag(proxy, "SET client_idle_timeout = '0.5'") == "SET client_idle_timeout=0.5"
    assert tag(proxy, "set LISTEN_PORT = 1") == "SET LISTEN_PORT=1"  # read at start only: left alone
    config = {row["key"]: row["value"] for row in proxy.console("show config")}
    assert (config["client_idle_timeout"], config["listen_port"]) == ("0.5", str(proxy.port))
    with proxy.wire() as client:
        assert client.reads_eof()[-1].fields()["M"] == "client_idle_timeout"
    assert refused(proxy, "set no_such_key = 1") == ("08P01", "SET failed")
    assert refused(proxy, "set default_pool_size = many") == ("08P01", "SET failed")
    assert tag(proxy, "reload") == "RELOAD"
    config = {row["key"]: row["value"] for row in proxy.console("show config")}
    assert config["client_idle_timeout"] == "0"


@pytest.mark.short
@pytest.mark.pgweir
def test_reconnect_and_wait_close(pgweir):
    proxy = pgweir()
    backend = "select pg_backend_pid()"
    with proxy.wire() as client, proxy.wire(dbname="app_session") as session:
        first, held = client.rows(backend), session.rows(backend)
        assert tag(proxy, "RECONNECT app") == "RECONNECT"
        assert tag(proxy, "WAIT_CLOSE app") == "WAIT_CLOSE"
        assert client.rows(backend) != first
        assert tag(proxy, "RECONNECT") == "RECONNECT"
        waiting = Pending(proxy, "WAIT_CLOSE")
        assert waiting.is_waiting()
        assert session.rows(backend) == held  # a session keeps its server to its end
        session.terminate()
        assert waiting.answer() == ["WAIT_CLOSE"]
    assert refused(proxy, "wait_close pgbouncer") == ("08P01", "cannot wait in admin db: pgbouncer")


@pytest.mark.short
@pytest.mark.pgweir
@pytest.mark.parametrize("command", ["kill", "kill app"])
def test_kill(pgweir, command):
    proxy = pgweir()
    with proxy.wire() as busy, proxy.wire() as idle:
        busy.query("begin")
        idle.query("select 1")
        assert tag(proxy, command) == "KILL"
        assert [row["database"] for row in proxy.console("show clients")] == ["pgbouncer"]
        for wire in (busy, idle):
            assert wire.reads_eof()[-1].fields()["M"] == "database removed"
    with proxy.wire() as late:
        late.send(query("select 1"))
        assert late.is_quiet(0.3)
        assert tag(proxy, "resume app") == "RESUME"
        assert kinds(late.read_until("Z")) == "TDCZ"


@pytest.mark.short
@pytest.mark.pgweir
def test_kill_client(pgweir):
    proxy = pgweir()
    with proxy.wire() as victim, proxy.wire() as bystander, console(proxy) as admin:
        victim.query("begin")
        (target,) = [row for row in proxy.console("show clients") if row["state"] == "active"]
        assert tag(proxy, f"KILL_CLIENT {target['id']}") == "KILL_CLIENT"
        assert victim.reads_eof()[-1].fields()["M"] == "admin forced disconnect"
        assert bystander.rows("select 1") == [("1",)]
        assert refused(proxy, f"kill_client {target['id']}") == ("08P01", "client not found")
        assert refused(proxy, "kill_client me") == ("08P01", "invalid client pointer supplied")
        assert refused(proxy, "kill_client") == ("08P01", "invalid client pointer supplied")
        own = max((row for row in admin.table("show clients") if row["database"] == "pgbouncer"),
                  key=lambda row: int(row["id"]))
        admin.send(query(f"kill_client {own['id']}"))  # itself
        assert admin.reads_eof()[-1].fields()["M"] == "admin forced disconnect"


@pytest.mark.short
@pytest.mark.pgweir
def test_disable(pgweir):
    proxy = pgweir()
    with proxy.wire() as inside:
        assert tag(proxy, "DISABLE app") == "DISABLE"
        assert inside.rows("select 1") == [("1",)]
        with pytest.raises(ServerError) as error:
            proxy.wire()
        assert error.value.fields["M"] == 'database "app" is disabled'
        assert {row["name"]: row["disabled"] for row in proxy.console("show databases")}["app"] == "1"
        assert tag(proxy, "ENABLE app") == "ENABLE"
        proxy.wire().terminate()


@pytest.mark.pgweir
def test_names_that_are_none(pgweir):
    proxy = pgweir()
    for verb in ("pause", "resume", "disable", "enable", "reconnect", "kill", "wait_close"):
        assert refused(proxy, f"{verb} nowhere") == ("08P01", "no such database: nowhere")
    for verb in ("pause", "disable", "enable", "reconnect", "kill"):
        assert refused(proxy, f"{verb} pgbouncer") == ("08P01", f"cannot {verb} admin db: pgbouncer")
    for verb in ("disable", "enable"):
        assert refused(proxy, verb) == ("08P01", "a database is required")
    for text in ("", ";", "show", "show nothing", "reload app", "begging", "shutdown soon"):
        assert refused(proxy, text) == ("08P01", f"invalid command '{text}', use SHOW HELP;")


# ---------------------------------------------------------------- SUSPEND


def state(wire):
    return {row["key"]: row["value"] for row in wire.table("show state")}


@pytest.mark.short
@pytest.mark.pgweir
def test_suspend(pgweir):
    """Nothing is read and nobody accepted until RESUME; then all goes on."""
    proxy = pgweir()
    with proxy.wire() as idle, proxy.wire() as busy, console(proxy) as admin:
        backend = busy.rows("select pg_backend_pid()")
        busy.query("begin")
        assert tag_of(admin.query("SUSPEND")) == "SUSPEND"
        assert state(admin) == {"active": "no", "paused": "no", "suspended": "yes"}
        newcomer = Wire(proxy.port)
        newcomer.send(startup("app", "app"))
        for wire in (idle, busy):
            wire.send(query("select pg_backend_pid()"))
        assert newcomer.is_quiet(0.3) and idle.is_quiet(0) and busy.is_quiet(0)
        for command in ("suspend", "pause", "kill"):
            assert admin.query(command)[0].fields()["M"] == "already suspended/paused"
        assert tag_of(admin.query("RESUME")) == "RESUME"
        assert state(admin) == {"active": "yes", "paused": "no", "suspended": "no"}
        assert [busy.read_until("Z")[1].columns()] == backend  # the transaction's server
        assert kinds(idle.read_until("Z")) == "TDCZ"
        with newcomer:
            assert "K" in kinds(newcomer.read_until("Z"))
        assert busy.query("commit")[-1].body == b"I"


@pytest.mark.short
@pytest.mark.pgweir
@pytest.mark.parametrize("late", [False, True])
def test_suspend_waits_until_all_is_sent(pgweir, late):
    """Or until suspend_timeout, when who has not taken what it was sent is disconnected."""
    proxy = pgweir(suspend_timeout=1 if late else 60)
    size = 50_000_000
    with proxy.wire() as slow, console(proxy) as admin:
        slow.send(query(f"select repeat('x', {size})"))
        eventually(lambda: any(int(row["send_avail"]) > 0 for row in admin.table("show sockets")))
        admin.send(query("suspend"))
        if late:
            assert tag_of(admin.read_until("Z")) == "SUSPEND"
            assert [row["database"] for row in admin.table("show clients")] == ["pgbouncer"]
            assert "closing because: suspend_timeout" in proxy.log()
        else:
            assert admin.is_quiet(0.3)
            while admin.is_quiet(0.01):
                if select.select([slow.socket], [], [], 0)[0]:
                    slow.socket.recv(1 << 20)
            assert tag_of(admin.read_until("Z")) == "SUSPEND"
        assert tag_of(admin.query("resume")) == "RESUME"


@pytest.mark.short
@pytest.mark.pgweir
def test_suspend_ends_with_its_console(pgweir):
    """Nobody could log in any more to undo it."""
    proxy = pgweir()
    with proxy.wire() as client:
        with console(proxy) as admin:
            assert tag_of(admin.query("suspend")) == "SUSPEND"
            client.send(query("select 1"))
            assert client.is_quiet(0.3)
        assert kinds(client.read_until("Z")) == "TDCZ"
    assert "admin disappeared when suspended, doing RESUME" in proxy.log()


@pytest.mark.pgweir
def test_suspend_and_the_end(pgweir):
    proxy = pgweir()
    with proxy.wire(), console(proxy) as admin:
        assert tag_of(admin.query("pause app")) == "PAUSE"
        assert admin.query("suspend")[0].fields()["M"] == "cannot suspend with paused databases"
        admin.query("resume app")
        admin.query("suspend")
        assert proxy.stop(signal.SIGINT) == 0


# ---------------------------------------------------------------- the end


@pytest.mark.short
@pytest.mark.pgweir
def test_shutdown_at_once(pgweir):
    proxy = pgweir()
    with proxy.wire() as client, console(proxy) as admin:
        client.query("begin")
        admin.send(query("shutdown"))
        assert "C" not in kinds(admin.reads_eof())
        assert client.reads_eof()[-1].fields()["M"] == "pooler is shutting down"
    eventually(lambda: not proxy.process.alive)
    assert proxy.process.returncode == 0


@pytest.mark.short
@pytest.mark.pgweir
def test_shutdown_waits_for_servers(pgweir):
    proxy = pgweir()
    with proxy.wire() as busy, console(proxy) as admin:
        busy.query("begin")
        assert kinds(admin.query("SHUTDOWN WAIT_FOR_SERVERS")) == "CZ"
        with pytest.raises(ServerError, match="pooler is shutting down"):
            admin.rows("resume")
        with pytest.raises(ConnectionRefusedError):
            proxy.wire()
        assert busy.rows("select 1") == [("1",)]
        busy.send(query("commit"))
        assert "C" in kinds(busy.reads_eof())
    eventually(lambda: not proxy.process.alive)
    assert proxy.process.returncode == 0


@pytest.mark.short
@pytest.mark.pgweir
def test_shutdown_waits_for_clients(pgweir):
    proxy = pgweir()
    client = proxy.wire()
    assert tag(proxy, "shutdown wait_for_clients") == "SHUTDOWN"
    with pytest.raises(ConnectionRefusedError):
        proxy.wire()
    for _ in range(3):
        assert client.rows("select 1") == [("1",)]
    client.terminate()
    eventually(lambda: not proxy.process.alive)
    assert proxy.process.returncode == 0


@pytest.mark.short
@pytest.mark.pgweir
def test_end_of_the_process_while_a_pause_waits(pgweir):
    proxy = pgweir()
    with proxy.wire() as busy:
        busy.query("begin")
        pause = Pending(proxy, "pause")
        assert pause.is_waiting()
        assert proxy.stop(signal.SIGQUIT) == 0
        with pytest.raises(ConnectionClosed):
            pause.wire.read_until("Z")


# ---------------------------------------------------------------- who may


@pytest.mark.pgweir
def test_access(pgweir):
    proxy = pgweir()
    for show in COLUMNS:
        if show == "fds":
            assert refused(proxy, "show fds", "monitor") == ("08P01", "admin access needed")
        else:
            proxy.console(f"show {show}", "monitor")
    for command in ("reload", "pause", "resume", "pause app", "disable app", "enable app", "reconnect", "kill",
                    "kill_client 1", "suspend", "shutdown", "shutdown wait_for_clients", "wait_close",
                    "set verbose=1"):
        assert refused(proxy, command, "monitor") == ("08P01", "admin access needed")
    for dbname in ("pgbouncer", "pgweir"):
        with pytest.raises(ServerError) as error:
            proxy.wire(user="app", dbname=dbname)
        assert (error.value.fields["S"], error.value.fields["M"]) == ("FATAL", "not allowed")
    with proxy.wire(user="monitor", dbname="pgweir") as wire:
        assert wire.table("show clients")[0]["database"] == "pgbouncer"


@pytest.mark.pgweir
def test_no_command_is_issued_in_vain(pgweir):
    """A log line for each command that was begun, none for what was refused."""
    proxy = pgweir()
    refused(proxy, "kill", "monitor")
    tag(proxy, "reconnect app")
    assert "RECONNECT 'app' command issued" in proxy.log()
    assert "KILL command issued" not in proxy.log()
    assert "pooler error: admin access needed" in proxy.log()
