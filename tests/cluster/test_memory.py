"""What a client may make pgweir keep for it: one alone, and all together."""
import pytest
from harness import ConnectionClosed, eventually
from harness.wire import SYNC, parse

pytestmark = [pytest.mark.pgweir, pytest.mark.pooler, pytest.mark.short]

SIZE = 20_000  # bytes of a statement


def prepare(wire, first, count):
    """As many statements, no two alike."""
    for number in range(first, first + count):
        assert wire.ask(parse(f"select '{number:0{SIZE}}'", name=f"s{number}"), SYNC)[0].type == "1"


def outgrow(wire):
    """Prepares without end; the errors that it ended with."""
    with pytest.raises(ConnectionClosed) as closed:
        for number in range(100_000):
            prepare(wire, 1_000 + number, 1)
    return [one.fields() for one in closed.value.messages if one.type == "E"]


def check_told(errors, setting):
    assert [error["C"] for error in errors] == ["53200"]
    assert setting in errors[0]["D"] and errors[0]["S"] == "FATAL"


def test_one_client(pgweir):
    proxy = pgweir(companion='[workers]\nclient_memory_limit = "1MiB"\n')
    with proxy.wire() as modest, proxy.wire() as greedy:
        prepare(modest, 0, 10)
        check_told(outgrow(greedy), "workers.client_memory_limit")
        assert "closed for the memory it takes" in proxy.log()
        prepare(modest, 10, 1)


def test_all_together(pgweir):
    """The one that holds most goes, and the others are none the wiser."""
    proxy = pgweir(companion='[workers]\nclient_memory_limit = "0"\nmemory_limit = "2MiB"\nthreads = 2\n')
    with proxy.wire() as one, proxy.wire() as other, proxy.wire() as greedy:
        prepare(one, 0, 10)
        prepare(other, 0, 20)
        check_told(outgrow(greedy), "workers.memory_limit")
        prepare(one, 10, 1)
        prepare(other, 20, 1)


def test_what_is_closed_counts_no_more(pgweir):
    """Names that are given back leave nothing behind, however often."""
    proxy = pgweir(companion='[workers]\nclient_memory_limit = "400KiB"\n')
    with proxy.wire() as wire:
        for turn in range(10):
            prepare(wire, turn * 10, 10)
            wire.query("deallocate all")
        eventually(lambda: wire.rows("select 1") == [("1",)])
        check_told(outgrow(wire), "workers.client_memory_limit")
