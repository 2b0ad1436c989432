"""Who is pinned to a server, why and since when: SHOW PINS, SHOW CLIENTS, the log, idle pinned clients."""
import re

import pytest
from harness import eventually

pytestmark = pytest.mark.pgweir

# what pins, what undoes it, what SHOW PINS says meanwhile
REASONS = {
    "lock": ("select pg_advisory_lock(7)", "select pg_advisory_unlock(7)", "advisory lock"),
    "table": ("create temp table kept (a int)", "drop table kept", "temporary object"),
    "cursor": ("declare c cursor with hold for select 1", "close c", "held cursor"),
    "both": ("select pg_advisory_lock(7); create temp table kept (a int)", "discard all",
             "advisory lock, temporary object"),
}


def pins(proxy):
    """{client: reasons} of SHOW PINS, after a look whether SHOW CLIENTS says the same."""
    shown = proxy.console("show pins")
    by_client = {row["client"]: row["reasons"] for row in shown}
    listed = {row["id"]: row["pins"] for row in proxy.console("show clients") if row["pins"]}
    assert listed == by_client
    assert all(row["user"] == "app" and row["database"] == "app" for row in shown)
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", row["since"]) for row in shown)
    return by_client


@pytest.mark.short
@pytest.mark.parametrize("reason", REASONS)
def test_while_and_only_while(pgweir, reason):
    taking, undoing, text = REASONS[reason]
    proxy = pgweir(pool_mode="transaction", default_pool_size=1)
    with proxy.wire() as client, proxy.wire() as other:
        client.query("select 1")
        assert pins(proxy) == {}
        client.query(taking)
        assert eventually(lambda: list(pins(proxy).values()) == [text])
        client.query("select 1")
        assert list(pins(proxy).values()) == [text]
        client.query(undoing)
        assert other.rows("select 1") == [("1",)]  # the only server is free again
        assert pins(proxy) == {}


@pytest.mark.short
def test_leaving_ends_it(pgweir):
    proxy = pgweir(pool_mode="transaction", default_pool_size=1)
    with proxy.wire() as other:
        with proxy.wire() as client:
            client.query("select pg_advisory_lock(7)")
            assert eventually(lambda: list(pins(proxy).values()) == ["advisory lock"])
        assert other.rows("select pg_try_advisory_lock(7)") == [("t",)]
        assert eventually(lambda: list(pins(proxy).values()) == ["advisory lock"])


@pytest.mark.short
def test_a_pin_that_lasts_is_logged_once(pgweir):
    proxy = pgweir(pool_mode="transaction", companion='[pool]\npin_warn_after = "50ms"\n')
    said = "WARNING C-.* pinned to its server for .*s: advisory lock"
    with proxy.wire() as client:
        client.query("select pg_advisory_lock(7)")
        assert eventually(lambda: re.search(said, proxy.log()))
        client.query("select pg_advisory_lock(8)")
        client.query("select pg_advisory_unlock_all()")
        assert eventually(lambda: pins(proxy) == {})
        client.query("select pg_advisory_lock(7)")
        assert eventually(lambda: len(re.findall(said, proxy.log())) == 2)


@pytest.mark.short
def test_an_idle_pinned_client_is_idle(pgweir):
    proxy = pgweir(pool_mode="transaction", default_pool_size=1, client_idle_timeout="0.5")
    with proxy.wire() as client:
        client.query("select pg_advisory_lock(7)")
        assert client.reads_eof()[-1].fields()["M"] == "client_idle_timeout"
    with proxy.wire() as other:
        assert other.rows("select pg_try_advisory_lock(7)") == [("t",)]


@pytest.mark.short
def test_idle_in_session_mode_is_none(pgweir):
    """As in PgBouncer: who has a server of its own by the pool's mode is not idle."""
    proxy = pgweir(pool_mode="session", client_idle_timeout="0.2")
    with proxy.wire() as client, proxy.wire() as idler:
        client.query("select pg_advisory_lock(7)")
        assert idler.reads_eof()[-1].fields()["M"] == "client_idle_timeout"
        assert client.rows("select 1") == [("1",)]
