"""[peers]: a cancel request that comes to one process and is meant for another behind the same address."""
import contextlib
import socket
import struct

import pytest
from harness import eventually
from harness.wire import CANCEL_REQUEST, Wire, query, untyped

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]

SLEEP = "select pg_sleep(60)"


@pytest.fixture
def peers(pgweir, cluster):
    """Makes two processes, each with its own port, that know each other by number. `others`: what else each of them
    believes of its peers, by number; @1@ and @2@ are their ports."""
    def make(others=None, unix=False, **settings):
        made = {number: pgweir(cluster, start=False) for number in (1, 2)}
        for number, process in made.items():
            entries = [f"{peer} = host={made[peer].directory if unix else '127.0.0.1'} port={made[peer].port}"
                       for peer in made if peer != number] + (others or {}).get(number, [])
            text = process.ini(cluster, peer_id=number, **settings) + "[peers]\n" + "\n".join(entries) + "\n"
            process.write("pgweir.ini", text.replace("@1@", str(made[1].port)).replace("@2@", str(made[2].port)))
            process.start()
        return made[1], made[2]
    return make


def cancel(port, key):
    """Sends the request and waits until the other side closes."""
    with Wire(port) as wire:
        wire.send(untyped(CANCEL_REQUEST, key))
        wire.reads_eof()


def wait_for_sleeper(cluster):
    eventually(lambda: cluster.primary.backends(f"query = '{SLEEP}' and state = 'active'") == 1, what="the query runs")


def canceled(wire):
    return [message.fields()["C"] for message in wire.read_until("Z") if message.type == "E"]


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("unix", [False, True])
def test_forwarded(peers, cluster, unix, mode):
    one, two = peers(unix=unix)
    with one.wire(dbname=one.entry(mode)) as wire:
        for process in (two, one, two):  # where it goes to
            wire.send(query(SLEEP))
            wait_for_sleeper(cluster)
            cancel(process.port, wire.key)
            assert canceled(wire) == ["57014"]
        wire.terminate()


def test_forwarded_long_key(peers, cluster):
    one, two = peers()
    with Wire(one.port) as wire:
        wire.login("app", "app", protocol=3 << 16 | 2)
        assert len(wire.key) == 36
        wire.send(query(SLEEP))
        wait_for_sleeper(cluster)
        cancel(two.port, wire.key)
        assert canceled(wire) == ["57014"]
        wire.terminate()


def key_of(owner, hops):
    """A key of nobody's, as that process could have given it."""
    return struct.pack("<BHB", 1, owner, 2) + bytes([3, 4, 5, 0x40 | hops])


@pytest.mark.parametrize("owner, hops, outcome", [
    (9, 3, "could not find peer to forward request to"),
    (2, 0, "failed to forward cancel request because its TTL was exhausted"),
    (1, 3, "failed cancel request"),
])
def test_not_forwarded(peers, owner, hops, outcome):
    one, two = peers()
    cancel(one.port, key_of(owner, hops))
    eventually(lambda: f"closing because: {outcome} (age" in one.log(), what="the reason in the log")
    assert "cancel" not in two.log()


def test_wrong_secret(peers, cluster):
    """Forwarded, and known to nobody there."""
    one, two = peers()
    with one.wire() as wire:
        wire.send(query(SLEEP))
        wait_for_sleeper(cluster)
        cancel(two.port, wire.key[:4] + bytes(byte ^ 0x10 for byte in wire.key[4:]))
        eventually(lambda: "closing because: failed cancel request (age" in one.log(), what="the reason in the log")
        cancel(two.port, wire.key)
        assert canceled(wire) == ["57014"]
        wire.terminate()


def test_loop_is_bounded(peers):
    """Each believes that the other is peer 7."""
    one, two = peers({1: ["7 = host=127.0.0.1 port=@2@"], 2: ["7 = host=127.0.0.1 port=@1@"]}, verbose=1)
    cancel(one.port, key_of(7, 3))
    exhausted = "failed to forward cancel request because its TTL was exhausted"
    eventually(lambda: exhausted in two.log(), what="the reason in the log")
    assert (one.log() + two.log()).count("forwarding cancellation request to peer 7") == 3


def test_silent_peer(peers):
    """One request at a time may be under way to it; the next one waits, but not for ever."""
    with socket.create_server(("127.0.0.1", 0)) as silent, contextlib.ExitStack() as stack:
        entry = f"9 = host=127.0.0.1 port={silent.getsockname()[1]} pool_size=1"
        one, _ = peers({1: [entry]}, cancel_wait_timeout=1, server_tls_sslmode="disable")
        links = []
        for _ in range(2):
            links.append(stack.enter_context(Wire(one.port)))
            links[-1].send(untyped(CANCEL_REQUEST, key_of(9, 3)))
            if len(links) == 1:
                peer, _ = silent.accept()
                stack.callback(peer.close)

        def pool(*columns):
            rows = {row["peer_id"]: row for row in one.console("show peer_pools")}
            return [rows["9"][column] for column in columns]
        eventually(lambda: "closing because: cancel_wait_timeout (age" in one.log(), what="the second given up")
        assert pool("cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active_cancel", "sv_login") == list("1010")
        head = struct.pack("!II", 16, CANCEL_REQUEST)
        assert peer.recv(100) == head + key_of(9, 2)  # one hop less
        peer.close()
        eventually(lambda: pool("sv_active_cancel") == ["0"], what="the first one's end")
        assert "closing because: successfully sent cancel request (age" in one.log()


def test_unreachable_peer(peers):
    one, _ = peers({1: ["9 = host=nowhere.invalid port=1"]})
    cancel(one.port, key_of(9, 3))
    eventually(lambda: "cannot reach peer 9 at nowhere.invalid:1: connect failed" in one.log(), what="the log says so")
    assert "closing because: connect failed (age" in one.log()


def test_one_port(pgweir, cluster):
    """Two processes on one TCP port: wherever the kernel takes a cancel request to, it arrives."""
    one = pgweir(cluster, start=False)
    two = pgweir(cluster, start=False)
    for number, process, other in ((1, one, two), (2, two, one)):
        process.write("pgweir.ini", process.ini(cluster, so_reuseport=1, peer_id=number, listen_port=one.port)
                      + f"[peers]\n{3 - number} = host={other.directory} port={one.port}\n")
    one.start()
    two.port = one.port
    two.start()
    eventually(lambda: "listening on 127.0.0.1" in two.log(), what="the second one listening")
    for _ in range(8):
        with one.wire() as wire:
            wire.send(query(SLEEP))
            wait_for_sleeper(cluster)
            wire.cancel()
            assert canceled(wire) == ["57014"]
            wire.terminate()
