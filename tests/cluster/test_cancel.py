"""A cancel request reaches the query it was meant for, and no other."""
import threading
import time

import pytest
from harness import eventually
from harness.wire import SYNC, bind, execute, parse, query

pytestmark = pytest.mark.short

MODES = ("session", "transaction", "statement")
SLEEP = "select pg_sleep(30)"


def errors(messages):
    return [message.fields()["C"] for message in messages if message.type == "E"]


def wait_for_sleepers(cluster, count=1):
    eventually(lambda: cluster.primary.backends("query like '%pg_sleep(30)%' and state = 'active'") == count,
               what="the query runs")


@pytest.mark.parametrize("mode", MODES)
def test_running_query(cluster, pgweir, mode):
    proxy = pgweir(default_pool_size=2)
    with proxy.wire(dbname=proxy.entry(mode)) as wire:
        for messages in (query(SLEEP), parse(SLEEP) + bind() + execute() + SYNC):
            wire.send(messages)
            wait_for_sleepers(cluster)
            wire.cancel()
            assert errors(wire.read_until("Z")) == ["57014"]
            assert wire.rows("select 1") == [("1",)]
        wire.terminate()


def test_in_transaction(cluster, pgweir):
    with pgweir(default_pool_size=1).wire() as wire:
        wire.query("begin")
        wire.send(query(SLEEP))
        wait_for_sleepers(cluster)
        wire.cancel()
        messages = wire.read_until("Z")
        assert errors(messages) == ["57014"] and messages[-1].body == b"E"
        wire.query("rollback")
        assert wire.rows("select 1") == [("1",)]
        wire.terminate()


def test_wrong_keys_do_nothing(cluster, pgweir):
    with pgweir(default_pool_size=2).wire() as wire:
        wire.send(query("select pg_sleep(0.5), 'pg_sleep(30)'"))
        wait_for_sleepers(cluster)
        pid, secret = wire.key[:4], wire.key[4:]
        for key in (bytes(8), b"\xff" * 8, pid + bytes(4), pid + secret[::-1][:3] + b"\x55", bytes(4) + secret):
            if key != wire.key:
                wire.cancel(key)
        assert errors(wire.read_until("Z")) == []
        wire.terminate()


@pytest.mark.pooler
def test_idle_client_cancels_nobody(cluster, pgweir):
    """One server: the first client ran on it before, the second runs on it now. The first one's cancel is
    for nothing."""
    proxy = pgweir(default_pool_size=1)
    with proxy.wire() as first, proxy.wire() as second:
        first.query("select 1")
        second.send(query("select pg_sleep(1), 'pg_sleep(30)'"))
        wait_for_sleepers(cluster)
        for _ in range(5):
            first.cancel()
        assert errors(second.read_until("Z")) == []
        assert first.rows("select 1") == [("1",)]


def test_many_at_once(cluster, pgweir):
    proxy = pgweir(default_pool_size=10)
    wires = [proxy.wire() for _ in range(8)]
    for wire in wires:
        wire.send(query(SLEEP))
    wait_for_sleepers(cluster, len(wires))
    for wire in wires[::2]:
        wire.cancel()
    for wire in wires[::2]:
        assert errors(wire.read_until("Z")) == ["57014"]
    for wire in wires[1::2]:
        assert wire.is_quiet(0)
        wire.cancel()
        assert errors(wire.read_until("Z")) == ["57014"]
        wire.terminate()


def test_late_cancels_hit_nobody_else(pgweir):
    """Cancels that race with the end of their query: only the one who asked may ever see 57014."""
    proxy = pgweir(default_pool_size=2)
    deadline = time.monotonic() + 3
    hits = []

    def bystander():
        with proxy.wire() as wire:
            while time.monotonic() < deadline:
                for messages in (wire.query("select pg_sleep(0.001)"), wire.query("begin; select 1; commit")):
                    hits.extend(errors(messages))

    def canceller():
        with proxy.wire() as wire:
            while time.monotonic() < deadline:
                wire.send(query("select pg_sleep(0.002)"))
                wire.cancel()
                assert set(errors(wire.read_until("Z"))) <= {"57014"}

    threads = [threading.Thread(target=work) for work in (bystander, bystander, bystander, canceller, canceller)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not hits
