"""Authentication over TLS: each method in each mode, certificates, channel binding on both sides; and servers that
do not prove who they are."""
import base64
import ssl
import struct

import psycopg
import pytest
from harness import Cluster, ServerError, Wire, eventually
from harness.fake_server import CLEARTEXT, READY, authentication, fake_server
from harness.postgres import PASSWORDS
from harness.wire import SSL_REQUEST, password_message, startup, untyped

pytestmark = pytest.mark.pgweir

PASSWORD = PASSWORDS["scram_user"]
SERVER_HBA = """\
local     all all                       trust
hostssl   all plain_user 127.0.0.1/32   password
hostssl   all md5_user   127.0.0.1/32   md5
hostssl   all scram_user 127.0.0.1/32   scram-sha-256
hostssl   all app        127.0.0.1/32   scram-sha-256
host      all postgres   127.0.0.1/32   trust
"""


@pytest.fixture(scope="module")
def tls_cluster(server_tls):
    """A server that takes everybody by TLS only, and by the method of the user's name."""
    with Cluster(replicas=0, settings=server_tls) as made:
        (made.primary.data / "pg_hba.conf").write_text(SERVER_HBA, encoding="ascii")
        made.primary.rows("select pg_reload_conf()")
        eventually(lambda: made.primary.value("select count(*) from pg_hba_file_rules") == 6, what="the new HBA")
        yield made


@pytest.fixture
def proxy(pgweir, tls_cluster, authority, certificate):
    """pgweir with TLS on both sides."""
    def make(mode="require", hba=None, ident="", **settings):
        cert, key = certificate
        made = pgweir(tls_cluster, start=False, **{
            "client_tls_sslmode": mode, "client_tls_cert_file": cert, "client_tls_key_file": key,
            "client_tls_ca_file": authority.file, "server_tls_sslmode": "verify-full",
            "server_tls_ca_file": authority.file, "auth_hba_file": "@DIR@/hba.conf",
            "auth_ident_file": "@DIR@/ident.conf", "auth_type": "hba" if hba else "scram-sha-256", **settings})
        made.write("hba.conf", hba or "")
        made.write("ident.conf", ident)
        return made.start()
    return make


def outcome(proxy, user="scram_user", **options):
    """The user it is at the server, else the error."""
    try:
        with proxy.connect(user=user, **options) as connection:
            return connection.execute("select current_user").fetchone()[0]
    except psycopg.OperationalError as error:
        return str(error)


@pytest.mark.short
@pytest.mark.parametrize("mode, sslmode", [("allow", "disable"), ("allow", "require"), ("prefer", "prefer"),
                                           ("require", "verify-full"), ("require", "disable")])
@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_methods_by_mode(proxy, authority, mode, sslmode, method):
    """With every server method behind it."""
    made = proxy(mode, auth_type=method)
    options = {"sslmode": sslmode, "sslrootcert": authority.file}
    for user in ("plain_user", "md5_user", "scram_user"):
        right = outcome(made, user, **options)
        wrong = outcome(made, user, password="wrong", **options)
        if (mode, sslmode) == ("require", "disable"):
            assert "SSL required" in right and "SSL required" in wrong
        else:
            assert right == user
            assert "authentication failed" in wrong


@pytest.mark.parametrize("secret", ["plain", "stored"])
def test_channel_binding(proxy, tls_cluster, secret):
    """A client that insists on it gets in; and the server has it from us, too: with a secret that is only stored,
    by the keys that the client has proved to have."""
    users = {"scram_user": PASSWORD}
    if secret == "stored":
        users["scram_user"] = tls_cluster.primary.value(
            "select rolpassword from pg_authid where rolname = 'scram_user'")
    made = proxy(userlist=users)
    assert outcome(made, sslmode="require", channel_binding="require") == "scram_user"
    assert outcome(made, sslmode="require", channel_binding="disable") == "scram_user"
    assert "authentication failed" in outcome(made, sslmode="require", channel_binding="require", password="wrong")


def sasl_over_tls(proxy, initial):
    """What pgweir answers to a SASLInitialResponse made of what it offered, by `initial(mechanisms)`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with Wire(proxy.port) as wire:
        wire.send(untyped(SSL_REQUEST))
        assert wire.read_bytes(1) == b"S"
        wire.socket.setblocking(True)
        with context.wrap_socket(wire.socket) as link:
            link.settimeout(20)

            def read():
                head = link.recv(5)
                return head[:1], link.recv(struct.unpack("!I", head[1:])[0] - 4)

            link.sendall(startup("scram_user", "app"))
            kind, body = read()
            assert kind == b"R" and body[:4] == b"\0\0\0\x0a"
            offered = [name.decode() for name in body[4:].split(b"\0") if name]
            link.sendall(initial(offered, link))
            return read()


def initial_response(mechanism, data):
    return password_message(mechanism.encode() + b"\0" + struct.pack("!I", len(data)) + data)


@pytest.mark.parametrize("mechanism, data, told", [
    ("SCRAM-SHA-256", b"y,,n=,r=nonce", b"channel binding negotiation error"),
    ("SCRAM-SHA-256", b"p=tls-server-end-point,,n=,r=nonce", b"malformed SCRAM message"),
    ("SCRAM-SHA-256-PLUS", b"n,,n=,r=nonce", b"malformed SCRAM message"),
    ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=,r=nonce", b"unsupported SCRAM channel-binding type"),
    ("SCRAM-SHA-1", b"n,,n=,r=nonce", b"invalid SASL authentication mechanism"),
])
def test_channel_binding_is_not_evaded(proxy, mechanism, data, told):
    def initial(offered, _link):
        assert offered == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
        return initial_response(mechanism, data)

    kind, body = sasl_over_tls(proxy(), initial)
    assert kind == b"E" and told in body


def test_channel_binding_to_another_certificate(proxy):
    """Somebody in between has a certificate of his own."""
    def initial(_offered, link):
        link.sendall(initial_response("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=nonce"))
        head = link.recv(5)
        challenge = link.recv(struct.unpack("!I", head[1:])[0] - 4)[4:]
        nonce = challenge.split(b",")[0]
        bound = base64.b64encode(b"p=tls-server-end-point,," + bytes(32))
        return password_message(b"c=" + bound + b"," + nonce + b",p=" + base64.b64encode(bytes(32)))

    kind, body = sasl_over_tls(proxy(), initial)
    assert kind == b"E" and b"SCRAM channel binding check failed" in body


def test_no_channel_binding_without_tls(pgweir):
    with Wire(pgweir(auth_type="scram-sha-256").port) as wire:
        wire.send(startup("app", "app"))
        assert wire.read().body[4:] == b"SCRAM-SHA-256\0\0"


# ------------------------------------------------------------------------------------------- certificates

CERT_HBA = """\
hostssl all mapped,scram_user 127.0.0.1/32 cert map=people
hostssl all all               127.0.0.1/32 cert
"""


def test_certificates(proxy, authority):
    users = {**PASSWORDS, "app": PASSWORDS["app"]}
    by_type = proxy("verify-full", auth_type="cert", userlist=users)
    by_hba = proxy("verify-full", hba=CERT_HBA, userlist=users, ident="people somebody scram_user\n")

    def shows(name):
        cert, key = authority.certificate(name)
        return {"sslmode": "require", "sslcert": cert, "sslkey": key, "password": ""}

    for made in (by_type, by_hba):
        assert outcome(made, "app", **shows("app")) == "app"
        assert "certificate authentication failed" in outcome(made, "app", **shows("other"))
        assert "certificate authentication failed" in outcome(made, "ghost", **shows("ghost"))
    assert outcome(by_hba, "scram_user", **shows("somebody")) == "scram_user"
    assert "certificate authentication failed" in outcome(by_hba, "scram_user", **shows("scram_user"))


def test_hba_by_tls(proxy):
    made = proxy("allow", hba="hostssl all scram_user 127.0.0.1/32 scram-sha-256\n"
                              "hostnossl all md5_user 127.0.0.1/32 md5\n")
    nothing = "no authentication method is found"
    assert outcome(made, "scram_user", sslmode="require") == "scram_user"
    assert nothing in outcome(made, "scram_user", sslmode="disable")
    assert outcome(made, "md5_user", sslmode="disable") == "md5_user"
    assert nothing in outcome(made, "md5_user", sslmode="require")


# ------------------------------------------------------------------------------------------- servers

def refused_by_us(pgweir, story, tls=None, **settings):
    """The log of a pgweir whose only server acts like that, and all that the server heard."""
    with fake_server(story, tls) as (port, sessions):
        proxy = pgweir(databases={"app": f"host=127.0.0.1 port={port} dbname=app"}, server_login_retry=1,
                       query_wait_timeout=2, userlist={"app": PASSWORD}, **settings)
        with pytest.raises(ServerError):
            proxy.wire(user="app", timeout=20).close()
        return proxy.log(), b"".join(session.heard for session in sessions)


def test_server_that_proves_itself(pgweir):
    def story(session):
        session.send(session.scram(PASSWORD) + READY)

    with fake_server(story) as (port, _):
        proxy = pgweir(databases={"app": f"host=127.0.0.1 port={port} dbname=app"}, userlist={"app": PASSWORD})
        with proxy.wire(user="app") as wire:
            assert wire.parameters["server_version"] == "15.0"
        proxy.stop()


LIARS = {
    "wrong signature": (lambda s: s.send(s.scram(PASSWORD, wrong_signature=True) + READY), "incorrect server signature"),
    "no signature": (lambda s: (s.scram(PASSWORD), s.send(READY)), "did not prove"),
    "endless iterations": (lambda s: s.scram(PASSWORD, iterations=2_000_000_000), "iteration count too high"),
    "the password, too": (lambda s: s.send(s.scram(PASSWORD) + authentication(CLEARTEXT)), "second proof"),
    "other mechanisms": (lambda s: s.scram(PASSWORD, mechanisms=("PLAIN", "SCRAM-SHA-1")),
                         "none of the server's SASL authentication mechanisms are supported"),
    "unknown method": (lambda s: s.send(authentication(7)), "unknown authentication method"),
}


@pytest.mark.parametrize("liar", LIARS)
def test_server_that_does_not_prove_itself(pgweir, liar):
    story, logged = LIARS[liar]
    log, heard = refused_by_us(pgweir, story)
    assert logged in log
    assert PASSWORD.encode() not in heard
    assert PASSWORD not in log


def test_server_is_offered_channel_binding(pgweir, certificate):
    """And told so where it has none to offer: then somebody else may have taken the offer away."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    for offered, mechanism, header in (
            (("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"), b"SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,"),
            (("SCRAM-SHA-256",), b"SCRAM-SHA-256", b"y,,")):
        def story(session, offered=offered):
            session.send(session.scram(PASSWORD, mechanisms=offered) + READY)

        with fake_server(story, context) as (port, sessions):
            proxy = pgweir(databases={"app": f"host=127.0.0.1 port={port} dbname=app"}, userlist={"app": PASSWORD},
                           server_tls_sslmode="require")
            proxy.wire(user="app").close()
            assert sessions[0].mechanism == mechanism
            assert sessions[0].first.startswith(header)
            proxy.stop()
