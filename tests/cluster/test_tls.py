"""TLS, both sides: who gets in by which mode, and that all else is as without it."""
import contextlib
import re
import socket
import ssl
import struct
import threading

import psycopg
import pytest
from harness import Cluster, eventually
from harness.postgres import PASSWORDS
from harness.processes import Workdir, run
from harness.tls import Authority
from harness.wire import CANCEL_REQUEST, SSL_REQUEST, query, startup, untyped

pytestmark = pytest.mark.pgweir

MIB = 1 << 20
ROOM_KIB = 40 * 1024  # how much a proxy may grow while 100 MiB pass
USERS = {**PASSWORDS, "tls_user": "tls-secret", "plain_only": "plain-secret", "cert_user": ""}

HBA = """\
local     all         all                      trust
hostssl   all         tls_user   127.0.0.1/32  scram-sha-256
hostnossl all         plain_only 127.0.0.1/32  scram-sha-256
hostssl   all         cert_user  127.0.0.1/32  cert
host      all         app        127.0.0.1/32  trust
host      all         postgres   127.0.0.1/32  trust
"""
SETUP = "; ".join(f"create role {user} login password '{USERS[user] or 'none'}'"
                  for user in ("tls_user", "plain_only", "cert_user"))
BY_TLS = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def files():
    """A directory of certificates."""
    with Workdir() as made:
        yield made.path


@pytest.fixture(scope="module")
def authority(files):
    return Authority(files)


@pytest.fixture(scope="module")
def stranger(files):
    """An authority that nobody trusts."""
    return Authority(files, "stranger")


@pytest.fixture(scope="module")
def tls_cluster(authority):
    """A server with TLS, whose certificate is for 127.0.0.1 by its common name alone."""
    cert, key = authority.certificate("127.0.0.1", file="server")
    settings = {"ssl": "on", "ssl_cert_file": f"'{cert}'", "ssl_key_file": f"'{key}'",
                "ssl_ca_file": f"'{authority.file}'"}
    with Cluster(replicas=0, settings=settings, setup=SETUP) as made:
        (made.primary.data / "pg_hba.conf").write_text(HBA, encoding="ascii")
        made.primary.rows("select pg_reload_conf()")
        eventually(lambda: made.primary.value("select count(*) from pg_hba_file_rules") == 6, what="the new HBA")
        yield made


def accepting(certificate, authority=None, mode="require"):
    """Settings for TLS with clients."""
    cert, key = certificate
    settings = {"client_tls_sslmode": mode, "client_tls_cert_file": cert, "client_tls_key_file": key}
    return {**settings, "client_tls_ca_file": authority.file} if authority else settings


def outcome(proxy, **options):
    """How a login goes: plain, tls, or the error."""
    try:
        with proxy.connect(**options) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
            return "tls" if connection.pgconn.ssl_in_use else "plain"
    except psycopg.OperationalError as error:
        return str(error)


@contextlib.contextmanager
def direct_tls(proxy, alpn=("postgresql",), before=b""):
    """A TLS connection to the pooler whose handshake comes after `before`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    with socket.create_connection((proxy.host, proxy.port), timeout=20) as plain:
        if before:
            plain.sendall(before)
            assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as wrapped:
            yield wrapped


def read_message(stream):
    """The next message: its type and body. A type of b"" is the end."""
    head = b""
    while len(head) < 5:
        part = stream.recv(5 - len(head))
        if not part:
            return b"", b""
        head += part
    size = struct.unpack("!I", head[1:])[0] - 4
    body = b""
    while len(body) < size:
        body += stream.recv(size - len(body))
    return head[:1], body


def read_until(stream, last):
    found = []
    while not found or found[-1][0] not in (last, b""):
        found.append(read_message(stream))
    return found


# ---- who gets in

CLIENTS = {  # by mode: what becomes of each of libpq's modes
    "disable": {"disable": "plain", "allow": "plain", "prefer": "plain", "require": "does not support SSL"},
    "allow": {"disable": "plain", "allow": "plain", "prefer": "tls", "require": "tls", "verify-full": "tls"},
    "prefer": {"disable": "plain", "prefer": "tls", "require": "tls", "verify-ca": "tls"},
    "require": {"disable": "SSL required", "allow": "tls", "prefer": "tls", "require": "tls", "verify-full": "tls"},
    "verify-ca": {"disable": "SSL required"},
    "verify-full": {"disable": "SSL required"},
}


@pytest.mark.short
@pytest.mark.parametrize("mode", CLIENTS)
def test_client_modes(pgweir, tls_cluster, authority, certificate, mode):
    proxy = pgweir(tls_cluster, **accepting(certificate, authority, mode))
    for sslmode, expected in CLIENTS[mode].items():
        assert expected in outcome(proxy, sslmode=sslmode, sslrootcert=authority.file), sslmode


@pytest.mark.short
@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_client_certificates(pgweir, tls_cluster, authority, stranger, certificate, mode):
    proxy = pgweir(tls_cluster, **accepting(certificate, authority, mode))
    cert, key = authority.certificate("app")
    assert outcome(proxy, sslmode="require", sslcert=cert, sslkey=key) == "tls"
    cert, key = stranger.certificate("app", file="impostor")
    # In TLS 1.3 a client thinks itself in before it hears that it is not: it may hear only the end.
    assert outcome(proxy, sslmode="require", sslcert=cert, sslkey=key) not in ("tls", "plain")
    eventually(lambda: "TLS handshake failed: certificate verify failed" in proxy.log(), what="the log")
    assert outcome(proxy, sslmode="require") not in ("tls", "plain")
    eventually(lambda: "TLS handshake failed: peer did not return a certificate" in proxy.log(), what="the log")


def test_who_needs_no_certificate_may_show_a_bad_one(pgweir, tls_cluster, authority, stranger, certificate):
    proxy = pgweir(tls_cluster, **accepting(certificate, authority))
    for issuer in (authority, stranger):
        cert, key = issuer.certificate("anybody", file=f"anybody-{issuer.name}")
        assert outcome(proxy, sslmode="require", sslcert=cert, sslkey=key) == "tls"


SERVERS = {  # by mode: what becomes of app, of hostssl and of hostnossl users
    "disable": (False, None, False),
    "allow": (False, True, False),
    "prefer": (True, True, False),
    "require": (True, True, None),
    "verify-ca": (True, True, None),
    "verify-full": (True, True, None),
}


@pytest.mark.short
@pytest.mark.parametrize("mode", SERVERS)
def test_server_modes(pgweir, tls_cluster, authority, mode):
    proxy = pgweir(tls_cluster, server_tls_sslmode=mode, server_tls_ca_file=authority.file, userlist=USERS,
                   server_login_retry=1, query_wait_timeout=4)
    for user, expected in zip(("app", "tls_user", "plain_only"), SERVERS[mode]):
        if expected is None:
            with pytest.raises(psycopg.OperationalError, match="no pg_hba.conf entry"):
                proxy.connect(user=user, password=USERS[user])
            continue
        with proxy.connect(user=user, password=USERS[user]) as connection:
            assert connection.execute(BY_TLS).fetchone() == (expected,), user


@pytest.mark.short
def test_servers_without_tls(pgweir, cluster):
    assert pgweir(server_tls_sslmode="prefer").rows("select 1") == [("1",)]
    proxy = pgweir(server_tls_sslmode="require", query_wait_timeout=2, server_login_retry=1)
    with pytest.raises(psycopg.OperationalError):
        proxy.connect()
    assert "server refused SSL" in proxy.log()


@pytest.mark.parametrize("mode, host, trusted, trouble", [
    ("verify-ca", "127.0.0.1", False, "certificate verify failed: "),
    ("verify-full", "127.0.0.1", False, "certificate verify failed: "),
    ("verify-full", "localhost", True, 'server certificate for "127.0.0.1" does not match host name "localhost"'),
    ("verify-ca", "localhost", True, None)])
def test_servers_are_verified(pgweir, tls_cluster, authority, stranger, mode, host, trusted, trouble):
    entry = f"host={host} port={tls_cluster.primary.port} dbname=app"
    proxy = pgweir(databases={"app": entry}, server_tls_sslmode=mode, query_wait_timeout=2, server_login_retry=1,
                   server_tls_ca_file=(authority if trusted else stranger).file)
    if trouble is None:
        assert proxy.rows(BY_TLS) == [("t",)]
        return
    with pytest.raises(psycopg.OperationalError):
        proxy.connect()
    assert "TLS handshake failed: " + trouble in proxy.log()


def test_server_asks_for_our_certificate(pgweir, tls_cluster, authority):
    cert, key = authority.certificate("cert_user")
    proxy = pgweir(tls_cluster, server_tls_sslmode="verify-full", server_tls_ca_file=authority.file,
                   server_tls_cert_file=cert, server_tls_key_file=key, userlist=USERS)
    with proxy.connect(user="cert_user", password="") as connection:
        assert connection.execute("select current_user").fetchone() == ("cert_user",)


@pytest.mark.short
def test_what_is_shown(pgweir, tls_cluster, certificate):
    proxy = pgweir(tls_cluster, **accepting(certificate), server_tls_sslmode="require")
    with proxy.connect(sslmode="require") as one, proxy.connect(dbname="pgbouncer", user="postgres") as console:
        one.execute("select 1")
        shown = {}
        for command in ("show clients", "show servers"):
            cursor = console.execute(command)
            names = [column.name for column in cursor.description]
            rows = [dict(zip(names, row)) for row in cursor.fetchall()]
            shown[command] = {row["tls"] for row in rows if row["database"] == "app"}
        assert shown == {"show clients": {"TLSv1.3/TLS_AES_256_GCM_SHA384"},
                         "show servers": {"TLSv1.3/TLS_AES_256_GCM_SHA384"}}
    assert "login attempt: db=app user=app tls=TLSv1.3/TLS_AES_256_GCM_SHA384 replication=no" in proxy.log()
    assert "SSL established: TLSv1.3/TLS_AES_256_GCM_SHA384" in proxy.log()


# ---- versions, ciphers, resumption

def handshake(proxy, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = options.get("maximum", ssl.TLSVersion.TLSv1_3)
    if "ciphers" in options:
        context.set_ciphers(options["ciphers"])
    context.set_alpn_protocols(["postgresql"])
    with socket.create_connection((proxy.host, proxy.port), timeout=20) as plain:
        with context.wrap_socket(plain, session=options.get("session")) as wrapped:
            return wrapped.version(), wrapped.cipher()[0], wrapped.session, wrapped.session_reused


def test_versions_and_ciphers(pgweir, tls_cluster, certificate):
    tls12 = ssl.TLSVersion.TLSv1_2
    both = pgweir(tls_cluster, **accepting(certificate))
    assert handshake(both)[0] == "TLSv1.3"
    assert handshake(both, maximum=tls12)[0] == "TLSv1.2"
    new = pgweir(tls_cluster, **accepting(certificate), client_tls_protocols="tlsv1.3",
                 client_tls13_ciphers="TLS_CHACHA20_POLY1305_SHA256", client_tls_ecdhcurve="secp384r1")
    assert handshake(new)[:2] == ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256")
    with pytest.raises(ssl.SSLError):
        handshake(new, maximum=tls12)
    old = pgweir(tls_cluster, **accepting(certificate), client_tls_protocols="tlsv1.2",
                 client_tls_ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
    assert handshake(old)[:2] == ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")
    with pytest.raises(ssl.SSLError):
        handshake(old, maximum=tls12, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")


@pytest.mark.parametrize("settings, used", [
    ({"server_tls_protocols": "tlsv1.2",
      "server_tls_ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"},
     r"TLSv1\.2/ECDHE-\w+-AES128-GCM-SHA256"),
    ({"server_tls_protocols": "tlsv1.3", "server_tls13_ciphers": "TLS_CHACHA20_POLY1305_SHA256"},
     r"TLSv1\.3/TLS_CHACHA20_POLY1305_SHA256")])
def test_versions_and_ciphers_with_servers(pgweir, tls_cluster, settings, used):
    proxy = pgweir(tls_cluster, server_tls_sslmode="require", **settings)
    with proxy.wire() as wire:
        wire.rows("select 1")
        (tls,) = {row["tls"] for row in proxy.console("show servers")}
        assert re.fullmatch(used, tls)


def test_sessions_are_resumed(pgweir, tls_cluster, certificate):
    proxy = pgweir(tls_cluster, **accepting(certificate))
    *_, session, reused = handshake(proxy, maximum=ssl.TLSVersion.TLSv1_2)
    assert not reused
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["postgresql"])
    session = None
    for again in (False, True):
        with socket.create_connection((proxy.host, proxy.port), timeout=20) as plain:
            with context.wrap_socket(plain, session=session) as wrapped:
                assert wrapped.session_reused == again
                wrapped.sendall(startup("app", "app"))
                read_until(wrapped, b"Z")
                session = wrapped.session


# ---- before and around the handshake

@pytest.mark.short
@pytest.mark.parametrize("stuffed", [startup("app", "app"), b"\x16\x03\x01\x00", b"Q"])
def test_nothing_before_the_handshake_counts(pgweir, tls_cluster, certificate, stuffed):
    proxy = pgweir(tls_cluster, **accepting(certificate, mode="allow"))
    with socket.create_connection((proxy.host, proxy.port), timeout=20) as plain:
        plain.sendall(untyped(SSL_REQUEST) + stuffed)
        kind, body = read_message(plain)
        assert kind == b"E" and b"received unencrypted data after SSL request" in body
        assert plain.recv(1) == b""
    assert outcome(proxy, sslmode="require") == "tls"


@pytest.mark.short
def test_nothing_before_the_servers_handshake_counts(pgweir):
    """A server that says something behind its S, one that answers with an error, one with nonsense."""
    for answer, text in ((b"SR\0\0\0\x08\0\0\0\0", "received unencrypted data after SSL response"),
                         (b"E\0\0\0\x10SFATAL\0Mlies\0\0", "server refused to negotiate TLS"),
                         (b"HTTP/1.1 400", "server refused to negotiate TLS"),
                         (b"NR\0\0\0\x08\0\0\0\0", "received unencrypted data after SSL response")):
        with socket.create_server(("127.0.0.1", 0)) as fake:
            entry = f"host=127.0.0.1 port={fake.getsockname()[1]}"
            proxy = pgweir(None, databases={"app": entry}, server_tls_sslmode="prefer", query_wait_timeout=2)
            with socket.create_connection((proxy.host, proxy.port)) as client:
                client.sendall(startup("app", "app"))
                fake.settimeout(20)
                connection, _ = fake.accept()
                with connection:
                    assert connection.recv(8) == untyped(SSL_REQUEST)
                    connection.sendall(answer)
                    connection.settimeout(20)
                    assert connection.recv(1) == b""
            eventually(lambda proxy=proxy, text=text: text in proxy.log(), what=text)
            assert "lies" not in proxy.log()


@pytest.mark.short
def test_direct_tls(pgweir, tls_cluster, certificate):
    proxy = pgweir(tls_cluster, **accepting(certificate))
    with direct_tls(proxy) as stream:
        assert stream.selected_alpn_protocol() == "postgresql"
        stream.sendall(startup("app", "app") + query("select 42"))  # in one go: nothing is lost
        read_until(stream, b"Z")
        assert b"42" in read_until(stream, b"Z")[1][1]
    with direct_tls(proxy, alpn=()) as stream:
        stream.sendall(startup("app", "app"))
        kind, body = read_message(stream)
        assert kind == b"E" and b"without ALPN protocol negotiation extension" in body
    with pytest.raises(ssl.SSLError), direct_tls(proxy, alpn=["http/1.1"]) as stream:
        stream.recv(1)
    with direct_tls(proxy) as stream:
        stream.sendall(untyped(SSL_REQUEST))
        kind, body = read_message(stream)
        assert kind == b"E" and b"SSL req inside SSL" in body
    with pytest.raises(OSError), direct_tls(pgweir(tls_cluster)):
        pass


def test_half_a_handshake_ends_in_time(pgweir, tls_cluster, certificate):
    proxy = pgweir(tls_cluster, **accepting(certificate), client_login_timeout=2)
    with socket.create_connection((proxy.host, proxy.port), timeout=20) as plain:
        plain.sendall(untyped(SSL_REQUEST))
        assert plain.recv(1) == b"S"
        plain.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert plain.recv(1) == b""
    assert "client_login_timeout" in proxy.log()


def test_half_a_handshake_of_a_server_ends_in_time(pgweir):
    with socket.create_server(("127.0.0.1", 0)) as fake:
        proxy = pgweir(None, databases={"app": f"host=127.0.0.1 port={fake.getsockname()[1]}"},
                       server_connect_timeout=1)
        with socket.create_connection((proxy.host, proxy.port)) as client:
            client.sendall(startup("app", "app"))
            fake.settimeout(20)
            connection, _ = fake.accept()
            with connection:
                connection.settimeout(20)
                connection.recv(8)
                connection.sendall(b"S")
                while connection.recv(4096):
                    pass
        assert "connect timeout" in proxy.log()


# ---- files

@pytest.mark.short
def test_reload_takes_new_certificates(pgweir, tls_cluster, authority, files):
    first = authority.certificate("first", ["DNS:first"])
    second = authority.certificate("second", ["DNS:second"])
    paths = (files / "current.crt", files / "current.key")

    def install(pair):
        for source, target in zip(pair, paths):
            target.write_bytes(source.read_bytes())

    def shown(proxy):
        with direct_tls(proxy) as stream:
            return stream.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(second[0].read_text())

    install(first)
    for path in paths:
        path.chmod(0o644)
    proxy = pgweir(tls_cluster, **accepting(paths))
    with proxy.connect(sslmode="require") as old:
        assert not shown(proxy)
        install(second)
        proxy.reload()
        eventually(lambda: shown(proxy), what="the new certificate")
        assert old.execute("select 1").fetchone() == (1,)
        paths[0].write_text("no certificate", encoding="ascii")
        proxy.reload()
        eventually(lambda: "RELOAD failed" in proxy.log(), what="a refused RELOAD")
        assert f"client_tls_cert_file {paths[0]}: " in proxy.log()
        assert shown(proxy)


def test_bad_files_stop_the_start(pgweir, tls_cluster, certificate, files):
    for key, value, text in (
            ("client_tls_cert_file", files / "nowhere", f"client_tls_cert_file {files}/nowhere: No such file"),
            ("client_tls_key_file", certificate[0], f"client_tls_key_file {certificate[0]}: "),
            ("client_tls_ca_file", certificate[1], f"client_tls_ca_file {certificate[1]}: "),
            ("client_tls_ciphers", "NONE-SUCH", 'client_tls_ciphers "NONE-SUCH": no cipher match'),
            ("client_tls_protocols", "sslv2", 'client_tls_protocols: expected a list of')):
        settings = {**accepting(certificate), key: value}
        if key == "client_tls_ca_file":
            settings["client_tls_sslmode"] = "verify-ca"
        proxy = pgweir(tls_cluster, start=False, **settings)
        with pytest.raises(RuntimeError, match="ended with 1") as error:
            run([proxy.program, proxy.config], cwd=proxy.directory)
        assert text in str(error.value)
        with pytest.raises(RuntimeError, match="1 problem") as error:
            run([proxy.program, "check", proxy.config], cwd=proxy.directory)
        assert f"{proxy.config}:1: {text}" in str(error.value)


def test_set_takes_no_bad_files(pgweir, tls_cluster, certificate):
    proxy = pgweir(tls_cluster, **accepting(certificate))
    with proxy.connect(dbname="pgbouncer", user="postgres") as console:
        console.execute("set server_tls_ca_file = '/nowhere'; ")
        console.execute("set server_tls_sslmode = 'verify-ca'")  # waits for a good file
        assert "TLS configuration could not be reloaded, keeping old configuration" in proxy.log()
        shown = {row[0]: row[1] for row in console.execute("show config").fetchall()}
        assert shown["server_tls_sslmode"] == "prefer"
        assert outcome(proxy, sslmode="require") == "tls"
        console.execute("set server_tls_ca_file = ''")
        console.execute("set server_tls_sslmode = 'prefer'")
        console.execute("set client_tls_sslmode = 'disable'")
        eventually(lambda: "does not support SSL" in outcome(proxy, sslmode="require"), what="no more TLS")


# ---- the same as without

@pytest.fixture(params=["tls to tls", "tls to plain", "plain to tls"])
def sides(request, certificate):
    """Settings, and libpq's mode for clients."""
    client = accepting(certificate) if request.param.startswith("tls") else {}
    server = {"server_tls_sslmode": "require" if request.param.endswith("tls") else "disable"}
    return {**client, **server}, "require" if client else "disable"


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_large_values(pgweir, tls_cluster, sides, mode):
    settings, sslmode = sides
    proxy = pgweir(tls_cluster, **settings)
    with proxy.connect(dbname=proxy.entry(mode), sslmode=sslmode) as connection:
        connection.execute("select 1")
        before = proxy.peak_kib()
        (value,) = connection.execute(f"select repeat('xyz', {100 * MIB // 3})").fetchone()
        assert value == "xyz" * (100 * MIB // 3)
        data = bytes(range(256)) * (100 * MIB // 256)
        assert connection.execute("select length(%b), md5(%b::bytea) = md5(%b::bytea)",
                                  [data, b"a", b"a"]).fetchone() == (len(data), True)
        assert proxy.peak_kib() - before < ROOM_KIB


def test_copy_both_ways(pgweir, tls_cluster, sides):
    settings, sslmode = sides
    proxy = pgweir(tls_cluster, **settings)
    with proxy.connect(sslmode=sslmode) as connection:
        connection.execute("drop table if exists large; create table large (v text)")
        before = proxy.peak_kib()
        with connection.cursor() as cursor:
            with cursor.copy("copy large from stdin") as copy:
                for _ in range(100):
                    copy.write(b"y" * (MIB - 1) + b"\n")
            with cursor.copy("copy large to stdout") as copy:
                assert sum(len(data) for data in copy) == 100 * MIB
        assert proxy.peak_kib() - before < ROOM_KIB
        connection.execute("drop table large")


def test_slow_reader(pgweir, tls_cluster, certificate):
    proxy = pgweir(tls_cluster, **accepting(certificate), server_tls_sslmode="require", default_pool_size=2)
    with direct_tls(proxy) as slow, proxy.connect(sslmode="require") as other:
        slow.sendall(startup("app", "app"))
        read_until(slow, b"Z")
        other.execute("select 1")
        before = proxy.rss_kib()
        slow.sendall(query("select repeat('x', 1000000) from generate_series(1, 100)"))
        eventually(lambda: tls_cluster.primary.backends("wait_event = 'ClientWrite'") == 1,
                   what="the server waits for its reader")
        for _ in range(20):
            assert other.execute("select 1").fetchone() == (1,)
        assert proxy.rss_kib() - before < ROOM_KIB
        slow.settimeout(60)
        assert sum(kind == b"D" for kind, _ in read_until(slow, b"Z")) == 100


class Relay:
    """Passes connections on to a server and keeps what clients said."""

    def __init__(self, port):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._to = port
        self.said = []  # by connection
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self.said.append(bytearray())
                for source, target, record in ((client, server, self.said[-1]), (server, client, bytearray())):
                    threading.Thread(target=self._pass, args=(source, target, record), daemon=True).start()

    @staticmethod
    def _pass(source, target, record):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                record += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.mark.short
def test_cancel(pgweir, tls_cluster, certificate, authority):
    """From the client by TLS or not, to the server as its connection was made."""
    with Relay(tls_cluster.primary.port) as relay:
        entry = f"host=127.0.0.1 port={relay.port} dbname=app"
        proxy = pgweir(databases={"app": entry}, **accepting(certificate, mode="allow"),
                       server_tls_sslmode="verify-full", server_tls_ca_file=authority.file)
        for turn, by_tls in enumerate((True, False), 1):
            with direct_tls(proxy) as stream:
                stream.sendall(startup("app", "app"))
                key = dict(read_until(stream, b"Z"))[b"K"]
                stream.sendall(query(f"select pg_sleep(60), {turn}"))
                eventually(lambda turn=turn: tls_cluster.primary.backends(f"query like '%sleep(60), {turn}'"
                                                                         " and state = 'active'"),
                           what="the query runs")
                with direct_tls(proxy) if by_tls else socket.create_connection((proxy.host, proxy.port)) as other:
                    other.sendall(untyped(CANCEL_REQUEST, key))
                    assert other.recv(1) == b""
                assert any(b"57014" in body for _, body in read_until(stream, b"Z"))
            assert len(relay.said) == 1 + turn
        assert all(said.startswith(untyped(SSL_REQUEST)) and struct.pack("!I", CANCEL_REQUEST) not in said
                   for said in relay.said)


def test_servers_move_between_threads(pgweir, tls_cluster, certificate):
    """One server, clients on two threads: it goes to and fro with its TLS."""
    proxy = pgweir(tls_cluster, **accepting(certificate), server_tls_sslmode="require", default_pool_size=1,
                   companion="[workers]\nthreads = 2\n")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(proxy.connect(sslmode="require")) for _ in range(8)]
        pids = set()
        for turn in range(50):
            for number, client in enumerate(clients):
                pid, value = client.execute("select pg_backend_pid(), %s", [f"{turn}-{number}"]).fetchone()
                pids.add(pid)
                assert value == f"{turn}-{number}"
        assert len(pids) == 1
