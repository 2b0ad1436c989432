"""Session scripts: what several clients say to PostgreSQL, kept as text and played in a reproducible order.

A file of sessions/ is one topic, a script begins with `=== name`. Its lines, each of which continues on the
lines below it that are indented:

    === name [fixed|serial] [anew]  fixed: only in the written order; serial: one transaction or pin at a time;
                                anew: what pgweir knows of the database's functions may be out of date, so RELOAD first
    setup: SQL                  run by the database's owner before the first client comes; admin: by postgres
    client c2 user=other TimeZone=UTC options='-c work_mem=3MB'    start-up parameters, where there are any
    mask: REGEX                 what differs from run to run
    c1: SQL                     a simple query
    c1$ SQL ;; 7 ;; NULL        Parse, Bind, Describe, Execute, Sync of the unnamed statement
    c1! parse s select 1 | bind s | execute | sync       these messages: see MESSAGES
    c1& SQL                     a simple query whose answer `c1~ read` takes up
    c1~ connect | terminate | abort | read

`c1+:` says that from here c1 may hold a server between transactions, `c1-:` that it may not any more after
this step; a transaction needs no such mark. connect and terminate are added at both ends where they are
missing. A client's steps keep their order; those of different clients may be shuffled (see Order), but never
so that more clients than there are servers would need one.
"""
import json
import random
import re
import shlex
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path

from .wire import (COPY_DONE, FLUSH, SYNC, ConnectionClosed, ServerError, Wire, bind, close_portal,
                   close_statement, copy_data, describe_portal, describe_statement, execute, parse, query)

STEP = re.compile(r"(c\d+)([+-]?)([:$!&~])\s*(.*)", re.DOTALL)
NOTIFICATIONS = re.compile(r"listen|notify", re.IGNORECASE)
FIRST_USER_OID = 16384
NOT_COMPARED = "FLR"  # the place in PostgreSQL's source
MASKS = (r"pg_(toast_)?temp_\d+",)

# ---------------------------------------------------------------- scripts


@dataclass
class Step:
    client: str
    hold: str  # "+", "-" or ""
    kind: str
    text: str

    def __str__(self):
        return f"{self.client}{self.hold}{self.kind} {self.text}"

    @property
    def ends_session(self):
        return self.kind == "~" and self.text in ("terminate", "abort")


@dataclass
class Script:
    topic: str
    name: str
    flags: list
    clients: dict = field(default_factory=dict)  # name -> start-up parameters
    steps: list = field(default_factory=list)
    setup: list = field(default_factory=list)  # (user, SQL)
    masks: list = field(default_factory=lambda: list(MASKS))

    def __str__(self):
        return f"{self.topic}/{self.name}"

    @property
    def notifies(self):
        return any(NOTIFICATIONS.search(step.text) for step in self.steps)

    def add(self, line):
        if line.startswith("client "):
            _, name, *parameters = shlex.split(line)
            self.clients[name] = dict(parameter.split("=", 1) for parameter in parameters)
        elif line.startswith("mask:"):
            self.masks.append(line[5:].strip())
        elif line.startswith(("setup:", "admin:")):
            self.setup.append(("app" if line[0] == "s" else "postgres", line[6:].strip()))
        else:
            step = STEP.fullmatch(line)
            if not step:
                raise ValueError(f"{self}: {line!r} is no step")
            self.steps.append(Step(*step.groups()))
            self.clients.setdefault(step[1], {})

    def complete(self):
        """Adds the steps at both ends that go without saying."""
        for name in reversed(self.clients):
            steps = [step for step in self.steps if step.client == name]
            if steps[0].kind != "~" or steps[0].text != "connect":
                self.steps.insert(0, Step(name, "", "~", "connect"))
        for name in self.clients:
            if not [step for step in self.steps if step.client == name][-1].ends_session:
                self.steps.append(Step(name, "", "~", "terminate"))


def read_scripts(path):
    """The scripts of one file."""
    scripts = []
    lines = []  # each with those that continue it
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if line[:1].isspace() and lines and line.strip():
            lines[-1] += "\n" + line.strip()
        elif line.strip() and not line.startswith("#"):
            lines.append(line.rstrip())
    for line in lines:
        if line.startswith("==="):
            name, *flags = line[3:].split()
            scripts.append(Script(Path(path).stem, name, flags))
        else:
            scripts[-1].add(line)
    for script in scripts:
        script.complete()
    names = [script.name for script in scripts]
    assert len(names) == len(set(names)), f"{path}: a name is given twice"
    return scripts


# ---------------------------------------------------------------- messages


def _split(text):
    """A message's name and the rest of it; "-" is the unnamed statement or portal."""
    name, _, rest = text.partition(" ")
    return "" if name == "-" else name, rest


def _bind(text):
    name, values = _split(text)
    statement, _, portal = name.partition(">")
    values = [None if value == "NULL" else value for value in shlex.split(values)]
    return bind(values, "" if statement == "-" else statement, portal)


def _execute(text):
    portal, rows = _split(text or "-")
    return execute(portal, int(rows or 0))


MESSAGES = {
    "parse": lambda text: parse(_split(text)[1], _split(text)[0]),       # parse NAME SQL
    "bind": _bind,                                                       # bind STATEMENT[>PORTAL] VALUE…
    "describe": lambda text: describe_statement(_split(text)[0]),
    "describe-portal": lambda text: describe_portal(_split(text)[0]),
    "execute": _execute,                                                 # execute [PORTAL [ROWS]]
    "close": lambda text: close_statement(_split(text)[0]),
    "close-portal": lambda text: close_portal(_split(text)[0]),
    "query": query,
    "data": lambda text: copy_data(text.encode().decode("unicode_escape").encode()),
    "done": lambda _: COPY_DONE,
    "flush": lambda _: FLUSH,
    "sync": lambda _: SYNC,
}


def messages_of(step):
    """What a step sends: bytes, and how many ReadyForQuery answer them."""
    if step.kind in ":&":
        return query(step.text), 1
    if step.kind == "$":
        sql, *values = step.text.split(";;")
        values = [None if value.strip() == "NULL" else value.strip() for value in values]
        return parse(sql.strip()) + bind(values) + describe_portal() + execute() + SYNC, 1
    data, ready = b"", 0
    for part in re.split(r"\s\|\s", step.text):
        verb, _, rest = part.strip().partition(" ")
        data += MESSAGES[verb](rest.strip())
        ready += verb in ("sync", "query")
    return data, ready


def _oid(number):
    return number if number < FIRST_USER_OID else "user's"


def _row_description(body):
    (count,), at, columns = struct.unpack_from("!H", body), 2, []
    for _ in range(count):
        end = body.index(b"\0", at)
        _, attribute, kind, _, modifier, form = struct.unpack_from("!IhIhih", body, end + 1)
        columns.append(f"{body[at:end].decode()}:{_oid(kind)}:{modifier}:{attribute}:{form}")
        at = end + 19
    return " ".join(columns)


def line_of(message, masks):
    """A message as text, without what must differ between two connections."""
    kind, body = message.type, message.body
    if kind == "T":
        return "T " + _row_description(body)
    if kind == "t":
        (count,) = struct.unpack_from("!H", body)
        return f"t {[_oid(oid) for oid in struct.unpack_from(f'!{count}I', body, 2)]}"
    if kind == "A":  # less the sender's process
        return "A " + " ".join(part.decode() for part in body[4:].split(b"\0"))
    if kind in "EN":
        text = json.dumps({key: text for key, text in message.fields().items() if key not in NOT_COMPARED},
                          ensure_ascii=False)
    elif kind == "D":
        text = " | ".join("NULL" if value is None else repr(value) for value in message.columns())
    elif kind in "SCZ":
        text = "=".join(part.decode() for part in body.split(b"\0") if part)
    else:
        text = repr(body) if body else ""
    if kind in "END":
        for mask in masks:
            text = re.sub(mask, "…", text)
    return f"{kind} {text}".strip()


def tidied(lines):
    """The same lines, ParameterStatus messages in a row sorted, and notifications last unless they came amid
    a result: PostgreSQL sends them whenever it is idle, so their place says nothing."""
    result, late, status = [], [], []
    for line in lines:
        if line.startswith("S "):
            status.append(line)
            continue
        result += sorted(status)
        status = []
        if line.startswith("A ") and not (result and result[-1][:2] in ("T ", "D ")):
            late.append(line)
        else:
            result.append(line)
    return result + sorted(status) + late


# ---------------------------------------------------------------- clients


class Client:
    """One client of a play, and whether it may be holding a server."""

    def __init__(self, name, parameters, script, endpoint, timeout):
        self.name = name
        self.masks = script.masks
        self.endpoint = endpoint
        self.timeout = timeout
        self.parameters = {"user": "app", **parameters}
        self.wire = None
        self.status = "I"
        self.pinned = False
        self.unsynced = False

    @property
    def holds(self):
        return self.wire is not None and (self.status != "I" or self.pinned or self.unsynced)

    @property
    def is_idle(self):
        return self.wire is not None and self.status == "I" and not self.unsynced

    def lines(self, messages):
        for message in messages:
            if message.type == "Z":
                self.status = message.body.decode()
        return [line_of(message, self.masks) for message in messages]

    def do(self, step):
        """Plays a step; the lines that answered it."""
        if step.hold == "+":
            self.pinned = True
        try:
            if step.kind == "~":
                lines = getattr(self, "_" + step.text)()
            elif self.wire is None:
                lines = ["not connected"]
            else:
                data, ready = messages_of(step)
                self.unsynced = step.kind == "&" or not ready
                self.wire.send(data)
                lines = [] if step.kind == "&" else self._answers(ready)
        except ConnectionClosed as closed:
            lines = [*self.lines(closed.messages), "closed"]
            self._gone()
        if step.hold == "-":
            self.pinned = False
        return lines

    def _answers(self, ready):
        messages = []
        for _ in range(ready):
            try:
                messages += self.wire.read_until("Z")
            except ConnectionClosed as closed:
                raise ConnectionClosed(messages + closed.messages) from None
            except TimeoutError:
                return [*self.lines(messages), "no answer"]
        return self.lines(messages)

    def _connect(self):
        options = dict(self.parameters)
        user, dbname = options.pop("user"), options.pop("database", self.endpoint.dbname)
        self._gone()
        try:
            wire = Wire(self.endpoint.port, timeout=self.timeout)
            self.wire = wire
            messages = wire.login(user, dbname, **options)
        except ServerError as refused:
            self._gone()
            fields = {key: text for key, text in refused.fields.items() if key not in NOT_COMPARED}
            return ["refused " + json.dumps(fields, ensure_ascii=False)]
        except TimeoutError:
            self._gone()
            return ["no answer"]
        return self.lines(message for message in messages if message.type not in "RK")

    def _read(self):
        self.unsynced = False
        return self._answers(1)

    def _terminate(self):
        if self.wire:
            try:
                self.wire.terminate()
            except TimeoutError:
                return ["not closed"]
            finally:
                self._gone()
        return []

    def _abort(self):
        if self.wire:
            self.wire.reset()
        self._gone()
        return []

    def _gone(self):
        if self.wire:
            self.wire.close()
        self.wire, self.status, self.pinned, self.unsynced = None, "I", False, False

    def flush_notifications(self):
        """Whatever PostgreSQL has for an idle session, asked for by a Sync; not for use through a pooler."""
        self.wire.send(SYNC)
        return self.lines(self.wire.read_until("Z")[:-1])

    def unasked(self, wanted=0, timeout=0.0):
        """What came without a question; waits until it is that many messages, but no longer than that."""
        messages = []
        deadline = time.monotonic() + timeout
        while self.wire and not self.unsynced:
            patience = max(0.0, deadline - time.monotonic()) if len(messages) < wanted else 0
            if self.wire.is_quiet(patience):
                break
            try:
                messages.append(self.wire.read())
            except ConnectionClosed:
                self._gone()
                return [*self.lines(messages), "closed"]
        return self.lines(messages)

    def close(self):
        self._gone()


# ---------------------------------------------------------------- plays


class Order:
    """Chooses the next step. With a seed at random among the clients that may go, else as written."""

    def __init__(self, seed=None, servers=1):
        self.seed = seed
        self.servers = servers
        self.random = random.Random(seed)

    def __str__(self):
        return f"{'as written' if self.seed is None else f'seed {self.seed}'}, {self.servers} server(s)"

    def choose(self, script, ahead, clients):
        """The number of the next step; `ahead` are those to come, in written order."""
        if "fixed" in script.flags:
            return ahead[0]
        firsts = {}
        for number in ahead:
            firsts.setdefault(script.steps[number].client, number)
        servers = 1 if "serial" in script.flags else self.servers
        if sum(client.holds for client in clients.values()) >= servers:
            firsts = {name: number for name, number in firsts.items() if clients[name].holds}
        return min(firsts.values()) if self.seed is None else self.random.choice(list(firsts.values()))


@dataclass
class Played:
    """A step that was played: its number, what each client then got, and what was left on the servers."""
    number: int
    lines: dict
    left: tuple = None


class Difference(AssertionError):
    pass


class Stage:
    """Where scripts are played: PostgreSQL's primary, and what is in front of it."""

    def __init__(self, node, base):
        """base: SQL that makes the objects all scripts may use, from any state (run by postgres)."""
        self.node = node
        self.dbname = "app"
        self.port = node.port
        self.base = base
        self.admin = node.connect(dbname=self.dbname)
        self.owner = node.connect(user="app", dbname=self.dbname)
        self.cluster = None  # whose replicas get reads; a BEGIN comes to a server with what follows it

    def close(self):
        self.admin.close()
        self.owner.close()

    def prepare(self, script):
        for (gid,) in self.admin.execute("select gid from pg_prepared_xacts").fetchall():
            self.admin.execute(f"rollback prepared '{gid}'")
        self.admin.execute(self.base)
        for user, sql in script.setup:
            (self.admin if user == "postgres" else self.owner).execute(sql)
        if self.cluster:
            self.cluster.catch_up()

    def left(self, pids=None):
        """What sessions have at the moment: (advisory locks, temporary relations, open transactions). pids: whose
        transactions count; None: everybody's."""
        left = self.admin.execute("""
            select (select count(*) from pg_locks where locktype = 'advisory' and granted),
                   (select count(*) from pg_class where relpersistence = 't' and relkind in ('r', 'v', 'S')),
                   (select count(*) from pg_stat_activity where xact_start is not null
                    and backend_type = 'client backend' and pid <> pg_backend_pid()
                    and (%(pids)s::int[] is null or pid = any(%(pids)s)))""", {"pids": pids}).fetchone()
        return left[:2] if self.cluster else left

    def is_over(self, pid):
        return not self.admin.execute("select 1 from pg_stat_activity where pid = %s", [pid]).fetchone()


def pid_of(client):
    """Of its server, when it is connected directly."""
    return struct.unpack("!i", client.wire.key[:4])[0] if client.wire and client.wire.key else None


def _clients(script, endpoint, timeout):
    return {name: Client(name, parameters, script, endpoint, timeout)
            for name, parameters in script.clients.items()}


def play_directly(script, stage, order, timeout=10.0):
    """Plays a script on PostgreSQL itself; a list of Played."""
    stage.prepare(script)
    clients = _clients(script, stage, timeout)
    ahead = list(range(len(script.steps)))
    played = []
    try:
        while ahead:
            number = order.choose(script, ahead, clients)
            ahead.remove(number)
            step = script.steps[number]
            actor = clients[step.client]
            pid = pid_of(actor)
            lines = {step.client: actor.do(step)}
            if "no answer" in lines[step.client]:
                raise TimeoutError(f"{script}, {order}: {step} waits for another client; mark the script"
                                   f" serial or fixed. Played: {[str(script.steps[p.number]) for p in played]}")
            for client in clients.values():
                if script.notifies and client is not actor and client.is_idle:
                    lines[client.name] = client.flush_notifications()
            record = Played(number, {name: tidied(text) for name, text in lines.items() if text})
            if step.ends_session:
                _until(lambda pid=pid: pid is None or stage.is_over(pid))
                # pgweir may be asking a question of its own there, behind the play before this one.
                record.left = stage.left([pid for pid in map(pid_of, clients.values()) if pid])
            played.append(record)
        return played
    finally:
        for client in clients.values():
            client.close()


def play_again(script, stage, endpoint, expected, timeout=5.0):
    """Plays a script in the order of `expected` through an endpoint. Raises a Difference."""
    stage.prepare(script)
    if "anew" in script.flags and endpoint is not stage:
        endpoint.console("RELOAD")
    clients = _clients(script, endpoint, timeout)
    told = []  # the play so far
    try:
        for record in expected:
            step = script.steps[record.number]
            told.append(f"  {step}")
            lines = {step.client: clients[step.client].do(step)}
            if "no answer" not in lines[step.client]:
                _collect(clients, lines, record.lines)
            got = {name: tidied(text) for name, text in lines.items() if text}
            if got != record.lines:
                raise Difference("\n".join([*told, *_shown(record.lines, got)]))
            told += [f"      {name}  {line}" for name in got for line in got[name]]
            if record.left is not None and not _until(lambda wanted=record.left: stage.left() == wanted, 2.0):
                raise Difference("\n".join([*told, "      locks, temporary relations, open transactions on the"
                                            f" servers: {stage.left()} instead of {record.left}"]))
    finally:
        for client in clients.values():
            client.close()


def _collect(clients, lines, expected):
    """Takes up what the clients get unasked, and waits for what PostgreSQL would have sent by now."""
    for name, client in clients.items():
        so_far = lines.setdefault(name, [])
        wanted = len(expected.get(name, ())) - len(so_far)
        so_far += client.unasked(wanted, 2.0)


def _shown(expected, got):
    for name in sorted({*expected, *got}):
        ours, theirs = got.get(name, []), expected.get(name, [])
        same = 0
        while same < min(len(ours), len(theirs)) and ours[same] == theirs[same]:
            same += 1
        yield from (f"      {name}  {line}" for line in theirs[:same])
        yield from (f"    + {name}  {line}" for line in theirs[same:])
        yield from (f"    - {name}  {line}" for line in ours[same:])


def _until(check, timeout=20.0):
    """Asks until it is true; whether it became so."""
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
