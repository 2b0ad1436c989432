"""What operators of PgBouncer are used to, as its own test suite has it, and no other file here looks at."""
import os
import signal
import socket
import struct
import threading

import pytest
from harness import ConnectionClosed, ServerError, Wire, eventually
from harness.fake_server import OK, authentication, fake_server, message
from harness.name_server import NameServer
from harness.postgres import PASSWORDS
from harness.wire import CANCEL_REQUEST, SYNC, bind, describe_statement, execute, parse, query

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]


def refusal(make):
    """The error that a log-in ends with."""
    with pytest.raises(ServerError) as error:
        make().close()
    return error.value.fields["M"]


def stats(proxy, *columns, database="app"):
    rows = {row["database"]: row for row in proxy.console("show stats")}
    return [int(rows[database][f"total_{column}"]) if database in rows else None for column in columns]


# ------------------------------------------------------------------------------------------- numbers


def test_terminate_is_no_query(pgweir):
    proxy = pgweir()
    session = proxy.entry("session")
    for _ in range(3):
        with proxy.wire(dbname=session) as wire:
            wire.query("begin")
            wire.query("commit")
            wire.terminate()
    assert stats(proxy, "xact_count", "query_count", database=session) == [3, 6]


def test_only_named_statements_count(pgweir):
    proxy = pgweir()
    columns = ("client_parse_count", "server_parse_count", "bind_count")
    with proxy.wire() as wire:
        wire.ask(parse("select 1") + bind() + execute() + SYNC)
        assert stats(proxy, *columns) == [0, 0, 0]
        for _ in range(2):
            wire.ask(parse("select 2", "") + parse("select 2", "s") + bind(statement="s") + execute()
                     + b"C" + struct.pack("!I", 7) + b"Ss\0" + SYNC)
        assert stats(proxy, *columns) == [2, 1, 2]
        proxy.console("set max_prepared_statements = 0")
        wire.ask(parse("select 2", "s") + bind(statement="s") + execute() + SYNC)
        assert stats(proxy, *columns) == [2, 1, 2]
        wire.terminate()


# ------------------------------------------------------------------------------------------- limits on clients


def test_console_counts_as_a_database(pgweir):
    """But no limit keeps administrators out."""
    proxy = pgweir(max_db_client_connections=2)
    full = "client connections exceeded (max_db_client_connections)"
    with proxy.wire("monitor", "pgbouncer") as one, proxy.wire("postgres", "pgbouncer") as two:
        assert refusal(lambda: proxy.wire("monitor", "pgbouncer")) == full
        with proxy.wire("postgres", "pgbouncer") as three:
            rows = {row["name"]: row for row in three.table("show databases")}
            assert rows["pgbouncer"]["current_client_connections"] == "3"
            three.terminate()
        one.terminate()
        proxy.wire("monitor", "pgbouncer").terminate()
        two.terminate()


def test_console_counts_for_its_user(pgweir):
    proxy = pgweir(max_user_client_connections=1, users={"monitor": "max_user_client_connections=2"})
    full = "client connections exceeded (max_user_client_connections)"
    with proxy.wire("monitor", "pgbouncer") as one, proxy.wire("monitor") as two:
        assert refusal(lambda: proxy.wire("monitor", "pgbouncer")) == full
        assert refusal(lambda: proxy.wire("monitor")) == full
        with proxy.wire("postgres", "pgbouncer") as console, proxy.wire("postgres", "pgbouncer") as other:
            rows = {row["name"]: row for row in console.table("show users")}
            assert [rows[name]["current_client_connections"] for name in ("monitor", "postgres")] == ["2", "2"]
            other.terminate()
            console.terminate()
        two.terminate()
        one.terminate()


def test_forced_user_is_not_the_clients(pgweir, cluster):
    """A limit on a user's clients is about who has logged in."""
    entry = f"host=127.0.0.1 port={cluster.primary.port} dbname=app user=monitor"
    proxy = pgweir(databases={"forced": entry}, max_user_client_connections=1,
                   users={"app": "max_user_client_connections=2"})
    with proxy.wire(dbname="forced") as one, proxy.wire(dbname="forced") as two:
        assert refusal(lambda: proxy.wire(dbname="forced")) == (
            "client connections exceeded (max_user_client_connections)")
        one.terminate()
        two.terminate()


# ------------------------------------------------------------------------------------------- authentication


def test_md5_says_the_same_of_everybody(pgweir, cluster):
    """auth_type = md5 goes by SCRAM where the secret wants it; who is refused cannot tell from the words."""
    secret = cluster.primary.value("select rolpassword from pg_authid where rolname = 'app'")
    proxy = pgweir(auth_type="md5", userlist={"app": secret, "monitor": "plain"})
    for user in ("app", "monitor", "nobody"):
        assert refusal(lambda user=user: proxy.wire(user, password="wrong")) == "password authentication failed", user


def test_console_is_nobodys_auth_dbname(pgweir, cluster):
    entry = f"host=127.0.0.1 port={cluster.primary.port} dbname=app auth_dbname=pgbouncer"
    proxy = pgweir(auth_type="plain", auth_user="postgres", databases={"looks": entry}, userlist={"postgres": ""})
    for dbname in ("looks", "pgbouncer"):
        assert refusal(lambda dbname=dbname: proxy.wire("somebody", dbname)) == "bouncer config error"
    assert proxy.log().count('cannot use the reserved "pgbouncer" database as an auth_dbname') == 2


def test_no_database_to_look_a_user_up_in(pgweir, cluster):
    proxy = pgweir(auth_type="md5", auth_user="postgres", userlist={"postgres": PASSWORDS["postgres"]},
                   databases={"*": f"host=127.0.0.1 port={cluster.primary.port}"})
    assert refusal(lambda: proxy.wire("nobody", "nosuchdb")) == 'database "nosuchdb" does not exist'
    log = proxy.log()
    assert 'server login failed: FATAL database "nosuchdb" does not exist' in log
    assert log.count('closing because: database "nosuchdb" does not exist (age') == 2  # the server and the client


def test_secret_that_does_not_serve(pgweir, cluster):
    """The server wants a password and there is only its hash: that will not change by waiting."""
    proxy = pgweir(databases={"forced": f"host=127.0.0.1 port={cluster.primary.port} dbname=app user=scram_user"},
                   userlist={"app": "", "scram_user": "md5" + "0" * 32})
    if refusal(lambda: proxy.wire("app", "forced")) != "server login failed: wrong password type":
        pytest.fail(proxy.log())


# ------------------------------------------------------------------------------------------- start-up parameters


def test_ignored_parameters_in_options(pgweir):
    proxy = pgweir(ignore_startup_parameters="extra_float_digits")
    with proxy.wire(options="-c extra_float_digits=3 -c work_mem=77kB") as wire:
        assert wire.rows("show work_mem") == [("77kB",)]
        assert wire.rows("show extra_float_digits") != [("3",)]
        wire.terminate()


def test_ignored_options(pgweir):
    """Those that follow a client anyway do all the same."""
    proxy = pgweir(ignore_startup_parameters="options")
    with proxy.wire(options="-c work_mem=77kB --timezone=Europe/Lisbon -x") as wire:
        assert wire.rows("show work_mem") != [("77kB",)]
        assert wire.rows("show timezone") == [("Europe/Lisbon",)]
        wire.terminate()


def test_long_names_of_statements(pgweir):
    """Servers see a name of ours."""
    name = "n" * 50_000
    with pgweir().wire() as wire:
        types = [each.type for each in wire.ask(parse("select 1", name) + describe_statement(name)
                                                + bind(statement=name) + execute() + SYNC)]
        assert types == ["1", "t", "T", "2", "D", "C", "Z"]
        wire.terminate()


# ------------------------------------------------------------------------------------------- servers


def test_disabled_balancing_stays_on_what_works(pgweir, cluster):
    entry = f"host=nowhere.invalid,127.0.0.1 port={cluster.primary.port} dbname=app load_balance_hosts=disable"
    proxy = pgweir(databases={"listed": entry}, default_pool_size=2)
    with proxy.wire(dbname="listed") as one, proxy.wire(dbname="listed") as two:
        one.query("begin")
        two.query("begin")
        assert proxy.log().count("closing because: server DNS lookup failed") == 1
        one.terminate()
        two.terminate()


def test_disabled_balancing_finds_what_works_once(pgweir, cluster):
    """Clients that come together wait for the one that tries the hosts."""
    entry = f"host=nowhere.invalid,127.0.0.1 port={cluster.primary.port} dbname=app load_balance_hosts=disable"
    proxy = pgweir(databases={"listed": entry}, default_pool_size=4)
    clients = [proxy.wire(dbname="listed") for _ in range(4)]
    for client in clients:
        client.send(query("begin"))
    for client in clients:
        client.read_until("Z")
        client.close()
    assert proxy.log().count("closing because: server DNS lookup failed") == 1


def test_servers_by_unix_socket_have_ports(pgweir, cluster):
    port = str(cluster.primary.port)
    proxy = pgweir(databases={"local": f"host={cluster.primary.directory} port={port} dbname=app"})
    assert proxy.rows("select 1", dbname="local") == [("1",)]
    server, = proxy.console("show servers")
    assert [server[name] for name in ("addr", "port", "local_port")] == ["unix", port, str(proxy.port)]
    assert f"@unix:{port} new connection to server" in proxy.log()


def test_names_are_remembered(pgweir, cluster):
    proxy = pgweir(databases={"named": f"host=localhost port={cluster.primary.port} dbname=app",
                              "nowhere": "host=nowhere.invalid port=1"}, query_wait_timeout=1)
    proxy.wire(dbname="named").terminate()
    assert refusal(lambda: proxy.wire(dbname="nowhere")) == "query_wait_timeout"
    hosts = {row["hostname"]: row for row in proxy.console("show dns_hosts")}
    assert sorted(hosts) == ["localhost", "nowhere.invalid"]
    assert "127.0.0.1:0" in hosts["localhost"]["addrs"] and hosts["nowhere.invalid"]["addrs"] == ""
    assert 0 < int(hosts["localhost"]["ttl"]) <= 15
    lists = {row["list"]: row["items"] for row in proxy.console("show lists")}
    assert lists["dns_names"] == "2"


@pytest.mark.skipif(os.geteuid() != 0, reason="the port of name servers is root's")
def test_zones_are_looked_at(pgweir, cluster):
    """A host's address is held for an hour, but for when its zone says that something has changed."""
    with NameServer("example", **{"db.example": "127.0.0.1"}) as server:
        entry = f"host=db.example port={cluster.primary.port} dbname=app"
        proxy = pgweir(databases={"named": entry}, dns_max_ttl=3600, dns_zone_check_period=1,
                       resolv_conf="@DIR@/resolv.conf", start=False)
        proxy.write("resolv.conf", server.resolv_conf())
        proxy.start()
        with proxy.wire(dbname="named") as client:
            client.query("select 1")
            zone = eventually(lambda: [row for row in proxy.console("show dns_zones") if row["serial"] == "1"])
            assert zone == [{"zonename": "example", "serial": "1", "count": "1"}]
            before = server.asked.count(("db.example", 1))
            server.names["db.example"], server.serial = "127.0.0.2", 2
            eventually(lambda: server.asked.count(("db.example", 1)) > before, what="the name to be looked up again")
            eventually(lambda: "127.0.0.2" in proxy.console("show dns_hosts")[0]["addrs"])
            assert "zone example serial changed: old=1 new=2" in proxy.log()
            eventually(lambda: "host db.example has no longer the address 127.0.0.1" in proxy.log())


def test_query_timeout_while_logging_in(pgweir):
    """Nobody answers where the server should be."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = pgweir(databases={"app": f"host=127.0.0.1 port={silent.getsockname()[1]}"}, query_timeout=1)
        assert refusal(proxy.wire) == "query_timeout"


def test_connect_failed_and_connect_timeout(pgweir):
    """It depends on how far the connection has come."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = pgweir(databases={"app": f"host=127.0.0.1 port={silent.getsockname()[1]}"}, query_timeout=3,
                       server_connect_timeout=1)
        assert refusal(proxy.wire) == "query_timeout"
        assert "closing because: connect timeout (age" in proxy.log()


def test_recovers_before_the_first_client(pgweir):
    """Who comes when the server answers again is served, whatever it has said before."""
    refuse = threading.Event()
    refuse.set()

    def story(session):
        if refuse.is_set():
            return session.send(message(b"E", b"SFATAL\0C28000\0Mnot now\0\0"))
        session.send(authentication(OK) + message(b"S", b"server_version\x0015.0\0")
                     + message(b"K", struct.pack("!II", 1, 2)) + message(b"Z", b"I"))
        return None

    with fake_server(story) as (port, _):
        proxy = pgweir(databases={"app": f"host=127.0.0.1 port={port}"})
        for _ in range(3):
            assert refusal(proxy.wire) == "not now"
        refuse.clear()
        proxy.wire().close()


def test_cancel_wait_timeout(pgweir):
    """The server takes the request and does not say that it is through."""
    ready = authentication(OK) + message(b"K", struct.pack("!II", 1, 2)) + message(b"Z", b"I")
    asked = threading.Event()

    def story(session):
        if session.code == CANCEL_REQUEST:
            return
        session.send(ready)
        session.read()
        asked.set()

    with fake_server(story) as (port, _):
        proxy = pgweir(databases={"app": f"host=127.0.0.1 port={port}"}, cancel_wait_timeout=1,
                       server_tls_sslmode="disable")
        with proxy.wire() as wire:
            wire.send(query("select 1"))
            assert asked.wait(20)
            wire.cancel()  # returns
            assert "closing because: cancel_wait_timeout (age" in proxy.log()
            assert [row["close_needed"] for row in proxy.console("show servers")] == ["1"]


def test_set_tls_in_steps(pgweir, authority, certificate):
    """A key and its certificate cannot be set at once: what does not fit yet is kept until it does."""
    cert, key = certificate
    cert2, key2 = authority.certificate("second", ["IP:127.0.0.1"])
    proxy = pgweir(client_tls_sslmode="require", client_tls_cert_file=cert, client_tls_key_file=key)

    def shown():
        done = os.popen(f"openssl s_client -starttls postgres -connect 127.0.0.1:{proxy.port} </dev/null 2>/dev/null"
                        " | openssl x509 -noout -subject").read()
        return done.strip()
    before = shown()
    assert before
    with proxy.connect("postgres", "pgbouncer") as console:
        console.execute(f"set client_tls_key_file = '{key2}'")
        assert shown() == before
        console.execute(f"set client_tls_cert_file = '{cert2}'")
    assert shown() not in ("", before)
    assert "TLS configuration could not be reloaded, keeping old configuration" in proxy.log()


def test_tls_of_servers_is_tried_at_once(pgweir, cluster):
    """A refusal under other settings says nothing about these."""
    proxy = pgweir(server_tls_sslmode="require", query_wait_timeout=1)
    assert refusal(proxy.wire) == "query_wait_timeout"  # the cluster has no TLS
    proxy.console("set server_tls_sslmode = disable")
    assert proxy.rows("select 1") == [("1",)]
    assert cluster.primary.port


# ------------------------------------------------------------------------------------------- the end


def unix_wire(proxy, user="app", dbname="app"):
    """By the Unix socket, which stays when the TCP port is closed."""
    return Wire.open(proxy.port, user, dbname, host=str(proxy.directory))


def test_waiting_clients_at_shutdown(pgweir):
    proxy = pgweir(default_pool_size=1)
    with proxy.wire() as busy, proxy.wire() as waiting, proxy.wire() as later:
        busy.query("begin")
        waiting.send(query("select 1"))
        eventually(lambda: proxy.pool()["cl_waiting"] == 1, what="the second waiting")
        proxy.process.signal(signal.SIGINT)
        for wire in (waiting, later):
            if wire is later:
                wire.send(query("select 1"))
            with pytest.raises(ConnectionClosed):
                wire.read_until("Z")
            assert wire.transcript[-1].fields()["M"] == "server shutting down"
        busy.query("commit")
        assert proxy.process.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nobody_new_at_shutdown(pgweir, number):
    """But for the console, by the Unix socket."""
    proxy = pgweir()
    with proxy.wire() as busy:
        busy.query("begin")
        proxy.process.signal(number)
        eventually(lambda: "shutting down" in proxy.log(), what="the signal heard")
        assert refusal(lambda: unix_wire(proxy)) == "pooler is shutting down"
        unix_wire(proxy, "postgres", "pgbouncer").terminate()
        busy.query("commit")
        busy.terminate()
    assert proxy.process.wait(20) == 0


# ------------------------------------------------------------------------------------------- idle entries


@pytest.mark.parametrize("setting, automatic", [("autodb_idle_timeout", True), ("pool_idle_timeout", False)])
def test_unused_pools_are_forgotten(pgweir, cluster, setting, automatic):
    """With their statistics, as if nobody had ever come; who comes again finds everything as new."""
    entry = f"host=127.0.0.1 port={cluster.primary.port} dbname=app"
    proxy = pgweir(databases={"*" if automatic else "plain": entry}, server_idle_timeout=1, **{setting: 1})

    def listed(what, key):
        return "plain" in [row[key] for row in proxy.console(what)]
    for _ in range(2):
        with proxy.wire(dbname="plain") as wire:
            wire.query("select 1")
            assert listed("show pools", "database") and listed("show databases", "name")
            assert stats(proxy, "query_count", database="plain") == [1]
            wire.terminate()
        eventually(lambda: not listed("show pools", "database"), what="the pool forgotten")
        assert listed("show databases", "name") == (not automatic)
        assert stats(proxy, "query_count", database="plain") == [None]
    assert proxy.log().count("registered new auto-database: db=plain") == (2 if automatic else 0)
