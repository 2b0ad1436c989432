"""The same conversation directly and through pgweir gives the same messages, in every pool mode."""
import struct

import pytest
from harness.pooler import TARGET
from scripts import scripts

pytestmark = pytest.mark.short

RESET = """
    truncate t;
    insert into t values (1, 'one'), (2, 'two'), (3, 'three');
"""
# What pgweir answers itself, in PostgreSQL's words: all but the place in PostgreSQL's source is compared.
OUR_OWN = ("42P05", "26000")
NOT_OURS = "FLR"


@pytest.fixture(scope="module", autouse=True)
def tables(cluster):
    with cluster.primary.connect(user="app", dbname="app") as link:
        link.execute("create table t (id int primary key, v text)")
        link.execute("""create function noisy(text) returns text language plpgsql as
                        $$ begin raise notice 'hear: %', $1; return $1; end $$""")
    yield
    with cluster.primary.connect(user="app", dbname="app") as link:
        link.execute("drop table t")
        link.execute("drop function noisy")


def normal(message):
    """Without what must differ between two connections."""
    if message.type == "A":  # NotificationResponse: the notifier's process
        return ("A", message.body[4:])
    if message.type == "E" and message.fields().get("C") in OUR_OWN:
        return ("E", {key: text for key, text in message.fields().items() if key not in NOT_OURS})
    return tuple(message)


def transcript(script, cluster, wire):
    cluster.primary.rows(RESET, dbname="app")
    with wire:
        script(wire)
        assert wire.is_quiet(0.01), "something came after the last answer"
        wire.terminate()
        return [normal(message) for message in wire.transcript]


def shortened(message):
    return repr(message)[:200]


CASES = [pytest.param(script, mode, id=f"{script.__name__}-{mode}",
                      marks=pytest.mark.pgweir if script.pgweir_only and mode != "session" else ())
         for script in scripts for mode in script.modes]


@pytest.mark.parametrize("script, mode", CASES)
def test_same_messages(script, mode, cluster, pgweir):
    expected = transcript(script, cluster, cluster.primary.wire())
    proxy = pgweir(default_pool_size=2)
    answered = transcript(script, cluster, proxy.wire(dbname=proxy.entry(mode)))

    for number, (ours, theirs) in enumerate(zip(answered, expected)):
        assert ours == theirs, (f"message {number} of {len(expected)}: {shortened(ours)} instead of"
                                f" {shortened(theirs)}, after {[shortened(m) for m in expected[:number]][-5:]}")
    assert len(answered) == len(expected)


def test_login_messages(cluster, pgweir):
    """What a client is told at login: the same parameters, and a key of the same form."""
    with cluster.primary.wire() as direct, pgweir().wire() as proxied:
        assert told(proxied) == told(direct)
        assert len(proxied.key) == len(direct.key)
        if TARGET != "pgbouncer":  # whose process ids may be negative
            assert struct.unpack("!i", proxied.key[:4])[0] > 0


def told(wire):
    unknown_to_pgbouncer = ("default_transaction_read_only", "in_hot_standby")
    return {name: value for name, value in wire.parameters.items()
            if TARGET != "pgbouncer" or name not in unknown_to_pgbouncer}
