"""Counters that many clients write and read through a pooler, and what none of them may ever see.

A counter only grows, and every write is told the value it made. So each read has a least value that it must show:

    session   what this client has written, and what it has read before
    global    besides, what anybody had been told was written when the read was asked for

and at the end no counter may be less than the writes that were acknowledged, or more than those that were tried.
"""
import random
import threading
import time

from .wire import SYNC, ConnectionClosed, bind, execute, parse

SHARED = 4  # counters that everybody writes; client n's own one is SHARED + n

SETUP = """
create table counters (id int primary key, n bigint not null default 0);
insert into counters select generate_series(0, 199);
create function here() returns int language sql stable as 'select inet_server_port()';
grant all on counters to public;
"""

READ = "select n, here() from counters where id = "
WRITE = "update counters set n = n + 1 where id = "


class Refused(Exception):
    """The server was lost in a way that a client has to expect. `unknown`: the write may have taken effect."""

    def __init__(self, sqlstate):
        super().__init__(sqlstate)
        self.unknown = sqlstate == "08007"


class Book:
    """What all clients together know. Any thread."""

    def __init__(self):
        self._lock = threading.Lock()
        self.told = {}     # counter: the highest value that a writer has been told
        self.certain = {}  # counter: writes that were acknowledged
        self.unknown = {}  # counter: writes that may have taken effect
        self.reads = {}    # (level, port): how many
        self.refusals = {}
        self.problems = []

    def written(self, counter, value):
        with self._lock:
            self.told[counter] = max(self.told.get(counter, 0), value)
            self.certain[counter] = self.certain.get(counter, 0) + 1

    def not_known(self, counter):
        with self._lock:
            self.unknown[counter] = self.unknown.get(counter, 0) + 1

    def count(self, table, key):
        with self._lock:
            table[key] = table.get(key, 0) + 1

    def problem(self, text):
        with self._lock:
            self.problems.append(text)

    def share_of(self, level, ports):
        """The part of that level's reads that ran on these nodes."""
        counts = {port: count for (of, port), count in self.reads.items() if of == level}
        return sum(counts.get(port, 0) for port in ports) / max(sum(counts.values()), 1)

    def check_end(self, rows):
        """rows: (counter, value), when nobody writes any more."""
        for counter, value in rows:
            certain, most = self.certain.get(counter, 0), self.unknown.get(counter, 0)
            if not certain <= value <= certain + most:
                self.problem(f"counter {counter} is {value} after {certain} acknowledged writes and {most} others")


class Client(threading.Thread):
    """Writes and reads, each time in another way, until told to stop."""

    def __init__(self, proxy, book, number, level, seed, leads, writes, pause):
        """leads(port): that node is the primary, or has just been; writes: the part of requests that write; pause:
        seconds between requests, at most."""
        super().__init__(name=f"client {number}", daemon=True)
        self.book, self.level, self.leads, self.writes, self.pause = book, level, leads, writes, pause
        self.own = SHARED + number
        self.random = random.Random(f"{seed}/{number}")
        self.seen = {}
        self.stopping = threading.Event()
        self.wire = proxy.wire(timeout=60)
        self.wire.query(f"set pgweir.consistency = '{level}'")
        self.wire.ask(parse(READ + "$1::int", "read") + parse(WRITE + "$1::int returning n", "write") + SYNC)

    def run(self):
        try:
            while not self.stopping.is_set():
                try:
                    self.step()
                except Refused as refused:
                    self.book.count(self.book.refusals, str(refused))
                if self.pause:
                    time.sleep(self.random.random() * self.pause)
        except (ConnectionClosed, TimeoutError, OSError) as problem:
            self.book.problem(f"{self.name}: {problem!r}")
        finally:
            self.wire.close()

    def step(self):
        counter = self.own if self.random.random() < 0.6 else self.random.randrange(SHARED)
        if self.random.random() < self.writes:
            self.write(counter)
            counter = counter if self.random.random() < 0.8 else self.own  # what was written is read back at once
        if self.random.random() < 0.15:
            self.read_in_transaction(counter)
        else:
            self.read(counter)

    # ---- requests

    def ask(self, *messages):
        answer = self.wire.ask(*messages)
        errors = [m.fields() for m in answer if m.type == "E"]
        if not errors:
            return [m.columns() for m in answer if m.type == "D"]
        if errors[0]["C"] not in ("40001", "08007"):
            self.book.problem(f"{self.name}: {errors[0]}")
        raise Refused(errors[0]["C"])

    def query(self, sql):
        return self.ask(b"Q" + (len(sql) + 5).to_bytes(4, "big") + sql.encode() + b"\0")

    def run_named(self, name, counter):
        """By a simple query or by the extended protocol."""
        if self.random.random() < 0.5:
            text = f"{READ}{counter}" if name == "read" else f"{WRITE}{counter} returning n"
            return self.query(text)
        return self.ask(bind([counter], name) + execute() + SYNC)

    def write(self, counter):
        in_transaction = self.random.random() < 0.3
        committing = not in_transaction
        try:
            if in_transaction:
                self.query("begin")
            [row] = self.run_named("write", counter)
            if in_transaction:
                committing = True
                self.query("commit")
        except Refused as refused:
            if committing and refused.unknown:
                self.book.not_known(counter)
            elif refused.unknown:
                self.book.problem(f"{self.name}: 08007 for a statement in a transaction")
            if in_transaction:
                self.query("rollback")
            raise
        value = int(row[0])
        self.book.written(counter, value)
        self.seen[counter] = max(self.seen.get(counter, 0), value)

    def read(self, counter):
        told = self.book.told.get(counter, 0)
        self.check(counter, told, self.run_named("read", counter))

    def read_in_transaction(self, counter):
        """The first statement decides where all of it runs."""
        told = self.book.told.get(counter, 0)
        try:
            self.query("begin read only")
            for _ in range(self.random.randrange(1, 3)):
                self.check(counter, told, self.run_named("read", counter))
            self.query("commit")
        except Refused:
            self.query("rollback")
            raise

    # ---- what they must show

    def check(self, counter, told, rows):
        [row] = rows
        value, port = int(row[0]), int(row[1])
        self.book.count(self.book.reads, (self.level, port))
        seen = self.seen.get(counter, 0)
        least = max(seen, told) if self.level == "global" else seen
        # A replica may show what its writer has not been told yet, and the primary not yet anybody: no pooler can
        # help that. What its writer has been told the primary shows.
        early = self.leads(port) and value >= told
        if value < least and not early:
            self.book.problem(f"{self.name}, {self.level}: counter {counter} is {value} on {port}, and was {least}"
                              f" (seen {seen}, told {told})")
        self.seen[counter] = max(seen, value)


class Crowd:
    """Clients of both levels at work, inside of `with`."""

    def __init__(self, proxy, book, clients, seed, leads, writes=0.2, pause=0.0, levels=("session", "global")):
        self.clients = [Client(proxy, book, number, levels[number % len(levels)], seed, leads, writes, pause)
                        for number in range(clients)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.stopping.set()
        for client in self.clients:
            client.join(70)
