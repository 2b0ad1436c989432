"""Secrets do not stay in the memory of the process when they are not needed any more."""
import hashlib
from pathlib import Path

import psycopg
import pytest
from harness import eventually
from harness.directory import BASE, READER, READER_PASSWORD, SLAPD, Directory
from harness.pooler import LOOKED_INTO, PROGRAM, sanitizer_of
from harness.postgres import PASSWORDS

pytestmark = pytest.mark.pgweir


@pytest.fixture(autouse=True)
def not_with_a_sanitizer():
    """Whose memory is freed late, and not by us."""
    if sanitizer_of(PROGRAM):
        pytest.skip("a sanitizer keeps what is freed")


def places_of(proxy, secret):
    """Where the secret is in the memory of the process; the names of the mappings."""
    found = []
    maps = Path(f"/proc/{proxy.pid}/maps").read_text(encoding="ascii").splitlines()
    with open(f"/proc/{proxy.pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            area, access, *_, name = (*line.split(None, 5), "")[:6] if len(line.split()) > 5 else (*line.split(), "")
            if not access.startswith("rw") or name.startswith("[v"):
                continue
            start, end = (int(part, 16) for part in area.split("-"))
            memory.seek(start)
            try:
                count = memory.read(end - start).count(secret.encode())
            except OSError:
                continue
            if count:
                found.append((name or "anonymous", count))
    return found


SHORT, LONG = "sh0rt-s3cr3t", "a-s3cret-that-is-l0ng-enough-to-have-memory-of-its-own"


def with_users(**users):
    return {**PASSWORDS, **users}


@pytest.mark.parametrize("secret", (SHORT, LONG), ids=("short", "long"))
def test_reload_takes_secrets_of_the_userlist_out(pgweir, secret):
    proxy = pgweir(userlist=with_users(app=secret, other=secret), companion=LOOKED_INTO)
    assert places_of(proxy, secret), "it is looked for in the wrong way"
    proxy.write("userlist.txt", "".join(f'"{name}" "{known}"\n' for name, known in PASSWORDS.items()))
    proxy.reload()
    eventually(lambda: not places_of(proxy, secret), what="it to be gone")


def another_takes_its_place(proxy, secret):
    """In the configuration, and so in what a server is logged in with."""
    with proxy.wire() as client:
        client.query("select 1")
    assert places_of(proxy, secret)
    proxy.config.write_text(proxy.config.read_text().replace(secret, "another"))
    proxy.reload()
    with proxy.wire() as client:
        client.query("select 1")
    eventually(lambda: not places_of(proxy, secret), what="it to be gone")


@pytest.mark.parametrize("secret", (SHORT, LONG), ids=("short", "long"))
def test_reload_takes_secrets_of_entries_out(pgweir, cluster, secret):
    entry = f"host=127.0.0.1 port={cluster.primary.port} dbname=app user=app password="
    proxy = pgweir(databases={"app": entry + secret}, companion=LOOKED_INTO)
    another_takes_its_place(proxy, secret)


@pytest.mark.parametrize("secret", (SHORT, LONG), ids=("short", "long"))
def test_reload_takes_secrets_of_a_toml_out(pgweir, cluster, secret):
    toml = f"""
[listen]
host = "127.0.0.1"
port = @PORT@
unix_socket_dir = "@DIR@"
[admin]
users = ["postgres"]
[auth]
method = "trust"
{LOOKED_INTO}
[databases.app]
host = "127.0.0.1"
port = {cluster.primary.port}
dbname = "app"
user = "app"
password = "{secret}"
[users.other]
password = "{secret}"
"""
    proxy = pgweir(toml=toml)
    another_takes_its_place(proxy, secret)


def is_refused(proxy, password, **how):
    with pytest.raises(psycopg.OperationalError) as refused:
        proxy.connect(user="app", password=password, **how)
    return str(refused.value)


@pytest.mark.parametrize("by", ("plain", "tls"))
@pytest.mark.parametrize("secret", (SHORT, LONG), ids=("short", "long"))
@pytest.mark.parametrize("kept", ("md5", "scram"))
def test_a_typed_password_is_gone(pgweir, cluster, certificate, kept, secret, by):
    cert, key = certificate
    stored = "md5" + hashlib.md5(b"of another").hexdigest() if kept == "md5" else cluster.primary.value(
        "select rolpassword from pg_authid where rolname = 'app'")
    proxy = pgweir(auth_type="plain", userlist={"app": stored}, companion=LOOKED_INTO, client_tls_sslmode="allow",
                   client_tls_cert_file=cert, client_tls_key_file=key)
    for _ in range(2):
        assert "password authentication failed" in is_refused(proxy, secret,
                                                              sslmode="require" if by == "tls" else "disable")
    eventually(lambda: not places_of(proxy, secret), what="it to be gone")


@pytest.mark.skipif(not SLAPD, reason="slapd is not installed")
@pytest.mark.parametrize("through", ["auth_type", "hba"])
def test_passwords_for_ldap_are_gone(pgweir, through):
    """Those that clients type at once, and that of who searches when a RELOAD takes it out."""
    with Directory({"app": "right"}) as directory:
        options = (f'ldapserver={directory.host} ldapport={directory.port} ldapbasedn="{BASE}" ldapbinddn="{READER}"'
                   f' ldapbindpasswd="{READER_PASSWORD}"')
        settings = {"auth_type": "ldap", "auth_ldap_options": options}
        if through == "hba":
            settings = {"auth_type": "hba", "auth_hba_file": "@DIR@/hba.conf"}
        proxy = pgweir(userlist={}, start=False, companion=LOOKED_INTO, **settings)
        proxy.write("hba.conf", f"host all all 127.0.0.1/32 ldap {options}\n")
        proxy.start()
        for secret in (SHORT, LONG):
            assert "LDAP authentication failed" in is_refused(proxy, secret)
            eventually(lambda secret=secret: not places_of(proxy, secret), what="what was typed to be gone")
        assert places_of(proxy, READER_PASSWORD)
        proxy.write("hba.conf", "host all all 127.0.0.1/32 trust\n")
        proxy.config.write_text(proxy.config.read_text().replace(READER_PASSWORD, "another"))
        proxy.reload()
        eventually(lambda: not places_of(proxy, READER_PASSWORD), what="the reader's to be gone")
