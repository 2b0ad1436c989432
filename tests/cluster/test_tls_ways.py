"""TLS by name and by database, direct TLS with servers, and sessions that are resumed on either side."""
import contextlib
import socket
import ssl
import threading

import psycopg
import pytest
from harness import Cluster, eventually
from harness.postgres import PASSWORDS
from harness.processes import run
from harness.tls import Authority
from harness.wire import CANCEL_REQUEST, query, startup, untyped

pytestmark = pytest.mark.pgweir

BY_TLS = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
READY = b"Z\0\0\0\x05I"


@pytest.fixture(scope="module")
def tls_cluster(server_tls):
    with Cluster(replicas=0, settings=server_tls) as made:
        yield made


def accepting(certificate, **more):
    cert, key = certificate
    return {"client_tls_sslmode": "require", "client_tls_cert_file": cert, "client_tls_key_file": key, **more}


def client_context(version=ssl.TLSVersion.TLSv1_3, certificate=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    context.set_alpn_protocols(["postgresql"])
    if certificate:
        context.load_cert_chain(*certificate)
    return context


@contextlib.contextmanager
def stream_to(proxy, context, name=None, session=None):
    """A TLS connection, and nothing said yet."""
    with socket.create_connection((proxy.host, proxy.port), timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname=name, session=session) as stream:
            yield stream


def log_in(stream):
    stream.sendall(startup("app", "app"))
    return read_to_ready(stream)


def read_to_ready(stream):
    received = b""
    while not received.endswith(READY):
        part = stream.recv(65536)
        assert part, received
        received += part
    return received


# ---- certificates by the name that the client asks for

@pytest.mark.short
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_certificates_by_name(pgweir, tls_cluster, authority, certificate, version):
    shop = authority.certificate("shop", ["DNS:shop.example"])
    wild = authority.certificate("wild", ["DNS:*.db.example"])
    proxy = pgweir(tls_cluster, **accepting(certificate), companion=f"""
[tls.client.names."Shop.example"]
cert_file = "{shop[0]}"
key_file = "{shop[1]}"
[tls.client.names."*.db.example"]
cert_file = "{wild[0]}"
key_file = "{wild[1]}"
""")
    context = client_context(version)
    for name, expected in ((None, certificate), ("shop.example", shop), ("SHOP.example", shop),
                           ("a.db.example", wild), ("a.b.db.example", certificate), ("other", certificate)):
        with stream_to(proxy, context, name) as stream:
            shown = stream.getpeercert(binary_form=True)
            assert shown == ssl.PEM_cert_to_DER_cert(expected[0].read_text()), name
            log_in(stream)


def test_channel_binding_by_name(pgweir, tls_cluster, authority, certificate):
    shop = authority.certificate("shop", ["DNS:shop.example"])
    proxy = pgweir(tls_cluster, **accepting(certificate), auth_type="scram-sha-256", companion=f"""
[tls.client.names."shop.example"]
cert_file = "{shop[0]}"
key_file = "{shop[1]}"
""")
    for host in ("shop.example", "localhost"):
        with psycopg.connect(host=host, hostaddr="127.0.0.1", port=proxy.port, user="app", dbname="app",
                             password=PASSWORDS["app"], sslmode="verify-full", sslrootcert=authority.file,
                             channel_binding="require") as connection:
            assert connection.execute("select 1").fetchone() == (1,)


def test_bad_names_stop_the_start(pgweir, tls_cluster, certificate):
    proxy = pgweir(tls_cluster, start=False, **accepting(certificate),
                   companion='[tls.client.names.x]\ncert_file = "/nowhere"\nkey_file = "/nowhere"\n')
    with pytest.raises(RuntimeError, match='client_tls_names "x": cert_file /nowhere: No such file'):
        run([proxy.program, proxy.config], cwd=proxy.directory)


# ---- TLS with servers by database

@pytest.mark.short
def test_databases_have_their_own_tls(pgweir, tls_cluster, authority):
    stranger = Authority(authority.directory, "stranger-of-databases")
    address = f"host=127.0.0.1 port={tls_cluster.primary.port} dbname=app"
    proxy = pgweir(
        server_tls_sslmode="prefer", query_wait_timeout=2, server_login_retry=1,
        databases={"usual": address, "plain": f"{address} sslmode=disable",
                   "sure": f"{address} sslmode=verify-full sslrootcert={authority.file}",
                   "wrong": f"{address} sslmode=verify-ca sslrootcert={stranger.file}",
                   "old": address, "*": f"{address} sslmode=disable"},
        companion='[databases.old.tls]\nprotocols = "tlsv1.2"\nmode = "require"\n')
    for name, expected in (("usual", "t"), ("plain", "f"), ("sure", "t"), ("old", "t"), ("any_other", "f")):
        assert proxy.rows(BY_TLS, dbname=name) == [(expected,)], name
    assert proxy.rows("select version from pg_stat_ssl where pid = pg_backend_pid()", dbname="old") == [("TLSv1.2",)]
    with pytest.raises(psycopg.OperationalError):
        proxy.connect(dbname="wrong")
    assert "certificate verify failed" in proxy.log()

    # A changed entry gets new servers; the others keep theirs.
    backend = "select pg_backend_pid()"
    before = {name: proxy.rows(backend, dbname=name) for name in ("usual", "plain")}
    proxy.config.write_text(proxy.config.read_text().replace("app sslmode=disable\nsure", "app sslmode=require\nsure"))
    proxy.reload()
    eventually(lambda: proxy.rows(BY_TLS, dbname="plain") == [("t",)], what="TLS for the entry that was plain")
    assert proxy.rows(backend, dbname="usual") == before["usual"]


# ---- direct TLS with servers

class TlsServer:
    """Takes direct TLS as PostgreSQL 17, logs everybody in, and keeps what it was told."""

    def __init__(self, certificate, alpn=("postgresql",)):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)
        if alpn:
            self._context.set_alpn_protocols(alpn)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.seen = []  # of each connection: (first byte, alpn, first packet)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection:
            first = connection.recv(1, socket.MSG_PEEK)
            with self._context.wrap_socket(connection, server_side=True) as stream:
                packet = stream.recv(4096)
                self.seen.append((first, stream.selected_alpn_protocol(), packet))
                if packet[4:8] == untyped(CANCEL_REQUEST)[4:8]:
                    return
                stream.sendall(b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x07\0\0\0\x08" + READY)
                while request := stream.recv(4096):
                    if b"forever" in request:
                        continue
                    stream.sendall(b"C\0\0\0\x0dSELECT 1\0" + READY)


DIRECT = '[tls.server]\nnegotiation = "direct"\n'


def behind(port):
    return {"app": f"host=127.0.0.1 port={port} dbname=app"}


@pytest.mark.short
def test_direct_tls_with_servers(pgweir, authority):
    with TlsServer(authority.certificate("server", ["IP:127.0.0.1"])) as server:
        proxy = pgweir(None, databases=behind(server.port), server_tls_sslmode="verify-full",
                       server_tls_ca_file=authority.file, companion=DIRECT)
        with proxy.wire() as wire:
            wire.send(query("select forever"))
            eventually(lambda: len(server.seen) == 1 and proxy.pool()["sv_active"] == 1, what="the query is sent")
        eventually(lambda: len(server.seen) == 2, what="a cancel request, as the client has gone")
        assert [seen[:2] for seen in server.seen] == [(b"\x16", "postgresql")] * 2
        assert server.seen[1][2].startswith(untyped(CANCEL_REQUEST)[4:8], 4)


def test_direct_tls_for_one_database(pgweir, authority, tls_cluster):
    with TlsServer(authority.certificate("server", ["IP:127.0.0.1"])) as server:
        entry = f"host=127.0.0.1 port={server.port} dbname=app sslmode=require sslnegotiation=direct"
        proxy = pgweir(tls_cluster, databases={"modern": entry}, server_tls_sslmode="require")
        assert proxy.rows(BY_TLS) == [("t",)]
        with proxy.wire(dbname="modern") as wire:
            wire.send(query("select 1"))
            wire.read_until("Z")
        assert server.seen[0][:2] == (b"\x16", "postgresql")


def test_direct_tls_wants_alpn(pgweir, authority):
    with TlsServer(authority.certificate("server", ["IP:127.0.0.1"]), alpn=()) as server:
        proxy = pgweir(None, databases=behind(server.port), server_tls_sslmode="require", query_wait_timeout=2,
                       server_login_retry=1, companion=DIRECT)
        with pytest.raises(psycopg.OperationalError):
            proxy.connect(sslmode="disable")
        assert "server did not agree on ALPN in direct TLS" in proxy.log()
        assert not any(packet for *_, packet in server.seen), "nothing is said to a server that may be another's"


def test_direct_tls_is_for_those_who_want_tls(pgweir, cluster):
    proxy = pgweir(cluster, start=False, server_tls_sslmode="prefer", companion=DIRECT)
    with pytest.raises(RuntimeError, match="direct negotiation: expected mode require, verify-ca"):
        run([proxy.program, proxy.config], cwd=proxy.directory)


def test_pgweir_behind_pgweir(pgweir, tls_cluster, certificate, authority):
    """Direct TLS to another pgweir, whose tickets let the later connections resume."""
    inner = pgweir(tls_cluster, **accepting(certificate))
    entry = f"host=127.0.0.1 port={inner.port} dbname=app"
    outer = pgweir(databases={"app": entry}, server_tls_sslmode="verify-full", server_tls_ca_file=authority.file,
                   pool_mode="transaction", companion=DIRECT + "[workers]\nthreads = 2\n")
    with outer.connect() as one:
        assert one.execute("select 1").fetchone() == (1,)
        for turn in range(3):
            with outer.connect(dbname="pgbouncer", user="postgres") as console:
                console.execute("reconnect")
            eventually(lambda: not outer.console("show servers"), what="no server is left")
            assert one.execute("select 1 + %s::int", [turn]).fetchone() == (1 + turn,)
    assert outer.log().count("SSL established: TLSv1.3/TLS_AES_256_GCM_SHA384, resumed") == 3
    assert outer.log().count("SSL established") == 4


# ---- sessions of clients

def resumptions(proxy, context, turns, reload_at):
    """Which of so many connections, one after the other, were resumed sessions of the one before."""
    session, resumed = None, []
    for turn in range(turns):
        if turn == reload_at:
            proxy.reload()
            eventually(lambda: "RELOAD: configuration loaded" in proxy.log(), what="RELOAD")
        with stream_to(proxy, context, session=session) as stream:
            resumed.append(stream.session_reused)
            log_in(stream)
            stream.sendall(query("select 42"))
            assert b"42" in read_to_ready(stream)
            session = stream.session
    return resumed


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_resume(pgweir, tls_cluster, certificate, version):
    """On whichever thread they are, and after RELOAD."""
    proxy = pgweir(tls_cluster, **accepting(certificate), companion="[workers]\nthreads = 2\n")
    assert resumptions(proxy, client_context(version), turns=9, reload_at=5) == [False] + [True] * 8


def test_certificates_are_shown_anew_after_reload(pgweir, tls_cluster, authority, certificate):
    """Whom a certificate has let in may not be trusted any more: no ticket outlives the authorities."""
    proxy = pgweir(tls_cluster, **accepting(certificate, client_tls_sslmode="verify-full",
                                            client_tls_ca_file=authority.file))
    context = client_context(certificate=authority.certificate("app"))
    assert resumptions(proxy, context, turns=4, reload_at=2) == [False, True, False, True]
