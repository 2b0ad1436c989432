"""Logging in: clients to pgweir with each method and each form of secret, pgweir to servers."""
import hashlib

import pytest
from harness import ConnectionClosed, ServerError, Wire
from harness.pooler import TARGET
from harness.postgres import PASSWORDS

pytestmark = [pytest.mark.pooler, pytest.mark.short]

PASSWORD = PASSWORDS["app"]
MD5 = "md5" + hashlib.md5((PASSWORD + "app").encode()).hexdigest()


@pytest.fixture(scope="module")
def scram(cluster):
    """What PostgreSQL keeps of the password of `user`."""
    return lambda user: cluster.primary.value("select rolpassword from pg_authid where rolname = %s", [user])


def refused(proxy, **login):
    """The error a login ends with."""
    with pytest.raises(ServerError) as error:
        proxy.wire(**login).close()
    return error.value.fields


@pytest.mark.parametrize("method, secret", [
    ("trust", PASSWORD), ("any", PASSWORD), ("plain", PASSWORD), ("md5", PASSWORD), ("md5", MD5),
    ("scram-sha-256", PASSWORD), ("scram-sha-256", "scram"), ("md5", "scram")])
def test_client_methods(pgweir, cluster, scram, method, secret):
    forced = {"app": f"host=127.0.0.1 port={cluster.primary.port} user=app"} if method == "any" else {}
    secret = scram("app") if secret == "scram" else secret
    proxy = pgweir(auth_type=method, userlist={"app": secret}, databases=forced)
    assert proxy.rows("select current_user") == [("app",)]
    if method in ("trust", "any"):
        assert proxy.rows("select 1", password="whatever") == [("1",)]
        return
    for password in ("wrong", " ", PASSWORD + "x", PASSWORD[:-1]):
        assert refused(proxy, password=password)["S"] == "FATAL"
    assert proxy.rows("select current_user") == [("app",)]


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_unknown_users_learn_nothing(pgweir, method):
    """A user that does not exist is refused with the words of a wrong password."""
    proxy = pgweir(auth_type=method)
    assert refused(proxy, user="nobody", password="x") == refused(proxy, user="app", password="wrong")


def test_unknown_database_comes_after_the_password(pgweir):
    proxy = pgweir(auth_type="md5")
    assert refused(proxy, dbname="nowhere", password="wrong")["M"] == refused(proxy, password="wrong")["M"]
    assert "no such database: nowhere" in refused(proxy, dbname="nowhere")["M"]


@pytest.mark.parametrize("user", ["scram_user", "md5_user", "plain_user"])
def test_server_asks_for_a_password(pgweir, user):
    assert pgweir(auth_type="md5").rows("select current_user", user=user) == [(user,)]


def test_server_gets_the_clients_scram_key(pgweir, scram):
    """No plain password anywhere: the key the client proved is used towards the server."""
    proxy = pgweir(auth_type="scram-sha-256", userlist={"scram_user": scram("scram_user")})
    assert proxy.rows("select current_user", user="scram_user") == [("scram_user",)]


def test_server_with_md5_secret(pgweir, scram):
    proxy = pgweir(auth_type="md5", userlist={"md5_user": scram("md5_user")})
    assert proxy.rows("select current_user", user="md5_user") == [("md5_user",)]


def test_forced_user(pgweir, cluster):
    entry = f"host=127.0.0.1 port={cluster.primary.port} dbname=app user=scram_user password={PASSWORDS['scram_user']}"
    proxy = pgweir(auth_type="md5", databases={"forced": entry})
    for user in ("app", "other"):
        assert proxy.rows("select current_user", user=user, dbname="forced") == [("scram_user",)]


def test_server_refuses(pgweir):
    """A wrong password towards the server is told to the client, and the pooler goes on."""
    proxy = pgweir(userlist={"scram_user": "not the server's", "app": ""}, server_login_retry=1,
                   query_wait_timeout=3)
    with pytest.raises((ServerError, ConnectionClosed, TimeoutError)):
        proxy.wire(user="scram_user", timeout=10).query("select 1")
    assert proxy.rows("select 1") == [("1",)]


def test_startup_parameters(pgweir):
    proxy = pgweir(ignore_startup_parameters="extra_float_digits")
    with proxy.wire(application_name="mine", client_encoding="LATIN1", DateStyle="German",
                    TimeZone="Asia/Tokyo", extra_float_digits="2") as wire:
        assert wire.rows("select current_setting('application_name'), current_setting('client_encoding'),"
                         " current_setting('timezone'), '2020-02-01'::date") == [
                             ("mine", "LATIN1", "Asia/Tokyo", "01.02.2020")]
    with proxy.wire() as wire:  # the same server, another client
        ((name, encoding, date),) = wire.rows("select current_setting('application_name'),"
                                              " current_setting('client_encoding'), '2020-02-01'::date")
        assert (encoding, date) == ("UTF8", "2020-02-01")
        assert name == "" or TARGET == "pgbouncer"  # which lets the next client have it


def test_no_startup_parameter_is_lost(pgweir):
    """One that is not kept for the client is refused in so many words, not forgotten."""
    try:
        with pgweir().wire(search_path="pg_catalog") as wire:
            assert wire.rows("show search_path") == [("pg_catalog",)]
    except ServerError as error:
        assert error.fields["M"] == "unsupported startup parameter: search_path"


def test_unix_socket(pgweir):
    proxy = pgweir()
    with Wire.open(proxy.port, user="app", dbname="app", host=str(proxy.directory)) as wire:
        assert wire.rows("select current_user") == [("app",)]
