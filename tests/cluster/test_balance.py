"""Which replica gets a read, and what sessions tell each other about what they have to see."""
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import Cluster, eventually
from harness.split import split_toml

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]

SETUP = """
create table ledger (id int primary key);
create function here() returns int language sql stable as 'select inet_server_port()';
grant all on ledger to public;
"""


@pytest.fixture(scope="module")
def pair():
    """A primary and two replicas."""
    with Cluster(replicas=2, setup=SETUP) as made:
        yield made


def here(wire):
    return int(wire.rows("select here()")[0][0])


@pytest.fixture
def start(pgweir, pair):
    """Starts a pgweir for which both replicas are there, and the catalog too."""
    def make(**options):
        proxy = pgweir(toml=split_toml(pair, **options))
        ports = {node.port for node in pair.replicas}
        eventually(lambda: sum(row["eligible"] == "yes" for row in proxy.console("show nodes")) == 2,
                   what="two replicas to read from")
        with proxy.wire() as wire:
            eventually(lambda: here(wire) in ports, what="reads on replicas")
        return proxy
    return make


def with_zones(toml, pair, zones):
    """What split_toml() makes of the cluster, with a zone for each node."""
    for node, zone in zip(pair.nodes, zones):
        toml = toml.replace(f"port = {node.port} }}", f'port = {node.port}, zone = "{zone}" }}')
    return toml


@pytest.mark.parametrize("level", ["session", "eventual"])
@pytest.mark.parametrize("balance", ["least_latency", "least_connections", "round_robin"])
def test_replicas_get_even_shares(start, pair, balance, level):
    """Sessions that read at the same time."""
    proxy = start(reads=f'balance = "{balance}"\nconsistency = "{level}"')
    wires = [proxy.wire() for _ in range(20)]

    def read(wire):
        return [here(wire) for _ in range(20)]
    with ThreadPoolExecutor(len(wires)) as pool:
        ports = [port for found in pool.map(read, wires) for port in found]
    for wire in wires:
        wire.close()
    shares = [ports.count(node.port) for node in pair.replicas]
    assert sum(shares) == len(ports) == 400
    if level == "session" or balance == "round_robin":
        assert min(shares) >= 180, shares
    else:
        assert min(shares) >= 120, shares  # by what is under way at the moment, which is the machine's business


def test_the_own_zone_first(pgweir, pair):
    first, second = pair.replicas
    proxy = pgweir(toml=with_zones(split_toml(pair, reads='zone = "b"'), pair, ["a", "a", "b"]))
    with proxy.wire() as wire, proxy.wire() as other:
        eventually(lambda: here(wire) == second.port, what="reads in the zone")
        assert {here(one) for one in (wire, other) for _ in range(5)} == {second.port}
        proxy.console(f"node drain {second.host}:{second.port}")
        eventually(lambda: here(wire) == first.port, what="reads in the other zone")
        proxy.console(f"node resume {second.host}:{second.port}")
        eventually(lambda: here(wire) == here(other) == second.port, what="reads in the zone again")


@pytest.mark.parametrize("shown,claimed", [("causal_token", "causal_token"), ("lsn", "min_lsn")])
def test_a_token_tells_what_another_session_has_to_see(start, pair, shown, claimed):
    proxy = start(reads='wait = "0"')
    with proxy.wire() as writes, proxy.wire() as told, proxy.wire() as not_told:
        before = int(not_told.rows("select count(*) from ledger")[0][0])
        for node in pair.replicas:
            node.rows("select pg_wal_replay_pause()")
        try:
            writes.query("insert into ledger select coalesce(max(id), 0) + 1 from ledger")
            token = writes.rows(f"show pgweir.{shown}")[0][0]
            assert not_told.rows("select count(*) from ledger") == [(str(before),)]
            told.query(f"set pgweir.{claimed} = '{token}'")
            assert told.rows("select count(*) from ledger") == [(str(before + 1),)]
            assert here(told) == pair.primary.port and here(not_told) != pair.primary.port
        finally:
            for node in pair.replicas:
                node.rows("select pg_wal_replay_resume()")
        eventually(lambda: here(told) != pair.primary.port, what="reads on a replica again")
        assert told.rows("select count(*) from ledger") == [(str(before + 1),)]


def test_the_log_says_where_and_why(start, pair):
    proxy = start(databases='[log]\nlevel = "debug"')
    with proxy.wire() as wire:
        wire.query("select 'why', id from ledger")
        wire.query("select 'why', nextval('nothing')")
    replicas = [f"to {node.host}:{node.port}: read: select $1, id from ledger" for node in pair.replicas]
    assert any(line in proxy.log() for line in replicas)
    assert "to primary: function_volatile (nextval): select $1, nextval($2)" in proxy.log()
