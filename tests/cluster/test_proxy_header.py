"""PROXY headers: from the addresses that are listed, and from no others."""
import socket
import ssl
import struct
import time

import pytest
from harness import ConnectionClosed, ServerError, Wire, Workdir, eventually
from harness.tls import Authority
from harness.wire import CANCEL_REQUEST, SSL_REQUEST, query, startup, untyped

pytestmark = [pytest.mark.pgweir, pytest.mark.pooler]

BALANCER = "127.0.0.2"  # where the harness' own connections do not come from
FOUR = b"PROXY TCP4 192.0.2.77 127.0.0.1 5555 6432\r\n"
SIX = b"PROXY TCP6 2001:db8::77 ::1 5556 6432\r\n"


def binary(source, port, family=0x11, command=0x21, additions=b""):
    kind = socket.AF_INET if family == 0x11 else socket.AF_INET6
    body = (socket.inet_pton(kind, source) * 2 + struct.pack("!HH", port, 6432)) + additions
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, family, len(body)) + body


def connected(proxy, source=BALANCER):
    return Wire(proxy.port, source=source)


def login(wire, header, user="app", dbname="app"):
    """The error's text, None when it is in."""
    wire.send(header)
    try:
        wire.login(user, dbname, "x")
    except ServerError as error:
        return error.fields["M"]
    except ConnectionClosed:
        return "closed"
    return None


def start(pgweir, listed=(BALANCER,), **settings):
    quoted = ", ".join(f'"{one}"' for one in listed)
    return pgweir(companion=f"[listen]\nproxy_protocol = [{quoted}]\n", **settings)


@pytest.mark.short
@pytest.mark.parametrize("header, addr, port", [
    (FOUR, "192.0.2.77", "5555"),
    (SIX, "2001:db8::77", "5556"),
    (binary("192.0.2.77", 7777), "192.0.2.77", "7777"),
    (binary("192.0.2.77", 7777, additions=b"\4\0\5hello"), "192.0.2.77", "7777"),
    (binary("2001:db8::77", 7778, family=0x21), "2001:db8::77", "7778"),
    (b"PROXY UNKNOWN\r\n", BALANCER, None),
    (binary("192.0.2.77", 7777, command=0x20), BALANCER, None),
])
def test_address_is_the_clients(pgweir, header, addr, port):
    proxy = start(pgweir)
    with connected(proxy) as wire:
        for byte in header:  # in pieces
            wire.send(bytes([byte]))
        wire.login("app", "app", "x")
        assert wire.rows("select 1") == [("1",)]
        shown = [(row["addr"], row["port"]) for row in proxy.console("show clients") if row["user"] == "app"]
        assert shown == [(addr, port or str(wire.socket.getsockname()[1]))]
    text = f"[{addr}]" if ":" in addr else addr
    assert f"app/app@{text}:{shown[0][1]} login attempt" in proxy.log()


@pytest.mark.short
def test_all_at_once_and_cancel(pgweir, cluster):
    """What follows the header in the same packet counts, a cancel request as well."""
    proxy = start(pgweir)
    with connected(proxy) as wire:
        wire.send(FOUR + startup("app", "app") + query("select 1"))
        assert [message.type for message in wire.read_until("Z") + wire.read_until("Z")][-4:] == ["T", "D", "C", "Z"]
    with connected(proxy) as wire:
        assert login(wire, SIX) is None
        wire.send(query("select pg_sleep(60)"))
        eventually(lambda: cluster.primary.backends("query = 'select pg_sleep(60)' and state = 'active'") == 1,
                   what="the query running")
        with connected(proxy) as other:
            other.send(FOUR + untyped(CANCEL_REQUEST, wire.key))
            assert other.reads_eof() == []
        assert wire.read_until("Z")[-2].fields()["C"] == "57014"


@pytest.mark.short
def test_hba_goes_by_it(pgweir):
    proxy = start(pgweir, auth_type="hba", auth_hba_file="@DIR@/hba.conf", start=False)
    proxy.write("hba.conf", "host all all 192.0.2.77/32 trust\nhost all all 2001:db8::/32 reject\n"
                            f"host all monitor {BALANCER}/32 trust\nlocal all postgres trust\n")
    proxy.start()
    for header, user, told in ((FOUR, "app", None), (SIX, "app", "login rejected"),
                               (b"PROXY UNKNOWN\r\n", "monitor", None),
                               (FOUR.replace(b".77", b".78"), "monitor", "no authentication method is found")):
        with connected(proxy) as wire:
            assert login(wire, header, user) == told


@pytest.mark.short
@pytest.mark.parametrize("sent", [
    startup("app", "app"), untyped(SSL_REQUEST), b"PROXY TCP4 nonsense\r\n", b"PROXY " + b"x" * 200,
    binary("192.0.2.77", 1, command=0x22), binary("192.0.2.77", 1)[:12] + b"\x21\x11\xff\xff", b"\x16\x03\x01"])
def test_malformed_is_refused(pgweir, sent):
    proxy = start(pgweir)
    with connected(proxy) as wire:
        wire.send(sent)
        messages = wire.reads_eof()
        assert [message.type for message in messages] == ["E"]
        assert messages[0].fields()["M"].startswith("invalid PROXY protocol header: ")
    assert proxy.rows("select 1") == [("1",)]


def test_missing_is_waited_for_in_time(pgweir):
    proxy = start(pgweir, client_login_timeout=1)
    for sent in (b"", FOUR[:20], binary("192.0.2.77", 1)[:20]):
        with connected(proxy) as wire:
            wire.send(sent)
            began = time.monotonic()
            assert [message.fields()["M"] for message in wire.reads_eof()] == ["client_login_timeout"]
            assert 0.5 < time.monotonic() - began < 15


@pytest.mark.short
def test_others_are_not_believed(pgweir):
    """A header from elsewhere is what it looks like: a bad start-up packet."""
    proxy = start(pgweir, listed=[BALANCER, "127.1.0.0/16"])
    for source, believed in ((BALANCER, True), ("127.1.2.3", True), ("127.0.0.1", False), ("127.2.0.1", False)):
        with connected(proxy, source) as wire:
            assert login(wire, FOUR) == (None if believed else "invalid length of startup packet")
        if not believed:
            with connected(proxy, source) as wire:
                assert login(wire, b"") is None
    plain = pgweir()
    with connected(plain) as wire:
        assert login(wire, FOUR) == "invalid length of startup packet"


def test_unix_socket(pgweir):
    """Who comes through a balancer on a Unix socket comes from the network: no peer, no owner of the console."""
    proxy = start(pgweir, ["unix"], auth_type="hba", auth_hba_file="@DIR@/hba.conf", start=False)
    proxy.write("hba.conf", "local all all trust\nhost all app 192.0.2.0/24 trust\nhost all all 127.0.0.1/32 trust\n")
    proxy.start()
    with Wire(proxy.port, host=str(proxy.directory)) as wire:
        assert login(wire, FOUR) is None
        shown = [row["addr"] for row in proxy.console("show clients") if row["user"] == "app"]
        assert shown == ["192.0.2.77"]
    with Wire(proxy.port, host=str(proxy.directory)) as wire:
        assert login(wire, FOUR, user="pgbouncer", dbname="pgbouncer") == "no authentication method is found"


def test_with_tls(pgweir):
    with Workdir() as workdir:
        cert, key = Authority(workdir.path).certificate("proxy")
        proxy = start(pgweir, client_tls_sslmode="require", client_tls_cert_file=cert, client_tls_key_file=key)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    link = socket.create_connection(("127.0.0.1", proxy.port), timeout=20, source_address=(BALANCER, 0))
    link.sendall(FOUR + untyped(SSL_REQUEST))
    assert link.recv(1) == b"S"
    with context.wrap_socket(link) as secure:
        secure.sendall(startup("app", "app"))
        data = b""
        while not data.endswith(b"Z\0\0\0\5I"):
            data += secure.recv(4096)
    assert "app/app@192.0.2.77:5555 login attempt" in proxy.log()


def test_reload(pgweir):
    proxy = start(pgweir)
    proxy.write("pgweir.pgweir.toml", "[listen]\nproxy_protocol = []\n")
    proxy.console("reload")
    with connected(proxy) as wire:
        assert login(wire, b"") is None
