"""cache_unnamed: repeated unnamed statements are shared under a name, and nobody is to notice."""
import pytest
from harness.wire import SYNC, bind, execute, parse

pytestmark = [pytest.mark.short, pytest.mark.pgweir]


def ask(client, sql):
    """"well", or the SQLSTATE."""
    messages = client.ask(parse(sql), bind(), execute(), SYNC)
    errors = [m.fields()["C"] for m in messages if m.type == "E"]
    return errors[0] if errors else "well"


def test_a_statement_that_comes_again_is_prepared_once(cluster, pgweir):
    proxy = pgweir(default_pool_size=1)
    with proxy.wire(dbname=proxy.entry("transaction")) as client:
        for _ in range(5):
            ask(client, "select 1 as shared_text")
        assert [row["prepared_statements"] for row in proxy.console("show servers")] == ["1"]


def test_after_a_change_behind_our_back_one_error_at_most(cluster, pgweir):
    direct = cluster.primary.wire()
    direct.query("create table behind (a int)")
    proxy = pgweir(default_pool_size=1)
    try:
        with proxy.wire(dbname=proxy.entry("transaction")) as client:
            for _ in range(3):
                assert ask(client, "select * from behind") == "well"
            direct.query("alter table behind add b int")
            answers = [ask(client, "select * from behind") for _ in range(3)]
            assert answers[1:] == ["well", "well"], answers
            client.ask(parse("select * from behind", "named"), SYNC)
            direct.query("alter table behind add c int")
            assert ask_named(client) == "0A000"  # as PostgreSQL itself
            client.query("deallocate named")
            client.ask(parse("select * from behind", "named"), SYNC)
            assert ask_named(client) == "well"
    finally:
        direct.query("drop table behind")
        direct.close()


def ask_named(client):
    messages = client.ask(bind((), "named"), execute(), SYNC)
    errors = [m.fields()["C"] for m in messages if m.type == "E"]
    return errors[0] if errors else "well"
