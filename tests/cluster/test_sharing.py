"""Many clients on few servers: nobody sees what belongs to another."""
import random
import threading
import time

import pytest
from harness import ConnectionClosed, ServerError, eventually
from harness.wire import FLUSH, SYNC, bind, close_statement, describe_statement, execute, parse, query

POOLING = ("transaction", "statement")


def values(messages):
    return [message.columns() for message in messages if message.type == "D"]


def kinds(messages):
    return "".join(message.type for message in messages)


@pytest.mark.short
@pytest.mark.pgweir
@pytest.mark.parametrize("mode", POOLING)
def test_equal_names_on_one_server(pgweir, mode):
    proxy = pgweir(default_pool_size=1)
    clients = [proxy.wire(dbname=proxy.entry(mode)) for _ in range(6)]
    for number, client in enumerate(clients):
        assert kinds(client.ask(parse(f"select {number}, $1::int", "s"), SYNC)) == "1Z"
    for round_number in range(5):
        for number, client in enumerate(clients):
            answer = client.ask(bind([round_number], "s"), execute(), SYNC)
            assert values(answer) == [(str(number), str(round_number))]
    clients[0].ask(close_statement("s"), SYNC)
    assert "E" in kinds(clients[0].ask(bind([1], "s"), execute(), SYNC))
    assert values(clients[1].ask(bind([1], "s"), execute(), SYNC)) == [("1", "1")]
    for client in clients:
        client.terminate()


@pytest.mark.short
@pytest.mark.pgweir
@pytest.mark.parametrize("mode", POOLING)
def test_unnamed_statements_stay_apart(pgweir, mode):
    proxy = pgweir(default_pool_size=1)
    with proxy.wire(dbname=proxy.entry(mode)) as one, proxy.wire(dbname=proxy.entry(mode)) as two:
        one.ask(parse("select 'one', $1::int"), describe_statement(), SYNC)
        two.ask(parse("select 'two', $1::int"), describe_statement(), SYNC)
        assert values(one.ask(bind([1]), execute(), SYNC)) == [("one", "1")]
        assert values(two.ask(bind([2]), execute(), SYNC)) == [("two", "2")]
        two.query("select 'a simple query replaces only its own'")
        assert values(one.ask(bind([3]), execute(), SYNC)) == [("one", "3")]
        assert "E" in kinds(two.ask(bind([4]), execute(), SYNC))


@pytest.mark.short
@pytest.mark.pgweir
@pytest.mark.pooler
def test_equal_texts_share_a_server_statement(pgweir):
    proxy = pgweir(default_pool_size=1)
    clients = [proxy.wire() for _ in range(5)]
    for number, client in enumerate(clients):
        client.ask(parse("select $1::int + 1000", f"name{number}"), SYNC)
        assert values(client.ask(bind([number], f"name{number}"), execute(), SYNC)) == [(str(1000 + number),)]
    assert [row["prepared_statements"] for row in proxy.console("show servers")] == ["1"]
    for client in clients:
        client.terminate()


@pytest.mark.short
@pytest.mark.pooler
def test_transactions_take_turns(pgweir):
    """One server, two clients: the second waits for the first one's COMMIT and is then served."""
    proxy = pgweir(default_pool_size=1)
    with proxy.wire() as first, proxy.wire() as second:
        first.query("begin")
        second.send(parse("select 'second'"), bind(), execute(), SYNC)
        assert second.is_quiet(0.3)
        assert values(first.query("select 'first'")) == [("first",)]
        first.query("commit")
        assert values(second.read_until("Z")) == [("second",)]


@pytest.mark.short
@pytest.mark.pooler
def test_more_clients_than_servers(pgweir, cluster):
    proxy = pgweir(default_pool_size=3)
    clients = [proxy.wire(application_name="crowd") for _ in range(60)]
    for client in clients:
        client.send(parse("select pg_sleep(0.01)"), bind(), execute(), SYNC)
    for client in clients:
        assert kinds(client.read_until("Z")) == "12DCZ"
    eventually(lambda: cluster.primary.backends("usename = 'app'") <= 3, what="three backends at most")
    for client in clients:
        client.terminate()


@pytest.mark.short
@pytest.mark.pooler
def test_session_mode_keeps_its_server(pgweir):
    proxy = pgweir(default_pool_size=1)
    entry = proxy.entry("session")
    with proxy.wire(dbname=entry) as first, proxy.wire(dbname=entry) as second:
        pid = first.rows("select pg_backend_pid()")
        first.query("set work_mem = '3MB'")
        second.send(parse("select current_setting('work_mem'), pg_backend_pid()"), bind(), execute(), SYNC)
        assert second.is_quiet(0.3)
        assert first.rows("select pg_backend_pid()") == pid
        first.terminate()
        ((work_mem, second_pid),) = values(second.read_until("Z"))
        assert work_mem != "3MB"  # server_reset_query came in between
        assert (second_pid,) == pid[0]


FORBIDDEN = "transaction blocks not allowed in statement pooling mode"


@pytest.mark.short
@pytest.mark.pooler
@pytest.mark.parametrize("request_", [parse("begin") + bind() + execute() + SYNC, query("begin"),
                                      query("select 1; begin; select 2")], ids=["extended", "simple", "several"])
def test_statement_mode_refuses_transactions(pgweir, request_):
    proxy = pgweir()
    with proxy.wire(dbname=proxy.entry("statement")) as wire:
        wire.send(request_)
        refusal, = wire.reads_eof()  # and nothing that says it had begun
    assert refusal.fields()["M"] == FORBIDDEN
    assert proxy.rows("select 1", dbname=proxy.entry("statement")) == [("1",)]


@pytest.mark.pooler
@pytest.mark.parametrize("behind", [
    query("select pg_sleep(0.1)"), parse("select 1") + bind() + execute() + FLUSH, query("commit"),
    query("select repeat('x', 3000000)")], ids=["more", "without a sync", "its end", "a large result"])
def test_statement_mode_refuses_amid_a_pipeline(pgweir, behind):
    """What was sent before the BEGIN is answered; what has been sent behind it is not, and need not have been."""
    proxy = pgweir()
    entry = proxy.entry("statement")
    with proxy.wire(dbname=entry) as wire:
        wire.send(parse("select 'before'") + bind() + execute() + SYNC + parse("begin") + bind() + execute() + SYNC +
                  behind)
        *answers, refusal = wire.reads_eof()
    assert refusal.fields()["M"] == FORBIDDEN
    assert "".join(one.type for one in answers).startswith("12DCZ")
    assert [one for one in answers if one.type == "Z"] == answers[4:5]
    assert answers[2].columns() == ("before",)
    assert proxy.rows("select 1", dbname=entry) == [("1",)]


@pytest.mark.pooler
def test_statement_mode_refuses_behind_a_question_of_ours(pgweir):
    """About what a SET has left; both answers may come at once."""
    proxy = pgweir()
    for number in range(40):
        with proxy.wire(dbname=proxy.entry("statement")) as wire:
            wire.query(f"set work_mem = '{number + 1}MB'")
            wire.send(query("begin"))
            refusal, = wire.reads_eof()
        assert refusal.fields()["M"] == FORBIDDEN


@pytest.mark.pooler
def test_statement_mode_refuses_behind_half_a_row(pgweir):
    proxy = pgweir()
    with proxy.wire(dbname=proxy.entry("statement")) as wire:
        wire.send(query("begin; select repeat('x', 3000000)"))
        messages = wire.reads_eof()
    assert messages[-1].fields()["M"] == FORBIDDEN
    assert [len(message.columns()[0]) for message in messages if message.type == "D"] in ([], [3000000])
    assert "Z" not in [message.type for message in messages]


class Canary(threading.Thread):
    """A client whose every answer carries its own number, with the statement names of all the others; it
    comes and goes without manners."""

    def __init__(self, proxy, entry, number, deadline, seed):
        super().__init__()
        self.proxy, self.entry, self.number, self.deadline = proxy, entry, number, deadline
        self.random = random.Random(f"{seed}-{number}")
        self.answers = 0
        self.problem = None

    def run(self):
        try:
            while time.monotonic() < self.deadline and not self.problem:
                with self.proxy.wire(dbname=self.entry) as wire:
                    self._session(wire)
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem

    def _session(self, wire):
        prepared = {}
        for _ in range(self.random.randrange(1, 60)):
            name = f"s{self.random.randrange(4)}"
            if name not in prepared:
                prepared[name] = f"{self.number}:{self.random.randrange(1000)}"
                wire.send(parse(f"select '{prepared[name]}', $1::text", name))
            mine = str(self.random.random())
            wire.send(bind([mine], name), execute(), SYNC)
            kind = self.random.randrange(20)
            if kind == 0:
                return wire.close()  # without reading the answer
            if kind == 1:
                return wire.reset()
            if kind == 2:
                wire.cancel()
            messages = wire.read_until("Z")
            if kind == 2 and any(m.type == "E" and m.fields()["C"] == "57014" for m in messages):
                prepared.pop(name)  # the Parse may have been cancelled as well
                wire.ask(close_statement(name), SYNC)
                continue
            expected = [(prepared[name], mine)]
            if values(messages) != expected:
                self.problem = AssertionError(f"client {self.number} got {messages}, not {expected}")
                return None
            self.answers += 1
            if kind == 3:
                prepared.pop(name)
                wire.ask(close_statement(name), SYNC)
        return wire.terminate()


@pytest.mark.short
@pytest.mark.pgweir
@pytest.mark.parametrize("mode", POOLING)
def test_canary(pgweir, mode):
    """Equal statement names, disconnects, resets and cancels for a few seconds: no answer goes astray."""
    proxy = pgweir(default_pool_size=4)
    deadline = time.monotonic() + 4
    clients = [Canary(proxy, proxy.entry(mode), number, deadline, mode) for number in range(16)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert not [client.problem for client in clients if client.problem]
    assert sum(client.answers for client in clients) > 100
    with pytest.raises((ServerError, ConnectionClosed)):
        proxy.rows("select * from no_such_table", dbname=proxy.entry(mode))
