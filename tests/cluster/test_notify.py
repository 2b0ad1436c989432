"""LISTEN in transaction pooling beyond the session scripts: one connection listens for all clients."""
import struct

import pytest
from harness import eventually

pytestmark = [pytest.mark.short, pytest.mark.pgweir]

HUB = "query like '%LISTEN%pgweir%' and pid <> pg_backend_pid()"


def heard(wire):
    """The next notification: sender, channel, payload."""
    message = wire.read()
    assert message.type == "A", message
    (pid,) = struct.unpack_from("!I", message.body)
    channel, payload, _ = message.body[4:].split(b"\0")
    return pid, channel.decode(), payload.decode()


def pid_of(wire):
    return struct.unpack_from("!I", wire.key)[0]


def listeners(proxy, count, channel="news"):
    """Clients that listen and keep no server."""
    wires = [proxy.wire(dbname=proxy.entry("transaction")) for _ in range(count)]
    for wire in wires:
        wire.query(f"listen {channel}")
    with proxy.wire(dbname=proxy.entry("transaction")) as other:  # it gets the only server
        other.query("select 1")
    return wires


@pytest.mark.parametrize("threads", (1, 2))
def test_many_listeners_on_one_server(pgweir, threads):
    proxy = pgweir(default_pool_size=1, companion=f"[workers]\nthreads = {threads}\n")
    wires = listeners(proxy, 30)
    with proxy.wire(dbname=proxy.entry("transaction")) as speaker:
        for number in range(20):
            speaker.query(f"notify news, '{number}'")
    for wire in wires:
        assert [heard(wire)[2] for _ in range(20)] == [str(number) for number in range(20)]
    for wire in wires:
        assert wire.is_quiet(0)
        wire.terminate()


def test_sender_is_the_client(pgweir):
    proxy = pgweir(default_pool_size=1)
    (wire,) = listeners(proxy, 1)
    with proxy.wire(dbname=proxy.entry("transaction")) as speaker:
        speaker.query("notify news, 'x'")
        assert heard(wire) == (pid_of(speaker), "news", "x")
    own = [message for message in wire.query("notify news, 'own'") if message.type == "A"]
    assert [struct.unpack_from("!I", message.body)[0] for message in own] == [pid_of(wire)]
    assert wire.is_quiet()
    wire.terminate()


def test_the_listening_connection_is_lost(pgweir, cluster):
    proxy = pgweir(default_pool_size=1)
    wires = listeners(proxy, 3)
    assert cluster.primary.rows(f"select pg_terminate_backend(pid) from pg_stat_activity where {HUB}") == [(True,)]
    for wire in wires:
        warning = wire.read()
        assert warning.type == "N" and warning.fields()["S"] == "WARNING", warning
    with proxy.wire(dbname=proxy.entry("transaction")) as speaker:
        speaker.query("notify news, 'again'")
    for wire in wires:
        assert heard(wire)[1:] == ("news", "again")
        wire.terminate()


def test_the_listening_connection_ends_with_its_clients(pgweir, cluster):
    proxy = pgweir(default_pool_size=1)
    for wire in listeners(proxy, 2):
        assert cluster.primary.backends(HUB) == 1
        wire.terminate()
    eventually(lambda: cluster.primary.backends(HUB) == 0)
