"""As test_differential.py, for what is rare: a Sync within a COPY that fails, statements whose Parse is skipped
before it is answered, names given twice. Each of these once went wrong."""
import pytest
from harness.wire import COPY_DONE, SYNC, bind, close_statement, copy_data, execute, parse, query
from test_differential import shortened, tables, transcript  # noqa: F401 (tables is a fixture)

pytestmark = [pytest.mark.short, pytest.mark.pgweir]

COPY = parse("copy t from stdin") + bind() + execute()
COPY_VIEW = parse("copy edges_view from stdin") + bind() + execute()


def ready(c, times=1):
    for _ in range(times):
        c.read_until("Z")


def copy_fails_before_it_reads_its_sync(c):
    c.query("create view edges_view as select * from t")
    c.ask(COPY_VIEW, SYNC)
    c.query("select 1")
    c.send(COPY_VIEW, SYNC, copy_data(b"1\n"), COPY_DONE, SYNC)
    ready(c, 2)
    c.query("select 2")
    c.ask(query("copy edges_view from stdin"), copy_data(b"1\n"), COPY_DONE)
    c.query("drop view edges_view")


def copy_fails_behind_its_sync(c):
    c.send(COPY, SYNC)
    c.read_until("G")
    c.ask(copy_data(b"not a number\n"), COPY_DONE, SYNC)
    c.query("select 1")


def copy_fails_before_a_sync_amid_its_data(c):
    c.send(query("copy t from stdin"), copy_data(b"not a number\n"), SYNC, copy_data(b"more\n"), COPY_DONE)
    ready(c, 2)
    c.query("select 1")


def copy_is_over_before_it_began(c):
    c.ask(query("copy no_such_table from stdin"), copy_data(b"1\n"), COPY_DONE)
    c.query("select 1")


def names_given_twice(c):
    c.ask(parse("select 1", "s"), SYNC)
    c.ask(parse("selec", "s"), SYNC)  # 42601: what PostgreSQL minds first
    c.ask(parse("select 2", "s"), bind((), "s"), execute(), SYNC)  # 42P05
    c.ask(bind((), "s"), execute(), SYNC)


def the_same_mistake_twice(c):
    c.send(parse("selec", "a"), SYNC, parse("selec", "b"), SYNC, parse("select 1", "c"), SYNC)
    ready(c, 3)


def skipped_in_one_batch_and_used_in_the_next(c):
    c.send(parse("selec"), parse("select 6", "a"), SYNC, parse("select 6", "b"), bind((), "b"), execute(), SYNC)
    ready(c, 2)
    c.ask(bind((), "a"), execute(), SYNC)  # 26000
    c.ask(bind((), "b"), execute(), SYNC)


def prepared_right_behind_discard_all(c):
    c.ask(parse("select 7", "a"), SYNC)
    c.send(query("discard all"), parse("select 7", "b"), bind((), "b"), execute(), SYNC)
    ready(c, 2)
    c.ask(bind((), "b"), execute(), SYNC)
    c.ask(bind((), "a"), execute(), SYNC)  # 26000


def prepared_in_a_failed_transaction(c):
    c.ask(parse("select 1", "s"), SYNC)
    c.query("begin; select 1/0")
    c.ask(parse("select 1", "t"), SYNC)  # 25P02, though the server has it
    c.ask(parse("select 1", "s"), SYNC)
    c.ask(parse("rollback", "r"), bind((), "r"), execute(), SYNC)
    c.ask(bind((), "s"), execute(), SYNC)
    c.ask(bind((), "t"), execute(), SYNC)  # 26000


def a_name_that_failed_given_again_in_one_flight(c):
    c.send(parse("selec", "s"), SYNC, parse("select 1", "s"), bind((), "s"), execute(), SYNC)
    ready(c, 2)
    c.ask(bind((), "s"), execute(), SYNC)


def a_known_statement_skipped_and_used_in_the_next_batch(c):
    c.ask(parse("select 2", "a"), SYNC)
    c.send(parse("selec"), parse("select 2", "b"), SYNC, bind((), "b"), execute(), SYNC)
    ready(c, 2)


def closed_in_a_failed_batch(c):
    c.ask(parse("select 3", "a"), SYNC)
    c.send(parse("selec"), close_statement("a"), SYNC, parse("select 4", "a"), SYNC, bind((), "a"), execute(), SYNC)
    ready(c, 3)


def prepared_anew_behind_a_pipelined_discard_all(c):
    c.ask(parse("select 7", "a"), SYNC)
    c.send(query("discard all"), parse("select 8", "a"), bind((), "a"), execute(), SYNC)
    ready(c, 2)


def the_unnamed_one_survives_a_parse_that_was_skipped(c):
    c.ask(parse("select 9"), SYNC)
    c.ask(parse("selec", "x"), parse("select 10"), SYNC)
    c.ask(bind(), execute(), SYNC)
    c.ask(parse("selec"), SYNC)
    c.ask(bind(), execute(), SYNC)  # 26000


def a_large_unnamed_statement(c):
    c.ask(parse("select 1 /* %s */" % ("x" * 60_000)), SYNC)
    c.ask(bind(), execute(), SYNC)


def copy_fails_amid_a_message(c):
    half = len(data := copy_data(b"not a number\n" * 20_000)) // 2
    c.send(query("copy t from stdin"), data[:half])
    c.send(data[half:], COPY_DONE)
    ready(c)
    c.query("select 1")


SCRIPTS = (a_name_that_failed_given_again_in_one_flight, a_known_statement_skipped_and_used_in_the_next_batch,
           closed_in_a_failed_batch, prepared_anew_behind_a_pipelined_discard_all,
           the_unnamed_one_survives_a_parse_that_was_skipped, a_large_unnamed_statement, copy_fails_amid_a_message,
           copy_fails_before_it_reads_its_sync, copy_fails_behind_its_sync, copy_fails_before_a_sync_amid_its_data,
           copy_is_over_before_it_began, names_given_twice, the_same_mistake_twice,
           skipped_in_one_batch_and_used_in_the_next, prepared_right_behind_discard_all,
           prepared_in_a_failed_transaction)


@pytest.mark.parametrize("mode", ("session", "transaction"))
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_same_messages(script, mode, cluster, pgweir):
    expected = transcript(script, cluster, cluster.primary.wire())
    proxy = pgweir(default_pool_size=2)
    answered = transcript(script, cluster, proxy.wire(dbname=proxy.entry(mode)))
    assert [shortened(m) for m in answered] == [shortened(m) for m in expected]
