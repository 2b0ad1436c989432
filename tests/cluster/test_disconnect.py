"""A client leaves, in every state and in every manner: nothing of it stays, and nobody else notices."""
import pytest
from harness import ConnectionClosed, Wire, eventually
from harness.pooler import TARGET
from harness.wire import (FLUSH, SYNC, TERMINATE, bind, copy_data, execute, parse, query, startup, untyped,
                          SSL_REQUEST)

pytestmark = pytest.mark.short

INSERT = "insert into d values (100, 'must not stay')"


@pytest.fixture(scope="module", autouse=True)
def tables(cluster):
    with cluster.primary.connect(user="app", dbname="app") as link:
        link.execute("create table d (id int, v text)")
    yield
    with cluster.primary.connect(user="app", dbname="app") as link:
        link.execute("drop table d")


# ---- states: each leaves the connection where its name says


def idle(wire):
    wire.query("select 1")


def fresh(_wire):
    pass


def in_transaction(wire):
    wire.query("begin; " + INSERT)


def in_failed_transaction(wire):
    wire.query("begin; " + INSERT)
    wire.query("select 1/0")


def parsed_without_sync(wire):
    wire.send(parse("select 1"), FLUSH)
    wire.read_until("1")


def executed_without_sync(wire):
    wire.send(parse(INSERT), bind(), execute(), FLUSH)
    wire.read_until("C")


def sent_without_flush(wire):
    wire.send(parse(INSERT), bind(), execute())


def failed_without_sync(wire):
    wire.send(parse("select 1/0"), bind(), execute(), FLUSH)
    wire.read_until("E")


def suspended_portal(wire):
    wire.send(parse("select * from generate_series(1, 100)"), bind(), execute("", 2), FLUSH)
    wire.read_until("s")


def suspended_portal_in_transaction(wire):
    in_transaction(wire)
    wire.ask(parse("select * from generate_series(1, 100)"), bind(portal="p"), execute("p", 2), SYNC)


def copying_in(wire):
    wire.send(query("copy d from stdin"))
    wire.read_until("G")
    wire.send(copy_data(b"100\tmust not stay\n"))


def copying_in_extended(wire):
    wire.send(parse("copy d from stdin"), bind(), execute(), FLUSH)
    wire.read_until("G")
    wire.send(copy_data(b"100\tmust not stay\n"), SYNC)


def copying_out(wire):
    wire.send(query("copy (select repeat('x', 1000) from generate_series(1, 20000)) to stdout"))
    wire.read_until("d")


def reading_rows(wire):
    wire.send(query("select repeat('x', 1000) from generate_series(1, 20000)"))
    wire.read_until("D")


def running(wire):
    wire.send(query("select pg_sleep(0.4)"))


def running_in_transaction(wire):
    in_transaction(wire)
    wire.send(query("select pg_sleep(0.4)"))


def deep_in_a_pipeline(wire):
    wire.send(*[parse("select $1::int") + bind([number]) + execute() + SYNC for number in range(300)])
    wire.read_until("Z")


def half_a_header(wire):
    wire.send(query("select 1")[:3])


def half_a_query(wire):
    wire.send(query(INSERT)[:20])


def half_a_query_in_transaction(wire):
    in_transaction(wire)
    wire.send(query("commit and what else")[:9])


def half_a_large_message(wire):
    wire.send(parse("select length($1::text)"), bind(["x" * 3_000_000])[:2_000_000])


STATES = [idle, fresh, in_transaction, in_failed_transaction, parsed_without_sync, executed_without_sync,
          sent_without_flush, failed_without_sync, suspended_portal, suspended_portal_in_transaction,
          copying_in, copying_in_extended, copying_out, reading_rows, running, running_in_transaction,
          deep_in_a_pipeline, half_a_header, half_a_query, half_a_query_in_transaction, half_a_large_message]
NEEDS_TRANSACTIONS = ("in_transaction", "in_failed_transaction", "suspended_portal_in_transaction",
                      "running_in_transaction", "half_a_query_in_transaction")


# ---- manners


def say_terminate(wire):
    wire.send(TERMINATE)
    wire.close()


def close(wire):
    wire.close()


def reset(wire):
    wire.reset()


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_leaving(cluster, pgweir, mode, state):
    if mode == "statement" and state.__name__ in NEEDS_TRANSACTIONS:
        pytest.skip("no transactions in statement mode")
    if TARGET == "pgbouncer" and state.__name__ == "deep_in_a_pipeline":
        pytest.skip("PgBouncer hands the rest of the answers to the next client")
    cluster.primary.rows("truncate d", dbname="app")
    proxy = pgweir(default_pool_size=1)
    entry = proxy.entry(mode)
    for manner in (say_terminate, close, reset):
        wire = proxy.wire(dbname=entry)
        state(wire)
        manner(wire)
        check_nothing_stays(cluster, proxy, entry, manner.__name__)


def check_nothing_stays(cluster, proxy, entry, where):
    with proxy.wire(dbname=entry, timeout=10) as other:  # the only server of the pool is to be had, and clean
        assert other.rows("select count(*) from d where id = 100") == [("0",)], where
        assert [message.type for message in other.query("select 1")][-1] == "Z", where
        other.terminate()
    eventually(lambda: cluster.primary.backends("usename = 'app' and state <> 'idle'") == 0,
               what=f"no busy backend after {where}")
    if proxy.has_console:
        counts = ("cl_active", "cl_waiting", "sv_active", "sv_login")
        eventually(lambda: not any(proxy.pool(entry)[count] for count in counts),
                   what=f"an empty pool after {where}")


@pytest.mark.parametrize("start", [b"", b"\0\0\0", startup("app", "app")[:12], untyped(SSL_REQUEST)],
                         ids=["nothing", "three bytes", "half a start-up", "SSLRequest"])
def test_leaving_before_login(pgweir, start):
    proxy = pgweir()
    for manner in (close, reset):
        wire = Wire(proxy.port)
        wire.send(start)
        manner(wire)
    assert proxy.rows("select 1") == [("1",)]


@pytest.mark.pooler
def test_leaving_while_waiting(pgweir):
    """Whoever has left the queue is passed over, and has not run what he sent."""
    proxy = pgweir(default_pool_size=1)
    with proxy.wire() as holder, proxy.wire() as last:
        holder.query("begin")
        for manner in (say_terminate, close, reset):
            waiting = proxy.wire()
            before = proxy.pool()["cl_waiting"]
            waiting.send(query(INSERT))
            eventually(lambda: proxy.pool()["cl_waiting"] == before + 1, what="a waiting client")
            manner(waiting)
            if TARGET != "pgbouncer":  # which notices when it is their turn
                eventually(lambda: proxy.pool()["cl_waiting"] == 0, what="nobody waiting")
        last.send(query("select count(*) from d"))
        holder.query("commit")
        assert [message.columns() for message in last.read_until("Z") if message.type == "D"] == [("0",)]


@pytest.mark.pooler
def test_server_killed_while_idle(cluster, pgweir):
    """A server that died in the pool is replaced without the client noticing."""
    proxy = pgweir(default_pool_size=1)
    with proxy.wire() as wire:
        for _ in range(3):
            ((pid,),) = wire.rows("select pg_backend_pid()")
            cluster.primary.rows("select pg_terminate_backend(%s, 5000)", [int(pid)])
            ((next_pid,),) = wire.rows("select pg_backend_pid()")
            assert next_pid != pid


@pytest.mark.pooler
def test_server_killed_in_transaction(cluster, pgweir):
    """It costs its client, with PostgreSQL's own words, and nobody else."""
    proxy = pgweir(default_pool_size=2)
    with proxy.wire() as bystander, proxy.wire() as victim:
        bystander.query("begin")
        victim.query("begin")
        ((pid,),) = victim.rows("select pg_backend_pid()")
        cluster.primary.rows("select pg_terminate_backend(%s, 5000)", [int(pid)])
        victim.send(query("select 1"))
        try:
            messages = victim.read_until("Z")
        except ConnectionClosed as closed:
            messages = closed.messages
        errors = [message.fields() for message in messages if message.type == "E"]
        assert errors, messages
        assert bystander.rows("select 1") == [("1",)]
        bystander.query("commit")
    assert proxy.rows("select 1") == [("1",)]
