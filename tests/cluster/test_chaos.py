"""kill -9 of clients and of server backends at random points: afterwards the books are right.

PGWEIR_CHAOS_SECONDS  how long each pool mode gets; default 8
"""
import os
import random
import signal
import subprocess
import time

import pytest
from harness import eventually
from harness.postgres import PG_BIN
from harness.wire import query

pytestmark = pytest.mark.pooler

SECONDS = float(os.environ.get("PGWEIR_CHAOS_SECONDS", "8"))
SERVERS = 6


def pgbench(proxy, entry, *options):
    """A crowd of clients that are not told how it went."""
    return subprocess.Popen([PG_BIN / "pgbench", "-n", "-c", "8", "-T", "60", "-h", proxy.host, "-p",
                             str(proxy.port), "-U", "app", *options, entry], cwd="/", stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module", autouse=True)
def tables(cluster):
    subprocess.run([PG_BIN / "pgbench", "-q", "-i", "-s", "2", "-h", cluster.primary.host, "-p",
                    str(cluster.primary.port), "-U", "app", "app"], check=True, cwd="/", capture_output=True)


def kill_a_backend(cluster, luck):
    """As an administrator does it; kill -9 brings the whole PostgreSQL down, see the last test."""
    pids = cluster.primary.rows("select pid from pg_stat_activity where usename = 'app'")
    if pids:
        cluster.primary.rows("select pg_terminate_backend(%s)", [luck.choice(pids)[0]])


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_books_are_right_afterwards(pgweir, cluster, mode):
    proxy = pgweir(default_pool_size=SERVERS)
    entry = proxy.entry(mode)
    kinds = [["-S", "-M", "simple"], ["-S", "-M", "extended"]]
    if mode != "statement":
        kinds += [["-M", "simple"], ["-M", "extended"]]
    luck = random.Random(mode)
    crowds = []
    kills = {"clients": 0, "backends": 0}
    deadline = time.monotonic() + SECONDS
    try:
        while time.monotonic() < deadline:
            crowds = [crowd for crowd in crowds if crowd.poll() is None]
            while len(crowds) < 4:
                crowds.append(pgbench(proxy, entry, *luck.choice(kinds)))
            time.sleep(luck.random() * 0.15)  # a random point of its life
            victim = luck.choice(crowds)
            if luck.random() < 0.7:
                os.kill(victim.pid, signal.SIGKILL)
                victim.wait()
                kills["clients"] += 1
            else:
                kill_a_backend(cluster, luck)
                kills["backends"] += 1
            assert proxy.process.alive
    finally:
        for crowd in crowds:
            crowd.kill()
            crowd.wait()
    print(f"{mode}, {SECONDS:g} s: killed {kills}; {proxy.pool(entry)}")
    check_books(proxy, cluster, entry)


def check_books(proxy, cluster, entry):
    def settled():
        pool = proxy.pool(entry)
        return not any(pool[key] for key in ("cl_active", "cl_waiting", "sv_active", "sv_login", "sv_tested"))
    eventually(settled, what=f"an empty pool ({proxy.pool(entry)})")
    pool = proxy.pool(entry)
    known = pool["sv_idle"] + pool["sv_used"]
    assert known <= SERVERS
    eventually(lambda: cluster.primary.backends("usename = 'app'") == known, what="as many backends as servers known")
    assert cluster.primary.backends("usename = 'app' and state <> 'idle'") == 0
    clients = [proxy.wire(dbname=entry) for _ in range(SERVERS)]
    for client in clients:
        assert client.rows("select 1") == [("1",)]
        client.terminate()
    eventually(lambda: len(proxy.console("show clients")) == 1, what="no client but the console's")


def test_backends_killed_outright(pgweir, private_cluster):
    """After kill -9 of a backend PostgreSQL ends all others, recovers, and comes back."""
    cluster = private_cluster(replicas=0)
    proxy = pgweir(cluster, default_pool_size=SERVERS, server_login_retry=1)
    entry = proxy.entry("transaction")
    for _ in range(3):
        clients = [proxy.wire(dbname=entry) for _ in range(SERVERS + 2)]
        for client in clients[:3]:
            client.query("begin")
        for client in clients[3:]:
            client.send(query("select pg_sleep(0.01)"))
        os.kill(cluster.primary.rows("select pid from pg_stat_activity where usename = 'app'")[0][0], signal.SIGKILL)
        eventually(lambda: proxy.rows("select 1", dbname=entry) == [("1",)], what="service after the crash")
        for client in clients:
            client.close()
        check_books(proxy, cluster, entry)
