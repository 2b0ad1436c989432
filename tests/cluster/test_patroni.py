"""A cluster of three nodes that Patroni and etcd look after, with its switchovers and failovers.

Run with PGWEIR_TESTS_PATRONI=1; needs the packages of the group `patroni`.
"""
import sys

import pytest
from harness import eventually
from harness.counters import SETUP, Book, Crowd
from harness.patroni import PatroniCluster, missing
from harness.split import split_toml
from harness.wire import ServerError

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir, pytest.mark.patroni,
              pytest.mark.skipif(bool(missing()), reason=missing())]


@pytest.fixture(scope="module")
def patroni():
    with PatroniCluster(setup=SETUP) as made:
        yield made


@pytest.fixture
def made(pgweir, patroni):
    """Makes a pgweir in front of all nodes, all of which are well; the argument is a line of its configuration."""
    def make(failover=""):
        eventually(lambda: len(patroni.followers()) == 2 and patroni.synchronous(), 90, "all nodes well")
        urls = ", ".join(f'"{node.url}"' for node in patroni.nodes)
        proxy = pgweir(toml=split_toml(patroni, health=f"patroni = [{urls}]", failover=failover))
        with proxy.wire() as wire:
            ports = {str(node.port) for node in patroni.followers()}
            eventually(lambda: wire.rows("select here()")[0][0] in ports, what="reads on replicas")
        return proxy
    return make


@pytest.fixture
def proxy(made):
    return made()


def busy(book, writes=100):
    """So many more writes are acknowledged."""
    before = sum(book.certain.values())
    eventually(lambda: sum(book.certain.values()) > before + writes, 90, "writes")


def crowd(proxy, book, patroni):
    ports = [node.port for node in patroni.nodes]  # any of them may come to lead
    return Crowd(proxy, book, 6, "patroni", ports.__contains__, writes=0.3, pause=0.01)


def check(book, patroni):
    leader = eventually(patroni.leader, 60, "a leader")
    book.check_end(leader.rows("select id, n from counters where n > 0", dbname="app"))
    assert not book.problems, "\n".join(book.problems[:20])
    leader.rows("update counters set n = 0", dbname="app")


def switched_over(proxy, patroni):
    """Nobody has an error when NODE SWITCHOVER moves the primary."""
    book, target = Book(), patroni.synchronous()[0]
    with crowd(proxy, book, patroni):
        busy(book)
        proxy.console(f"node switchover {target.host}:{target.port}")
        busy(book)
    assert patroni.leader() is target
    assert not book.refusals
    check(book, patroni)


def test_switchover_by_our_command(proxy, patroni):
    switched_over(proxy, patroni)


def test_switchover_by_the_operators_command(made, patroni):
    script = ("import json, os, urllib.request as u; ask = lambda path, body=None: u.urlopen(u.Request("
              f"'{patroni.nodes[0].url}' + path, data=body), timeout=30).read(); "
              "names = {'%s:%s' % (m['host'], m['port']): m['name'] for m in json.loads(ask('/cluster'))['members']}; "
              "ask('/switchover', json.dumps({'leader': names[os.environ['PGWEIR_PRIMARY']], "
              "'candidate': names[os.environ['PGWEIR_NODE']]}).encode())")
    switched_over(made(f"""switchover_command = '''{sys.executable} -c "{script}"'''"""), patroni)


def test_what_patroni_refuses_changes_nothing(proxy, patroni):
    leader, sync = patroni.leader(), patroni.synchronous()[0]
    [other] = [node for node in patroni.followers() if node is not sync]
    with proxy.wire() as wire:
        with pytest.raises(ServerError, match="Patroni: HTTP status 412"):  # it is no synchronous standby
            proxy.console(f"node switchover {other.host}:{other.port}")
        wire.query("update counters set n = 0 where id = 1")
    assert patroni.leader() is leader


def test_switchover_by_patroni(proxy, patroni):
    book, leader, target = Book(), patroni.leader(), patroni.synchronous()[0]
    with crowd(proxy, book, patroni):
        busy(book)
        leader.ask("/switchover", {"leader": leader.name, "candidate": target.name})
        busy(book)
    check(book, patroni)


def test_the_leader_dies(proxy, patroni):
    book, leader = Book(), patroni.leader()
    with crowd(proxy, book, patroni):
        busy(book)
        leader.kill()
        busy(book)
    assert patroni.leader() is not leader
    check(book, patroni)
    leader.start()
