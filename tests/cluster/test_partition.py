"""A line is cut, one way or both, and nobody is told: between pgweir and a node, or between the nodes."""
import pytest
from harness import Cluster, eventually
from harness.cutter import Cutter, Lines
from harness.split import split_toml
from harness.wire import query

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]

SETUP = """
create table ledger (id int primary key);
create function here() returns int language sql stable as 'select inet_server_port()';
grant all on ledger to public;
"""
HEALTH = 'interval = "100ms"\ntimeout = "300ms"'


@pytest.fixture(scope="module")
def two_nodes():
    with Cluster(replicas=1, setup=SETUP) as made:
        yield made


@pytest.fixture
def lines(two_nodes):
    with Lines(two_nodes) as made:
        yield made
    two_nodes.primary.rows("delete from ledger", dbname="app")


def status(proxy, line):
    return [row["status"] for row in proxy.console("show nodes") if int(row["port"]) == line.port][0]


def start(pgweir, lines, failover=""):
    proxy = pgweir(toml=split_toml(lines, health=HEALTH, failover=failover))
    with proxy.wire() as wire:
        replica = lines.nodes[1].node.port
        eventually(lambda: wire.rows("select here()") == [(str(replica),)], what="reads on the replica")
    return proxy


def outcome(messages):
    return [m.fields()["C"] if m.type == "E" else m.type for m in messages if m.type in "CE"]


@pytest.mark.parametrize("ways", [("to", "from"), ("to",), ("from",)], ids=["both", "to", "from"])
def test_the_primarys_line(pgweir, lines, ways):
    """Reads go on; a write that was on its way is not known, one that comes later waits until the line is mended."""
    proxy = start(pgweir, lines)
    line = lines.nodes[0]
    with proxy.wire() as writes, proxy.wire() as waits, proxy.wire() as reads:
        for wire in (writes, waits):
            wire.query("delete from ledger where id = 0")
        eventually(lambda: reads.rows("select here()") == [(str(lines.nodes[1].node.port),)])
        line.cut(*ways)
        writes.send(query("insert into ledger values (1)"))
        eventually(lambda: status(proxy, line) == "down", what="the cut noticed")
        waits.send(query("insert into ledger values (2)"))
        assert reads.rows("select here()") == [(str(lines.nodes[1].node.port),)]
        assert waits.is_quiet()
        line.mend()
        assert outcome(waits.read_until("Z")) == ["C"]
        assert outcome(writes.read_until("Z")) == ["08007"]
        assert outcome(writes.query("insert into ledger values (3)")) == ["C"]
    rows = [row[0] for row in lines.cluster.primary.rows("select id from ledger order by id", dbname="app")]
    assert rows in ([2, 3], [1, 2, 3])
    if ways == ("to",):
        eventually(lambda: status(proxy, line) == "up")


@pytest.mark.parametrize("ways", [("to", "from"), ("to",), ("from",)], ids=["both", "to", "from"])
def test_an_open_transaction_sends_nothing_to_a_primary_in_doubt(pgweir, lines, ways):
    """So the COMMIT of one whose primary is lost has provably not been carried out."""
    proxy = start(pgweir, lines)
    line = lines.nodes[0]
    with proxy.wire() as wire:
        wire.query("begin")
        wire.query("insert into ledger values (4)")
        line.cut(*ways)
        eventually(lambda: status(proxy, line) in ("suspect", "down"), what="the cut noticed")
        wire.send(query("commit"))
        eventually(lambda: status(proxy, line) == "down")
        assert wire.is_quiet()
        line.mend()
        assert outcome(wire.read_until("Z")) == ["40001"]
        assert outcome(wire.query("rollback")) == ["C"]
        assert outcome(wire.query("insert into ledger values (5)")) == ["C"]
    assert lines.cluster.primary.rows("select id from ledger", dbname="app") == [(5,)]


def test_nobody_waits_for_a_silent_primary_longer_than_hold(pgweir, lines):
    """Neither with an answer outstanding nor with a request that was not read; who asks nothing is left alone."""
    proxy = start(pgweir, lines, failover='hold = "1s"')
    line = lines.nodes[0]
    in_transaction = lambda: [row for row in proxy.console("show servers") if row["database"] == "app" and row["link"]]
    with proxy.wire() as commits, proxy.wire() as asked, proxy.wire() as writes, proxy.wire() as rests:
        for number, wire in enumerate((commits, asked, rests), 10):
            wire.query("begin")
            wire.query(f"insert into ledger values ({number})")
        writes.query("delete from ledger where id = 0")
        line.cut()
        writes.send(query("insert into ledger values (21)"))
        asked.send(query("insert into ledger values (20)"))
        eventually(lambda: status(proxy, line) == "down")
        commits.send(query("commit"))
        assert outcome(commits.read_until("Z")) == ["40001"]
        assert outcome(asked.read_until("Z")) == ["40001"]
        assert outcome(writes.read_until("Z")) == ["08007"]
        assert len(in_transaction()) == 1
        assert rests.is_quiet()
        assert outcome(asked.query("select 1")) == ["25P02"]
        assert outcome(asked.query("rollback")) == ["C"]
        assert outcome(writes.query("insert into ledger values (22)")) == ["57P03"]
        line.mend()
        assert outcome(rests.query("commit")) == ["40001"]
        eventually(lambda: status(proxy, line) == "up")
        for wire in (commits, asked, writes):
            assert outcome(wire.query("update ledger set id = id + 100 where id > 100")) == ["C"]


def test_who_hangs_up_while_his_primary_is_in_doubt_is_gone(pgweir, lines):
    proxy = start(pgweir, lines)
    line = lines.nodes[0]
    clients = lambda: [row for row in proxy.console("show clients") if row["database"] == "app"]
    with proxy.wire() as wire:
        wire.query("begin")
        wire.query("insert into ledger values (6)")
        line.cut()
        eventually(lambda: status(proxy, line) == "down")
        assert len(clients()) == 1
    eventually(lambda: not clients(), what="the client gone")
    line.mend()
    eventually(lambda: status(proxy, line) == "up")


@pytest.mark.parametrize("ways", [("to", "from"), ("to",), ("from",)], ids=["both", "to", "from"])
def test_a_replicas_line(pgweir, lines, ways):
    """No read fails: it runs elsewhere."""
    proxy = start(pgweir, lines)
    line, ports = lines.nodes[1], [str(line.node.port) for line in lines.nodes]
    with proxy.wire() as wire:
        assert wire.rows("select here()") == [(ports[1],)]
        line.cut(*ways)
        assert wire.rows("select here()") == [(ports[0],)]
        eventually(lambda: status(proxy, line) == "down", what="the cut noticed")
        assert wire.rows("select here()") == [(ports[0],)]
        line.mend()
        eventually(lambda: wire.rows("select here()") == [(ports[1],)], what="reads on the replica again")


@pytest.fixture(scope="module")
def far_replica():
    """A cluster whose replica gets its log over a line; both."""
    with Cluster(replicas=1, setup=SETUP) as made:
        line, replica = Cutter(made.primary), made.replicas[0]
        replica.rows(f"alter system set primary_conninfo = 'host={line.host} port={line.port} user=postgres'")
        replica.rows("select pg_reload_conf()")
        eventually(lambda: replica.value("select sender_port from pg_stat_wal_receiver") == line.port,
                   what="the log over the line")
        yield made, line
        line.close()


@pytest.mark.parametrize("ways", [("to", "from"), ("from",), ("to",)], ids=["both", "from", "to"])
def test_the_line_between_the_nodes(pgweir, far_replica, ways):
    """What the session has written is seen at once, wherever it reads. A replica that gets no log any more gets no
    reads either when it is too far behind; one that only cannot confirm what it gets goes on."""
    cluster, line = far_replica
    primary, replica = ([(str(node.port),)] for node in cluster.nodes)
    proxy = pgweir(toml=split_toml(cluster, health=HEALTH, reads='max_lag = "1s"'))
    with proxy.wire() as wire, proxy.wire() as other:
        for reader in (wire, other):
            eventually(lambda reader=reader: reader.rows("select here()") == replica, what="reads on the replica")
        line.cut(*ways)
        for number in range(20):
            assert outcome(wire.query(f"insert into ledger values ({number})")) == ["C"]
            assert wire.rows(f"select id from ledger where id = {number}") == [(str(number),)]
        if "from" in ways:
            eventually(lambda: other.rows("select here()") == primary, what="the replica left alone")
            assert wire.rows("select count(*) from ledger") == [("20",)]
        line.mend()
        for reader in (wire, other):
            eventually(lambda reader=reader: reader.rows("select here()") == replica, what="reads on the replica")
            assert reader.rows("select count(*) from ledger") == [("20",)]
    cluster.primary.rows("delete from ledger", dbname="app")


def test_the_cut_off_primary_is_replaced(pgweir, private_cluster):
    """It lives on, and can be reached again: no write of ours is on it after the cut."""
    cluster = private_cluster(replicas=1, setup=SETUP)
    with Lines(cluster) as lines:
        proxy = start(pgweir, lines)
        old, new = cluster.nodes
        with proxy.wire() as wire, proxy.wire() as waits:
            wire.query("insert into ledger values (1)")
            cluster.catch_up()
            lines.nodes[0].cut()
            eventually(lambda: status(proxy, lines.nodes[0]) == "down", what="the cut noticed")
            waits.send(query("insert into ledger values (2)"))
            new.promote()
            assert outcome(waits.read_until("Z")) == ["C"]
            lines.nodes[0].mend()
            eventually(lambda: [row for row in proxy.console("show nodes") if row["role"] == "stale_primary"])
            for number in range(3, 20):
                assert outcome(wire.query(f"insert into ledger values ({number})")) == ["C"]
        assert old.rows("select id from ledger", dbname="app") == [(1,)]
        assert new.value("select count(*) from ledger", dbname="app") == 19
