"""What pgweir says over HTTP: /metrics, /healthz, /readyz."""
import datetime
import re
import shutil
import signal
import socket
import subprocess
from contextlib import closing

import pytest
from harness.http import get, get_json, scrape
from harness.pooler import ROOT
from harness.processes import Port, eventually, run
from harness.split import split_toml
from harness.wire import ServerError, query

pytestmark = pytest.mark.pgweir

PROMTOOL = shutil.which("promtool")


@pytest.fixture
def http_port():
    with closing(Port()) as port:
        yield port.number


def companion(port):
    return f'[admin]\nhttp = "127.0.0.1:{port}"\n'


def split(cluster, port, **tables):
    return split_toml(cluster, http=f"127.0.0.1:{port}", **tables)


@pytest.mark.short
def test_figures_of_a_pool(cluster, pgweir, http_port):
    proxy = pgweir(cluster, companion=companion(http_port), default_pool_size=1)
    labels = {"database": "app", "user": "app"}
    with proxy.wire() as busy, proxy.wire() as waiting, proxy.wire():
        busy.rows("begin")
        waiting.send(query("select 1"))
        eventually(lambda: scrape(http_port).one("pgweir_pool_waiting", **labels) == 1)
        seen = scrape(http_port)
        assert seen.all("pgweir_pool_clients", node="", **labels) == {
            (("state", "active"),): 1, (("state", "idle"),): 1, (("state", "waiting"),): 1}
        assert seen.one("pgweir_pool_servers", state="active", **labels) == 1
        assert seen.one("pgweir_pool_size", **labels) == 1
        assert seen.one("pgweir_pool_oldest_wait_seconds", **labels) > 0
        assert seen.one("pgweir_pool_oldest_transaction_seconds", **labels) > 0
        assert seen.one("pgweir_clients") == 3
        assert seen.one("pgweir_clients_limit") == 1000
        assert seen.one("pgweir_database_clients", database="app") == 3
        busy.rows("rollback")
        waiting.read_until("Z")
        eventually(lambda: scrape(http_port).one("pgweir_transactions_total", **labels) == 2)
        after = scrape(http_port)
        assert after.one("pgweir_queries_total", **labels) == 3
        assert after.one("pgweir_query_seconds_count", **labels) == 3
        assert after.one("pgweir_query_seconds_bucket", le="+Inf", **labels) == 3
        assert sorted((dict(key)["query"], calls)
                      for key, calls in after.all("pgweir_shape_calls_total", **labels).items()) == [
            ("begin", 1), ("rollback", 1), ("select $1", 1)]
        assert after.one("pgweir_wait_seconds_sum", **labels) > 0
        assert after.one("pgweir_pool_oldest_transaction_seconds", **labels) == 0
        assert after.one("pgweir_logins_total", **labels) == 3
        assert after.one("pgweir_login_seconds_count", **labels) == 3


def test_pins(cluster, pgweir, http_port):
    proxy = pgweir(cluster, companion=companion(http_port))
    with proxy.wire() as wire:
        wire.rows("create temp table pinned_here (x int)")
        eventually(lambda: scrape(http_port).one("pgweir_pool_pinned_clients", database="app") == 1)
        seen = scrape(http_port)
        reasons = {dict(key)["reason"]: value for key, value in
                   seen.all("pgweir_pins_total", database="app", user="app", node="").items()}
        assert {reason for reason, count in reasons.items() if count} == {"temporary object"}, reasons


def test_figures_of_a_cluster(cluster, pgweir, http_port):
    proxy = pgweir(toml=split(cluster, http_port))
    eventually(lambda: scrape(http_port).one("pgweir_cluster_readable_nodes", cluster="main") == 2)
    assert proxy.rows("select 1") == [("1",)]
    seen = scrape(http_port)
    assert seen.one("pgweir_cluster_has_primary", cluster="main") == 1
    primary = f"127.0.0.1:{cluster.primary.port}"
    assert seen.one("pgweir_node_role", node=primary, role="primary") == 1
    for node in cluster.replicas:
        name = f"127.0.0.1:{node.port}"
        assert seen.one("pgweir_node_role", node=name, role="replica") == 1
        assert seen.one("pgweir_node_up", node=name) == 1
        assert seen.one("pgweir_node_lag_bytes", node=name) >= 0
        assert seen.one("pgweir_node_streaming", node=name) == 1
    assert seen.one("pgweir_failovers_total", cluster="main") == 0
    assert seen.one("pgweir_cluster_events_total", cluster="main", event="primary_changed") == 1
    queries = seen.all("pgweir_queries_total", database="app", user="app")
    assert sum(queries.values()) == 1
    assert (("node", "primary"),) in queries and len(queries) == 2  # and the replica that was asked


def test_the_page_says_what_is_served(cluster, pgweir, http_port):
    """docs/metrics.md and a running pgweir: the same names, types and labels."""
    proxy = pgweir(toml=split(cluster, http_port))
    eventually(lambda: scrape(http_port).one("pgweir_cluster_readable_nodes", cluster="main") == 2)
    assert proxy.rows("select 1") == [("1",)]
    with pytest.raises(ServerError):
        proxy.rows("select nothing from nowhere")
    seen = eventually(lambda: (lambda now: now if now.all("pgweir_errors_total") else None)(scrape(http_port)))
    rows = re.findall(r"^\| `(pgweir_\w+)` \| (\w+) \| (.*?) \| (.*) \|$",
                      (ROOT / "docs/metrics.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: kind for name, kind, _, _ in rows} == seen.types
    assert {name: text for name, _, _, text in rows} == seen.helps
    labels = {name: set(text.split(", ")) - {""} for name, _, text, _ in rows}
    for name, key in seen.samples:
        family = name if name in labels else re.sub(r"_(bucket|sum|count)$", "", name)
        assert {label for label, _ in key} - {"le"} == labels[family], name
    without = set(seen.types) - {re.sub(r"_(bucket|sum|count)$", "", name) for name, _ in seen.samples} \
        - {name for name, _ in seen.samples}
    assert without <= {"pgweir_tls_certificate_expiry_timestamp_seconds"}


@pytest.mark.skipif(not PROMTOOL, reason="no promtool")
def test_promtool_has_nothing_to_say(cluster, pgweir, http_port):
    proxy = pgweir(toml=split(cluster, http_port))
    eventually(lambda: scrape(http_port).one("pgweir_cluster_has_primary", cluster="main") == 1)
    assert proxy.rows("select 1") == [("1",)]
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=get(http_port, "/metrics")[2], text=True,
                             capture_output=True, check=False, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_names_that_others_choose(cluster, pgweir, http_port):
    """Whoever may log in to any name must not spoil the page for everybody."""
    address = f"host={cluster.primary.host} port={cluster.primary.port} dbname=app"
    proxy = pgweir(cluster, databases={"*": address}, companion=companion(http_port))
    for name in ('a"b', "a\\b", "<script>", "ü"):
        assert proxy.rows("select 1", dbname=name) == [("1",)]
    names = {dict(key)["database"] for key in scrape(http_port).all("pgweir_pool_size")}
    assert {'a\\"b', "a\\\\b", "<script>", "ü"} <= names


def test_certificates(cluster, pgweir, http_port, certificate):
    cert, key = certificate
    proxy = pgweir(cluster, companion=companion(http_port), client_tls_sslmode="allow", client_tls_cert_file=cert,
                   client_tls_key_file=key)
    ends = scrape(http_port).one("pgweir_tls_certificate_expiry_timestamp_seconds", side="client", file=str(cert))
    said = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-checkend", "0", "-enddate", "-dateopt",
                           "iso_8601"], capture_output=True, text=True, check=True).stdout
    year, month, day = re.search(r"notAfter=(\d+)-(\d+)-(\d+)", said).groups()
    at = datetime.datetime.fromtimestamp(ends, datetime.timezone.utc)
    assert (at.year, at.month, at.day) == (int(year), int(month), int(day))
    assert proxy.rows("select 1") == [("1",)]


@pytest.mark.short
def test_health_and_the_rest(cluster, pgweir, http_port):
    pgweir(cluster, companion=companion(http_port))
    status, headers, text = get(http_port, "/healthz")
    assert (status, text) == (200, "ok\n")
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert get(http_port, "/nothing")[0] == 404
    assert get(http_port, "/metrics/")[0] == 404
    status, headers, _ = get(http_port, "/metrics", method="POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert get(http_port, "/metrics", Host=f"localhost:{http_port}")[0] == 200
    assert get(http_port, "/metrics", Host="evil.example")[0] == 421


def test_ready_while_paused(cluster, pgweir, http_port):
    proxy = pgweir(cluster, companion=companion(http_port))
    assert get_json(http_port, "/readyz") == (
        200, {"ready": True, "state": "active", "reasons": [], "clusters": {}})
    proxy.console("pause")
    status, said = get_json(http_port, "/readyz")
    assert (status, said["ready"], said["state"]) == (503, False, "paused")
    assert scrape(http_port).one("pgweir_paused") == 1
    proxy.console("resume")
    assert get_json(http_port, "/readyz")[0] == 200


def test_ready_with_a_cluster(private_cluster, pgweir, http_port):
    cluster = private_cluster(replicas=1)
    proxy = pgweir(toml=split(cluster, http_port))
    eventually(lambda: get_json(http_port, "/readyz")[1]["clusters"]["main"] == {
        "ready": True, "primary": f"127.0.0.1:{cluster.primary.port}", "readable_nodes": 1})
    cluster.primary.stop("immediate")
    eventually(lambda: get_json(http_port, "/readyz")[1]["clusters"]["main"]["primary"] is None)
    assert get_json(http_port, "/readyz")[0] == 200  # reads are possible
    cluster.replicas[0].stop("immediate")
    status, said = eventually(lambda: (lambda got: got if got[0] == 503 else None)(get_json(http_port, "/readyz")))
    assert said["reasons"] == ["cluster main: no primary is known, and no node may be read from"]
    assert scrape(http_port).one("pgweir_cluster_has_primary", cluster="main") == 0
    assert get(http_port, "/healthz")[0] == 200
    assert proxy.process.alive


def test_not_ready_on_the_way_out(cluster, pgweir, http_port):
    proxy = pgweir(cluster, companion=companion(http_port))
    with proxy.wire() as wire:
        wire.rows("begin")
        proxy.process.signal(signal.SIGTERM)
        eventually(lambda: get_json(http_port, "/readyz")[1]["state"] == "shutting_down")
        assert get_json(http_port, "/readyz")[0] == 503
        assert scrape(http_port).one("pgweir_shutting_down") == 1
    assert proxy.process.wait() == 0


def test_reload_moves_it(cluster, pgweir, http_port):
    proxy = pgweir(cluster, companion=companion(http_port))
    assert scrape(http_port).one("pgweir_config_reloads_total", result="success") == 0

    def reload_with(text):
        proxy.write("pgweir.pgweir.toml", text)
        proxy.console("reload")

    with closing(Port()) as second:
        reload_with(companion(second.number))
        eventually(lambda: scrape(second.number).one("pgweir_config_reloads_total", result="success") == 1)
        with pytest.raises(OSError):
            get(http_port, "/metrics")
        # The same port on every address, which the socket there is stands in the way of.
        reload_with(f'[admin]\nhttp = ":{second.number}"\n')
        eventually(lambda: get(second.number, "/healthz", Host="any.example")[0] == 200)
        with socket.create_server(("127.0.0.1", http_port)):
            with pytest.raises(Exception, match="RELOAD failed"):
                reload_with(companion(http_port))
            assert f"cannot listen on 127.0.0.1:{http_port} for http: Address already in use" in proxy.log()
            seen = eventually(lambda: scrape(second.number))
            assert seen.one("pgweir_config_last_reload_successful") == 0
            assert seen.one("pgweir_config_reloads_total", result="failure") == 1
        reload_with("")
        eventually(lambda: _refused(second.number))
    assert proxy.rows("select 1") == [("1",)]


def _refused(port):
    try:
        get(port, "/healthz")
    except ConnectionRefusedError:
        return True
    return False


def test_an_address_that_is_taken(cluster, pgweir, http_port):
    with socket.create_server(("127.0.0.1", http_port)):
        proxy = pgweir(cluster, companion=companion(http_port), start=False)
        with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{http_port} for http: Address already"):
            run([proxy.program, proxy.config], cwd=proxy.directory)


def test_the_next_process_takes_it_over(cluster, pgweir, http_port):
    proxy = pgweir(cluster, companion=companion(http_port))
    started = scrape(http_port).one("pgweir_process_start_time_seconds")
    before = proxy.restart()
    assert before.wait() == 0
    assert scrape(http_port).one("pgweir_process_start_time_seconds") > started
    assert get_json(http_port, "/readyz")[0] == 200


def test_many_that_say_nothing(cluster, pgweir, http_port):
    """Who only connects does not keep others out."""
    pgweir(cluster, companion=companion(http_port))
    silent = [socket.create_connection(("127.0.0.1", http_port)) for _ in range(100)]
    try:
        assert scrape(http_port).one("pgweir_clients") == 0
    finally:
        for one in silent:
            one.close()


def test_errors(cluster, pgweir, http_port):
    proxy = pgweir(cluster, companion=companion(http_port))
    with pytest.raises(ServerError):
        proxy.rows("select nothing from nowhere")
    with pytest.raises(ServerError):
        proxy.rows("select 1", dbname="no_such_entry")
    eventually(lambda: len(scrape(http_port).all("pgweir_errors_total")) == 2)
    seen = scrape(http_port)
    labels = {"database": "app", "user": "app", "node": "", "source": "server"}
    assert seen.all("pgweir_errors_total", **labels) == {(("class", "42"),): 1}
    assert sum(seen.all("pgweir_errors_total", database="", source="pgweir").values()) == 1
