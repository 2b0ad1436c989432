"""Many clients, each with settings of its own, hammer few servers: none ever observes another's.

PGWEIR_TEST_CANARY_SECONDS  how long (default 4)
PGWEIR_TEST_SEED            other choices
"""
import os
import random
import threading
import time

import pytest
from harness import Cluster, Direct, Pgweir
from harness.pooler import TARGET
from harness.wire import SYNC, bind, execute, parse

pytestmark = [pytest.mark.short, pytest.mark.pgweir]

SECONDS = float(os.environ.get("PGWEIR_TEST_CANARY_SECONDS", "4"))
SEED = os.environ.get("PGWEIR_TEST_SEED", "1")
CLIENTS, SERVERS = 16, 3
NAMES = ("search_path", "timezone", "statement_timeout", "role", "application_name", "work_mem", "app.tenant")
READ = "select " + ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in NAMES)

KNOWN_GAP = False
NOTHING_SET = {"search_path": '"$user", public', "timezone": "Etc/UTC", "statement_timeout": "0", "role": "none",
               "application_name": "", "work_mem": "4MB", "app.tenant": ""}


@pytest.fixture(scope="module")
def primary():
    roles = "".join(f"create role canary{number}; grant canary{number} to app;" for number in range(CLIENTS))
    with Cluster(replicas=0, setup=roles) as cluster:
        yield cluster


class Canary(threading.Thread):
    """A client that knows what each of its settings must be, and whose values carry its number."""

    def __init__(self, proxy, number, deadline):
        super().__init__()
        self.proxy, self.number, self.deadline = proxy, number, deadline
        self.random = random.Random(f"{SEED}-{number}")
        self.looks = 0
        self.problem = None
        self.history = []
        self.initial = self.session = self.wire = None

    def value(self, name):
        """A value of that variable that no other client has."""
        mark = self.number * 50 + self.random.randrange(50)
        return {
            "search_path": f"mine{mark}, public",
            "timezone": f"<C{mark:03}>-{self.number % 12:02}",
            "statement_timeout": f"{100001 + mark}ms",  # never whole seconds, which come back as such
            "role": f"canary{self.number}",
            "application_name": f"canary {mark}",
            "work_mem": f"{4097 + mark}kB",
            "app.tenant": f"tenant '{mark}'",
        }[name]

    def run(self):
        try:
            while time.monotonic() < self.deadline and not self.problem:
                self._session()
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem

    def _session(self):
        start = {name: self.value(name) for name in ("search_path", "application_name", "statement_timeout")
                 if self.random.random() < 0.4}
        self.history = [f"connect {start}"]
        self.wire = self.proxy.wire(**start)
        with self.wire:
            self.initial = {**NOTHING_SET, **start}
            self.session = dict(self.initial)
            for _ in range(self.random.randrange(3, 60)):
                if self.problem:
                    return None
                getattr(self, self.random.choice(self.ACTIONS))()
            if self.random.random() < 0.5:
                if self.random.random() < 0.5:
                    self.say("begin")
                    self.change()
                return self.wire.reset()  # in the middle of it
            return self.wire.terminate()

    def say(self, sql):
        self.history.append("look" if sql == READ else sql)
        if self.random.random() < 0.5:
            messages = self.wire.ask(parse(sql), bind(), execute(), SYNC)
        else:
            messages = self.wire.query(sql)
        for message in messages:
            if message.type == "E":
                raise AssertionError(f"{sql}: {message}")
        return [message.columns() for message in messages if message.type == "D"]

    # ---- what it does

    ACTIONS = (*["look"] * 6, *["change"] * 3, *["transaction"] * 2, "put_back", "put_all_back", "by_function")

    @staticmethod
    def literal(value):
        return "'" + value.replace("'", "''") + "'"

    def _set(self, name, value, local=""):
        if name == "search_path":
            self.say(f"set {local} search_path = {value}")
        else:
            self.say(f"set {local} {name} = {self.literal(value)}")

    def look(self):
        (found,) = self.say(READ)
        self.looks += 1
        wrong = {name: value for name, value in zip(NAMES, found) if value != self.session[name]}
        if wrong:
            self.problem = AssertionError(f"client {self.number} found {wrong} instead of"
                                          f" { {name: self.session[name] for name in wrong} } (seed {SEED}) after"
                                          f" {self.history[-12:]}")

    def change(self):
        name = self.random.choice(NAMES)
        value = self.value(name)
        self._set(name, value)
        self.session[name] = value

    def by_function(self):
        name = self.random.choice(NAMES)
        value = self.value(name)
        self.say(f"select set_config('{name}', {self.literal(value)}, false)")
        self.session[name] = value

    def put_back(self):
        name = self.random.choice(NAMES)
        self.say(f"reset {name}")
        self.session[name] = self.initial[name]

    def put_all_back(self):
        self.say(self.random.choice(("reset all", "discard all")))
        # RESET ALL leaves the role alone
        role = self.session["role"] if self.history[-1] == "reset all" else "none"
        self.session = {**self.initial, "role": role}

    def transaction(self):
        before = dict(self.session)
        self.say("begin")
        kept = dict(before)
        for _ in range(self.random.randrange(1, 4)):
            name = self.random.choice(NAMES)
            value = self.value(name)
            if self.random.random() < 0.5:
                self._set(name, value, "local")
            else:
                self._set(name, value)
                kept[name] = value
            self.session[name] = value
            if self.random.random() < 0.5:
                self.look()
        self.session = kept if self.random.random() < 0.5 else before
        self.say("commit" if self.session is kept else "rollback")
        self.look()


@pytest.mark.parametrize("threads", (1, 2))
def test_nobody_sees_anothers(primary, threads):
    entry = f"host=127.0.0.1 port={primary.primary.port} dbname=app"
    with Direct(primary.primary) if TARGET == "direct" else Pgweir(
            databases={"app": entry}, pool_mode="transaction", default_pool_size=SERVERS,
            companion=f"[workers]\nthreads = {threads}\n") as proxy:
        deadline = time.monotonic() + SECONDS
        clients = [Canary(proxy, number, deadline) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        problems = [str(client.problem) for client in clients if client.problem]
        if KNOWN_GAP and TARGET == "pgweir":
            assert problems, "nobody saw anything: KNOWN_GAP is no more"
            return
        assert not problems, f"{len(problems)} of {CLIENTS}:\n" + "\n".join(problems[:4])
        assert sum(client.looks for client in clients) > 20 * SECONDS
        assert proxy.stop() == 0
