"""NODE UPGRADE: another cluster, which logical replication has filled, takes the place of the first one."""
from types import SimpleNamespace

import pytest
from harness import eventually
from harness.counters import SETUP, Book, Crowd
from harness.split import split_toml
from harness.wire import ServerError

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]

TABLES = SETUP + """
create table numbered (id serial primary key, n int);
create table parts (n int primary key) partition by range (n);
create table part1 partition of parts for values from (0) to (1000);
create sequence unused;
grant all on all tables in schema public to public;
grant all on all sequences in schema public to app;
"""


def name(node):
    return f"{node.host}:{node.port}"


def row(proxy, node):
    [found] = [row for row in proxy.console("show nodes") if int(row["port"]) == node.port]
    return found


@pytest.fixture
def made(private_cluster, pgweir):
    """Makes two clusters, the first of which is in use, and a pgweir that knows the nodes of both."""
    def make(replicas):
        old = private_cluster(replicas=replicas, settings={"wal_level": "logical"}, setup=TABLES)
        new = private_cluster(replicas=0, setup=TABLES)
        old.primary.rows("create publication everything for all tables", dbname="app")
        new.primary.rows("truncate counters", dbname="app")
        old.catch_up()
        nodes = [*old.nodes, *new.nodes]
        proxy = pgweir(toml=split_toml(SimpleNamespace(nodes=nodes), health='timeout = "5s"',
                                       failover='switchover_timeout = "60s"'))
        eventually(lambda: row(proxy, old.primary)["role"] == "primary", what="a primary")
        assert "belongs to another cluster" in row(proxy, new.primary)["reason"]
        for node in old.replicas:
            eventually(lambda node=node: row(proxy, node)["eligible"] == "yes", what="replicas")
        return old, new.primary, proxy
    return make


def subscribe(old, new, publication="everything"):
    new.rows(f"create subscription moves connection 'host=127.0.0.1 port={old.primary.port} user=postgres dbname=app'"
             f" publication {publication}", dbname="app")
    eventually(lambda: new.value("select count(*) from pg_subscription_rel where srsubstate <> 'r'", dbname="app") == 0,
               60, "the first copy")


def grant(old, new):
    old.primary.rows("grant pg_read_all_data to monitor")
    new.rows("grant pg_write_all_data to monitor")


def test_nobody_notices(made):
    old, new, proxy = made(1)
    subscribe(old, new)
    grant(old, new)
    with proxy.wire() as wire:
        for _ in range(7):
            wire.query("insert into numbered default values")
        wire.query("insert into parts values (7)")
    book, ports = Book(), [node.port for node in (*old.nodes, new)]
    with Crowd(proxy, book, 8, "upgrade", ports.__contains__, writes=0.4), proxy.wire() as idle:
        eventually(lambda: sum(book.certain.values()) > 200, what="load")
        proxy.console(f"node upgrade {name(new)}")
        frozen = old.primary.value("select sum(n) from counters", dbname="app")
        before = sum(book.certain.values())
        eventually(lambda: sum(book.certain.values()) > before + 200, what="more load")
        assert idle.rows("insert into numbered default values returning id, here()") == [("8", str(new.port))]
        assert idle.rows("select n, here() from parts") == [("7", str(new.port))]
    book.check_end(new.rows("select id, n from counters where n > 0", dbname="app"))
    assert not book.problems and not book.refusals, (book.problems[:10], book.refusals)
    assert old.primary.value("select sum(n) from counters", dbname="app") == frozen
    assert row(proxy, new)["role"] == "primary"
    assert {row(proxy, node)["role"] for node in old.nodes} == {"unknown"}

    assert proxy.stop() == 0  # a restart knows which of the two it is
    proxy.start()
    eventually(lambda: row(proxy, new)["role"] == "primary", what="the new primary again")
    assert proxy.rows("select here()") == [(str(new.port),)]


def test_what_speaks_against_it(made):
    old, new, proxy = made(0)

    def fails(reason, node=new):
        with pytest.raises(ServerError, match=reason):
            proxy.console(f"node upgrade {name(node)}")
        assert proxy.rows("insert into numbered default values returning 1") == [("1",)]

    fails("is not of another cluster", old.primary)
    fails('database "app" has no subscription there')
    old.primary.rows("create publication something for table counters", dbname="app")
    subscribe(old, new, "something")
    fails('database "app": table public.(numbered|part1) is not subscribed to')
    new.rows("drop subscription moves", dbname="app")
    new.rows("truncate counters", dbname="app")
    subscribe(old, new)
    fails("the account that probes may not read sequence public.")
    old.primary.rows("grant pg_read_all_data to monitor")
    fails("the account that probes may not set sequence public.")
    new.rows("grant pg_write_all_data to monitor")
    new.rows("alter subscription moves disable", dbname="app")
    fails('subscription "moves" of database "app" is not enabled')
    assert row(proxy, old.primary)["role"] == "primary"
    new.rows("alter subscription moves enable", dbname="app")
    eventually(lambda: old.primary.value("select active from pg_replication_slots"), what="the subscriber is back")
    before = old.primary.value("select max(id) from numbered", dbname="app")
    proxy.console(f"node upgrade {name(new)}")
    assert proxy.rows("insert into numbered default values returning id, here()") == [(str(before + 1), str(new.port))]
