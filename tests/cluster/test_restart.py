"""Online restart (-R): listeners and clients go to the next process; systemd's sockets and messages."""
import os
import re
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from harness import eventually
from harness.pooler import sanitizer_of
from harness.postgres import PG_BIN
from harness.processes import IDENTITY, Process, Workdir
from harness.tls import Authority
from harness.wire import ConnectionClosed, query

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir, pytest.mark.short]


@pytest.fixture(scope="module")
def certificate():
    with Workdir() as directory:
        yield Authority(directory.path).certificate("pooler")


def clients(proxy):
    """SHOW CLIENTS of the present process without the console's own."""
    return [row for row in proxy.console("show clients") if row["database"] != "pgbouncer"]


def time_ago(seconds):
    """As the console writes it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - seconds))


def ended(process):
    assert process.wait(20) == 0, process.log()[-3000:]
    assert "ERROR" not in process.log(), process.log()[-3000:]


# ---- clients move


def test_idle_clients_move_with_their_session(pgweir):
    proxy = pgweir(default_pool_size=2)
    with proxy.wire() as one, proxy.wire(application_name="second") as two:
        one.query("set search_path = pg_catalog, public; set statement_timeout = '77s'; set time zone 'Asia/Tokyo'")
        one.query("prepare mine as select 42 as answer")
        two.query("select 1")
        ended(proxy.restart())
        eventually(lambda: {row["application_name"] for row in clients(proxy)} >= {"second"})
        assert one.rows("show statement_timeout") == [("77s",)]
        assert one.rows("show timezone") == [("Asia/Tokyo",)]
        assert one.rows("execute mine") == [("42",)]
        assert two.rows("show statement_timeout") == [("0",)]
        assert two.rows("show application_name") == [("second",)]
        one.query("reset all")
        assert one.rows("show statement_timeout") == [("0",)]


def test_limits_do_not_end_clients_that_move(pgweir):
    """They were counted in when they came, and their idleness begins anew."""
    proxy = pgweir(max_client_conn=10, client_idle_timeout=4, companion="[workers]\nthreads = 1\n")
    with proxy.wire() as one, proxy.wire() as two:
        proxy.write("pgweir.ini", (proxy.directory / "pgweir.ini").read_text().replace(
            "max_client_conn = 10", "max_client_conn = 1"))
        eventually(lambda: [one.rows("select 1"), two.rows("select 2")] and
                   min(row["connect_time"] for row in clients(proxy)) < time_ago(5), what="clients older than the limit")
        ended(proxy.restart())
        eventually(lambda: len(clients(proxy)) == 2, what="both of them here")
        assert one.rows("select 1") == [("1",)]
        assert two.rows("select 2") == [("2",)]


def test_those_of_a_paused_pool_are_carried_out(pgweir):
    """Nobody could resume it: the console's listener is the next process's."""
    proxy = pgweir()
    with proxy.wire() as one, proxy.wire() as two:
        assert one.rows("select 1") == [("1",)]
        proxy.console("pause app")
        two.send(query("select 2"))
        eventually(lambda: [row["state"] for row in clients(proxy)].count("waiting") == 1, what="one waits")
        ended(proxy.restart())
        two.read_until("Z")
        assert one.rows("select 1") == [("1",)]


def test_named_statements_move(pgweir):
    proxy = pgweir(default_pool_size=1)
    with proxy.connect(prepare_threshold=0) as link:
        assert link.execute("select %s::int + 1", [1]).fetchone() == (2,)
        ended(proxy.restart())
        for number in range(3):
            assert link.execute("select %s::int + 1", [number]).fetchone() == (number + 1,)
        ended(proxy.restart())
        assert link.execute("select %s::int + 1", [7]).fetchone() == (8,)


def test_busy_client_moves_when_its_transaction_is_over(pgweir):
    proxy = pgweir()
    with proxy.wire() as busy:
        busy.query("begin")
        before = proxy.restart()
        assert before.alive
        assert busy.rows("select 1") == [("1",)]
        assert not clients(proxy)
        assert [message.type for message in busy.query("commit")] == ["C", "Z"]
        ended(before)
        assert busy.rows("select 2") == [("2",)]
        assert len(clients(proxy)) == 1


def test_cancel_finds_a_client_wherever_it_is(pgweir, cluster):
    """A key works in the next process for who has moved and for who has not."""
    proxy = pgweir()
    sleeping = "state = 'active' and query like 'select pg_sleep%'"
    with proxy.wire() as moved, proxy.wire() as stays:
        stays.query("begin")
        before = proxy.restart()
        eventually(lambda: len(clients(proxy)) == 1, what="the idle client in the next process")
        for client in (moved, stays):
            client.send(query("select pg_sleep(60)"))
            eventually(lambda: cluster.primary.backends(sleeping), what="the query on the server")
            client.cancel()
            answer = client.read_until("Z")
            assert any(message.type == "E" and b"57014" in message.body for message in answer)
            eventually(lambda: not cluster.primary.backends(sleeping), what="its end")
        stays.query("rollback")
        ended(before)


def backend_pid(wire):
    return wire.rows("select pg_backend_pid()")[0][0]


@pytest.mark.parametrize("host", ["127.0.0.1", "the socket"])
def test_session_clients_move_with_their_server(pgweir, cluster, host):
    """Everything in the session stays as it is, since the server does."""
    where = cluster.primary.directory if host == "the socket" else host
    entry = f"host={where} port={cluster.primary.port} dbname=app pool_mode=session"
    proxy = pgweir(databases={"app": entry}, default_pool_size=2)
    with proxy.wire(dbname="app") as one, proxy.wire(dbname="app") as unasked:
        one.query("set work_mem = '7MB'; create temporary table mine as select 1 as n; listen news")
        one.query("prepare p as select 40 + n from mine")
        server = backend_pid(one)
        ended(proxy.restart())
        ended(proxy.restart())
        assert backend_pid(one) == server
        assert one.rows("show work_mem") == [("7MB",)]
        assert one.rows("execute p") == [("41",)]
        cluster.primary.rows("notify news, 'heard'", dbname="app")
        assert one.read_until("A")[-1].body.endswith(b"news\0heard\0")
        assert unasked.rows("select 1") == [("1",)]
        (pool,) = [row for row in proxy.console("show pools") if row["database"] == "app"]
        assert (pool["sv_active"], pool["sv_idle"]) == ("2", "0")
        one.send(query("select pg_sleep(60)"))
        eventually(lambda: cluster.primary.backends("state = 'active' and query like 'select pg_sleep%'"),
                   what="the query on the server")
        one.cancel()
        assert any(b"57014" in message.body for message in one.read_until("Z"))
    with proxy.wire(dbname="app") as fresh:  # it is a server of the pool like any other, and was cleaned
        assert fresh.rows("show work_mem") != [("7MB",)]


def test_pinned_clients_move_with_their_server(pgweir, cluster):
    proxy = pgweir(default_pool_size=2)
    with proxy.wire() as one, proxy.wire() as other:
        one.query("set time zone 'Asia/Tokyo'; create temporary table mine as select 1 as n")
        one.query("prepare p as select 40 + n from mine")
        one.query("select pg_advisory_lock(4711)")
        other.query("select 1")
        server = backend_pid(one)
        ended(proxy.restart())
        assert backend_pid(one) == server
        assert {row["reasons"] for row in proxy.console("show pins")} == {"advisory lock, temporary object"}
        assert one.rows("execute p") == [("41",)]
        assert one.rows("show timezone") == [("Asia/Tokyo",)]
        assert other.rows("select pg_try_advisory_lock(4711)") == [("f",)]
        one.query("select pg_advisory_unlock(4711)")
        one.query("drop table mine")
        eventually(lambda: not proxy.console("show pins"), what="the answer that there is nothing any more")
        assert other.rows("show timezone") != [("Asia/Tokyo",)]


def heard(wire):
    message = wire.read()
    assert message.type == "A", message
    return int(message.body[4:].split(b"\0")[1])


@pytest.mark.parametrize("threads", (1, 2))
def test_listeners_move_and_miss_nothing(pgweir, cluster, certificate, threads):
    """Somebody notifies all the time; everybody is told everything, once and in order, with no warning."""
    cert, key = certificate
    proxy = pgweir(default_pool_size=2, companion=f"[workers]\nthreads = {threads}\n", client_tls_sslmode="allow",
                   client_tls_cert_file=cert, client_tls_key_file=key)
    speaker = cluster.primary.connect(user="app", dbname="app")
    said, done = 0, threading.Event()
    wires = [proxy.wire() for _ in range(20)]
    for wire in wires:
        wire.query("listen news")

    def speak():
        """A few are on their way at any time, and no more: the first listener has to have heard those before."""
        nonlocal said
        while not done.is_set():
            for number in range(said + 1, said + 11):
                speaker.execute(f"notify news, '{number}'")
            for number in range(said + 1, said + 11):
                assert heard(wires[0]) == number
            said = number

    def goes_on():
        reached = said
        eventually(lambda: said > reached + 100 or speech.done(), what="more that is heard")

    with ThreadPoolExecutor() as pool:
        speech = pool.submit(speak)
        try:
            with proxy.connect(sslmode="require"):  # the first process stays, for this client's sake
                goes_on()
                before = proxy.restart()
                eventually(lambda: len(clients(proxy)) == len(wires), what="the listeners in the next process")
                goes_on()
                assert before.alive
            ended(before)
            ended(proxy.restart())
            goes_on()
        finally:
            done.set()
        speech.result()
    assert len(clients(proxy)) == len(wires)
    for wire in wires:
        for number in range(1, said + 1):
            assert wire is wires[0] or heard(wire) == number
        assert wire.is_quiet(0)
        wire.query("unlisten news; listen others")
    speaker.execute("notify news, '0'")
    speaker.execute("notify others, '1'")
    speaker.close()
    for wire in wires:
        assert heard(wire) == 1
        wire.terminate()
    eventually(lambda: not clients(proxy))


def test_who_cannot_move_is_served_to_the_end(pgweir, certificate):
    """A client with TLS, and the console."""
    cert, key = certificate
    proxy = pgweir(client_tls_sslmode="allow", client_tls_cert_file=cert, client_tls_key_file=key)
    with proxy.connect(sslmode="require") as encrypted:
        encrypted.execute("set work_mem = '7MB'")
        before = proxy.restart()
        assert encrypted.execute("show work_mem").fetchone() == ("7MB",)
        assert before.alive
    ended(before)


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("protocol", ["simple", "prepared"])
def test_nothing_fails_under_load(pgweir, cluster, protocol, mode):
    with cluster.primary.connect(user="app", dbname="app") as link:
        link.execute("create table if not exists counted (n int); truncate counted")
    proxy = pgweir(default_pool_size=4 if mode == "transaction" else 10)
    script = proxy.write("count.sql", "insert into counted values (1);\n")
    with subprocess.Popen(
            [PG_BIN / "pgbench", "-n", "-f", script, "-M", protocol, "-c", "10", "-j", "2", "-T", "3", "-h",
             proxy.host, "-p", str(proxy.port), "-U", "app", proxy.entry(mode)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/") as load:
        eventually(lambda: len(clients(proxy)) == 10, what="pgbench's clients")
        ended(proxy.restart())
        ended(proxy.restart())
        output, _ = load.communicate(timeout=60)
    assert load.returncode == 0, output
    assert "number of failed transactions: 0 " in output, output
    made = int(re.search(r"actually processed: (\d+)", output)[1])
    assert cluster.primary.value("select count(*) from counted", dbname="app") == made


# ---- what may go wrong


def test_first_start_with_reboot(pgweir):
    proxy = pgweir(start=False)
    proxy.arguments.append("-R")
    proxy.start()
    assert "no process is there to take over from" in proxy.log()
    assert proxy.rows("select 1") == [("1",)]


def test_successor_that_does_not_come_up_changes_nothing(pgweir):
    """It dies after it was given the sockets: the configuration names an address that is not ours."""
    proxy = pgweir()
    good = proxy.config.read_text()
    with proxy.wire() as client:
        proxy.write("pgweir.ini", good.replace("listen_addr = 127.0.0.1", "listen_addr = 127.0.0.1, 192.0.2.1"))
        failed = Process([proxy.program, "-R", proxy.config], log=proxy.directory / "failed.log",
                         cwd=proxy.directory, environment=proxy.environment)
        assert failed.wait(20) == 1
        assert "cannot listen on 192.0.2.1" in failed.log()
        assert client.rows("select 1") == [("1",)]
        with proxy.wire() as fresh:
            assert fresh.rows("select 2") == [("2",)]
        proxy.write("pgweir.ini", good)
        ended(proxy.restart())
        assert client.rows("select 3") == [("3",)]


def is_served(client):
    """False: it was closed. That neither is so would be a timeout."""
    try:
        return client.rows("select 1") == [("1",)]
    except (ConnectionClosed, ConnectionError):
        return False


def test_a_successor_that_dies_takes_only_what_it_was_given(pgweir):
    proxy = pgweir()
    with ExitStack() as stack:
        busy = stack.enter_context(proxy.wire())
        busy.query("begin")
        idle = [stack.enter_context(proxy.wire()) for _ in range(100)]
        before = proxy.restart()
        proxy.kill()
        eventually(lambda: "the next process has ended" in before.log())
        served = [is_served(client) for client in idle]
        busy.query("commit")
        assert is_served(busy)
    print(f"{sum(served)} of 100 are served by the first process")
    assert before.wait(20) == 0


def test_a_successor_without_descriptors_leaves_nobody_hanging(pgweir):
    """It cannot have all that is on its way to it: those clients are closed, the others served."""
    proxy = pgweir()
    if sanitizer_of(proxy.program) == "asan":
        pytest.skip("UBSan needs descriptors to look at an object")
    with ExitStack() as stack:
        busy = stack.enter_context(proxy.wire())
        busy.query("begin")
        idle = [stack.enter_context(proxy.wire()) for _ in range(100)]
        before = proxy.process
        proxy.process = Process(["prlimit", "--nofile=60:60", proxy.program, "-R", proxy.config], cwd=proxy.directory,
                                log=proxy.directory / "starved.log", environment=proxy.environment)
        eventually(lambda: "descriptors of the other process are lost" in proxy.process.log())
        served = [is_served(client) for client in idle]
        assert 0 < sum(served) < 100
        busy.query("commit")
        assert is_served(busy)
    assert before.wait(20) == 0
    assert proxy.stop() == 0


def test_pidfile_is_the_successors(pgweir):
    proxy = pgweir(pidfile="@DIR@/pid")
    pidfile = proxy.directory / "pid"
    assert int(pidfile.read_text()) == proxy.pid
    ended(proxy.restart())
    assert int(pidfile.read_text()) == proxy.pid
    assert proxy.stop() == 0
    assert not pidfile.exists()


# ---- systemd


def test_socket_activation(pgweir):
    proxy = pgweir(start=False, listen_addr="192.0.2.1")  # disregarded
    with socket.create_server(("127.0.0.1", proxy.port)) as listening:
        child = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{listening.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"', proxy.program,
             proxy.config], pass_fds=[listening.fileno()], cwd=proxy.directory, stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, **IDENTITY)
    try:
        with proxy.wire() as client:
            assert client.rows("select 1") == [("1",)]
    finally:
        child.send_signal(signal.SIGINT)
        _, log = child.communicate(timeout=20)
    assert child.returncode == 0, log
    assert "which systemd has opened" in log


def test_systemd_is_told(pgweir):
    proxy = pgweir(start=False)
    path = proxy.directory / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(path))
        os.chmod(path, 0o777)
        told.settimeout(20)
        proxy.environment |= {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"}
        proxy.start()

        def hear(word):
            """What is said until that word is."""
            said = ""
            while word not in said:
                said += told.recv(4096).decode() + "\n"
            return said

        assert f"MAINPID={proxy.pid}" in hear("READY=1")
        hear("WATCHDOG=1")
        proxy.reload()
        assert re.search(r"MONOTONIC_USEC=\d+", hear("RELOADING=1"))
        hear("READY=1")
        ended(proxy.restart())
        assert f"MAINPID={proxy.pid}" in hear(f"MAINPID={proxy.pid}")
        proxy.process.signal(signal.SIGINT)
        hear("STOPPING=1")
        assert proxy.process.wait(20) == 0
