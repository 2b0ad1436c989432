"""Reads on replicas never show less than they must, whatever happens to the nodes meanwhile.

PGWEIR_CONSISTENCY_SECONDS   how long each test makes trouble; default 4
PGWEIR_CONSISTENCY_SEED      what the clients and the trouble are drawn from; it is in the report of a failure
"""
import os
import random
import time

import pytest
from harness import Cluster, eventually
from harness.counters import SETUP, Book, Crowd
from harness.postgres import PG_BIN
from harness.processes import run
from harness.split import split_toml

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]

SECONDS = float(os.environ.get("PGWEIR_CONSISTENCY_SECONDS", "4"))
SEED = os.environ.get("PGWEIR_CONSISTENCY_SEED") or str(random.SystemRandom().randrange(10**6))



class Roles:
    """Who leads and who follows; the nodes change places."""

    def __init__(self, cluster):
        self.primary, self.replicas = cluster.primary, list(cluster.replicas)
        self.homes = {node.port: node for node in cluster.nodes}

    def leads(self, port):
        return port == self.primary.port

    def follow(self, node):
        """The standby takes its log from the present primary."""
        node.rows(f"alter system set primary_conninfo = 'host={self.primary.host} port={self.primary.port}"
                  f" user=postgres application_name={node.name}'")
        node.rows("select pg_reload_conf()")

    def fail_over(self):
        """kill -9; the standby with most of the log takes over, the others follow it."""
        self.primary.kill()
        for node in self.replicas:
            eventually(lambda node=node: node.value("select count(*) = 0 from pg_stat_wal_receiver"))
        lost = self.primary
        self.primary = max(self.replicas, key=lambda node: node.value(
            "select pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')"))
        self.replicas.remove(self.primary)
        self.primary.promote()
        for node in self.replicas:
            self.follow(node)
        return lost

    def take_back(self, node):
        """The former primary returns as a standby."""
        conninfo = f"host={self.primary.host} port={self.primary.port} user=postgres"
        self.primary.rows("checkpoint")
        run([PG_BIN / "pg_rewind", "-D", node.data, f"--source-server={conninfo} dbname=postgres", "--no-sync"],
            cwd=node.directory)
        with open(node.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
            conf.write(f"primary_conninfo = '{conninfo} application_name={node.name}'\n")
        (node.data / "standby.signal").touch()
        node.start()
        self.replicas.append(node)


@pytest.fixture(scope="module")
def roles():
    with Cluster(replicas=2, setup=SETUP) as cluster:
        # What is acknowledged is on a replica: so nothing is lost when the one that has most takes over.
        for node in reversed(cluster.nodes):
            node.rows("alter system set synchronous_standby_names = 'ANY 1 (*)'")
            node.rows("select pg_reload_conf()")
        made = Roles(cluster)
        made.cluster = cluster
        yield made


@pytest.fixture
def start(pgweir, roles):  # pylint: disable=redefined-outer-name
    """Starts a pgweir whose reads wait for a replica for so long."""
    def make(wait):
        made = pgweir(toml=split_toml(roles.cluster, reads=f'wait = "{wait}"'))
        with made.wire() as wire:
            ports = {str(node.port) for node in roles.replicas}
            eventually(lambda: wire.rows("select here()")[0][0] in ports, what="reads on replicas")
        return made
    return make


def settle(book, roles):  # pylint: disable=redefined-outer-name
    book.check_end(roles.primary.rows("select id, n from counters where n > 0", dbname="app"))
    assert not book.problems, "\n".join([f"PGWEIR_CONSISTENCY_SEED={SEED}", *book.problems[:20]])
    roles.primary.rows("update counters set n = 0", dbname="app")


def lag(draw, node):
    """Its replay stands still for a while, or comes later for a while."""
    pause = draw.random() < 0.6
    if pause:
        node.rows("select pg_wal_replay_pause()")
    else:
        node.rows(f"alter system set recovery_min_apply_delay = {draw.randrange(20, 300)}")
        node.rows("select pg_reload_conf()")
    time.sleep(draw.uniform(0.05, 0.5))
    if pause:
        node.rows("select pg_wal_replay_resume()")
    else:
        node.rows("alter system reset recovery_min_apply_delay")
        node.rows("select pg_reload_conf()")


def test_what_the_primary_has_shown(start, roles):
    proxy = start("20ms")
    with proxy.wire() as reads, proxy.wire() as writes:
        for node in roles.replicas:
            eventually(lambda node=node: node.has_replayed(roles.primary.lsn()))
            node.rows("select pg_wal_replay_pause()")
        try:
            writes.query("update counters set n = 1 where id = 150")
            # Who has neither written nor seen anything may be shown what was.
            assert reads.rows("select n, here() from counters where id = 150")[0][0] == "0"
            assert reads.rows("/* pgweir: primary */ select n from counters where id = 150") == [("1",)]
            assert reads.rows("select n from counters where id = 150") == [("1",)]
        finally:
            for node in roles.replicas:
                node.rows("select pg_wal_replay_resume()")
        ports = {str(node.port) for node in roles.replicas}
        eventually(lambda: reads.rows("select here()")[0][0] in ports, what="reads on replicas")
        assert reads.rows("select n from counters where id = 150") == [("1",)]
    roles.primary.rows("update counters set n = 0", dbname="app")


def test_who_has_seen_and_done_nothing(start, roles):
    """A transaction on the primary that neither wrote nor read a table binds its session to nothing."""
    proxy = start("0ms")
    ports = {str(node.port) for node in roles.replicas}
    for node in roles.replicas:
        eventually(lambda node=node: node.has_replayed(roles.primary.lsn()))
        node.rows("select pg_wal_replay_pause()")
    try:
        with proxy.wire() as wire:
            for end in ("commit", "rollback", "end"):
                # What is rolled back is ahead in the log of what replicas have.
                roles.primary.rows("begin; update counters set n = 7 where id = 151; rollback", dbname="app")
                for sql in ("begin", "select 1", end):
                    wire.query(sql)
                assert wire.rows("select here()")[0][0] in ports
            for sql in ("begin", "select n from counters where id = 151", "commit"):
                wire.query(sql)
            assert wire.rows("select here()")[0][0] not in ports
    finally:
        for node in roles.replicas:
            node.rows("select pg_wal_replay_resume()")


def test_ordinary_lag(start, roles):
    proxy, book = start("2s"), Book()
    with Crowd(proxy, book, 8, SEED, roles.leads, writes=0.1, pause=0.02):
        time.sleep(SECONDS)
    settle(book, roles)
    ports = [node.port for node in roles.replicas]
    for level in ("session", "global"):
        assert book.share_of(level, ports) >= 0.8, (level, book.reads)


def test_trouble(start, roles):
    proxy, draw, book = start("20ms"), random.Random(SEED), Book()
    end = time.monotonic() + SECONDS
    with Crowd(proxy, book, 12, SEED, roles.leads):
        while time.monotonic() < end:
            node = draw.choice(roles.replicas)
            if draw.random() < 0.85:
                lag(draw, node)
            else:
                node.kill()
                node.start()
        lost = roles.fail_over()
        lag(draw, roles.replicas[0])
        roles.take_back(lost)
        lag(draw, draw.choice(roles.replicas))
    settle(book, roles)
    assert sum(book.reads.get((level, node.port), 0) for level in ("session", "global") for node in roles.replicas)
