"""Every way in: each method with right and wrong passwords, unknown users and empty passwords; with psql and
with a raw client that shows what goes over the wire."""
import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from harness import ServerError, Wire, eventually
from harness.directory import BASE, READER, READER_PASSWORD, SLAPD, Directory
from harness.pooler import TARGET
from harness.postgres import PASSWORDS, PG_BIN
from harness.processes import RUN_AS, IDENTITY
from harness.wire import startup

pytestmark = pytest.mark.pooler

PASSWORD = PASSWORDS["app"]
WRONG = "password authentication failed"
WRONG_SCRAM = "SASL authentication failed"
WRONG_MD5 = WRONG_SCRAM if TARGET == "pgbouncer" else WRONG  # of a user with a SCRAM secret
EMPTY = "empty password returned by client"


@pytest.fixture(scope="module")
def stored(cluster):
    """What PostgreSQL keeps of the password of `user`."""
    return lambda user: cluster.primary.value("select rolpassword from pg_authid where rolname = %s", [user])


def md5_of(user):
    return "md5" + hashlib.md5((PASSWORDS[user] + user).encode()).hexdigest()


def secret_of(form, stored, user):
    return {"plain": lambda: PASSWORDS[user], "md5": lambda: md5_of(user), "scram": lambda: stored(user)}[form]()


def login(proxy, user="app", password="", dbname="app", host="127.0.0.1", **parameters):
    """None when the client gets in, else the error's text."""
    try:
        with Wire.open(proxy.port, user=user, dbname=dbname, password=password, host=host, timeout=20,
                       **parameters) as wire:
            assert wire.rows("select 1") == [("1",)]
    except ServerError as error:
        assert error.fields["S"] == "FATAL"
        return error.fields["M"]
    return None


def psql(proxy, user="app", password="", dbname="app", host="127.0.0.1"):
    """The user psql says that it is, else its error."""
    done = subprocess.run(
        [PG_BIN / "psql", "-X", "-h", host, "-p", str(proxy.port), "-U", user, "-d", dbname, "-Atc",
         "select current_user"], capture_output=True, text=True, check=False, timeout=30,
        env={**os.environ, "PGPASSWORD": password, "PGPASSFILE": "/nonexistent", "PGCONNECT_TIMEOUT": "20"})
    return done.stdout.strip() if done.returncode == 0 else done.stderr


# ------------------------------------------------------------------------------------------- passwords

# method, form of the secret, error of a wrong password, of an empty one
PASSWORD_METHODS = [
    ("plain", "plain", WRONG, EMPTY),
    ("plain", "md5", WRONG, EMPTY),
    ("plain", "scram", WRONG, EMPTY),
    ("md5", "plain", WRONG, WRONG),
    ("md5", "md5", WRONG, WRONG),
    ("md5", "scram", WRONG_MD5, WRONG_MD5),
    ("scram-sha-256", "plain", WRONG_SCRAM, WRONG_SCRAM),
    ("scram-sha-256", "scram", WRONG_SCRAM, WRONG_SCRAM),
]
HBA_WORD = {"plain": "password"}  # for `plain` in HBA files


@pytest.mark.short
@pytest.mark.parametrize("through", ["auth_type", "hba"])
@pytest.mark.parametrize("method, form, wrong, empty", PASSWORD_METHODS)
def test_passwords(pgweir, stored, method, form, wrong, empty, through):
    settings = {"auth_type": method}
    if through == "hba":
        settings = {"auth_type": "hba", "auth_hba_file": "@DIR@/hba.conf"}
    proxy = pgweir(userlist={"app": secret_of(form, stored, "app"), "hollow": ""}, start=False, **settings)
    proxy.write("hba.conf", f"host all all 127.0.0.1/32 {HBA_WORD.get(method, method)}\n")
    proxy.start()
    assert login(proxy, password=PASSWORD) is None
    assert psql(proxy, password=PASSWORD) == "app"
    for bad in ("wrong", PASSWORD + "x", PASSWORD[:-1], secret_of(form, stored, "app") + "x"):
        assert login(proxy, password=bad) == wrong
    assert wrong in psql(proxy, password="wrong")
    assert login(proxy, password="") == empty
    assert login(proxy, user="nobody", password="wrong") == wrong
    assert login(proxy, user="nobody", password="") == empty
    if form == "plain":  # md5's conversation, which a user without a secret of SCRAM's form gets, too
        assert login(proxy, user="hollow", password="wrong") == wrong
        assert login(proxy, user="hollow", password="") == empty
    assert login(proxy, dbname="nowhere", password="wrong") == wrong
    assert login(proxy, dbname="nowhere", password=PASSWORD) == "no such database: nowhere"
    assert login(proxy, password=PASSWORD) is None


def test_a_secret_is_no_password(pgweir, stored):
    """Who has read the password file cannot log in with what stands there."""
    for method, form in (("plain", "md5"), ("plain", "scram"), ("md5", "scram"), ("scram-sha-256", "scram")):
        secret = secret_of(form, stored, "app")
        proxy = pgweir(auth_type=method, userlist={"app": secret})
        assert login(proxy, password=secret) in (WRONG, WRONG_SCRAM)


@pytest.mark.parametrize("method", ["any", "trust"])
def test_without_password(pgweir, cluster, method):
    forced = {"app": f"host=127.0.0.1 port={cluster.primary.port} user=app"} if method == "any" else {}
    proxy = pgweir(auth_type=method, databases=forced)
    assert login(proxy) is None
    assert psql(proxy) == "app"
    assert login(proxy, user="nobody") == (None if method == "any" else '"trust" authentication failed')


def conversation(proxy, user, dbname="app"):
    """What the pooler asks of a client first: the kind of request and the length of it."""
    with Wire(proxy.port) as wire:
        wire.send(startup(user, dbname))
        message = wire.read()
        return message.type, message.body[:4], len(message.body)


@pytest.mark.pgweir
@pytest.mark.parametrize("method, form", [("md5", "md5"), ("md5", "scram"), ("scram-sha-256", "scram"),
                                          ("plain", "scram")])
def test_unknown_users_have_the_same_conversation(pgweir, stored, method, form):
    proxy = pgweir(auth_type=method, userlist={"app": secret_of(form, stored, "app")})
    assert conversation(proxy, "nobody") == conversation(proxy, "app")


# ------------------------------------------------------------------------------------------- HBA, peer

HBA = """\
# the first line that fits decides
local  all       mapped                     peer map=people
local  all       @DIR@                      trust
local  all       {me}                       peer
local  all       other                      peer
host   app       app        127.0.0.1/32    reject
host   all       app        127.0.0.0 255.0.0.0  trust
host   "app_session","app_statement" other 127.0.0.1/32 trust
host   all       @names     127.0.0.1/32    md5
hostssl all      all        127.0.0.1/32    trust
host   all       all        10.0.0.0/8      trust
host   all       all        ::1/128         trust
host   sameuser  monitor    all             trust
nonsense
"""


@pytest.fixture
def hba(pgweir):
    me = RUN_AS or pwd.getpwuid(os.geteuid()).pw_name
    users = {**PASSWORDS, "mapped": "x", me: "x", "monitor": PASSWORDS["monitor"]}
    proxy = pgweir(auth_type="hba", auth_hba_file="@DIR@/hba.conf", auth_ident_file="@DIR@/ident.conf",
                   userlist=users, start=False)
    proxy.write("hba.conf", HBA.format(me=me))
    proxy.write("names", "md5_user, scram_user\n# and\nghost\n")
    proxy.write("ident.conf", f"other  root  mapped\npeople {me} mapped\n")
    proxy.me = me
    return proxy.start()


NOTHING = "no authentication method is found"


@pytest.mark.short
@pytest.mark.parametrize("user, dbname, password, expected", [
    ("app", "app", "", "login rejected"),
    ("app", "app_transaction", "", None),
    ("other", "app_session", "", None),
    ("other", "app_statement", "", None),
    ("other", "app", "", NOTHING),
    ("md5_user", "app", PASSWORDS["md5_user"], None),
    ("md5_user", "app", "wrong", WRONG),
    ("scram_user", "app", PASSWORDS["scram_user"], None),
    ("ghost", "app", "x", WRONG),
    ("nobody", "app", "x", NOTHING),
    ("postgres", "app", "", NOTHING),
    ("monitor", "app", "", NOTHING),
])
def test_hba(hba, user, dbname, password, expected):
    assert login(hba, user, password, dbname) == expected


def as_somebody_else(directory, port, user, dbname="app"):
    """The error of a client on the Unix socket that runs as `nobody`."""
    done = subprocess.run([PG_BIN / "psql", "-X", "-h", str(directory), "-p", str(port), "-U", user, "-d", dbname,
                           "-Atc", "select 1"], capture_output=True, text=True, check=False, timeout=30,
                          user="nobody", group="nogroup", extra_groups=[], cwd="/")
    return done.stderr


@pytest.mark.pgweir
def test_peer(hba, cluster):
    directory = str(hba.directory)

    def local(user):
        done = subprocess.run([PG_BIN / "psql", "-X", "-h", directory, "-p", str(hba.port), "-U", user, "-d", "app",
                               "-Atc", "select current_user"], capture_output=True, text=True, check=False,
                              timeout=30, cwd="/", **IDENTITY)
        return done.stdout.strip() or done.stderr

    assert local(hba.me) == hba.me
    assert "unix socket login rejected" in local("other")
    assert NOTHING in local("nobody")
    cluster.primary.rows("drop role if exists mapped")
    cluster.primary.rows("create role mapped login")
    try:
        assert local("mapped") == "mapped"
    finally:
        hba.stop()
        cluster.primary.rows("drop role mapped")


@pytest.mark.pgweir
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a client as somebody else")
def test_peer_of_another_user(hba):
    os.chmod(hba.directory, 0o755)
    assert "unix socket login rejected" in as_somebody_else(hba.directory, hba.port, hba.me)
    assert "unix socket login rejected" in as_somebody_else(hba.directory, hba.port, "mapped")


@pytest.mark.short
def test_certificate_without_tls(pgweir):
    proxy = pgweir(auth_type="hba", auth_hba_file="@DIR@/hba.conf", start=False)
    proxy.write("hba.conf", "host all all 127.0.0.1/32 cert\n")
    proxy.start()
    assert login(proxy) == "certificate authentication failed"


# ------------------------------------------------------------------------------------------- auth_query

def with_query(pgweir, method="scram-sha-256", **settings):
    return pgweir(**{"auth_type": method, "auth_user": "postgres", "userlist": {"postgres": ""}, **settings})


@pytest.fixture
def role(cluster):
    """Makes a role of that name and password; a test may change it as it likes."""
    made = []

    def make(name, password="the first", options="login"):
        cluster.primary.rows(f'drop role if exists "{name}"')
        cluster.primary.rows(f"create role \"{name}\" {options} password '{password}'")
        made.append(name)
        return name

    yield make
    for name in made:
        cluster.primary.rows("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [name])
        cluster.primary.rows(f'drop role "{name}"')


@pytest.mark.short
@pytest.mark.parametrize("method, user, wrong, empty", [
    ("plain", "app", WRONG, EMPTY),
    ("plain", "md5_user", WRONG, EMPTY),
    ("md5", "app", WRONG_MD5, WRONG_MD5),
    ("md5", "md5_user", WRONG, WRONG),
    ("scram-sha-256", "app", WRONG_SCRAM, WRONG_SCRAM),
])
def test_auth_query(pgweir, method, user, wrong, empty):
    proxy = with_query(pgweir, method)
    for _ in range(2):
        assert login(proxy, user, PASSWORDS[user]) is None
        assert psql(proxy, user, PASSWORDS[user]) == user
        assert login(proxy, user, "wrong") == wrong
        assert login(proxy, user, "") == empty
    assert login(proxy, "ghost", "wrong") == "no such user"
    assert login(proxy, user, "wrong", dbname="nowhere") in (WRONG, WRONG_SCRAM)


def test_auth_query_serves_servers(pgweir):
    """What was found, and the keys learnt with it, let us in at a server that asks."""
    assert with_query(pgweir).rows("select current_user", user="scram_user") == [("scram_user",)]
    proxy = with_query(pgweir, "md5")
    assert proxy.rows("select current_user", user="md5_user") == [("md5_user",)]


def test_auth_query_trust(pgweir):
    proxy = with_query(pgweir, "trust")
    assert login(proxy, "app") is None
    assert login(proxy, "ghost") == "no such user"


@pytest.mark.pgweir
def test_auth_query_unknown_user_has_the_same_conversation(pgweir):
    for method in ("plain", "md5", "scram-sha-256"):
        proxy = with_query(pgweir, method)
        assert conversation(proxy, "ghost") == conversation(proxy, "app")


@pytest.mark.pgweir
def test_auth_query_password_changed(pgweir, cluster, role):
    """The answer is kept for a moment; what did not let somebody in is asked anew at once."""
    role("changing")
    for method in ("plain", "scram-sha-256"):
        proxy = with_query(pgweir, method)
        cluster.primary.rows("alter role changing password 'the first'")
        assert login(proxy, "changing", "the first") is None
        cluster.primary.rows("alter role changing password 'the second'")
        eventually(lambda proxy=proxy: login(proxy, "changing", "the second") is None, 5, "the new password")
        assert login(proxy, "changing", "the first") in (WRONG, WRONG_SCRAM)
    proxy = with_query(pgweir, "plain")
    assert login(proxy, "changing", "the second") is None
    cluster.primary.rows("alter role changing password 'the third'")
    assert login(proxy, "changing", "the third") is None  # within the same log-in
    proxy.stop()


@pytest.mark.pgweir
def test_auth_query_expired_and_locked(pgweir, role):
    role("expired", options="login valid until '2001-01-01'")
    role("locked", options="nologin")
    proxy = with_query(pgweir)
    assert login(proxy, "expired", "the first") == WRONG_SCRAM
    assert login(proxy, "locked", "the first") == "no such user"


@pytest.mark.pgweir
def test_auth_query_name_is_data(pgweir, role):
    for name in ("o'brien", "a\\b", "x$1", "semi;colon", "spaced out"):
        proxy = with_query(pgweir)
        role(name)
        assert login(proxy, name, "the first") is None
        proxy.stop()


@pytest.mark.short
@pytest.mark.pgweir
@pytest.mark.parametrize("query, told, logged", [
    ("select 1", "bouncer config error", "parameter"),
    ("select $1", "bouncer config error", "expected 2 columns from auth_query, not 1"),
    ("select $1, 'x' union all select $1, 'y'", "bouncer config error", "more than one row"),
    ("select 'postgres', 'x' where $1 <> ''", "bouncer config error", "another user"),
    ("select null, null where $1 <> ''", "no such user", ""),
    ("select $1, null", WRONG_SCRAM, ""),
    ("select nonsense from nowhere where x = $1", "bouncer config error", "nowhere"),
])
def test_auth_query_answers(pgweir, query, told, logged):
    proxy = with_query(pgweir, auth_query=query)
    for _ in range(2):
        assert login(proxy, "app", "wrong") == told
    assert logged in proxy.log()


@pytest.mark.pgweir
def test_auth_query_search_path(pgweir, cluster):
    """No client's search_path reaches the query, by start-up packet or by what the last client left behind."""
    cluster.primary.rows("create schema evil; create table evil.secrets as select 'app' a, 'hacked' b;"
                         "create table public.secrets as select 'app' a, 'right' b", dbname="app")
    query = "select * from secrets where $1 = 'app'"
    try:
        proxy = with_query(pgweir, "plain", auth_query=query, default_pool_size=1,
                           userlist={"postgres": PASSWORDS["postgres"]})
        assert login(proxy, "app", "hacked", search_path="evil") == WRONG
        with proxy.wire(user="postgres", search_path="evil") as wire:
            assert wire.rows("show search_path") == [("evil",)]
        assert login(proxy, "app", "hacked") == WRONG
        with proxy.wire(user="postgres") as wire:
            wire.rows("set search_path = evil")
        assert login(proxy, "app", "hacked") == WRONG
        assert login(proxy, "app", "right", options="-c search_path=evil") is None
        proxy.stop()
    finally:
        cluster.primary.rows("drop schema evil cascade; drop table public.secrets", dbname="app")


@pytest.mark.pgweir
def test_auth_query_elsewhere(pgweir, cluster):
    """auth_dbname, auth_user and auth_query of an entry go before the global ones."""
    address = f"host=127.0.0.1 port={cluster.primary.port} dbname=app"
    proxy = with_query(pgweir, "plain", auth_dbname="postgres", auth_query="select $1, 'from global'", databases={
        "postgres": f"host=127.0.0.1 port={cluster.primary.port} dbname=postgres",
        "own": f"{address} auth_dbname=app auth_user=app auth_query='select $1, current_user || current_database()'",
        "forced": f"{address} user=scram_user password={PASSWORDS['scram_user']}",
        "lost": f"{address} auth_dbname=nowhere",
    }, userlist={"postgres": PASSWORDS["postgres"], "app": "x"})
    assert login(proxy, "other", "from global") is None
    assert login(proxy, "other", "appapp", dbname="own") is None
    assert login(proxy, "other", "from global", dbname="own") == WRONG
    with Wire.open(proxy.port, user="other", dbname="forced", password="from global") as wire:
        assert wire.rows("select current_user") == [("scram_user",)]
    assert login(proxy, "other", "x", dbname="lost") == "bouncer config error"
    assert 'authentication database "nowhere" is not configured' in proxy.log()
    assert proxy.pool("postgres", "postgres")["sv_idle"] >= 1  # the query's own pool


@pytest.mark.pgweir
def test_auth_query_database_disabled(pgweir, cluster):
    proxy = with_query(pgweir, "plain", auth_dbname="authdb", userlist={"postgres": PASSWORDS["postgres"]},
                       databases={"authdb": f"host=127.0.0.1 port={cluster.primary.port} dbname=postgres"})
    assert login(proxy, "md5_user", PASSWORDS["md5_user"]) is None
    proxy.console("disable authdb")
    assert login(proxy, "md5_user", PASSWORDS["md5_user"]) == 'authentication database "authdb" is disabled'


@pytest.mark.pgweir
def test_auth_query_for_the_console(pgweir, cluster):
    proxy = with_query(pgweir, "scram-sha-256", auth_dbname="app", admin_users="monitor",
                       userlist={"postgres": ""})
    with Wire.open(proxy.port, user="monitor", dbname="pgbouncer", password=PASSWORDS["monitor"]) as wire:
        assert wire.rows("show version")
    assert login(proxy, "app", PASSWORD, dbname="pgbouncer") == "not allowed"


@pytest.mark.pgweir
def test_auth_query_server_down(pgweir):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = with_query(pgweir, client_login_timeout=1, databases={
            "app": f"host=127.0.0.1 port={silent.getsockname()[1]} dbname=app"})
        assert login(proxy, "app", PASSWORD) == "client_login_timeout"


# ------------------------------------------------------------------------------------------- towards servers

@pytest.mark.pgweir
def test_scram_keys_of_a_forced_user(pgweir, cluster, stored):
    """Two users with one secret: what one proves lets us in as the other."""
    secret = stored("scram_user")
    entry = f"host=127.0.0.1 port={cluster.primary.port} dbname=app user=scram_user"
    proxy = pgweir(auth_type="scram-sha-256", userlist={"front": secret, "scram_user": secret, "other": "x"},
                   databases={"forced": entry})
    for user in ("front", "scram_user"):
        with Wire.open(proxy.port, user=user, dbname="forced", password=PASSWORDS["scram_user"]) as wire:
            assert wire.rows("select current_user") == [("scram_user",)]
    fresh = pgweir(auth_type="scram-sha-256", userlist={"scram_user": secret, "other": "x"}, server_login_retry=1,
                   query_wait_timeout=2, databases={"forced": entry})
    assert login(fresh, "other", "x", dbname="forced") in ("server login failed: wrong password type",
                                                           "query_wait_timeout")
    assert "wrong password type" in fresh.log()


@pytest.mark.pgweir
@pytest.mark.parametrize("user", ["scram_user", "md5_user", "plain_user"])
def test_typed_password_serves_servers(pgweir, stored, user):
    """What a client typed in plain text is good for every server, though only a hash is kept here."""
    proxy = pgweir(auth_type="plain", userlist={user: stored(user)})
    assert psql(proxy, user, PASSWORDS[user]) == user


@pytest.mark.pgweir
def test_a_slow_login_does_not_bring_an_old_secret_back(pgweir):
    """It may be good for the client, who began before the RELOAD; servers are shown the new one."""
    proxy = pgweir(auth_type="md5", userlist={"md5_user": "old", "postgres": "admin"})
    with Wire(proxy.port) as slow:
        slow.send(startup("md5_user", "app"))
        asked = slow.read()
        proxy.write("userlist.txt", f'"md5_user" "{PASSWORDS["md5_user"]}"\n')
        with proxy.wire(user="postgres", dbname="pgbouncer", password="admin") as console:
            console.query("reload")
        slow._authenticate(asked.body, "md5_user", "old")  # pylint: disable=protected-access
        slow.read_until("Z")
        assert slow.rows("select current_user") == [("md5_user",)]


@pytest.mark.pgweir
@pytest.mark.parametrize("password", [
    "\u2168", "I\u00adX", "a\u00a0b", "e\u0301", "\u00e9", "\ufb01n", "\uff21\uff22", "\u043f\u0430\u0440\u043e\u043b\u044c",
    "\u0627\u0644\u0633\u0631", "\u06271", "\u1112\u1161\u11ab", "\u2126\u212b", "\U0001f600\u00a0", "\u00a0\ue000",
    "\u0340a", "\u200b", "\u200bx"], ids=ascii)
def test_unicode_passwords(pgweir, cluster, password):
    """PostgreSQL, libpq and we make the same of a password, whatever its letters are."""
    try:
        cluster.primary.rows(f"alter role scram_user password '{password}'")
        proxy = pgweir(auth_type="scram-sha-256", userlist={"scram_user": password})
        assert psql(proxy, "scram_user", password) == "scram_user"
    finally:
        cluster.primary.rows(f"alter role scram_user password '{PASSWORDS['scram_user']}'")


# ------------------------------------------------------------------------------------------- LDAP

PEOPLE = {"scram_user": PASSWORDS["scram_user"], "app": "directory's own", "x*": "starred"}


@pytest.fixture(scope="module")
def directory():
    if not SLAPD:
        pytest.skip("slapd is not installed")
    with Directory(PEOPLE) as made:
        yield made


@pytest.fixture(scope="module")
def ldap_options(directory):
    search = f'ldapbasedn="{BASE}" ldapbinddn="{READER}" ldapbindpasswd="{READER_PASSWORD}"'
    server = f"ldapserver={directory.host} ldapport={directory.port}"
    return {
        "simple": f'{server} ldapprefix="uid=" ldapsuffix=",ou=people,{BASE}"',
        "search": f"{server} {search}",
        "attribute": f"{server} {search} ldapsearchattribute=cn",
        "filter": f'{server} {search} ldapsearchfilter="(&(objectClass=inetOrgPerson)(mail=$username@pgweir.test))"',
        "url": f'ldapurl="{directory.url}/{BASE}?uid?sub" ldapbinddn="{READER}" ldapbindpasswd="{READER_PASSWORD}"',
        "second server": f'ldapserver="127.0.0.2 {directory.host}" ldapport={directory.port} {search}',
    }


LDAP_WRONG = "LDAP authentication failed"


@pytest.mark.pgweir
@pytest.mark.parametrize("through", ["auth_type", "hba"])
@pytest.mark.parametrize("way", ["simple", "search", "attribute", "filter", "url", "second server"])
def test_ldap(pgweir, ldap_options, way, through):
    settings = {"auth_type": "ldap", "auth_ldap_options": ldap_options[way]}
    if through == "hba":
        settings = {"auth_type": "hba", "auth_hba_file": "@DIR@/hba.conf"}
    proxy = pgweir(userlist={}, start=False, **settings)
    proxy.write("hba.conf", f"host all all 127.0.0.1/32 ldap {ldap_options[way]}\n")
    proxy.start()
    assert psql(proxy, "scram_user", PEOPLE["scram_user"]) == "scram_user"  # the server asks for it, too
    assert login(proxy, "app", PEOPLE["app"]) is None
    assert login(proxy, "app", PASSWORD) == LDAP_WRONG
    assert login(proxy, "app", "") == EMPTY
    for user in ("nobody", "*", "ap*", "app,ou=people", "app)(uid=*", ""):
        if user:
            assert login(proxy, user, PEOPLE["app"]) == LDAP_WRONG
    assert psql(proxy, "scram_user", PEOPLE["scram_user"]) == "scram_user"
    assert PEOPLE["app"] not in proxy.log() and READER_PASSWORD not in proxy.log()


@pytest.mark.pgweir
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.3"])
@pytest.mark.parametrize("way", ["ldaps", "ldaps url", "StartTLS"])
def test_ldap_by_tls(pgweir, directory, way, host):
    """The password goes to a server that shows a certificate of its name, and to no other."""
    bind = f'ldapprefix="uid=" ldapsuffix=",ou=people,{BASE}"'
    options = {
        "ldaps": f"ldapserver={host} ldapport={directory.tls_port} ldapscheme=ldaps {bind}",
        "ldaps url": f'ldapurl="ldaps://{host}:{directory.tls_port}/{BASE}?uid?sub" ldapbinddn="{READER}"'
                     f' ldapbindpasswd="{READER_PASSWORD}"',
        "StartTLS": f"ldapserver={host} ldapport={directory.port} ldaptls=1 {bind}",
    }[way]
    for trusted in (True, False):
        proxy = pgweir(auth_type="ldap", auth_ldap_options=options, userlist={},
                       environment={"LDAPTLS_CACERT": str(directory.authority.file)} if trusted else {})
        right = None if trusted and host != Directory.other_host else LDAP_WRONG
        assert login(proxy, "app", PEOPLE["app"]) == right
        assert login(proxy, "app", "wrong") == LDAP_WRONG


@pytest.mark.pgweir
@pytest.mark.parametrize("options", ["", "ldapserver=127.0.0.1", "nonsense", "ldapprefix=a ldapbasedn=b"])
def test_ldap_misconfigured(pgweir, options):
    proxy = pgweir(auth_type="ldap", auth_ldap_options=options, userlist={})
    assert login(proxy, "app", "x") == "bouncer config error"


@pytest.mark.pgweir
def test_ldap_server_that_hangs(pgweir):
    """It holds up nobody else, not even one whose password has to be hashed, and not the end of the program."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        options = f'ldapserver=127.0.0.1 ldapport={silent.getsockname()[1]} ldapprefix="uid=" ldapsuffix=",dc=x"'
        proxy = pgweir(auth_type="hba", auth_hba_file="@DIR@/hba.conf", client_login_timeout=2, start=False)
        proxy.write("hba.conf", f"host all other all ldap {options}\nhost all all all scram-sha-256\n")
        proxy.start()
        answers = []
        stuck = [threading.Thread(target=lambda: answers.append(login(proxy, "other", "x"))) for _ in range(12)]
        for thread in stuck:
            thread.start()
        began = time.monotonic()
        for user in ("app", "monitor", "plain_user"):
            assert login(proxy, user, PASSWORDS[user]) is None
        assert time.monotonic() - began < 2
        for thread in stuck:
            thread.join()
        assert answers == ["client_login_timeout"] * 12 or set(answers) <= {"client_login_timeout", LDAP_WRONG}
        hanging = Wire(proxy.port)
        hanging.send(startup("other", "app"))
        hanging.read()
        began = time.monotonic()
        assert proxy.stop() == 0
        assert time.monotonic() - began < 5
        hanging.close()


# ------------------------------------------------------------------------------------------- PAM

PAM_SERVICE = Path("/etc/pam.d/pgbouncer")
PAM_CHECK = """\
#!/bin/sh
# The password comes by standard input, with a zero byte behind it.
read -r password || true
[ "$PAM_USER $password $PAM_RHOST" = "pam_user right 127.0.0.1" ]
"""


@pytest.fixture
def pam(tmp_path):
    """A service `pgbouncer` that knows one user; taken away afterwards."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a PAM service")
    if PAM_SERVICE.exists():
        pytest.skip("this system has a PAM service pgbouncer of its own")
    if not shutil.which("sh") or not list(Path("/").glob("lib/*/security/pam_exec.so")):
        pytest.skip("pam_exec is not installed")
    place = Path("/tmp") / f"pgweir-pam-{os.getpid()}"
    place.write_text(PAM_CHECK, encoding="ascii")
    place.chmod(0o755)
    try:
        PAM_SERVICE.write_text(f"auth required pam_exec.so quiet expose_authtok {place}\n"
                               "account required pam_permit.so\n", encoding="ascii")
        yield place
    finally:
        PAM_SERVICE.unlink(missing_ok=True)
        place.unlink(missing_ok=True)


@pytest.mark.pgweir
def test_pam(pgweir, cluster, role, pam):
    role("pam_user", "right")
    proxy = pgweir(auth_type="pam", userlist={})
    assert psql(proxy, "pam_user", "right") == "pam_user"
    assert login(proxy, "pam_user", "wrong") == "PAM authentication failed"
    assert login(proxy, "app", "right") == "PAM authentication failed"
    assert login(proxy, "pam_user", "") == EMPTY
    proxy.stop()


@pytest.mark.pgweir
def test_pam_that_hangs(pgweir, role, pam):
    """A check that does not come back holds no client beyond its time, nobody else, and not the program's end."""
    role("pam_user", "right")
    held = Path(f"/tmp/pgweir-pam-{os.getpid()}.held")
    held.touch()
    try:
        with pam.open("a", encoding="ascii") as script:
            script.write(f"result=$?\n[ $PAM_USER != stuck ] || while [ -e {held} ]; do sleep 0.1; done\nexit $result\n")
        proxy = pgweir(auth_type="pam", userlist={}, client_login_timeout=8)
        answers = []
        stuck = [threading.Thread(target=lambda: answers.append(login(proxy, "stuck", "x"))) for _ in range(6)]
        for thread in stuck:
            thread.start()
        eventually(lambda: proxy.log().count("user=stuck") == 6, what="all of them asking")
        assert psql(proxy, "pam_user", "right") == "pam_user"
        for thread in stuck:
            thread.join()
        assert answers == ["client_login_timeout"] * 6
        assert proxy.stop() == 0
    finally:
        held.unlink()


# ------------------------------------------------------------------------------------------- guessing

@pytest.mark.pgweir
def test_failures_cost_time(pgweir):
    """Each failure doubles what its address waits for; others, here those of the Unix socket, do not wait."""
    proxy = pgweir(auth_type="plain", companion='[auth]\nfailure_delay = "200ms"\n')
    began = time.monotonic()
    for _ in range(3):
        assert login(proxy, password="wrong") == WRONG
    assert login(proxy, password=PASSWORD) is None
    assert time.monotonic() - began >= 0.2 + 0.4 + 0.8
    began = time.monotonic()
    assert login(proxy, password="wrong", host=str(proxy.directory)) == WRONG
    assert login(proxy, password=PASSWORD, host=str(proxy.directory)) is None
    assert time.monotonic() - began < 0.4


@pytest.mark.pgweir
def test_failures_are_free_by_default(pgweir):
    proxy = pgweir(auth_type="plain")
    began = time.monotonic()
    for _ in range(20):
        assert login(proxy, password="wrong") == WRONG
    assert time.monotonic() - began < 3


# ------------------------------------------------------------------------------------------- secrets

@pytest.mark.pgweir
@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_no_secret_is_shown(pgweir, stored, method):
    proxy = pgweir(auth_type=method, verbose=2)
    assert login(proxy, password=PASSWORD) is None
    assert login(proxy, password="a very wrong one") is not None
    shown = proxy.log()
    for what in ("clients", "servers", "users", "databases", "config", "pools", "sockets"):
        shown += str(proxy.console(f"show {what}"))
    assert PASSWORD not in shown and "a very wrong one" not in shown and stored("app") not in shown
