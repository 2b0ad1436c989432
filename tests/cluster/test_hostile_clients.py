"""Clients that say what no driver would: none of them ends the process, keeps others out, or is given memory for what
it has only announced. (More of them: test_startup.py, test_disconnect.py, test_cancel.py, test_memory.py.)"""
import contextlib
import os
import resource
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from harness import ConnectionClosed, ServerError, Wire, eventually
from harness.pooler import LOOKED_INTO
from harness.postgres import PASSWORDS
from harness.wire import (FLUSH, SSL_REQUEST, SYNC, TERMINATE, bind, copy_data, execute, parse, password_message, query,
                          startup, untyped)

pytestmark = [pytest.mark.pgweir, pytest.mark.pooler, pytest.mark.short]

LENGTHS = (0, 1, 3, 4, 5, 7, 10_005, 1 << 20, 0x7fffffff, 0x80000000, 0xffffffff)
# How much a proxy may grow by what was given up. ASan keeps 256 MB of what is freed for a while.
ROOM_KIB = 300_000 if os.environ.get("PGWEIR_TESTS_SHORT") else 20_000


def ends(wire):
    """It is closed; the codes of the errors that came before."""
    return [one.fields()["C"] for one in wire.reads_eof() if one.type == "E"]


def descriptors(proxy):
    return len(os.listdir(f"/proc/{proxy.pid}/fd"))


# ------------------------------------------------------------------------------------------- before the log-in


def test_lengths_of_the_first_packet(pgweir):
    proxy = pgweir()
    before_kib = proxy.rss_kib()
    for length in LENGTHS:
        for behind in (b"", startup("app", "app")[4:], b"\0" * 9_000):
            with Wire(proxy.port) as wire:
                wire.send(struct.pack("!I", length) + behind)
                if length < 8 or length > 10_004:
                    assert set(ends(wire)) <= {"08P01"}
    assert proxy.rss_kib() - before_kib < ROOM_KIB
    assert proxy.rows("select 1") == [("1",)]


@pytest.mark.parametrize("size", [64, 1_024, 9_900, 100_000])
def test_long_names(pgweir, size):
    proxy = pgweir(auth_type="scram-sha-256")
    for user, dbname in (("u" * size, "app"), ("app", "d" * size)):
        with Wire(proxy.port) as wire:
            wire.send(startup(user, dbname))
            try:
                assert wire.read().type in "RE"
            except ConnectionClosed:
                assert size > 10_000
    assert proxy.rows("select 1") == [("1",)]


@pytest.mark.parametrize("body", [
    b"", b"\0", b"user", b"user\0", b"user\0app", b"user\0\0\0", b"\0app\0\0", b"user\0app\0database\0app\0",
    b"user\0app\0x", b"user\0app\0database\0\0\0garbage", b"\xff" * 100], ids=repr)
def test_odd_startup_packets(pgweir, body):
    proxy = pgweir()
    with Wire(proxy.port, timeout=5) as wire:
        wire.send(untyped(196608, body))
        wire.socket.shutdown(socket.SHUT_WR)
        assert all(len(code) == 5 for code in ends(wire))
    assert proxy.rows("select 1") == [("1",)]


def test_startup_in_pieces(pgweir):
    proxy = pgweir()
    with Wire(proxy.port) as wire:
        for byte in startup("app", "app") + query("select 'whole'"):
            wire.send(bytes([byte]))
        assert [one.columns() for one in wire.read_until("Z") + wire.read_until("Z") if one.type == "D"] == [("whole",)]


@pytest.mark.parametrize("first, second", [("scram_user", "postgres"), ("postgres", "scram_user")])
def test_two_users_in_one_packet(pgweir, first, second):
    """Whoever is let in has shown the password of the one it is."""
    proxy = pgweir(auth_type="scram-sha-256")
    packet = startup(first, "app")
    packet = struct.pack("!I", len(packet) + len(second) + 6) + packet[4:-1] + b"user\0" + second.encode() + b"\0\0"
    with Wire(proxy.port) as wire:
        wire.send(packet)
        try:
            message = wire.read()
            wire._authenticate(message.body, "", PASSWORDS["scram_user"])  # pylint: disable=protected-access
            wire.read_until("Z")
            assert wire.rows("select current_user") == [("scram_user",)]
        except (ServerError, ConnectionClosed, AssertionError) as refused:
            assert not isinstance(refused, AssertionError) or message.type == "E"


@pytest.mark.parametrize("said", [
    query("select 1"), parse("select 1") + bind() + execute() + SYNC, SYNC, FLUSH, TERMINATE, copy_data(b"x"),
    password_message(b""), password_message(b"x" * 100_000), b"p" + b"\x7f\xff\xff\xff", b"p\0\0\0\3", b"\0" * 50,
    b"GET / HTTP/1.1\r\n\r\n"], ids=lambda said: repr(said[:8]))
def test_instead_of_a_password(pgweir, said):
    proxy = pgweir(auth_type="scram-sha-256")
    with Wire(proxy.port) as wire:
        wire.send(startup("app", "app"))
        assert wire.read().type == "R"
        wire.send(said)
        if said == FLUSH:
            wire.socket.shutdown(socket.SHUT_WR)
        assert set(ends(wire)) <= {"08P01", "28P01", "28000"}
    with Wire(proxy.port) as wire:
        wire.send(said)
        with contextlib.suppress(OSError):  # it may have been closed already
            wire.socket.shutdown(socket.SHUT_WR)
        ends(wire)
    assert proxy.rows("select 1") == [("1",)]


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_wrong_password_on_a_warm_pool(pgweir, method):
    """That a server is there, logged in, lets nobody in."""
    proxy = pgweir(auth_type=method)
    assert proxy.rows("select 1") == [("1",)]
    for password in ("wrong", "", "x" * 2_000):
        with pytest.raises(ServerError) as refused:
            proxy.wire(password=password or "\0").close()
        assert refused.value.sqlstate in ("28P01", "08P01")
    assert proxy.rows("select 1") == [("1",)]


def test_handshakes_that_are_given_up(pgweir, certificate):
    cert, key = certificate
    proxy = pgweir(client_tls_sslmode="allow", client_tls_cert_file=cert, client_tls_key_file=key,
                   companion=LOOKED_INTO)
    hello = b"\x16\x03\x01\x02\x00\x01\0\x01\xfc\x03\x03" + b"\0" * 34

    def round_of_them():
        for said in (b"", hello[:3], hello, b"\0" * 600):
            for manner in (Wire.close, Wire.reset):
                wire = Wire(proxy.port)
                wire.send(untyped(SSL_REQUEST))
                assert wire.read_bytes(1) == b"S"
                wire.send(said)
                manner(wire)

    round_of_them()
    eventually(lambda: proxy.console("show lists") and True)
    before, before_kib = descriptors(proxy), proxy.rss_kib()
    for _ in range(25):
        round_of_them()
    eventually(lambda: descriptors(proxy) <= before, what="as many descriptors as before")
    assert proxy.rss_kib() - before_kib < ROOM_KIB


def test_renegotiation_is_refused(pgweir, certificate):
    cert, key = certificate
    proxy = pgweir(client_tls_sslmode="allow", client_tls_cert_file=cert, client_tls_key_file=key)
    said = subprocess.run(["openssl", "s_client", "-starttls", "postgres", "-tls1_2",
                           "-connect", f"127.0.0.1:{proxy.port}"],
                          input=b"R\n", capture_output=True, timeout=30, check=False)
    assert b"RENEGOTIATING" in said.stdout + said.stderr
    assert b"no renegotiation" in said.stdout + said.stderr
    assert proxy.rows("select 1") == [("1",)]


# ------------------------------------------------------------------------------------------- who takes places


def test_those_who_never_log_in(pgweir):
    """They have places of their own, and when those are taken, one that has been at it for long makes room."""
    proxy = pgweir(max_client_conn=100, client_login_timeout=600)
    slow = [Wire(proxy.port) for _ in range(150)]

    def held():
        return [wire for wire in slow if wire.is_quiet(0)]

    eventually(lambda: len(held()) == 100, what="no more than have places")
    assert eventually(lambda: proxy.rows("select 1")) == [("1",)]
    for _ in range(10):
        assert proxy.rows("select 1") == [("1",)]
    left = held()
    assert len(left) == 99
    assert ends(next(wire for wire in slow if wire not in left)) == ["53300"]
    left[0].send(startup("app", "app"))
    assert left[0].read_until("ZE")[-1].type == "Z"
    for wire in slow:
        wire.close()


def test_descriptors_beyond_1024(pgweir):
    resource.setrlimit(resource.RLIMIT_NOFILE, (8_192, max(8_192, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    proxy = pgweir(max_client_conn=3_000, companion=LOOKED_INTO)

    def logged_in():  # a Wire has select(), which ends at 1024
        link = socket.create_connection(("127.0.0.1", proxy.port), timeout=30)
        link.sendall(startup("app", "app"))
        heard = b""
        while not heard.endswith(b"Z\0\0\0\5I"):
            heard += link.recv(4_096)
        return link

    def asked(link):
        link.sendall(query("select 'found'"))
        heard = b""
        while not heard.endswith(b"Z\0\0\0\5I"):
            heard += link.recv(4_096)
        return b"found" in heard

    idle = [logged_in() for _ in range(1_100)]
    assert descriptors(proxy) > 1_100
    assert asked(idle[-1]) and asked(idle[0])
    for link in idle:
        link.close()


# ------------------------------------------------------------------------------------------- in session

BAD = {
    "a type that is none": b"\x01\0\0\0\4",
    "a type of the server's": b"D\0\0\0\5x",
    "a startup packet": startup("app", "app"),
    "a length of 0": b"Q\0\0\0\0",
    "a length of 3": b"Q\0\0\0\3",
    "a negative length": b"Q\xff\xff\xff\xff",
    "a query without its end": b"Q\0\0\0\x0cselect 1",
    "a Parse cut short": b"P\0\0\0\6a\0",
    "a Bind of too many": b"B\0\0\0\x0a\0\0\x7f\xff\0\0",
    "a Describe of nothing": b"D\0\0\0\6X\0",
    "a Sync with a body": b"S\0\0\0\x08abcd",
    "a password": password_message(b"secret\0"),
}


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_messages_that_are_none(pgweir, mode):
    """An error for that client, in or out of a transaction; its server is clean, or gone."""
    proxy = pgweir(default_pool_size=1)
    entry = proxy.entry(mode)
    for name, said in BAD.items():
        for before in ((), ("begin",)):
            with proxy.wire(dbname=entry) as wire:
                for sql in before:
                    wire.query(sql)
                wire.send(said, SYNC)
                wire.socket.shutdown(socket.SHUT_WR)
                assert all(len(code) == 5 for code in ends(wire)), name
            with proxy.wire(dbname=entry, timeout=10) as next_one:
                assert next_one.rows("select 1") == [("1",)], name


def test_announced_and_not_sent(pgweir):
    """Nothing is allocated for it, and no server is held by half a header."""
    proxy = pgweir(default_pool_size=1)
    proxy.rows("select 1")
    before_kib = proxy.rss_kib()
    wires = [proxy.wire() for _ in range(20)]
    for number, wire in enumerate(wires):
        wire.send((b"Q\x3f\xff\xff\xff", b"P\x3f\xff\xff\xff", b"B\x3f\xff\xff\xff", b"Q\0\0")[number % 4])
    with proxy.wire(timeout=10) as other:
        assert other.rows("select 1") == [("1",)]
    assert proxy.rss_kib() - before_kib < ROOM_KIB
    for wire in wires:
        wire.close()


@pytest.mark.parametrize("said", [query("select repeat('x', 1000)"), SYNC,
                                  parse("select 1") + bind() + execute() + SYNC],
                         ids=["queries", "syncs", "batches"])
def test_a_pipeline_nobody_reads(pgweir, said):
    """It is not read any further when enough of it is under way."""
    proxy = pgweir(default_pool_size=2)
    with proxy.wire() as wire, proxy.wire() as other:
        before_kib = proxy.rss_kib()
        wire.socket.setblocking(True)
        wire.socket.settimeout(2)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 1 << 30:
                sent += wire.socket.send(said * 1_000)
        assert other.rows("select 1") == [("1",)]
        assert proxy.rss_kib() - before_kib < 2 * ROOM_KIB
    assert proxy.rows("select 1") == [("1",)]


def test_an_abandoned_query_is_cancelled(pgweir, cluster):
    proxy = pgweir()
    running = lambda: cluster.primary.backends("query = 'select pg_sleep(600)' and state = 'active'")
    for manner in (Wire.close, Wire.reset):
        wire = proxy.wire()
        wire.send(query("select pg_sleep(600)"))
        eventually(lambda: running() == 1, what="the query running")
        manner(wire)
        eventually(lambda: running() == 0, what="the query cancelled")


def test_reloads_under_load(pgweir):
    """Good files and bad ones, one after the other, and nobody notices."""
    proxy = pgweir(default_pool_size=3)
    good = Path(proxy.config).read_text(encoding="ascii")
    over, problems = threading.Event(), []

    def ask():
        try:
            with proxy.wire() as wire:
                while not over.is_set():
                    assert wire.rows("select 1") == [("1",)]
        except Exception as problem:  # pylint: disable=broad-except
            problems.append(problem)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    with proxy.wire(user="postgres", dbname="pgbouncer") as console:
        for turn in range(40):
            bad = turn % 4 == 3
            proxy.write("pgweir.ini", good + ("nonsense = 1\n" if bad else f"query_timeout = {100 + turn}\n"))
            errors = [one for one in console.query("reload") if one.type == "E"]
            assert bool(errors) == bad
    over.set()
    for thread in threads:
        thread.join()
    assert not problems
