"""Large values and slow readers: passed on as they come, in bounded memory, and nobody else waits."""
import pytest
from harness import eventually
from harness.wire import COPY_DONE, SYNC, bind, copy_data, execute, parse, query

MIB = 1 << 20
SIZE = 100 * MIB
ROOM_KIB = 40 * 1024  # how much a proxy may grow while such a value passes: far less than the value
MODES = ("session", "transaction", "statement")


def peak_kib(proxy):
    return proxy.peak_kib() if proxy.has_console else 0


@pytest.mark.parametrize("mode", MODES)
def test_value_to_the_client(pgweir, mode):
    proxy = pgweir()
    with proxy.wire(dbname=proxy.entry(mode), timeout=120) as wire:
        wire.query("select 1")
        before = peak_kib(proxy)
        messages = wire.query(f"select repeat('x', {SIZE})")
        assert [message.type for message in messages] == ["T", "D", "C", "Z"]
        body = messages[1].body
        assert len(body) == SIZE + 6 and body.count(b"x") == SIZE
        assert peak_kib(proxy) - before < ROOM_KIB


@pytest.mark.parametrize("mode", MODES)
def test_value_to_the_server(pgweir, mode):
    proxy = pgweir()
    with proxy.wire(dbname=proxy.entry(mode), timeout=120) as wire:
        wire.query("select 1")
        before = peak_kib(proxy)
        data = bytes(range(256)) * (SIZE // 256)
        messages = wire.ask(parse("select length($1), md5($1)", types=[17]), bind([data], formats=[1]), execute(),
                            SYNC)
        assert [message.type for message in messages] == ["1", "2", "D", "C", "Z"]
        assert messages[2].columns()[0] == str(SIZE)
        assert peak_kib(proxy) - before < ROOM_KIB


def test_value_in_a_simple_query(pgweir):
    proxy = pgweir()
    with proxy.wire(timeout=120) as wire:
        wire.query("select 1")
        before = peak_kib(proxy)
        messages = wire.query("select length('" + "x" * SIZE + "')")
        assert messages[1].columns() == (str(SIZE),)
        assert peak_kib(proxy) - before < ROOM_KIB


def test_copy_both_ways(pgweir, cluster):
    cluster.primary.rows("create table large (v text)", dbname="app", user="app")
    proxy = pgweir()
    with proxy.wire(timeout=120) as wire:
        wire.query("select 1")
        before = peak_kib(proxy)
        rows = SIZE // MIB
        wire.ask(query("copy large from stdin"), *[copy_data(b"y" * (MIB - 1) + b"\n") for _ in range(rows)],
                 COPY_DONE)
        assert wire.rows("select count(*), sum(length(v)) from large") == [(str(rows), str(rows * (MIB - 1)))]
        messages = wire.query("copy large to stdout")
        assert sum(len(message.body) for message in messages if message.type == "d") == rows * MIB
        assert peak_kib(proxy) - before < ROOM_KIB
    cluster.primary.rows("drop table large", dbname="app", user="app")


@pytest.mark.pooler
def test_slow_reader_stops_only_its_own_server(pgweir, cluster):
    proxy = pgweir(default_pool_size=2)
    with proxy.wire(timeout=120) as slow, proxy.wire() as other:
        other.query("select 1")
        before = proxy.rss_kib()
        slow.send(query("select repeat('x', 1000000) from generate_series(1, 200)"))
        eventually(lambda: cluster.primary.backends("wait_event = 'ClientWrite'") == 1,
                   what="the server waits for its reader")
        for _ in range(20):
            assert other.rows("select 1") == [("1",)]
        assert proxy.rss_kib() - before < ROOM_KIB
        messages = slow.read_until("Z")
        assert sum(message.type == "D" for message in messages) == 200


@pytest.mark.pooler
def test_many_slow_readers(pgweir, cluster):
    """Ten clients that read nothing of 50 MB each: the proxy's memory is bounded by clients, not by bytes."""
    proxy = pgweir(default_pool_size=10)
    with proxy.wire() as other:
        other.query("select 1")
        before = proxy.rss_kib()
        slow = [proxy.wire(timeout=120) for _ in range(10)]
        for wire in slow:
            wire.send(query("select repeat('x', 1000000) from generate_series(1, 50)"))
        eventually(lambda: cluster.primary.backends("wait_event = 'ClientWrite'") == len(slow),
                   what="the servers wait for their readers")
        assert proxy.rss_kib() - before < ROOM_KIB
        for wire in slow:
            wire.reset()
        assert other.rows("select 1") == [("1",)]
