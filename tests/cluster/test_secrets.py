"""Secrets do not stay in the memory of the process when they are not needed any more."""
from pathlib import Path

import pytest
from harness import eventually
from harness.pooler import LOOKED_INTO, PROGRAM
from harness.postgres import PASSWORDS

pytestmark = pytest.mark.pgweir


@pytest.fixture(autouse=True)
def not_with_a_sanitizer():
    """Whose memory is freed late, and not by us."""
    if b"__asan_init" in PROGRAM.read_bytes() or b"__tsan_init" in PROGRAM.read_bytes():
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


@pytest.mark.parametrize("secret", (SHORT, LONG), ids=("short", "long"))
def test_reload_takes_secrets_of_entries_out(pgweir, cluster, secret):
    entry = f"host=127.0.0.1 port={cluster.primary.port} dbname=app user=app password="
    proxy = pgweir(databases={"app": entry + secret}, companion=LOOKED_INTO)
    with proxy.wire() as client:
        client.query("select 1")
    assert places_of(proxy, secret)
    proxy.config.write_text(proxy.config.read_text().replace(secret, "another"))
    proxy.reload()
    with proxy.wire() as client:
        client.query("select 1")
    eventually(lambda: not places_of(proxy, secret), what="it to be gone")


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
    with proxy.wire() as client:
        client.query("select 1")
    assert places_of(proxy, secret)
    proxy.config.write_text(proxy.config.read_text().replace(secret, "another"))
    proxy.reload()
    with proxy.wire() as client:
        client.query("select 1")
    eventually(lambda: not places_of(proxy, secret), what="it to be gone")
