"""The primary goes away and another takes its place: what clients notice of it."""
from contextlib import closing

import psycopg
import pytest
from harness import eventually
from harness.split import split_toml
from harness.wire import COPY_DONE, SYNC, bind, copy_data, execute, parse, query

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]

SETUP = "create table ledger (id int primary key); grant all on ledger to public"


@pytest.fixture
def made(private_cluster, pgweir):
    """Makes a cluster with a pgweir in front of it whose requests wait for a primary as long as `hold` says."""
    def make(replicas, hold="30s", settings=None, **options):
        cluster = private_cluster(replicas=replicas, setup=SETUP, settings=settings)
        proxy = pgweir(toml=split_toml(cluster, failover=f'hold = "{hold}"', **options))
        return cluster, proxy
    return make


def ends(messages):
    """The SQLSTATE of the error in an answer, if there is one, and the transaction status after it."""
    errors = [m.fields()["C"] for m in messages if m.type == "E"]
    return (errors or [None])[0], messages[-1].body.decode()


def insert(number):
    return parse(f"insert into ledger values ({number})") + bind() + execute() + SYNC


def received(proxy):
    return sum(int(row["bytes_received"]) for row in proxy.console("show stats_totals") if row["database"] == "app")


def primary_lost(cluster, proxy):
    cluster.primary.kill()
    eventually(lambda: not any(row["role"] == "primary" and row["status"] == "up"
                               for row in proxy.console("show nodes")), what="the loss noticed")


def test_a_request_waits_for_the_next_primary(made):
    cluster, proxy = made(1)
    with proxy.wire() as idle, proxy.wire() as other, proxy.wire() as begun:
        idle.query("insert into ledger values (1)")
        begun.query("begin")
        cluster.catch_up()
        primary_lost(cluster, proxy)
        # Rows of their own: who wants the row of an open transaction would wait for its end, in PostgreSQL itself.
        for number, wire in enumerate((idle, other, begun), start=2):
            wire.send(query(f"insert into ledger values ({number})"))
        cluster.replicas[0].promote()
        for wire in (idle, other):
            assert ends(wire.read_until("Z")) == (None, "I")
        assert ends(begun.read_until("Z")) == (None, "T")
        assert ends(begun.query("commit")) == (None, "I")
        assert idle.rows("select id from ledger order by id") == [("1",), ("2",), ("3",), ("4",)]


def test_reads_go_on_and_replicas_speak_for_the_node(made):
    cluster, proxy = made(1)
    with proxy.wire() as reads, proxy.wire() as writes:
        writes.query("insert into ledger values (1)")
        eventually(lambda: "its catalog is known" in proxy.log(), what="what is a read is known")
        cluster.catch_up()
        assert reads.rows("select pg_is_in_recovery()") == [("f",)]
        primary_lost(cluster, proxy)
        writes.send(query("insert into ledger values (2)"))
        assert reads.rows("select count(*) from ledger") == [("1",)]
        assert reads.rows("select pg_is_in_recovery(), count(*) from ledger") == [("t", "1")]
        cluster.replicas[0].promote()
        assert ends(writes.read_until("Z")) == (None, "I")
        assert reads.rows("select pg_is_in_recovery()") == [("f",)]


def test_who_waits_for_the_lost_primary_is_served_by_a_replica(made):
    cluster, proxy = made(1, pool="size = 1")
    with proxy.wire() as holds, proxy.wire() as tells, proxy.wire() as reads, proxy.wire() as writes:
        eventually(lambda: "its catalog is known" in proxy.log(), what="what is a read is known")
        replica = f"127.0.0.1:{cluster.replicas[0].port}"
        proxy.console(f"node drain {replica}")
        cluster.catch_up()
        holds.query("begin")
        holds.query("insert into ledger values (1)")
        writes.send(query("insert into ledger values (2)"))
        tells.send(query("select pg_is_in_recovery()"))
        reads.send(query("select count(*) from ledger"))
        eventually(lambda: sum(int(row["cl_waiting"]) for row in proxy.console("show pools")) == 3, what="all wait")
        proxy.console(f"node resume {replica}")
        primary_lost(cluster, proxy)
        assert [m.columns() for m in tells.read_until("Z") if m.type == "D"] == [("t",)]
        assert [m.columns() for m in reads.read_until("Z") if m.type == "D"] == [("0",)]
        assert ends(holds.query("commit"))[0] in ("40001", "08007")
        cluster.replicas[0].promote()
        assert ends(writes.read_until("Z")) == (None, "I")
        assert writes.rows("select id from ledger") == [("2",)]


def test_a_replica_that_had_no_room_is_asked_again(made):
    """There is no primary, and the only replica takes no more connections for the moment."""
    cluster, proxy = made(1, settings={"max_connections": "12"})
    replica = cluster.replicas[0]
    with proxy.wire() as reads, proxy.wire() as writes:
        eventually(lambda: "its catalog is known" in proxy.log(), what="what is a read is known")
        writes.query("insert into ledger values (1)")
        cluster.catch_up()
        taken = []
        with pytest.raises(psycopg.OperationalError, match="slots"):
            while True:
                taken.append(replica.connect(user="app", dbname="app"))
        primary_lost(cluster, proxy)
        reads.send(query("select count(*) from ledger"))
        failures = "server login failed: FATAL"
        eventually(lambda: proxy.log().count(failures) >= 2, what="logins that fail")
        taken.pop().close()
        assert [m.columns() for m in reads.read_until("Z") if m.type == "D"] == [("1",)]
        for link in taken:
            link.close()


def test_an_open_transaction_fails_once(made):
    cluster, proxy = made(1)
    with proxy.wire() as wire, proxy.wire() as commits:
        for one, number in ((wire, 1), (commits, 2)):
            one.query("begin")
            one.query(f"insert into ledger values ({number})")
        primary_lost(cluster, proxy)
        cluster.replicas[0].promote()
        assert ends(wire.query("insert into ledger values (3)")) == ("40001", "E")
        assert ends(wire.query("select 1")) == ("25P02", "E")
        assert ends(wire.query("rollback")) == (None, "I")
        # 08007 where nobody had noticed before the COMMIT was sent.
        assert ends(commits.query("commit")) in (("40001", "I"), ("08007", "I"))
        assert wire.rows("select count(*) from ledger") == [("0",)]


def test_a_write_under_way_is_not_known(made):
    cluster, proxy = made(1)
    with proxy.wire() as writes, proxy.wire(dbname="app_primary") as reads:
        reads.query("select 1")
        eventually(lambda: "its catalog is known" in proxy.log(), what="what is a read is known")
        writes.send(query("insert into ledger select 1 from pg_sleep(60)"))
        reads.send(query("select 1 from pg_sleep(0.5)"))
        eventually(lambda: cluster.primary.backends("query like '%pg_sleep%' and state = 'active'") == 2)
        primary_lost(cluster, proxy)
        assert ends(writes.read_until("Z")) == ("08007", "I")
        cluster.replicas[0].promote()
        assert ends(reads.read_until("Z")) == (None, "I")
        assert ends(writes.query("insert into ledger values (1)")) == (None, "I")


def test_a_batch_whose_beginning_is_lost_is_not_carried_out(made):
    cluster, proxy = made(1)
    with proxy.wire() as wire:
        wire.send(query("insert into ledger select 1 from pg_sleep(60)"))
        eventually(lambda: cluster.primary.backends("query like '%pg_sleep%' and state = 'active'") == 1)
        got = received(proxy)
        behind = insert(2) + parse("insert into ledger values (3)") + bind()
        wire.send(behind)
        eventually(lambda: received(proxy) == got + len(behind))
        primary_lost(cluster, proxy)
        for _ in range(2):
            assert ends(wire.read_until("Z")) == ("08007", "I")
        cluster.replicas[0].promote()
        assert ends(wire.ask(execute() + SYNC)) == ("08007", "I")
        assert ends(wire.ask(insert(4))) == (None, "I")
        assert wire.rows("select id from ledger") == [("4",)]


def test_a_copy_sent_at_once_is_one_request(made):
    """Its end was sent before the server could ask for data: it is no batch whose end is to come."""
    cluster, proxy = made(1)
    with proxy.wire() as wire, closing(cluster.primary.connect(dbname="app")) as locks:
        locks.execute("begin; lock ledger")
        wire.send(query("copy ledger from stdin") + copy_data(b"1\n") + COPY_DONE)
        eventually(lambda: cluster.primary.backends("wait_event_type = 'Lock'") == 1)
        primary_lost(cluster, proxy)
        assert ends(wire.read_until("Z")) == ("08007", "I")
        cluster.replicas[0].promote()
        assert ends(wire.query("insert into ledger values (2)")) == (None, "I")


def test_waiting_has_an_end(made):
    cluster, proxy = made(0, hold="1s")
    with proxy.wire() as simple, proxy.wire() as extended, proxy.wire() as begun:
        simple.query("insert into ledger values (1)")
        extended.ask(insert(2))
        begun.query("begin")
        primary_lost(cluster, proxy)
        simple.send(query("insert into ledger values (3)"))
        extended.send(insert(4))
        begun.send(query("insert into ledger values (5)"))
        assert ends(simple.read_until("Z")) == ("57P03", "I")
        assert ends(extended.read_until("Z")) == ("57P03", "I")
        assert ends(begun.read_until("Z")) == ("57P03", "E")
        assert ends(begun.query("rollback")) == (None, "I")
        cluster.primary.start()
        assert ends(simple.query("insert into ledger values (6)")) == (None, "I")
        assert ends(extended.ask(insert(7))) == (None, "I")


def test_prepared_statements_and_settings_come_along(made):
    cluster, proxy = made(1)
    with proxy.wire() as wire:
        wire.query("set application_name = 'here'; set work_mem = '7MB'")
        wire.ask(parse("select $1::int + 1", "mine") + SYNC)
        primary_lost(cluster, proxy)
        cluster.replicas[0].promote()
        rows = [m.columns() for m in wire.ask(bind(["1"], "mine") + execute() + SYNC) if m.type == "D"]
        assert rows == [("2",)]
        assert wire.rows("show work_mem") == [("7MB",)]
