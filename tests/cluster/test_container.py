"""The program as a container's entrypoint starts it: no file, everything from the environment."""
import os
import re
import signal
import subprocess
from contextlib import ExitStack, closing

import psycopg
import pytest
import yaml
from harness import ServerError, eventually
from harness.pooler import ROOT, PROGRAM
from harness.postgres import PASSWORDS, PG_BIN
from harness.processes import Port, Process, Workdir, write
from harness.prometheus import PROMTOOL
from harness.wire import query

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]


@pytest.fixture
def container(cluster, pgweir):
    """Starts it with these variables, for the primary if they do not say otherwise."""

    def start(**variables):
        return pgweir(None, file=False, environment={
            "POSTGRESQL_HOST": cluster.primary.host, "POSTGRESQL_PORT": str(cluster.primary.port),
            "POSTGRESQL_USERNAME": "scram_user", "POSTGRESQL_PASSWORD": PASSWORDS["scram_user"],
            "PGBOUNCER_PORT": "@PORT@", "PGBOUNCER_LISTEN_ADDRESS": "127.0.0.1",
            "PGBOUNCER_UNIX_SOCKET_DIR": "@DIR@", **variables})

    return start


def settings_of(proxy, user="scram_user"):
    return {row["key"]: row["value"] for row in proxy.console("show config", user=user)}


def login(proxy, user, password=None, dbname="app"):
    """What the client is told: "" = welcome."""
    try:
        with proxy.wire(user=user, password=password, dbname=dbname) as wire:
            assert wire.rows("select current_user") == [(user,)]
        return ""
    except ServerError as refusal:
        return str(refusal)


def test_one_server(container):
    proxy = container(PGBOUNCER_DATABASE="app", PGBOUNCER_POOL_MODE="transaction", PGBOUNCER_DEFAULT_POOL_SIZE="2",
                      PGBOUNCER_MAX_CLIENT_CONN="50", PGBOUNCER_AUTH_TYPE="scram-sha-256")
    assert login(proxy, "scram_user") == ""
    assert "SASL authentication failed" in login(proxy, "scram_user", "wrong")
    assert "no such database" in login(proxy, "scram_user", dbname="postgres")
    settings = settings_of(proxy)
    assert settings["listen_port"] == str(proxy.port)
    assert settings["max_client_conn"] == "50"
    assert settings["pool_mode"] == "transaction"
    assert settings["auth_type"] == "scram-sha-256"
    with ExitStack() as stack:  # the third transaction waits for one of two servers
        first, second, third = (stack.enter_context(proxy.wire(user="scram_user")) for _ in range(3))
        assert first.rows("begin; select 1") == [("1",)]
        assert second.rows("begin; select 2") == [("2",)]
        third.send(query("select 3"))
        eventually(lambda: proxy.console("show pools", user="scram_user")[0]["cl_waiting"] == "1", what="a queue")
        first.rows("commit")
        assert "D" in [message.type for message in third.read_until("Z")]


def test_any_database_and_the_password_in_a_file(container, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(PASSWORDS["scram_user"] + "\n", encoding="ascii")
    for path in (secret, *list(secret.parents)[:3]):
        path.chmod(0o755)
    proxy = container(POSTGRESQL_PASSWORD="", POSTGRESQL_PASSWORD_FILE=str(secret))
    assert login(proxy, "scram_user", dbname="postgres") == ""
    assert settings_of(proxy)["pool_mode"] == "session"


def test_auth_query(container):
    """Everybody whom the query knows gets in, with the password that PostgreSQL has."""
    proxy = container(POSTGRESQL_USERNAME="postgres", POSTGRESQL_PASSWORD=PASSWORDS["postgres"],
                      PGBOUNCER_AUTH_USER="postgres", PGBOUNCER_AUTH_QUERY="select rolname, rolpassword from pg_authid"
                      " where rolname = $1 and rolname <> 'other'", PGBOUNCER_AUTH_TYPE="md5")
    assert login(proxy, "scram_user") == ""
    assert login(proxy, "md5_user") == ""
    assert login(proxy, "scram_user", "wrong") != ""
    assert login(proxy, "other") != ""


def test_several_servers_are_a_cluster(cluster, container):
    nodes = [f"{node.host}:{node.port}" for node in cluster.nodes]
    proxy = container(POSTGRESQL_HOST=",".join(nodes), PGBOUNCER_DATABASE="app",
                      PGBOUNCER_POOL_MODE="transaction", PGWEIR_CLUSTERS_MAIN_HEALTH_INTERVAL="100ms",
                      PGWEIR_CLUSTERS_MAIN_FAILOVER_STATE_FILE="@DIR@/main.state")

    def roles():
        rows = proxy.console("show nodes", user="scram_user")
        return sorted((int(row["port"]), row["role"]) for row in rows)

    wanted = sorted([(cluster.primary.port, "primary"), *((node.port, "replica") for node in cluster.replicas)])
    eventually(lambda: roles() == wanted, what="all nodes known")
    assert login(proxy, "scram_user") == ""
    assert (proxy.directory / "main.state").exists()


def test_a_path_of_the_toml_wins(container):
    proxy = container(PGBOUNCER_DEFAULT_POOL_SIZE="7", PGWEIR_POOL_SIZE="3", PGWEIR_POOL_MODE="statement",
                      PGWEIR_ADMIN_STATS_USERS="other,monitor")
    settings = settings_of(proxy)
    assert settings["default_pool_size"] == "3"
    assert settings["pool_mode"] == "statement"
    assert settings["stats_users"] == "other,monitor"


def test_reload_reads_the_environment(container):
    proxy = container()
    proxy.reload()
    eventually(lambda: "SIGHUP" in proxy.log(), what="the reload")
    assert proxy.console("reload", user="scram_user") == []
    assert login(proxy, "scram_user") == ""


def test_nothing_set():
    done = subprocess.run([str(PROGRAM)], env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=False,
                          timeout=60, cwd="/")
    assert done.returncode == 1
    assert "POSTGRESQL_HOST: expected the host of a server" in done.stderr
    assert "no configuration file given" in done.stderr


# ---------------------------------------------------------------------------- deploy/


def documents(path):
    """The documents of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


MANIFESTS = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifest(path, tmp_path):
    """It is YAML, of objects with names, and the configuration in it is one that pgweir takes without a word."""
    found = documents(path)
    assert found
    for document in found:
        assert {"apiVersion", "kind", "metadata"} <= document.keys()
        assert document["metadata"]["name"]
        for name, text in document.get("data", {}).items():
            assert name == "pgweir.toml"
            userlist = tmp_path / "userlist.txt"
            userlist.write_text('"shop" "secret"\n', encoding="ascii")
            health = tmp_path / "health"
            health.write_text("secret\n", encoding="ascii")
            config = tmp_path / name
            config.write_text(text.replace("/etc/pgweir/secret/userlist.txt", str(userlist))
                              .replace("/etc/pgweir/secret/health", str(health)), encoding="utf-8")
            done = subprocess.run([str(PROGRAM), "check", str(config)], capture_output=True, text=True, check=False,
                                  timeout=60)
            assert done.returncode == 0 and ": ok" in done.stdout, done.stdout


def containers(document):
    return document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])


def test_sidecar_starts(container):
    """The very variables of the manifest, but for addresses and passwords."""
    sidecar = next(one for document in documents(ROOT / "deploy/kubernetes/sidecar.yaml")
                   for one in containers(document) if one["name"] == "pgweir")
    variables = {entry["name"]: entry["value"] for entry in sidecar["env"] if "value" in entry}
    for name in ("POSTGRESQL_HOST", "POSTGRESQL_PORT", "POSTGRESQL_USERNAME", "PGWEIR_ADMIN_HTTP"):
        del variables[name]
    proxy = container(**{**variables, "PGBOUNCER_DATABASE": "app"})
    assert login(proxy, "scram_user") == ""
    assert settings_of(proxy)["default_pool_size"] == variables["PGBOUNCER_DEFAULT_POOL_SIZE"]
    assert set(re.findall(r"unknown variable (\w+)", proxy.log())) <= os.environ.keys()


def test_compose_starts(container):
    service = documents(ROOT / "deploy/compose/compose.yaml")[0]["services"]["pgweir"]
    variables = {name: value for name, value in service["environment"].items() if name.startswith("PGBOUNCER_")}
    settings = settings_of(container(**variables))
    assert settings["pool_mode"] == variables["PGBOUNCER_POOL_MODE"]
    assert settings["max_client_conn"] == variables["PGBOUNCER_MAX_CLIENT_CONN"]


COMPOSE = ROOT / "deploy/compose"


@pytest.mark.parametrize("path", sorted(COMPOSE.glob("*.yaml")), ids=lambda path: path.stem)
def test_compose_has_its_files(path):
    services = documents(path)[0]["services"]
    mounted = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    builds = [service["build"]["context"] for service in services.values() if "build" in service]
    assert builds == ["../.."]
    for name in (*mounted, *builds):
        assert not name.startswith(".") or (COMPOSE / name).exists(), name


def test_compose_cluster_starts(container, cluster):
    service = documents(COMPOSE / "cluster.yaml")[0]["services"]["pgweir"]
    assert service["environment"]["POSTGRESQL_HOST"].count(",") == 2
    variables = {name: value for name, value in service["environment"].items() if name.startswith("PGBOUNCER_")}
    nodes = ",".join(f"{node.host}:{node.port}" for node in cluster.nodes)
    proxy = container(**variables, POSTGRESQL_HOST=nodes)
    eventually(lambda: {row["role"] for row in proxy.console("show nodes", user="scram_user")} == {"primary", "replica"})


def test_compose_replica(cluster):
    """The replica's script beside PostgreSQL's image: copies the primary, follows it, and does so again."""
    with closing(Port()) as port, Workdir() as directory:
        script = directory.path / "replica.sh"
        write(script, (COMPOSE / "cluster/replica.sh").read_text(encoding="utf-8"))
        environment = {"PATH": f"{PG_BIN}:/usr/bin:/bin", "PGDATA": str(directory.path / "data"), "PRIMARY": "127.0.0.1",
                       "PGPORT": str(cluster.primary.port), "PGPASSWORD": PASSWORDS["postgres"]}
        for times in (1, 2):
            child = Process(["/bin/bash", script, "-p", port.number, "-k", directory.path], cwd=directory.path,
                            log=directory.path / f"log-{times}", environment=environment, stop_signal=signal.SIGINT,
                            death_signal=signal.SIGQUIT)
            asked = {"host": "127.0.0.1", "port": port.number, "user": "postgres", "dbname": "postgres"}
            with eventually(lambda: psycopg.connect(**asked, autocommit=True), 60, "the replica") as link:
                state = "select status = 'streaming' from pg_stat_wal_receiver"
                eventually(lambda link=link: link.execute(state).fetchone() == (True,), 20, "streaming")
            assert child.stop(signal.SIGINT, 60) == 0
            child.close()


@pytest.mark.skipif(not PROMTOOL, reason="no promtool")
def test_compose_prometheus(tmp_path):
    for path in (COMPOSE / "cluster/prometheus.yml", ROOT / "deploy/prometheus/pgweir.rules.yml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    done = subprocess.run([PROMTOOL, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True,
                          check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    dashboards = documents(COMPOSE / "cluster/grafana-dashboards.yml")[0]["providers"][0]["options"]["path"]
    grafana = documents(COMPOSE / "cluster.yaml")[0]["services"]["grafana"]["volumes"]
    assert f"../grafana/pgweir.json:{dashboards}/pgweir.json:ro" in grafana
