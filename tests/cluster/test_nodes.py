"""What pgweir knows of a cluster's nodes: who leads, who follows, who is fenced off, and what an operator may do."""
import json
import signal
import ssl
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
from harness.processes import IDENTITY, Port, eventually
from harness.split import split_toml
from harness.wire import ServerError, query

pytestmark = pytest.mark.pgweir


def config(nodes, state_file="main.state", **tables):
    return split_toml(SimpleNamespace(nodes=nodes), state_file=state_file, **tables)


def row(proxy, node):
    """That node's row of SHOW NODES."""
    (found,) = [row for row in proxy.console("show nodes") if int(row["port"]) == node.port]
    return found


def is_seen(proxy, node, **wanted):
    seen = row(proxy, node)
    return all(seen[key] == value for key, value in wanted.items())


def wait_for(proxy, node, timeout=20, **wanted):
    eventually(lambda: is_seen(proxy, node, **wanted), timeout, f"{node}: {wanted}")
    return row(proxy, node)


def events(proxy):
    return [(event["event"], event["node"]) for event in proxy.console("show events")]


def name(node):
    return f"{node.host}:{node.port}"


def test_roles(cluster, pgweir):
    proxy = pgweir(toml=config(cluster.nodes))
    seen = wait_for(proxy, cluster.primary, role="primary", status="up", eligible="no")
    assert seen["cluster"] == "main" and seen["timeline"] == "1" and seen["reason"] == ""
    for node in cluster.replicas:
        seen = wait_for(proxy, node, role="replica", status="up", eligible="yes", streaming="yes")
        assert seen["timeline"] == "1" and seen["reason"] == ""
    assert events(proxy) == [("primary_changed", name(cluster.primary))]
    rows = proxy.console("show pool_nodes")
    assert [(row["node_id"], row["role"], row["pg_status"], row["replication_state"]) for row in rows] == [
        ("0", "primary", "up", ""), ("1", "standby", "up", "streaming"), ("2", "standby", "up", "streaming")]
    # The connections that probe are nobody's business.
    assert [row for row in proxy.console("show servers") if row["user"] == "monitor"] == []
    assert [row for row in proxy.console("show pools") if row["user"] == "monitor"] == []


def test_positions_go_on(cluster, pgweir):
    proxy = pgweir(toml=config(cluster.nodes))
    before = wait_for(proxy, cluster.primary, role="primary")["lsn"]
    cluster.primary.rows("select pg_logical_emit_message(false, 'x', repeat('x', 100000))")
    eventually(lambda: row(proxy, cluster.primary)["lsn"] != before, what="a later position")
    for node in cluster.replicas:
        eventually(lambda node=node: is_seen(proxy, node, lag_bytes="0"), what="no lag left")


def test_a_replica_that_lags_gets_no_reads(cluster, pgweir):
    proxy = pgweir(toml=config(cluster.nodes, reads='max_lag = "1s"\nmax_lag_bytes = "1MB"'))
    late, other = cluster.replicas
    wait_for(proxy, late, eligible="yes")
    late.rows("select pg_wal_replay_pause()")
    try:
        cluster.primary.rows("select pg_logical_emit_message(false, 'x', repeat('x', 10000))")
        seen = wait_for(proxy, late, eligible="no")
        assert int(seen["lag_bytes"]) >= 10000 and float(seen["lag_seconds"]) >= 1
        assert "behind by" in seen["reason"]
        wait_for(proxy, other, eligible="yes")
    finally:
        late.rows("select pg_wal_replay_resume()")
    wait_for(proxy, late, eligible="yes", lag_seconds="0.000")


def test_orders(cluster, pgweir):
    proxy = pgweir(toml=config(cluster.nodes))
    node = cluster.replicas[0]
    wait_for(proxy, node, eligible="yes")
    for order, status in (("drain", "draining"), ("resume", "up"), ("detach", "detached"), ("resume", "up")):
        proxy.console(f"node {order} {name(node)}")
        wait_for(proxy, node, status=status, eligible="yes" if status == "up" else "no")
    assert events(proxy).count(("operator", name(node))) == 4
    for text, error in (("node drain 127.0.0.1:1", "no such node: 127.0.0.1:1"),
                        ("node drain nonsense", "expected host:port: nonsense")):
        with pytest.raises(ServerError, match=error):
            proxy.console(text)
    with pytest.raises(ServerError, match="admin access needed"):
        proxy.console(f"node drain {name(node)}", user="monitor")


def test_reload_adds_and_removes_nodes(cluster, pgweir):
    proxy = pgweir(toml=config(cluster.nodes[:2]))
    wait_for(proxy, cluster.primary, role="primary")
    assert len(proxy.console("show nodes")) == 2
    proxy.write("pgweir.toml", config([cluster.nodes[2], cluster.nodes[0]], health='interval = "100ms"'))
    proxy.reload()
    wait_for(proxy, cluster.nodes[2], role="replica", eligible="yes")
    assert is_seen(proxy, cluster.primary, role="primary", status="up")
    assert len(proxy.console("show nodes")) == 2


def test_probes_that_cannot_log_in_say_why(cluster, pgweir):
    proxy = pgweir(toml=config(cluster.nodes, health='dbname = "nowhere"'))
    seen = wait_for(proxy, cluster.primary, status="down", role="unknown")
    assert 'database "nowhere" does not exist' in seen["reason"]


def test_suspend_does_not_blind_the_monitor(cluster, pgweir):
    proxy = pgweir(toml=config(cluster.nodes))
    wait_for(proxy, cluster.primary, role="primary")
    with proxy.wire(user="postgres", dbname="pgbouncer") as wire:
        wire.table("suspend")
        cluster.primary.rows("select pg_logical_emit_message(false, 'x', 'x')")
        before = wire.table("show nodes")[0]["lsn"]
        cluster.primary.rows("select pg_logical_emit_message(false, 'x', repeat('x', 10000))")
        eventually(lambda: wire.table("show nodes")[0]["lsn"] != before, what="a later position")
        wire.table("resume")


def test_promotion_and_the_return_of_the_old_primary(private_cluster, pgweir):
    cluster = private_cluster(replicas=2)
    old, (new, third) = cluster.primary, cluster.replicas
    text = config(cluster.nodes)
    proxy = pgweir(toml=text)
    wait_for(proxy, old, role="primary")
    old.kill()
    wait_for(proxy, old, status="down")
    for node in (new, third):  # reads go on meanwhile
        wait_for(proxy, node, eligible="yes")
    new.promote()
    assert wait_for(proxy, new, role="primary")["timeline"] == "2"
    assert "on timeline 1, the primary is on 2" in wait_for(proxy, third, eligible="no")["reason"]
    third.rows(f"alter system set primary_conninfo = 'host={new.host} port={new.port} user=postgres'")
    third.rows("select pg_reload_conf()")
    wait_for(proxy, third, eligible="yes", timeline="2", streaming="yes")

    old.start()
    seen = wait_for(proxy, old, role="stale_primary", status="up", eligible="no")
    assert seen["timeline"] == "1" and "there is a timeline 2" in seen["reason"]
    assert is_seen(proxy, new, role="primary")
    assert [event for event, node in events(proxy) if node in (name(old), name(new))] == [
        "primary_changed", "node_down", "primary_lost", "primary_changed", "node_up", "stale_primary"]
    (stale,) = [row for row in proxy.console("show pool_nodes") if row["port"] == str(old.port)]
    assert stale["status"] == "quarantine"

    # A process that starts while only the old primary can be reached is not taken in.
    state = (proxy.directory / "main.state").read_text(encoding="utf-8")
    assert "timeline 2\n" in state
    assert proxy.stop() == 0
    new.stop("immediate")
    third.stop("immediate")
    proxy.start()
    wait_for(proxy, old, role="stale_primary")
    wait_for(proxy, new, status="down")
    new.start()
    wait_for(proxy, new, role="primary")


def test_a_restart_is_no_failover(private_cluster, pgweir):
    cluster = private_cluster(replicas=1)
    proxy = pgweir(toml=config(cluster.nodes))
    wait_for(proxy, cluster.primary, role="primary")
    cluster.primary.stop()
    wait_for(proxy, cluster.primary, status="down")
    cluster.primary.start()
    wait_for(proxy, cluster.primary, role="primary", status="up", timeline="1")
    assert ("primary_back", name(cluster.primary)) in events(proxy)
    wait_for(proxy, cluster.replicas[0], eligible="yes")


def test_hung_nodes(private_cluster, pgweir):
    """Nothing in TCP tells a server that hangs; the deadline of a probe does."""
    cluster = private_cluster(replicas=1)
    proxy = pgweir(toml=config(cluster.nodes))
    for node, role in ((cluster.replicas[0], "replica"), (cluster.primary, "primary")):
        wait_for(proxy, node, role=role, status="up")
        began = time.monotonic()
        node.freeze()
        try:
            assert "no answer" in wait_for(proxy, node, status="down", eligible="no")["reason"]
            # interval + 2 × timeout, and a lot for a busy machine
            assert time.monotonic() - began < 10
        finally:
            node.thaw()
        wait_for(proxy, node, status="up", role=role)


def test_what_stood_still_was_pgweir(cluster, pgweir):
    """Stopped or throttled for longer than a probe may take, it does not take its nodes for lost."""
    proxy = pgweir(toml=config(cluster.nodes, health='interval = "50ms"\ntimeout = "500ms"'))
    for node, role in ((cluster.primary, "primary"), (cluster.replicas[0], "replica")):
        wait_for(proxy, node, role=role, status="up")
    before = events(proxy)
    for _ in range(3):
        proxy.process.signal(signal.SIGSTOP)
        time.sleep(0.7)  # what is tried
        proxy.process.signal(signal.SIGCONT)
        seen = row(proxy, cluster.primary)["lsn"]
        cluster.primary.rows("select pg_logical_emit_message(false, 'x', repeat('x', 1000))")
        eventually(lambda old=seen: row(proxy, cluster.primary)["lsn"] != old, what="another answer")
    assert events(proxy) == before


def test_hooks(cluster, pgweir):
    hook = 'echo "$PGWEIR_EVENT $PGWEIR_CLUSTER $PGWEIR_NODE $PGWEIR_TIMELINE $PGWEIR_TEXT" >> hooks.txt; exit 3'
    proxy = pgweir(toml=config(cluster.nodes, failover=f"hook = '{hook}'"))
    wait_for(proxy, cluster.primary, role="primary")
    node = cluster.replicas[0]
    proxy.console(f"node drain {name(node)}")
    proxy.console(f"node resume {name(node)}")
    expected = [f"primary_changed main {name(cluster.primary)} 1 is the primary, on timeline 1",
                f"operator main {name(node)} 1 drained by the operator",
                f"operator main {name(node)} 1 resumed by the operator"]
    eventually(lambda: (proxy.directory / "hooks.txt").read_text(encoding="utf-8").splitlines() == expected,
               what="three hooks, in order")
    eventually(lambda: proxy.log().count("hook: exit code 3") == 3, what="their end")


class Patroni(BaseHTTPRequestHandler):
    """Says who leads, as Patroni's GET /cluster does."""

    leader, timeline, asked = None, 1, 0

    def do_GET(self):  # pylint: disable=invalid-name
        Patroni.asked += 1
        members = [{"name": "x", "role": "leader", "state": "running", "host": self.leader.host,
                    "port": self.leader.port, "timeline": self.timeline}]
        self.send_response(200 if self.path == "/cluster" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"members": members}).encode())

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@contextmanager
def served(handler, certificate=None):
    """The port of an HTTP server; with a certificate it speaks TLS."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_patroni(cluster, pgweir, authority, certificate, scheme):
    Patroni.leader, Patroni.asked = cluster.primary, 0
    with served(Patroni, certificate if scheme == "https" else None) as port:
        urls = f'patroni = ["{scheme}://127.0.0.1:1", "{scheme}://127.0.0.1:{port}"]\n'
        proxy = pgweir(toml=config(cluster.nodes, health=urls + f'patroni_ca_file = "{authority.file}"'))
        wait_for(proxy, cluster.primary, role="primary")
        eventually(lambda: Patroni.asked > 3, what="questions")
        assert is_seen(proxy, cluster.primary, role="primary")
        Patroni.leader = cluster.replicas[0]
        assert "Patroni's leader is" in wait_for(proxy, cluster.primary, role="stale_primary")["reason"]
        wait_for(proxy, cluster.replicas[0], role="replica")
        Patroni.leader = cluster.primary
        wait_for(proxy, cluster.primary, role="primary")
    wait_for(proxy, cluster.primary, role="primary")


def test_a_patroni_that_nobody_vouches_for_is_not_believed(cluster, pgweir, authority):
    """Neither a certificate for another host nor one of an authority that is not known."""
    Patroni.leader, Patroni.asked = cluster.replicas[0], 0
    with served(Patroni, authority.certificate("elsewhere", ["DNS:elsewhere"])) as port:
        for trusts, why in ((f'patroni_ca_file = "{authority.file}"', "does not match host name"),
                            ("", "certificate verify failed")):
            proxy = pgweir(toml=config(cluster.nodes, health=f'patroni = ["https://127.0.0.1:{port}"]\n{trusts}'))
            eventually(lambda proxy=proxy, why=why: why in proxy.log(), what=why)
            wait_for(proxy, cluster.primary, role="primary")
    assert Patroni.asked == 0


def test_files_for_https_are_checked(cluster, pgweir):
    proxy = pgweir(toml=config(cluster.nodes, health='patroni = ["https://h"]\npatroni_ca_file = "nowhere.crt"'),
                   start=False)
    done = subprocess.run([proxy.program, "check", proxy.config], cwd=proxy.directory, capture_output=True,
                          text=True, check=False, **IDENTITY)
    assert done.returncode == 1 and "clusters.main.health.patroni_ca_file" in done.stdout


def test_what_one_process_sees_others_know(private_cluster, pgweir, tmp_path):
    """Two processes share a state file; one of them can reach the former primary only."""
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    cluster = private_cluster(replicas=1)
    old, new = cluster.primary, cluster.replicas[0]
    shared = str(tmp_path / "main.state")
    seer = pgweir(toml=config(cluster.nodes, state_file=shared))
    blind = pgweir(toml=config([old], state_file=shared))
    for proxy in (seer, blind):
        wait_for(proxy, old, role="primary")
    assert blind.rows("select 1") == [("1",)]
    new.promote()
    wait_for(seer, new, role="primary")
    assert "there is a timeline 2" in wait_for(blind, old, role="stale_primary")["reason"]
    late = pgweir(toml=config([old], state_file=shared))
    wait_for(late, old, role="stale_primary")
    with blind.wire() as wire:
        wire.send(query("create table never ()"))
        eventually(lambda: [row["cl_waiting"] for row in blind.console("show pools") if row["database"] == "app"]
                   == ["1"], what="it waits")
        assert old.value("select count(*) from pg_class where relname = 'never'", dbname="app") == 0


@pytest.fixture
def free_port():
    with closing(Port()) as port:
        yield port


class Front(BaseHTTPRequestHandler):
    """Asks another one, and hands the answer on."""

    port = None

    def do_GET(self):  # pylint: disable=invalid-name
        with urlopen(f"http://127.0.0.1:{self.port}{self.path}", timeout=10) as answer:
            body = answer.read()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


def test_peers_by_https(private_cluster, pgweir, free_port, authority, certificate):
    cluster = private_cluster(replicas=1)
    old, new = cluster.primary, cluster.replicas[0]
    Front.port = free_port.number
    seer = pgweir(toml=config(cluster.nodes, http=f"127.0.0.1:{Front.port}"))
    with served(Front, certificate) as port:
        blind = pgweir(toml=config([old], failover=f'peers = ["https://127.0.0.1:{port}"]\n'
                                                   f'peers_ca_file = "{authority.file}"'))
        for proxy in (seer, blind):
            wait_for(proxy, old, role="primary")
        new.promote()
        wait_for(seer, new, role="primary")
        assert "there is a timeline 2" in wait_for(blind, old, role="stale_primary")["reason"]


def test_what_one_process_sees_its_peers_know(private_cluster, pgweir, free_port):
    cluster = private_cluster(replicas=1)
    old, new = cluster.primary, cluster.replicas[0]
    port = free_port.number
    seer = pgweir(toml=config(cluster.nodes, http=f"127.0.0.1:{port}"))
    asks = f'peers = ["http://127.0.0.1:{port}"]'
    blind = pgweir(toml=config([old], failover=asks))
    for proxy in (seer, blind):
        wait_for(proxy, old, role="primary")
    new.promote()
    wait_for(seer, new, role="primary")
    assert "there is a timeline 2" in wait_for(blind, old, role="stale_primary")["reason"]
    late = pgweir(toml=config([old], failover=asks))  # with a state file of its own, which is empty
    wait_for(late, old, role="stale_primary")
    assert "primary_changed" not in [event for event, _ in events(late)]
    # One that cannot be reached does not keep anybody from anything.
    assert seer.stop() == 0
    alone = pgweir(toml=config([new], failover=asks))
    wait_for(alone, new, role="primary")
    assert "no answer from the peer" in alone.log()


def test_a_cut_off_state_file_is_told_and_passed_over(cluster, pgweir):
    proxy = pgweir(toml=config(cluster.nodes), start=False)
    proxy.write("main.state", "# pgweir: the highest")
    proxy.start()
    wait_for(proxy, cluster.primary, role="primary")
    assert "not a state file of pgweir" in proxy.log()
    eventually(lambda: "timeline 1\n" in (proxy.directory / "main.state").read_text(encoding="utf-8"),
               what="the file written anew")


def test_without_a_place_for_the_state(cluster, pgweir):
    proxy = pgweir(toml=config(cluster.nodes, state_file=""))
    wait_for(proxy, cluster.primary, role="primary")
    assert "no state file" in proxy.log()
    assert list(proxy.directory.glob("*.state")) == []


def test_the_state_directory_of_systemd(cluster, pgweir, tmp_path):
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    proxy = pgweir(toml=config(cluster.nodes, state_file=""), environment={"STATE_DIRECTORY": str(tmp_path)})
    wait_for(proxy, cluster.primary, role="primary")
    eventually((tmp_path / "main.state").exists, what="the state file")
