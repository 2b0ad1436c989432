"""Start-up parameters in every pool mode, and the process id that a client is told."""
import pytest
from harness import ServerError, eventually
from harness.wire import query

pytestmark = [pytest.mark.short, pytest.mark.pgweir]

MODES = ("session", "transaction", "statement")
PID = "select pg_backend_pid()"


def told_pid(wire):
    return str(int.from_bytes(wire.key[:4], "big"))


@pytest.mark.parametrize("mode", MODES)
def test_refused_as_by_postgres(pgweir, cluster, mode):
    proxy = pgweir(default_pool_size=2)
    entry = proxy.entry(mode)
    for parameters in ({"no_such_parameter": "1"}, {"work_mem": "rubbish"}, {"log_statement": "all"},
                       {"shared_buffers": "1GB"}, {"options": "-c no.such=1 -c no_such=1"}, {"options": "-c"},
                       {"options": "-c work_mem"}, {"wal_sync_method": "magic"}, {"log_connections": "on"},
                       {"bytea_output": "klingon"}):
        errors = []
        for open_wire in (cluster.primary.wire, lambda **p: proxy.wire(dbname=entry, **p)):
            with pytest.raises(ServerError) as error:
                open_wire(**parameters).close()
            errors.append({key: error.value.fields.get(key) for key in "SCMDH"})
        assert errors[0] == errors[1]
    with proxy.wire(dbname=entry, work_mem="3MB", options="-c app.x=1") as wire:  # nobody else suffers
        assert wire.rows("select current_setting('work_mem'), current_setting('app.x')") == [("3MB", "1")]


@pytest.mark.parametrize("mode", MODES)
def test_told_in_the_servers_spelling(pgweir, cluster, mode):
    proxy = pgweir(default_pool_size=2)
    asked = {"client_encoding": "utf-8", "DateStyle": "sql,dmy", "timezone": "utc", "intervalstyle": "ISO_8601",
             "application_name": "mine"}
    with cluster.primary.wire(**asked) as direct:
        expected = dict(direct.parameters)
    for _ in range(2):  # the second time what the server makes of them is known
        with proxy.wire(dbname=proxy.entry(mode), **asked) as wire:
            assert wire.parameters == expected
            assert wire.rows("show datestyle") == [("SQL, DMY",)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", (1, -1))
def test_a_name_goes_above_options(pgweir, cluster, mode, order):
    parameters = dict([("work_mem", "3MB"), ("options", "-c work_mem=4MB -c temp_buffers=2MB")][::order])
    proxy = pgweir()
    said = []
    for wire in (cluster.primary.wire(**parameters), proxy.wire(dbname=proxy.entry(mode), **parameters)):
        with wire:
            said.append(wire.rows("select current_setting('work_mem'), current_setting('temp_buffers')"))
    assert said[0] == said[1] == [("3MB", "2MB")]


def test_known_parameters_need_no_server(pgweir):
    proxy = pgweir(default_pool_size=1)
    asked = {"search_path": "pg_catalog", "extra_float_digits": "2"}
    proxy.wire(**asked).close()
    with proxy.wire() as holder:
        holder.query("begin")
        with proxy.wire(**asked, application_name="x"), proxy.wire(application_name="y"):
            pass
        with proxy.wire(application_name="z") as wire:
            holder.query("commit")
            assert wire.rows("select 1") == [("1",)]


def test_session_has_the_servers_pid(pgweir):
    proxy = pgweir(default_pool_size=4)
    entry = proxy.entry("session")
    wires = [proxy.wire(dbname=entry, **{"search_path": "pg_catalog"} if odd % 2 else {}) for odd in range(4)]
    assert len({told_pid(wire) for wire in wires}) == 4
    for wire in wires:
        assert wire.rows(PID) == [(told_pid(wire),)]
    for wire in wires:
        wire.terminate()


def test_unused_server_is_given_up(pgweir, cluster):
    """A client that never asked anything keeps nobody waiting."""
    proxy = pgweir(default_pool_size=1, query_wait_timeout=20)
    entry = proxy.entry("session")
    with proxy.wire(dbname=entry) as idle:
        with proxy.wire(dbname=entry) as busy:
            assert told_pid(idle) != told_pid(busy)
            assert busy.rows("select 1") == [("1",)]
            busy.terminate()
        assert idle.rows("select 2") == [("2",)]
        idle.terminate()


def test_pause_is_not_held_up_by_unused_servers(pgweir):
    proxy = pgweir(default_pool_size=2)
    with proxy.wire(dbname=proxy.entry("session")) as idle:
        with proxy.wire(dbname="pgbouncer", user="postgres") as console:
            assert [m.type for m in console.query("PAUSE")] == ["C", "Z"]
            console.query("RESUME")
        assert idle.rows("select 1") == [("1",)]


def test_cancel_in_session_mode(pgweir, cluster):
    proxy = pgweir(default_pool_size=2)
    with proxy.wire(dbname=proxy.entry("session")) as wire:
        wire.send(query("select pg_sleep(30)"))
        eventually(lambda: cluster.primary.backends("query like '%pg_sleep(30)%' and state = 'active'") == 1,
                   what="the query runs")
        wire.cancel()
        assert [m.fields()["C"] for m in wire.read_until("Z") if m.type == "E"] == ["57014"]
