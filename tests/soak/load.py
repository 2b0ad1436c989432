"""What the applications of a soak do, each in a thread of its own, and what must never happen to them.

A `Worker` runs its `turn` again and again until it is told to stop. What an application has to expect of a failover
(40001, 08007 and a few more) it takes as an application would and counts; anything else is a violation.
"""
import random
import subprocess
import threading
from collections import Counter

import psycopg
from harness import ConnectionClosed, ServerError
from harness.postgres import PG_BIN
from harness.processes import IDENTITY
from harness.wire import SYNC, bind, execute, parse, query

TABLES = """
    create table ledger (who int, number int, note text, primary key (who, number));
    create table own (who int primary key, value int not null);
    insert into own select who, 0 from generate_series(0, 99) who;
    grant all on ledger, own to public;
"""

# What a failover, a restart of the server or an administrator may do to what is under way.
EXPECTED = {
    "08007": "it may have been carried out",
    "40001": "the transaction is lost with its server",
    "40P01": "deadlock",
    "57014": "cancelled",
    "57P01": "an administrator ended it",
    "57P03": "no primary for longer than hold",
    "25006": "the primary became a replica under the transaction",
    "25P02": "what follows in a transaction that is lost",
}


class Worker(threading.Thread):
    """One application. `expected` counts what it had to bear, `violations` are what it must not see."""

    def __init__(self, proxy, number, seed):
        super().__init__(name=f"{type(self).__name__}-{number}", daemon=True)
        self.proxy = proxy
        self.number = number
        self.luck = random.Random(f"{seed}/{self.name}")
        self.ending = threading.Event()
        self.turns = 0
        self.expected = Counter()
        self.violations = []
        self.wire = None

    def run(self):
        while not self.ending.is_set():
            try:
                if self.wire is None:
                    self.wire = self.open()
                self.turn()
                self.turns += 1
                if self.wire is not None:
                    self.wire.transcript.clear()
            except ServerError as error:
                self.failed(error.sqlstate, str(error))
            except (ConnectionClosed, OSError) as error:
                self.expected["connection lost"] += 1
                self.lost(error)
            except Exception as error:  # a thread's exception would be nobody's
                self.violate(f"{type(error).__name__}: {error}")
                self.lost(error)
        self.close()

    def open(self):
        wire = self.proxy.wire(timeout=60, application_name=self.name)
        self.greet(wire)
        return wire

    def greet(self, wire):
        """What a new connection begins with."""

    def turn(self):
        raise NotImplementedError

    def failed(self, sqlstate, text):
        """An error came where a result was due; the connection is in step again."""
        if sqlstate in EXPECTED:
            self.expected[sqlstate] += 1
        else:
            self.violate(f"{sqlstate}: {text}")
        self.close()

    def lost(self, _error):
        self.close()
        self.ending.wait(0.05)

    def close(self):
        if self.wire is not None:
            self.wire.close()
            self.wire = None

    def violate(self, what):
        if len(self.violations) < 100:
            self.violations.append(f"{self.name}: {what}")

    def value(self, sql):
        rows = self.wire.rows(sql)
        return rows[0][0] if rows else None


class Writer(Worker):
    """Writes numbered entries and knows which were acknowledged: they must be there at the end, once. Each is
    read back at once, by whatever node the read goes to: a session sees its own writes."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.next = 0
        self.acknowledged = set()
        self.open_questions = set()  # 08007: nobody can know

    def turn(self):
        mine = [self.next, self.next + 1]
        self.next += 2
        ways = (self.simple, self.extended, self.transaction)
        try:
            written = self.luck.choice(ways)(mine)
        except (ServerError, ConnectionClosed, OSError) as error:
            certain = isinstance(error, ServerError) and error.sqlstate != "08007"
            if not certain:
                self.open_questions.update(mine)
            raise
        self.acknowledged.update(written)
        for number in written:
            seen = self.value(f"select count(*) from ledger where who = {self.number} and number = {number}")
            if seen != "1":
                self.violate(f"entry {number} was acknowledged and is read {seen} times")

    def entry(self, number):
        return f"insert into ledger values ({self.number}, {number}, 'by {self.name}')"

    def simple(self, numbers):
        self.wire.rows(self.entry(numbers[0]))
        return numbers[:1]

    def extended(self, numbers):
        answers = self.wire.ask(parse("insert into ledger values ($1::int, $2::int, $3)") +
                                bind([self.number, numbers[0], "extended"]) + execute() + SYNC)
        raise_error(answers)
        return numbers[:1]

    def transaction(self, numbers):
        for sql in ("begin", *map(self.entry, numbers), "commit"):
            raise_error(self.wire.query(sql))
        return numbers


class Counting(Worker):
    """Adds one to its own value and reads it: it never goes back."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.least = 0

    def turn(self):
        text = self.value(f"update own set value = value + 1 where who = {self.number} returning value")
        self.least = max(self.least, int(text))
        for _ in range(self.luck.randrange(4)):
            seen = int(self.value(f"select value from own where who = {self.number}"))
            if seen < self.least:
                self.violate(f"read {seen} after {self.least}: a stale read")
            self.least = max(self.least, seen)


class Canary(Worker):
    """Has a prepared statement, a setting and rows that are its alone, under names that all canaries use; comes
    and goes, in the middle of a query, too."""

    def greet(self, wire):
        self.secret = f"{self.name}/{self.luck.randrange(1 << 40)}"
        raise_error(wire.query(f"set app.secret = '{self.secret}'; set work_mem = '{100 + self.number}kB'"))
        raise_error(wire.ask(parse(f"select '{self.secret}', $1::text, current_setting('app.secret')", "mine")
                             + SYNC))

    def turn(self):
        mark = str(self.luck.randrange(1 << 40))
        answers = self.wire.ask(bind([mark], "mine") + execute() + SYNC)
        raise_error(answers)
        rows = [message.columns() for message in answers if message.type == "D"]
        if rows != [(self.secret, mark, self.secret)]:
            self.violate(f"asked for {mark} of {self.secret} and got {rows}")
        if self.value("show work_mem") != f"{100 + self.number}kB":
            self.violate("somebody else's work_mem")
        dice = self.luck.random()
        if dice < 0.02:
            self.wire.send(query("select generate_series(1, 5000), pg_sleep(0.0001)"))
            self.close()  # gone in the middle of an answer
        elif dice < 0.04:
            self.wire.send(query("begin; select pg_sleep(0.001)"))
            self.close()


class Driver(Worker):
    """psycopg, over TLS or plain: transactions, pipelines, statements that it prepares by itself, COPY. What it has
    sent and read back is its own."""

    def open(self):
        mode = self.luck.choice(("disable", "require"))
        try:
            link = self.proxy.connect(sslmode=mode, application_name=self.name, prepare_threshold=2)
        except psycopg.Error as error:
            raise ConnectionClosed([]) from error
        return _Link(link)

    def turn(self):
        try:
            self.luck.choice((self.asks, self.transaction, self.pipeline, self.copy))(self.wire.link)
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise ConnectionClosed([]) from error
            raise _Failed(error) from error

    def asks(self, link):
        mark = self.luck.randrange(1 << 40)
        for _ in range(4):  # prepared at the server from the third time on
            (row,) = link.execute("select %s::bigint, %s::text", (mark, self.name)).fetchall()
            self.compare(row, (mark, self.name))

    def transaction(self, link):
        mark = self.luck.randrange(1 << 40)
        with link.transaction():
            link.execute("select set_config('app.mark', %s, true)", (str(mark),))
            (row,) = link.execute("select current_setting('app.mark')").fetchall()
        self.compare(row, (str(mark),))

    def pipeline(self, link):
        marks = [self.luck.randrange(1 << 40) for _ in range(10)]
        with link.pipeline():
            cursors = [link.execute("select %s::bigint", (mark,)) for mark in marks]
        self.compare([cursor.fetchone()[0] for cursor in cursors], marks)

    def copy(self, link):
        count = self.luck.randrange(1, 2_000)
        with link.cursor().copy(f"copy (select n from generate_series(1, {count}) n) to stdout") as out:
            self.compare(sum(1 for _ in out.rows()), count)

    def compare(self, got, wanted):
        if got != wanted:
            self.violate(f"asked for {wanted} and got {got}")


class _Link:
    """A psycopg connection where a Wire is expected."""

    transcript = []

    def __init__(self, link):
        self.link = link

    def close(self):
        self.link.close()


class _Failed(ServerError):
    """An error that psycopg tells."""

    def __init__(self, error):
        Exception.__init__(self, str(error))
        self.sqlstate = error.sqlstate


class Crowd(threading.Thread):
    """pgbench, started again whenever it ends."""

    def __init__(self, proxy, *options):
        super().__init__(daemon=True)
        self.proxy = proxy
        self.options = options
        self.ending = threading.Event()
        self.runs = 0

    def run(self):
        while not self.ending.is_set():
            self.once("-n", "-T", "5")
            self.runs += 1

    def once(self, *options):
        command = [PG_BIN / "pgbench", *options, "-h", self.proxy.host, "-p", str(self.proxy.port), "-U", "app",
                   *self.options, "app"]
        subprocess.run(command, cwd="/", check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, **IDENTITY)


def raise_error(answers):
    for message in answers:
        if message.type == "E":
            raise ServerError(message)
    return answers


def check_ledger(node, writers):
    """Acknowledged entries that are missing. (One that is there twice, the primary key would not allow.)"""
    there = set(node.rows("select who, number from ledger", dbname="app"))
    return [f"{writer.name}: entry {number} was acknowledged and is lost" for writer in writers
            for number in sorted(writer.acknowledged) if (writer.number, number) not in there]
