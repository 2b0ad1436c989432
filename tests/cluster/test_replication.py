"""Replication connections: PostgreSQL's own programs, a standby and a subscriber through the pooler, each with a
server connection of its own."""
import os
import signal
import subprocess

import pytest
from harness import Cluster, ConnectionClosed, ServerError, Wire, Workdir, eventually
from harness.postgres import PASSWORDS, PG_BIN, Node
from harness.processes import IDENTITY, Port
from harness.tls import Authority
from harness.wire import COPY_DONE, copy_data, query, startup

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]


@pytest.fixture
def proxy(pgweir, cluster):
    """Physical replication comes by the name `replication`, whatever the database."""
    def make(**settings):
        entry = f"host=127.0.0.1 port={cluster.primary.port}"
        return pgweir(cluster, databases={"replication": f"{entry} dbname=postgres"}, **settings)
    return make


@pytest.fixture
def workdir():
    with Workdir() as made:
        yield made.path


def program(proxy, name, *arguments, **options):
    """One of PostgreSQL's client programs, started, to connect through `proxy` as postgres."""
    return subprocess.Popen(
        [PG_BIN / name, "-h", proxy.host, "-p", str(proxy.port), "-U", "postgres", "-w", *arguments],
        env={**os.environ, "PGPASSWORD": PASSWORDS["postgres"], "PGSSLCERT": "/nonexistent",
             "PGSSLROOTCERT": "/nonexistent"}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, **IDENTITY, **options)


def ended_well(process, timeout=60):
    try:
        output = process.communicate(timeout=timeout)[0].decode(errors="replace")
    finally:
        process.kill()
    assert process.returncode == 0, output
    return output


def walsenders(node, name):
    return node.value("select count(*) from pg_stat_replication where application_name = %s", [name])


# ---------------------------------------------------------------------------------- PostgreSQL's programs


@pytest.mark.parametrize("tls", [False, True])
def test_basebackup_and_standby(proxy, cluster, workdir, tls):
    """A copy made through the pooler becomes a standby that follows through the pooler."""
    settings = {}
    if tls:  # which all of them use where it is offered
        cert, key = Authority(workdir).certificate("pooler")
        settings = {"client_tls_sslmode": "allow", "client_tls_cert_file": cert, "client_tls_key_file": key}
    through = proxy(auth_type="scram-sha-256", **settings)
    standby = Node(workdir, "standby")
    try:
        ended_well(program(through, "pg_basebackup", "-D", standby.data, "-R", "-X", "stream", "-c", "fast",
                           "--no-sync"))
        standby.start()
        eventually(lambda: walsenders(cluster.primary, "standby") == 1, what="the standby streaming")
        with through.wire(user="postgres") as wire:
            wire.rows("create table followed as select generate_series(1, 10000) as n")
        lsn = cluster.primary.lsn()
        eventually(lambda: standby.has_replayed(lsn), what="the standby at the primary's state")
        assert standby.value("select count(*) from followed", dbname="app") == 10000
        shown = [row for row in through.console("show clients") if row["replication"] != "none"]
        assert [(row["database"], row["replication"], row["state"], row["tls"].startswith("TLS")) for row in shown] == [
            ("replication", "physical", "active", tls)]
    finally:
        standby.close()
        cluster.primary.rows("drop table if exists followed", dbname="app")


def test_receivewal(proxy, cluster, workdir):
    through = proxy(auth_type="md5")
    process = program(through, "pg_receivewal", "-D", workdir, "--no-loop", "--no-sync")
    try:
        eventually(lambda: walsenders(cluster.primary, "pg_receivewal") == 1, what="a walsender")
        cluster.primary.rows("create table received as select repeat('x', 100) from generate_series(1, 20000)")
        segment = cluster.primary.value("select pg_walfile_name(pg_current_wal_lsn())")
        cluster.primary.rows("select pg_switch_wal()")
        eventually((workdir / segment).exists, what="a whole segment received")
        assert (workdir / segment).read_bytes() == (cluster.primary.data / "pg_wal" / segment).read_bytes()
        process.send_signal(signal.SIGINT)
        ended_well(process)
    finally:
        process.kill()
        cluster.primary.rows("drop table if exists received")
    eventually(lambda: walsenders(cluster.primary, "pg_receivewal") == 0, what="no walsender")


@pytest.fixture(scope="module")
def logical():
    with Cluster(replicas=0, settings={"wal_level": "logical"}) as made:
        yield made


def test_recvlogical(pgweir, logical, workdir):
    through = pgweir(logical, auth_type="scram-sha-256")
    slot = ("-d", "app", "--slot", "a_slot")
    ended_well(program(through, "pg_recvlogical", *slot, "--create-slot", "-P", "test_decoding"))
    with through.wire(user="postgres") as wire:
        wire.rows("create table sent (n int, t text)")
        wire.rows("insert into sent select n, repeat('y', 5000) from generate_series(1, 500) n")
    end = logical.primary.value("select pg_current_wal_insert_lsn()::text")
    logical.primary.rows("checkpoint")  # so that there is something behind it
    ended_well(program(through, "pg_recvlogical", *slot, "--start", "--endpos", end, "--no-loop", "-f",
                       workdir / "out"))
    lines = (workdir / "out").read_text().splitlines()
    assert len([line for line in lines if line.startswith("table public.sent: INSERT: n[integer]:")]) == 500
    ended_well(program(through, "pg_recvlogical", *slot, "--drop-slot"))
    assert logical.primary.value("select count(*) from pg_replication_slots") == 0


def test_subscription(pgweir, logical):
    """A subscriber's workers: SQL, COPY and a stream over logical connections."""
    through = pgweir(logical, auth_type="scram-sha-256")
    primary = logical.primary
    primary.rows("create table published (n int primary key)", dbname="app")
    primary.rows("insert into published select generate_series(1, 1000)", dbname="app")
    primary.rows("create publication p for table published", dbname="app")
    # Within one cluster the subscription cannot make its slot itself.
    primary.rows("select pg_create_logical_replication_slot('s', 'pgoutput')", dbname="app")
    primary.rows("create database subscriber")
    with primary.connect(dbname="subscriber") as link:
        link.execute("create table published (n int primary key)")
        link.execute(f"create subscription s connection 'host=127.0.0.1 port={through.port} dbname=app"
                     f" user=postgres password={PASSWORDS['postgres']}' publication p with (create_slot = false)")
        counted = lambda: link.execute("select count(*) from published").fetchone()[0]
        eventually(lambda: counted() == 1000, what="the initial copy")
        primary.rows("insert into published select generate_series(1001, 2000)", dbname="app")
        eventually(lambda: counted() == 2000, what="what came afterwards")
        link.execute("drop subscription s")
    primary.rows("drop database subscriber")


# -------------------------------------------------------------------------------- what the pooler does


def physical(proxy, **options):
    return proxy.wire(user="postgres", dbname="replication", **{"replication": "true", **options})


def logically(proxy, **options):
    return proxy.wire(user="postgres", **{"replication": "database", **options})


@pytest.mark.short
def test_own_server(proxy, cluster):
    """Each has its own, from its log-in to its end."""
    through = proxy(default_pool_size=2)
    with physical(through, application_name="one") as one, logically(through, application_name="two") as two:
        assert len(one.rows("IDENTIFY_SYSTEM")) == 1
        assert two.rows("show server_version") == [(one.parameters["server_version"],)]
        assert two.rows("select application_name from pg_stat_activity where pid = pg_backend_pid()") == [("two",)]
        assert through.rows("select 1", user="postgres") == [("1",)]
        for side in ("clients", "servers"):
            shown = {row["replication"]: row for row in through.console(f"show {side}")
                     if row["replication"] != "none"}
            assert set(shown) == {"physical", "logical"}
            assert {row["state"] for row in shown.values()} == {"active"}
            assert all(row["link"] for row in shown.values())
        assert two.rows("select pg_backend_pid()") == [(str(int.from_bytes(two.key[:4], "big")),)]
        assert "replication=yes" in through.log() and "replication=database" in through.log()
        two.rows("set work_mem = '1234kB'")
        two.terminate()
    eventually(lambda: walsenders(cluster.primary, "one") + walsenders(cluster.primary, "two") == 0,
               what="their ends")
    with logically(through) as wire:
        assert wire.rows("show work_mem") != [("1234kB",)]


def test_pool_size(proxy):
    """They count: an idle server makes room, and after that the next one waits."""
    through = proxy(default_pool_size=1)
    assert through.rows("select 1", user="postgres") == [("1",)]
    with logically(through) as one, Wire(through.port) as two:
        assert "closing because: evicted (age" in through.log()
        two.send(startup("postgres", "app", replication="database") + query("select 2"))
        assert two.is_quiet(0.3)
        one.terminate()
        assert ("2",) in [message.columns() for message in two.read_until("Z") + two.read_until("Z")
                          if message.type == "D"]
        two.terminate()
    assert through.rows("select 3", user="postgres") == [("3",)]


@pytest.mark.short
def test_what_came_before_the_welcome_counts_once(proxy):
    through = proxy()
    with Wire(through.port) as wire:
        wire.send(startup("postgres", "app", replication="database") + query("select 1"))
        assert [message.type for message in wire.read_until("Z") + wire.read_until("Z")][-5:] == list("ZTDCZ")
        assert wire.rows("select 2") == [("2",)]
        assert wire.is_quiet(0.05)


@pytest.mark.parametrize("value", ["false", "off", "0", "no", "F"])
def test_no_replication(proxy, value):
    with proxy().wire(user="postgres", replication=value) as wire:
        assert wire.rows("select 1") == [("1",)]
        assert [message.type for message in wire.query("identify_system")] == ["E", "Z"]


@pytest.mark.short
def test_refusals(proxy):
    through = proxy()
    for value in ("maybe", "", "o"):
        with pytest.raises(ServerError) as error:
            through.wire(user="postgres", replication=value)
        assert (error.value.sqlstate, error.value.fields["M"]) == (
            "22023", f'invalid value for parameter "replication": "{value}"')
    with pytest.raises(ServerError) as error:  # the server's own word
        through.wire(user="app", dbname="replication", replication="true")
    assert (error.value.sqlstate, error.value.fields["M"]) == ("42501", "login failed")
    assert error.value.fields["D"] == "must be superuser or replication role to start walsender"
    with pytest.raises(ServerError) as error:
        through.wire(user="postgres", dbname="pgbouncer", replication="true")
    assert error.value.sqlstate == "0A000"
    with pytest.raises(ServerError) as error:
        logically(through, search_path="", datestyle="nonsense")
    assert error.value.sqlstate == "22023"


@pytest.mark.short
def test_server_is_down(pgweir):
    port = Port()
    through = pgweir(databases={"app": f"host=127.0.0.1 port={port.number}"})
    for _ in range(3):  # told at once: who replicates tries again by himself
        with pytest.raises(ServerError) as error:
            logically(through)
        assert error.value.sqlstate == "08006"
    assert through.console("show servers") == []
    port.close()


def test_options_are_no_startup_packet(proxy, cluster):
    """What the server's start-up packet says of user and database stands there once: options add nothing."""
    through = proxy()
    for mode in ("session", "transaction"):
        for setting in ("user=postgres", "database=postgres", "replication=true", "--User=postgres"):
            setting = setting if setting.startswith("--") else f"-c {setting}"
            with pytest.raises(ServerError) as error:
                through.wire(user="app", dbname=f"app_{mode}", options=setting)
            assert error.value.sqlstate == "42704"
    assert cluster.primary.backends("usename = 'postgres' and datname = 'app'") == 0


@pytest.mark.short
def test_errors_and_cancel(proxy, cluster):
    through = proxy()
    with logically(through) as wire:
        assert wire.query("select nonsense")[0].fields()["C"] == "42703"
        wire.send(query("select pg_sleep(100)"))
        eventually(lambda: cluster.primary.backends("query = 'select pg_sleep(100)'") == 0 and
                   cluster.primary.value("select count(*) from pg_stat_activity where backend_type = 'walsender'"
                                         " and query = 'select pg_sleep(100)'") == 1, what="the query running")
        wire.cancel()
        assert wire.read_until("Z")[-2].fields()["C"] == "57014"
        pid = wire.rows("select pg_backend_pid()")[0][0]
        cluster.primary.rows(f"select pg_terminate_backend({pid})")
        with pytest.raises(ConnectionClosed) as end:
            wire.read_until("Z")
        assert [message.fields()["C"] for message in end.value.messages] == ["57P01"]


def test_hba(proxy):
    """`replication` is for physical connections, and `all` is not."""
    through = proxy(auth_type="hba", auth_hba_file="@DIR@/hba.conf", start=False)
    through.write("hba.conf", "host replication app 127.0.0.1/32 reject\n"
                              "host replication monitor 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 trust\n")
    through.start()
    told = {}
    for user in ("app", "monitor", "postgres"):
        for value, dbname in (("true", "replication"), ("database", "app")):
            try:
                through.wire(user=user, dbname=dbname, replication=value).close()
                told[user, value] = ""
            except ServerError as error:
                told[user, value] = error.fields.get("D", error.fields["M"])
    no_right = "must be superuser or replication role to start walsender"
    assert told == {("app", "true"): "login rejected", ("app", "database"): no_right,
                    ("monitor", "true"): no_right, ("monitor", "database"): no_right,
                    ("postgres", "true"): "no authentication method is found", ("postgres", "database"): ""}


def test_limits(proxy, cluster):
    """They count in max_db_connections: an idle server makes room, one in use does not."""
    through = proxy(max_db_connections=1, query_wait_timeout=4)
    assert through.rows("select 1", user="postgres") == [("1",)]
    with logically(through) as wire:
        assert wire.rows("select 1") == [("1",)]
        with pytest.raises(ServerError) as error:
            logically(through)
        assert error.value.fields["M"] == "query_wait_timeout"
    eventually(lambda: cluster.primary.value(
        "select count(*) from pg_stat_activity where backend_type = 'walsender' and datname = 'app'") == 0,
        what="its end")
    assert through.rows("select 1", user="postgres") == [("1",)]


def test_client_leaves_while_its_server_is_opened(proxy):
    """And while it waits for a paused pool."""
    through = proxy(client_login_timeout=4)
    with through.wire(user="postgres", dbname="pgbouncer") as console:
        console.rows("pause app")
        with pytest.raises(ServerError) as error:
            logically(through)
        assert error.value.fields["M"] == "client_login_timeout"
        console.rows("resume app")
    with logically(through) as wire:
        assert wire.rows("select 1") == [("1",)]


@pytest.mark.short
def test_large_both_ways(proxy):
    """More than any buffer holds, over SQL's COPY on a logical connection."""
    through = proxy()
    with logically(through) as wire:
        rows = wire.rows("select repeat('z', 1000000) from generate_series(1, 30)")
        assert [len(row[0]) for row in rows] == [1000000] * 30
        wire.rows("create temp table t (v text)")
        wire.send(query("copy t from stdin"))
        assert wire.read().type == "G"
        line = copy_data(b"w" * 999_999 + b"\n")
        for _ in range(30):
            wire.send(line)
        wire.send(COPY_DONE)
        wire.read_until("Z")
        assert wire.rows("select count(*), sum(length(v)) from t") == [("30", str(30 * 999_999))]
