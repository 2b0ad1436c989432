"""The line between pgweir and a node is cut, one way or both, and nobody is told."""
import pytest
from harness import Cluster, eventually
from harness.cutter import Lines
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


def start(pgweir, lines):
    proxy = pgweir(toml=split_toml(lines, health=HEALTH))
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


@pytest.mark.parametrize("ways", [("to", "from"), ("from",)], ids=["both", "from"])
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
