"""NODE SWITCHOVER: another node becomes the primary under load, and no client has an error."""
import sys
import threading

import pytest
from harness import eventually
from harness.counters import SETUP, Book, Crowd
from harness.split import split_toml
from harness.wire import ServerError, query

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]


def name(node):
    return f"{node.host}:{node.port}"


def leader(proxy):
    return [f"{row['host']}:{row['port']}" for row in proxy.console("show nodes")
            if row["role"] == "primary" and row["status"] == "up"]


@pytest.fixture
def made(private_cluster, pgweir):
    """Makes a cluster with a pgweir in front of it; the arguments are lines of [clusters.main.failover]."""
    def make(replicas=1, failover=""):
        cluster = private_cluster(replicas=replicas, setup=SETUP)
        cluster.primary.rows("grant execute on function pg_catalog.pg_promote to monitor")
        cluster.catch_up()
        proxy = pgweir(toml=split_toml(cluster, health='timeout = "5s"', failover=failover))
        eventually(lambda: leader(proxy), what="a primary")
        for node in cluster.replicas:
            eventually(lambda node=node: [row for row in proxy.console("show nodes")
                                          if int(row["port"]) == node.port and row["eligible"] == "yes"])
        return cluster, proxy
    return make


def test_nobody_notices(made):
    cluster, proxy = made()
    old, new = cluster.nodes
    book = Book()
    with Crowd(proxy, book, 8, "switchover", [old.port, new.port].__contains__, writes=0.5), proxy.wire() as idle:
        eventually(lambda: sum(book.certain.values()) > 200, what="load")
        proxy.console(f"node switchover {name(new)}")
        assert leader(proxy) == [name(new)]
        frozen = old.value("select sum(n) from counters", dbname="app")
        before = sum(book.certain.values())
        eventually(lambda: sum(book.certain.values()) > before + 200, what="more load")
        assert idle.rows("select 1") == [("1",)]
    book.check_end(new.rows("select id, n from counters where n > 0", dbname="app"))
    assert not book.problems and not book.refusals, (book.problems[:10], book.refusals)
    assert old.is_primary() and old.value("select sum(n) from counters", dbname="app") == frozen
    assert "switchover is done" in proxy.log()


def test_by_the_operators_command(made):
    script = ("import os, psycopg; host, port = os.environ['PGWEIR_NODE'].split(':');"
              " psycopg.connect(host=host, port=port, user='postgres', dbname='postgres', autocommit=True)"
              ".execute('select pg_promote()'); print(os.environ['PGWEIR_PRIMARY'], file=open('told', 'w'))")
    cluster, proxy = made(failover=f"""switchover_command = '''{sys.executable} -c "{script}"'''""")
    with proxy.wire() as wire:
        wire.query("update counters set n = 7 where id = 7")
        proxy.console(f"node switchover {name(cluster.replicas[0])}")
        assert wire.rows("update counters set n = n + 1 where id = 7 returning n") == [("8",)]
    assert leader(proxy) == [name(cluster.replicas[0])]
    assert (proxy.directory / "told").read_text(encoding="utf-8").strip() == name(cluster.primary)


def test_what_fails_changes_nothing(made):
    cluster, proxy = made(failover="switchover_command = 'exit 3'\nswitchover_timeout = '4s'")
    [replica] = cluster.replicas
    target = f"node switchover {name(replica)}"
    for order, reason in ((f"node switchover {name(cluster.primary)}", "is the primary already"),
                          ("node switchover 127.0.0.1:1", "no such node"),
                          (target, "switchover_command: exit code 3")):
        with pytest.raises(ServerError, match=reason):
            proxy.console(order)
    with proxy.wire() as busy, proxy.wire() as waits:
        busy.query("begin")
        busy.query("update counters set n = n + 1 where id = 1")
        failed = []

        def give_order():
            try:
                proxy.console(target)
            except ServerError as error:
                failed.append(str(error))

        order = threading.Thread(target=give_order)
        order.start()
        eventually(lambda: proxy.log().count("switchover from") == 2, what="it has begun")
        waits.send(query("update counters set n = n + 1 where id = 2"))
        order.join(30)
        assert ["1 transactions are still under way" in text for text in failed] == [True], failed
        assert [m.type for m in waits.read_until("Z")] == ["C", "Z"]
        assert [m.type for m in busy.query("commit")] == ["C", "Z"]
    replica.rows("select pg_wal_replay_pause()")
    with proxy.wire() as wire:
        wire.query("update counters set n = n + 1 where id = 3")
        with pytest.raises(ServerError, match="has not replayed"):
            proxy.console(target)
        assert wire.rows("update counters set n = n + 1 where id = 3 returning n") == [("2",)]
    assert leader(proxy) == [name(cluster.primary)] and not replica.is_primary()


def test_without_the_right_to_promote(made):
    cluster, proxy = made()
    cluster.primary.rows("revoke execute on function pg_catalog.pg_promote from monitor")
    cluster.catch_up()
    with pytest.raises(ServerError, match="permission denied for function pg_promote"):
        proxy.console(f"node switchover {name(cluster.replicas[0])}")
    with proxy.wire() as wire:
        assert wire.rows("update counters set n = 1 where id = 1 returning n") == [("1",)]
