"""Servers that say what no PostgreSQL would, or nothing, or too much: one of them costs its own connection, and
nobody else anything. (What they may try amid TLS and authentication is in test_tls.py and test_auth_tls.py.)"""
import os
import struct
import threading

import pytest
from harness import ConnectionClosed, ServerError, Wire, eventually
from harness.fake_server import CLEARTEXT, OK, READY, authentication, fake_server, message
from harness.wire import query, startup

pytestmark = [pytest.mark.pgweir, pytest.mark.pooler, pytest.mark.short]

MIB = 1 << 20
IDLE = message(b"Z", b"I")
ENDLESS = b"\x7f\xff\xff\xff"  # a length
SECONDS_MAX = 60


def row(text):
    return (message(b"T", struct.pack("!H", 1) + b"c\0" + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0))
            + message(b"D", struct.pack("!Hi", 1, len(text)) + text) + message(b"C", b"SELECT 1\0"))


def error(fields):
    return message(b"E", fields)


def behind(pgweir, port, **settings):
    """pgweir whose entry `app` is at that port; app_transaction is at a real server."""
    return pgweir(databases={"app": f"host=127.0.0.1 port={port} dbname=app"}, **settings)


def nobody_else_is_hurt(proxy):
    assert proxy.rows("select 'here'", dbname="app_transaction") == [("here",)]


def heard(wire, sql):
    """What comes of a query, up to ReadyForQuery or the end."""
    wire.send(query(sql))
    try:
        return wire.read_until("Z")
    except ConnectionClosed as closed:
        return closed.messages


def codes(messages):
    return [one.fields().get("C", "") for one in messages if one.type == "E"]


# ------------------------------------------------------------------------------------------- in mid-session

LIES = {
    "a type that is none": message(b"\x01", b"x"),
    "a length below four": b"D\0\0\0\3",
    "a status that is none": message(b"Z", b"x"),
    "a status of two": message(b"Z", b"II"),
    "authentication again": authentication(OK),
    "another key": message(b"K", struct.pack("!II", 3, 4)),
    "half a parameter": message(b"S", b"name"),
    "a parameter without end": b"S" + ENDLESS + b"x" * 100_000,
    "a tag without its end": message(b"C", b"SELECT 1"),
    "half an error": message(b"E", b"SERROR"),
    "the end of a copy": message(b"c"),
    "the answer to a Bind": message(b"2"),
}


@pytest.mark.parametrize("lie", LIES)
def test_in_place_of_an_answer(pgweir, lie):
    """The client is told, with a code, or loses its connection; what follows gets another server."""
    def story(session):
        session.send(READY)
        while True:
            kind, body = session.read()
            if kind == b"Q" and b"lie" in body:
                session.send(LIES[lie])
                session.link.shutdown(1)  # nothing more comes of it
            elif kind == b"Q":
                session.send(row(b"true") + IDLE)

    with fake_server(story) as (port, _):
        proxy = behind(pgweir, port, default_pool_size=1)
        with proxy.wire() as wire, proxy.wire() as other:
            assert all(len(code) == 5 for code in codes(heard(wire, "lie")))
            assert [one.columns() for one in heard(other, "select 1") if one.type == "D"] == [("true",)]
        nobody_else_is_hurt(proxy)


@pytest.mark.parametrize("fields", [b"SERROR\0Mno code\0\0", b"SERROR\0C\0Mempty\0\0", b"SERROR\0C123456\0Mlong\0\0",
                                    b"\0", b"SERROR\0VERROR\0\0"])
def test_errors_without_a_code(pgweir, fields):
    """They are told as XX000, and the connection is good for more."""
    def story(session):
        session.send(READY)
        while True:
            kind, body = session.read()
            if kind == b"Q":
                session.send((error(fields) if b"fail" in body else row(b"true")) + IDLE)

    with fake_server(story) as (port, sessions):
        with behind(pgweir, port).wire() as wire:
            for _ in range(2):
                messages = heard(wire, "fail")
                assert [one.type for one in messages] == ["E", "Z"]
                assert codes(messages) == ["XX000"]
                assert wire.rows("select 1") == [("true",)]
            assert len(sessions) == 1


UNASKED = {
    "a row": row(b"somebody else's"),
    "a whole answer": row(b"somebody else's") + IDLE,
    "a status": IDLE,
    "a transaction": message(b"Z", b"T"),
    "an error": error(b"SERROR\0C42601\0Mof somebody else\0\0") + IDLE,
    "nonsense": b"HTTP/1.1 200 OK\r\n\r\n",
    "the beginning of a row": b"D\0\0\1\0\0\1",
}


@pytest.mark.parametrize("lie", UNASKED)
def test_unasked_while_idle(pgweir, lie):
    """Who speaks without being asked is closed, and the next client hears nothing of it."""
    def story(session):
        session.send(READY)
        number = str(len(sessions)).encode()
        while True:
            kind, _ = session.read()
            if kind == b"X":
                return
            session.send(row(number) + IDLE)
            if number == b"1":
                told.wait(20)
                session.send(UNASKED[lie])

    told = threading.Event()
    with fake_server(story) as (port, sessions):
        proxy = behind(pgweir, port, default_pool_size=1)
        with proxy.wire() as first, proxy.wire() as second:
            assert first.rows("select 1") == [("1",)]
            eventually(lambda: proxy.pool()["sv_idle"] == 1, what="an idle server")
            told.set()
            eventually(lambda: proxy.pool()["sv_idle"] == 0, what="the server to be closed")
            assert second.rows("select 1") == [("2",)]
            assert first.rows("select 1") == [("2",)]
        nobody_else_is_hurt(proxy)


def test_two_answers_to_one_question(pgweir):
    """The second one is nobody's: neither the one who asked nor the next gets it."""
    def story(session):
        session.send(READY)
        number = str(len(sessions)).encode()
        while session.read()[0] == b"Q":
            session.send((row(number) + IDLE) * (2 if number == b"1" else 1))

    with fake_server(story) as (port, sessions):
        proxy = behind(pgweir, port, default_pool_size=1)
        with proxy.wire() as first, proxy.wire() as second:
            answers = [one.columns() for one in heard(first, "select 1") if one.type == "D"]
            assert answers in ([("1",)], [])
            assert second.rows("select 1") == [("2",)]
            assert len(sessions) == 2


@pytest.mark.parametrize("flood", ["notices", "parameters", "notifications"])
def test_floods_that_nobody_reads(pgweir, flood):
    """What the client does not take is not taken from the server, and nothing of it is kept."""
    said = {"notices": message(b"N", b"SNOTICE\0C00000\0M" + b"x" * 8_000 + b"\0\0"),
            "parameters": message(b"S", b"a.%d\0" + b"x" * 8_000 + b"\0"),
            "notifications": message(b"A", struct.pack("!I", 1) + b"channel\0" + b"x" * 7_000 + b"\0")}[flood]

    def story(session):
        session.send(READY)
        session.read()
        session.link.settimeout(3)
        try:
            for _ in range(100 * MIB // len(said)):
                session.send(said)
        except TimeoutError:
            pass
        over.set()

    over = threading.Event()
    with fake_server(story) as (port, _):
        proxy = behind(pgweir, port)
        with proxy.wire() as wire:
            before_kib = proxy.rss_kib()
            wire.send(query("select 1"))
            assert over.wait(SECONDS_MAX)
            nobody_else_is_hurt(proxy)
            assert proxy.rss_kib() - before_kib < 30_000


# ------------------------------------------------------------------------------------------- at log-in

AT_LOGIN = {
    "an error without a code": error(b"SFATAL\0Mbroken\0\0"),
    "an empty error": error(b"\0"),
    "half an error": error(b"SFATAL\0C28"),
    "a type that is none": message(b"\x02", b"x"),
    "a length below four": b"R\0\0\0\1\0\0\0\0",
    "a length without end": b"R" + ENDLESS,
    "half an authentication": message(b"R", b"\0\0"),
    "a row": row(b"early"),
    "ready, and not let in": IDLE,
    "half a parameter": authentication(OK) + message(b"S", b"server_version"),
    "half a key": authentication(OK) + message(b"K", b"\0\0"),
    "a copy": authentication(OK) + message(b"G", b"\0\0\0"),
}


@pytest.mark.parametrize("lie", AT_LOGIN)
def test_at_login(pgweir, lie):
    with fake_server(lambda session: session.send(AT_LOGIN[lie])) as (port, _):
        proxy = behind(pgweir, port, query_wait_timeout=1, server_login_retry=1)
        with Wire(proxy.port) as wire:
            wire.send(startup("app", "app"))
            told = codes(wire.reads_eof())
            assert len(told) == 1 and len(told[0]) == 5
        nobody_else_is_hurt(proxy)


def hangs(session):
    session.link.recv(1)


def drips(session):
    for byte in READY * 100:
        session.send(bytes([byte]))
        if stopped.wait(0.05):
            return


def stalls(session):
    session.send(b"R" + struct.pack("!I", MIB - 100) + struct.pack("!I", OK))
    session.link.recv(1)


stopped = threading.Event()


@pytest.mark.parametrize("story", [hangs, drips, stalls])
def test_login_that_never_ends(pgweir, story):
    """One deadline for all of it, dripping or not; who waits hears of it."""
    stopped.clear()
    with fake_server(story) as (port, sessions):
        proxy = behind(pgweir, port, server_connect_timeout=1, query_wait_timeout=2)
        with Wire(proxy.port) as wire:
            wire.send(startup("app", "app"))
            assert len(codes(wire.reads_eof())) == 1
        assert sessions
        assert "connect timeout" in proxy.log() or "query_wait_timeout" in proxy.log()
        nobody_else_is_hurt(proxy)
        stopped.set()


@pytest.mark.parametrize("flood", ["notices", "parameters"])
def test_floods_at_login(pgweir, flood):
    """Of parameters the first few are remembered, of notices nothing."""
    def story(session):
        session.send(authentication(OK))
        for number in range(2_000):
            session.send(message(b"N", b"SNOTICE\0C00000\0M" + b"x" * 10_000 + b"\0\0") if flood == "notices" else
                         message(b"S", b"a.b%d\0" % number + b"x" * 10_000 + b"\0"))
        session.send(READY[len(authentication(OK)):])
        while session.read()[0] == b"Q":
            session.send(row(b"true") + IDLE)

    with fake_server(story) as (port, _):
        proxy = behind(pgweir, port)
        before_kib = proxy.rss_kib()
        assert proxy.rows("select 1") == [("true",)]
        sanitized = "PGWEIR_TESTS_SHORT" in os.environ  # ASan keeps what is freed for a while
        assert sanitized or proxy.rss_kib() - before_kib < 10_000


@pytest.mark.parametrize("size", [2_000, 100_000])
def test_nonce_without_measure(pgweir, size):
    def story(session):
        session.scram("app-secret", nonce_size=size)

    with fake_server(story) as (port, _):
        proxy = behind(pgweir, port, query_wait_timeout=1, userlist={"app": "app-secret"})
        with pytest.raises(ServerError):
            proxy.wire()
        nobody_else_is_hurt(proxy)


@pytest.mark.parametrize("where, allowed", [("always", True), ("local", True), ("tls", False)])
def test_password_in_clear(pgweir, where, allowed):
    """A server that asks for it gets it where the operator says so (this one is at a loopback address)."""
    def story(session):
        session.send(authentication(CLEARTEXT))
        session.read()
        session.send(READY)

    with fake_server(story) as (port, sessions):
        proxy = behind(pgweir, port, query_wait_timeout=1, userlist={"app": "app-secret"},
                       companion=f'[auth]\nserver_cleartext = "{where}"\n')
        if allowed:
            proxy.wire().close()
        else:
            with pytest.raises(ServerError) as refused:
                proxy.wire()
            assert "in clear" in refused.value.fields["M"]
        assert any(b"app-secret" in session.heard for session in sessions) == allowed
        assert "app-secret" not in proxy.log()
