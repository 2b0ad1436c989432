"""Each setting of PgBouncer has an effect, or a line here that says why no test of one is possible."""
import grp
import json
import os
import pwd
import re
import signal
import socket
import struct
import subprocess
from pathlib import Path

import pytest
from harness import Pgweir, ServerError, eventually
from harness.processes import RUN_AS
from harness.wire import SYNC, Wire, bind, execute, parse, password_message, query, startup

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]
BACKEND = "select pg_backend_pid()"


def last_words(wire):
    """What a client was told before it was closed."""
    with wire:
        return wire.reads_eof()[-1].fields()["M"]


def refusal(proxy, **connection):
    with pytest.raises(ServerError) as error:
        proxy.wire(**connection)
    return error.value.fields["M"]


@pytest.fixture(name="counted")
def sequence(cluster):
    """How often `select nextval('counted')` has run."""
    with cluster.primary.connect(user="app", dbname="app") as link:
        link.execute("create sequence counted")
        yield lambda: link.execute("select last_value - (not is_called)::int from counted").fetchone()[0]
        link.execute("drop sequence counted")


# ---------------------------------------------------------------- clients


def test_application_name_add_host(pgweir):
    with pgweir(application_name_add_host=1).wire(application_name="name") as wire:
        port = wire.socket.getsockname()[1]
        assert wire.rows("show application_name") == [(f"name - 127.0.0.1:{port}",)]


def test_disable_pqexec(pgweir):
    wire = pgweir(disable_pqexec=1).wire()
    assert wire.ask(parse("select 1"), bind(), execute(), SYNC)[-1].type == "Z"
    wire.send(query("select 1"))
    assert last_words(wire) == "PQexec disallowed"


@pytest.mark.parametrize("setting, statement, words", [
    ("query_timeout", "select pg_sleep(60)", "query timeout"),
    ("transaction_timeout", "begin", "transaction timeout"),
    ("idle_transaction_timeout", "begin", "idle transaction timeout"),
    ("client_idle_timeout", "select 1", "client_idle_timeout"),
])
def test_timeouts(pgweir, setting, statement, words):
    wire = pgweir(**{setting: "0.3"}).wire()
    wire.send(query(statement))
    assert last_words(wire) == words


def test_client_login_timeout(pgweir):
    with Wire(pgweir(client_login_timeout="0.3", tcp_defer_accept=0).port) as silent:
        silent.reads_eof()


def test_scram_iterations(pgweir):
    """Of the secret that is made of a password in clear."""
    proxy = pgweir(auth_type="scram-sha-256", scram_iterations=5432, userlist={"app": "in clear"})
    with Wire(proxy.port) as wire:
        wire.send(startup("app", "app"))
        wire.read()
        begun = b"n,,n=,r=nonce"
        wire.send(password_message(b"SCRAM-SHA-256\0" + struct.pack("!I", len(begun)) + begun))
        assert wire.read().body.endswith(b",i=5432")


def test_login_notify_message(pgweir):
    with Wire(pgweir(login_notify_message="mind the gap").port) as wire:
        wire.send(startup("app", "app"))
        assert [message.fields()["M"] for message in wire.read_until("Z") if message.type == "N"] == ["mind the gap"]


@pytest.mark.parametrize("setting", ["max_client_conn", "max_db_client_connections", "max_user_client_connections"])
def test_limits_on_clients(pgweir, setting):
    proxy = pgweir(**{setting: 1})
    with proxy.wire():
        assert setting in refusal(proxy)
    eventually(lambda: proxy.wire().close() is None)


@pytest.mark.parametrize("setting", ["default_pool_size", "max_db_connections", "max_user_connections"])
def test_limits_on_servers(pgweir, setting):
    proxy = pgweir(**{setting: 1})
    with proxy.wire() as holder, proxy.wire() as waiter:
        holder.query("begin")
        waiter.send(query("select 1"))
        assert waiter.is_quiet(0.3) and len(proxy.console("show servers")) == 1
        holder.query("commit")
        assert waiter.read_until("Z")[-2].text() == "SELECT 1"


def test_max_packet_size(pgweir):
    wire = pgweir(max_packet_size=10000).wire()
    assert len(wire.rows("select '" + "x" * 9000 + "'")[0][0]) == 9000
    wire.send(query("select '" + "x" * 11000 + "'"))
    with wire:
        wire.reads_eof()


def test_max_prepared_statements(pgweir):
    proxy = pgweir(max_prepared_statements=2, default_pool_size=1)
    with proxy.wire() as wire:
        for i in range(5):
            wire.ask(parse(f"select {i}", f"s{i}"), bind(statement=f"s{i}"), execute(), SYNC)
        assert [row["prepared_statements"] for row in proxy.console("show servers")] == ["2"]


def test_query_wait_notify(pgweir):
    proxy = pgweir(default_pool_size=1, query_wait_notify=1)
    with proxy.wire() as holder, proxy.wire() as waiter:
        holder.query("begin")
        waiter.send(query("select 1"))
        assert waiter.read().fields()["M"].startswith("No server connection available in postgres backend")


def test_query_wait_timeout(pgweir):
    proxy = pgweir(default_pool_size=1, query_wait_timeout=3)
    waiter = proxy.wire()
    with proxy.wire() as holder:
        holder.query("begin")
        waiter.send(query("select 1"))
        assert last_words(waiter) == "query_wait_timeout"


# ---------------------------------------------------------------- servers


def test_reserve_pool(pgweir):
    proxy = pgweir(default_pool_size=1, reserve_pool_size=1, reserve_pool_timeout=1, verbose=1)
    with proxy.wire() as holder, proxy.wire() as waiter:
        holder.query("begin")
        assert waiter.rows("select 1") == [("1",)]
        assert "taking connection from reserve_pool" in proxy.log()


def test_server_check_query(pgweir, counted):
    proxy = pgweir(server_check_delay=0, server_check_query="select nextval('counted')")
    with proxy.wire() as wire:
        for _ in range(3):
            wire.query("select 1")
        assert counted() >= 2


def test_server_reset_query(pgweir, counted):
    proxy = pgweir(server_reset_query="select nextval('counted')", default_pool_size=1)
    with proxy.wire() as wire:
        wire.query("select 1")
        wire.query("select 1")
        assert counted() == 0
    with proxy.wire(dbname="app_session") as wire:
        wire.query("select 1")
        wire.terminate()
    eventually(lambda: counted() == 1)
    proxy.console("set server_reset_query_always = 1")
    with proxy.wire() as wire:
        wire.query("select 1")
        eventually(lambda: counted() == 2)


def test_server_idle_timeout(pgweir):
    proxy = pgweir(server_idle_timeout=1)
    with proxy.wire() as wire:
        wire.query("select 1")
        eventually(lambda: proxy.console("show servers") == [])
        assert "closing because: server idle timeout" in proxy.log()


def test_server_lifetime(pgweir):
    with pgweir(server_lifetime=0).wire() as wire:
        assert len({wire.rows(BACKEND)[0] for _ in range(3)}) == 3


def test_server_round_robin(pgweir):
    for setting, servers in ((0, 1), (1, 2)):
        proxy = pgweir(server_round_robin=setting, default_pool_size=2, companion="[workers]\nthreads = 1\n")
        with proxy.wire() as first, proxy.wire() as second:
            for wire in (first, second):
                wire.query("begin")
            for wire in (first, second):
                wire.query("commit")
            assert len({first.rows(BACKEND)[0] for _ in range(4)}) == servers


def test_server_fast_close(pgweir):
    """Sessions whose server is obsolete end with their transaction."""
    proxy = pgweir(server_fast_close=1, pool_mode="session")
    wire = proxy.wire()
    wire.query("begin")
    proxy.console("reconnect app")
    assert wire.is_quiet(0.5)
    wire.query("commit")
    assert last_words(wire) == "database configuration changed"


def test_track_extra_parameters(pgweir):
    proxy = pgweir(track_extra_parameters="IntervalStyle", default_pool_size=1)
    with proxy.wire() as one, proxy.wire() as other:
        one.query("set intervalstyle = 'iso_8601'")
        assert other.rows("show intervalstyle") == [("postgres",)]
        assert one.rows("show intervalstyle") == [("iso_8601",)]


# ---------------------------------------------------------------- log


def test_log_of_connections(pgweir):
    proxy = pgweir()
    proxy.wire().terminate()
    eventually(lambda: "closing because: client close request" in proxy.log())
    assert re.search(r"LOG C-0x\w+: app/app@127\.0\.0\.1:\d+ login attempt: db=app user=app tls=no", proxy.log())
    quiet = pgweir(log_connections=0, log_disconnections=0)
    quiet.wire().terminate()
    quiet.stop()
    assert not re.search(r" C-0x.*(login attempt|closing because)", quiet.log())


def test_log_of_hang_ups(pgweir):
    """In PgBouncer's words; who only looks whether the port answers, or hangs up to ask for a password, is not told of."""
    proxy = pgweir(auth_type="md5")
    Wire(proxy.port).close()
    waits = Wire(proxy.port)
    waits.send(startup(user="app", dbname="app"))
    assert waits.read().type == "R"
    waits.close()
    half = Wire(proxy.port)
    half.send(startup(user="app", dbname="app")[:-3])
    half.close()
    eventually(lambda: proxy.log().count("closing because: client unexpected eof") == 1)
    proxy.wire().close()
    eventually(lambda: proxy.log().count("closing because: client unexpected eof") == 2)
    with socket.socket(socket.AF_UNIX) as local:
        local.connect(str(proxy.directory / f".s.PGSQL.{proxy.port}"))
        local.send(startup(user="app", dbname="app")[:-3])
    eventually(lambda: re.search(rf"@unix\({os.getpid()}\):{proxy.port} closing because: client unexpected eof", proxy.log()))
    assert "WARNING" not in proxy.log() and proxy.log().count("closing because") == 3


def test_log_pooler_errors(pgweir):
    for setting in (1, 0):
        proxy = pgweir(log_pooler_errors=setting)
        assert refusal(proxy, dbname="nowhere") == "no such database: nowhere"
        proxy.stop()
        assert ("WARNING" in proxy.log() and "pooler error: no such database: nowhere" in proxy.log()) == bool(setting)


def test_log_stats(pgweir):
    proxy = pgweir(stats_period=1)
    line = (r" LOG stats: \d+ xacts/s, \d+ queries/s, \d+ client parses/s, \d+ server parses/s, \d+ binds/s, "
            r"in \d+ B/s, out \d+ B/s, xact \d+ us, query \d+ us, wait \d+ us\n")
    quiet = pgweir(stats_period=1, log_stats=0)
    eventually(lambda: len(re.findall(line, proxy.log())) >= 2)
    assert "stats:" not in quiet.log()


def test_logfile(pgweir):
    """Opened anew at RELOAD, so that it can be rotated."""
    proxy = pgweir(logfile="@DIR@/pgweir.log", pidfile="@DIR@/pgweir.pid")
    log = proxy.directory / "pgweir.log"
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+ \[\d+\] LOG kernel file descriptor limit", log.read_text())
    log.rename(proxy.directory / "old.log")
    proxy.reload()
    eventually(lambda: "RELOAD: configuration loaded" in log.read_text())
    assert (proxy.directory / "pgweir.pid").read_text() == f"{proxy.pid}\n"
    proxy.stop()
    assert not (proxy.directory / "pgweir.pid").exists()


def test_verbose(pgweir):
    assert " DEBUG " not in pgweir().log()
    proxy = pgweir(verbose=2, default_pool_size=1)  # the one server has to follow both
    with proxy.wire() as one, proxy.wire() as other:
        one.query("set datestyle = 'German'")
        other.query("select 1")
        one.query("select 1")
    eventually(lambda: "varcache_apply: " in proxy.log())


def test_json(pgweir):
    """log.format of the companion: every line is an object."""
    proxy = pgweir(companion='[log]\nformat = "json"\n')
    refusal(proxy, dbname='no "such"\n\\ one')
    with Wire(proxy.port) as stranger:  # whose name is no UTF-8
        stranger.send(startup("app", "appDB").replace(b"DB", b"\xc3\xff"))
        stranger.reads_eof()
    proxy.stop()
    lines = [json.loads(line) for line in proxy.process.log_path.read_bytes().decode().splitlines()]
    assert any("app\\xc3\\xff" in line["message"] for line in lines)
    assert all({"time", "pid", "level", "context", "message"} <= line.keys() for line in lines)
    assert any(line["level"] == "WARNING" and 'no "such"' in line["message"] for line in lines)


# ---------------------------------------------------------------- process


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("by_option", [False, True])
def test_user(pgweir, by_option):
    """Root becomes somebody else, with that one's groups."""
    proxy = pgweir(start=False, **({} if by_option else {"user": RUN_AS}))
    options = ["-u", RUN_AS] if by_option else []
    with subprocess.Popen([proxy.program, "-q", *options, proxy.config], cwd=proxy.directory) as child:
        try:
            eventually(lambda: proxy.wire().close() is None)
            status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
        finally:
            child.send_signal(signal.SIGQUIT)
    account = pwd.getpwnam(RUN_AS)
    for what, number in (("Uid", account.pw_uid), ("Gid", account.pw_gid)):
        assert re.search(rf"^{what}:\t(.*)$", status, re.MULTILINE)[1].split() == [str(number)] * 4
    assert "0" not in re.search(r"^Groups:\t(.*)$", status, re.MULTILINE)[1].split()


def test_unix_socket(pgweir):
    group = RUN_AS or grp.getgrgid(os.getgid()).gr_name
    proxy = pgweir(unix_socket_mode="0750", unix_socket_group=group)
    path = Path(proxy.directory) / f".s.PGSQL.{proxy.port}"
    assert path.is_socket() and path.stat().st_mode & 0o777 == 0o750 and path.group() == group
    with proxy.wire(host=str(proxy.directory)) as wire:
        assert wire.rows("select 1") == [("1",)]


def test_unix_socket_group_that_is_none(pgweir):
    proxy = pgweir(unix_socket_group="no_such_group", start=False)
    with pytest.raises(TimeoutError):
        proxy.start(timeout=2)
    assert "unix_socket_group" in proxy.log() and proxy.process.returncode == 1


def test_so_reuseport(pgweir, cluster):
    """Two processes, one port."""
    proxy = pgweir(so_reuseport=1, unix_socket_dir="")
    with Pgweir(cluster, so_reuseport=1, unix_socket_dir="", start=False) as other:
        other.config.write_text(proxy.config.read_text())
        other.port = proxy.port
        other.start()
        eventually(lambda: "listening on 127.0.0.1:" in other.log())
        assert other.process.alive and other.stop() == 0
    assert proxy.rows("select 1") == [("1",)]


def test_listen_addr(pgweir):
    proxy = pgweir(listen_addr="127.0.0.1")
    with pytest.raises(ConnectionRefusedError):
        Wire(proxy.port, host="127.0.0.2")


# ---------------------------------------------------------------- the matrix

# file::test of the effect, without test_; or after "none:" why there is no test of one.
SETTINGS = {
    "admin_users": "console::access",
    "application_name_add_host": "settings::application_name_add_host",
    "auth_dbname": "auth::auth_query_elsewhere",
    "auth_file": "process::set_conffile_and_auth_file",
    "auth_hba_file": "auth::passwords",
    "auth_ident_file": "auth::peer",
    "auth_ldap_options": "auth::ldap",
    "auth_query": "auth::auth_query_answers",
    "auth_type": "auth::passwords",
    "auth_user": "auth::auth_query_elsewhere",
    "autodb_idle_timeout": "habits::unused_pools_are_forgotten",
    "cancel_wait_timeout": "habits::cancel_wait_timeout",
    "client_idle_timeout": "settings::timeouts",
    "client_login_timeout": "settings::client_login_timeout",
    "client_tls13_ciphers": "tls::versions_and_ciphers",
    "client_tls_ca_file": "tls::bad_files_stop_the_start",
    "client_tls_cert_file": "tls::reload_takes_new_certificates",
    "client_tls_ciphers": "tls::versions_and_ciphers",
    "client_tls_dheparams": "none: OpenSSL 3 chooses the parameters; the word is checked",
    "client_tls_ecdhcurve": "tls::versions_and_ciphers",
    "client_tls_key_file": "tls::bad_files_stop_the_start",
    "client_tls_protocols": "tls::versions_and_ciphers",
    "client_tls_sslmode": "tls::set_takes_no_bad_files",
    "conffile": "process::set_conffile_and_auth_file",
    "default_pool_size": "settings::limits_on_servers",
    "disable_pqexec": "settings::disable_pqexec",
    "dns_max_ttl": "habits::names_are_remembered",
    "dns_nxdomain_ttl": "habits::names_are_remembered",
    "dns_zone_check_period": "habits::zones_are_looked_at",
    "idle_transaction_timeout": "settings::timeouts",
    "ignore_startup_parameters": "login::startup_parameters",
    "job_name": "none: the name of a Windows service",
    "listen_addr": "settings::listen_addr",
    "listen_backlog": "sockets::listen_backlog",
    "listen_port": "console::set",
    "log_connections": "settings::log_of_connections",
    "log_disconnections": "settings::log_of_connections",
    "log_pooler_errors": "settings::log_pooler_errors",
    "log_stats": "settings::log_stats",
    "logfile": "settings::logfile",
    "login_notify_message": "settings::login_notify_message",
    "max_client_conn": "settings::limits_on_clients",
    "max_db_client_connections": "settings::limits_on_clients",
    "max_db_connections": "settings::limits_on_servers",
    "max_packet_size": "settings::max_packet_size",
    "max_prepared_statements": "settings::max_prepared_statements",
    "max_user_client_connections": "settings::limits_on_clients",
    "max_user_connections": "settings::limits_on_servers",
    "min_pool_size": "process::forced_user_needs_no_client",
    "peer_id": "peers::forwarded",
    "pidfile": "settings::logfile",
    "pkt_buf": "none: there is no buffer of that size; accepted for PgBouncer's sake",
    "pool_mode": "pins::while_and_only_while",
    "pool_idle_timeout": "habits::unused_pools_are_forgotten",
    "query_timeout": "settings::timeouts",
    "query_wait_notify": "settings::query_wait_notify",
    "query_wait_timeout": "settings::query_wait_timeout",
    "reserve_pool_size": "settings::reserve_pool",
    "reserve_pool_timeout": "settings::reserve_pool",
    "resolv_conf": "habits::zones_are_looked_at",
    "sbuf_loopcnt": "none: there is no such loop; accepted for PgBouncer's sake",
    "scram_iterations": "settings::scram_iterations",
    "server_check_delay": "settings::server_check_query",
    "server_check_query": "settings::server_check_query",
    "server_connect_timeout": "tls::half_a_handshake_of_a_server_ends_in_time",
    "server_fast_close": "settings::server_fast_close",
    "server_idle_timeout": "settings::server_idle_timeout",
    "server_lifetime": "settings::server_lifetime",
    "server_login_retry": "login::server_refuses",
    "server_reset_query": "settings::server_reset_query",
    "server_reset_query_always": "settings::server_reset_query",
    "server_round_robin": "settings::server_round_robin",
    "server_tls13_ciphers": "tls::versions_and_ciphers_with_servers",
    "server_tls_ca_file": "tls::servers_are_verified",
    "server_tls_cert_file": "tls::server_asks_for_our_certificate",
    "server_tls_ciphers": "tls::versions_and_ciphers_with_servers",
    "server_tls_key_file": "tls::server_asks_for_our_certificate",
    "server_tls_protocols": "tls::versions_and_ciphers_with_servers",
    "server_tls_sslmode": "tls::server_modes",
    "so_reuseport": "settings::so_reuseport",
    "stats_period": "settings::log_stats",
    "stats_users": "console::access",
    "suspend_timeout": "console::suspend_waits_until_all_is_sent",
    "syslog": "none: a test has no syslog of its own",
    "syslog_facility": "none: a test has no syslog of its own",
    "syslog_ident": "none: a test has no syslog of its own",
    "tcp_defer_accept": "settings::client_login_timeout",
    "tcp_keepalive": "sockets::keepalive_off",
    "tcp_keepcnt": "sockets::keepalive",
    "tcp_keepidle": "sockets::keepalive",
    "tcp_keepintvl": "sockets::keepalive",
    "tcp_socket_buffer": "sockets::socket_buffer",
    "tcp_user_timeout": "sockets::keepalive",
    "track_extra_parameters": "settings::track_extra_parameters",
    "transaction_timeout": "settings::timeouts",
    "unix_socket_dir": "settings::unix_socket",
    "unix_socket_group": "settings::unix_socket",
    "unix_socket_mode": "settings::unix_socket",
    "user": "settings::user",
    "verbose": "settings::verbose",
}


def test_every_setting_has_a_test_or_a_reason(pgweir):
    assert [row["key"] for row in pgweir().console("show config")] == list(SETTINGS)
    for setting, where in SETTINGS.items():
        file, found, test = where.partition("::")
        if not found:
            assert where.startswith("none: "), setting
            continue
        text = (Path(__file__).parent / f"test_{file}.py").read_text(encoding="utf-8")
        assert f"def test_{test}(" in text, f"{setting}: {where} is not there"
