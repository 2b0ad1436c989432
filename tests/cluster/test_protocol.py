"""Protocol 3.2 on either side: what is negotiated, and cancel keys of any length."""
import struct
import threading

import pytest
from harness import ServerError, Wire, eventually
from harness.fake_server import OK, authentication, fake_server, message
from harness.wire import CANCEL_REQUEST, query, startup

pytestmark = [pytest.mark.pgweir, pytest.mark.pooler, pytest.mark.short]


def version(minor, major=3):
    return major << 16 | minor


def speak(proxy, asked, dbname="app", **options):
    """A connection of that version, and what it was told at start-up by type."""
    wire = Wire(proxy.port)
    wire.send(startup("app", dbname, protocol=asked, **options))
    told = {}
    for item in wire.read_until("ZE"):
        told.setdefault(item.type, []).append(item.body)
    if "K" in told:
        wire.key = told["K"][0]
    return wire, told


# ------------------------------------------------------------------------------------------- clients


def negotiation(told):
    """The version and the options that were refused."""
    if "v" not in told:
        return None
    newest, count = struct.unpack_from("!II", told["v"][0])
    names = told["v"][0][8:].split(b"\0")[:-1]
    assert len(names) == count
    return newest, [name.decode() for name in names]


@pytest.mark.parametrize("dbname", ["app", "pgbouncer"])
@pytest.mark.parametrize("minor, options, expected, size", [
    (0, {}, None, 4),
    (1, {}, None, 4),
    (2, {}, None, 32),
    (3, {}, (version(2), []), 32),
    (9999, {"_pq_.test": "on"}, (version(2), ["_pq_.test"]), 32),
    (0, {"_pq_.one": "1", "_pq_.two": ""}, (version(0), ["_pq_.one", "_pq_.two"]), 4),
    (2, {"_pq_.one": "1"}, (version(2), ["_pq_.one"]), 32),
])
def test_clients(pgweir, dbname, minor, options, expected, size):
    proxy = pgweir(admin_users="app")
    wire, told = speak(proxy, version(minor), dbname, **options)
    with wire:
        assert negotiation(told) == expected
        assert len(told["K"][0]) == 4 + size
        assert len(wire.rows("show version" if dbname == "pgbouncer" else "select 1")) == 1


@pytest.mark.parametrize("major, minor", [(2, 0), (4, 0), (1, 9)])
def test_other_protocols(pgweir, major, minor):
    _, told = speak(pgweir(), version(minor, major))
    assert list(told) == ["E"]


@pytest.mark.parametrize("minor", [0, 2])
def test_cancel(pgweir, cluster, minor):
    wire, _ = speak(pgweir(), version(minor))
    with wire:
        wire.send(query("select pg_sleep(60)"))
        running = lambda: cluster.primary.backends("query = 'select pg_sleep(60)' and state = 'active'")
        eventually(lambda: running() == 1, what="the query running")
        key = wire.key
        for wrong in (key[:8] + b"\0" * (len(key) - 8) if minor else key + b"\0", key[:-1] + bytes([key[-1] ^ 1]),
                      key + key[4:], key[:8] if minor else key * 2, b"\0" * len(key)):
            wire.cancel(wrong)
        assert wire.is_quiet(0.05) and running() == 1
        wire.cancel()
        assert wire.read_until("Z")[-2].fields()["C"] == "57014"


# ------------------------------------------------------------------------------------------- servers


def welcome(key):
    return (authentication(OK) + message(b"S", b"server_version\x0018.0\0") + message(b"K", struct.pack("!I", 77) + key)
            + message(b"Z", b"I"))


def answers(session, text=b"18"):
    """One row to every query."""
    while True:
        kind, _ = session.read()
        if kind == b"X":
            return
        assert kind == b"Q"
        session.send(message(b"D", struct.pack("!HI", 1, len(text)) + text) + message(b"C", b"SELECT 1\0")
                     + message(b"Z", b"I"))


def fake(pgweir, port, **settings):
    return pgweir(databases={"app": f"host=127.0.0.1 port={port}"}, **settings)


@pytest.mark.parametrize("minor", [0, 2])
@pytest.mark.parametrize("size", [4, 32, 256])
def test_servers_key(pgweir, minor, size):
    """Whatever key the server gives, of the client's cancel request it sees its own."""
    key = bytes(range(256))[:size]
    cancelled = threading.Event()

    def story(session):
        if session.code == CANCEL_REQUEST:
            assert session.startup == struct.pack("!I", 77) + key
            cancelled.set()
            session.link.shutdown(2)
            return
        assert session.code == version(2)
        session.send(welcome(key))
        assert session.read()[0] == b"Q"
        asked.set()
        assert cancelled.wait(20)
        session.send(message(b"E", b"SERROR\0C57014\0Mcanceled\0\0") + message(b"Z", b"I"))

    asked = threading.Event()
    with fake_server(story) as (port, _):
        wire, told = speak(fake(pgweir, port), version(minor))
        with wire:
            assert len(told["K"][0]) == (36 if minor else 8)
            wire.send(query("select 1"))
            assert asked.wait(20)
            wire.cancel()
            assert wire.read_until("Z")[0].fields()["C"] == "57014"


@pytest.mark.parametrize("size", [0, 3, 257])
def test_servers_bad_key(pgweir, size):
    with fake_server(lambda session: session.send(welcome(b"k" * size))) as (port, _):
        with pytest.raises(ServerError):
            fake(pgweir, port, query_wait_timeout=1).wire()


@pytest.mark.parametrize("newest", [version(0), version(1), 0, 1])
def test_servers_that_negotiate(pgweir, newest):
    def story(session):
        session.send(message(b"v", struct.pack("!II", newest, 0)) + welcome(b"1234"))
        answers(session)

    with fake_server(story) as (port, sessions):
        assert fake(pgweir, port).rows("select 1") == [("18",)]
        assert [session.code for session in sessions] == [version(2)]


@pytest.mark.parametrize("body", [
    struct.pack("!II", version(2), 0), struct.pack("!II", version(3), 0), struct.pack("!II", version(0, 4), 0),
    struct.pack("!II", version(0), 1) + b"_pq_.x\0", struct.pack("!I", version(0)),
    struct.pack("!II", version(0), 1 << 31)])
def test_servers_that_negotiate_nonsense(pgweir, body):
    def story(session):
        session.send(message(b"v", body) + welcome(b"1234"))

    with fake_server(story) as (port, _):
        with pytest.raises(ServerError):
            fake(pgweir, port, query_wait_timeout=1).wire()


@pytest.mark.parametrize("reply", [
    b"", message(b"E", b"SFATAL\0C0A000\0Munsupported frontend protocol 3.2: server supports 1.0 to 3.0\0\0"),
    message(b"E", b"SFATAL\0C08P01\0Munsupported protocol\0\0")])
def test_servers_without_minor_versions(pgweir, reply):
    """Who refuses 3.2, or hangs up over it, is asked for 3.0; from then on at once."""
    def story(session):
        if session.code != version(0):
            session.send(reply)
            session.link.shutdown(2)
            return
        session.send(welcome(b"1234"))
        answers(session)

    with fake_server(story) as (port, sessions):
        proxy = fake(pgweir, port, default_pool_size=2, server_lifetime=0)
        for _ in range(2):
            assert proxy.rows("select 1") == [("18",)]
        assert [session.code for session in sessions][:2] == [version(2), version(0)]
        assert {session.code for session in sessions[2:]} <= {version(0)}


def test_refusals_are_not_repeated(pgweir):
    """Any other word of the server is its answer."""
    def story(session):
        session.send(message(b"E", b"SFATAL\0C28000\0Mnot you\0\0"))

    with fake_server(story) as (port, sessions):
        with pytest.raises(ServerError) as error:
            fake(pgweir, port).wire()
        assert error.value.fields["M"] == "not you"
        assert {session.code for session in sessions} == {version(2)}
