"""The code blocks of a Markdown page, and a small world in which they are run as a reader would.

What a fenced block is goes by its language:

    console   `$ command` lines, run by bash in order; what follows one is what it must print, where `…` stands for
              any text and a line of nothing but `…` for any lines. The exit code must be 0.
    sql       run by psql through pgweir, as the user app in the database app
    toml      a part of a pgweir.toml, ini one of a pgbouncer.ini: `pgweir check` must find no fault
    others    text to look at

A comment on the line before it says more:

    <!-- file: NAME -->      the block is written there first
    <!-- exit: 1 -->         the exit code that the last command ends with
    <!-- not run: REASON --> it is left out
"""
import os
import re
import shlex
import signal
import subprocess
import textwrap
from pathlib import Path
from typing import NamedTuple

from .pooler import PROGRAM, Pgweir
from .postgres import PASSWORDS, PG_BIN
from .processes import IDENTITY, Port, eventually
from .wire import SSL_REQUEST, Wire, untyped

FENCE = re.compile(r"^(?: *<!-- (?P<comment>[^\n]*) -->\n)?(?P<indent> *)```(?P<language>\w+)\n"
                   r"(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
RUN = {"console", "sql", "toml", "ini"}


class Block(NamedTuple):
    language: str
    text: str
    line: int
    marks: dict  # of the comment: {"exit": "1"}

    @property
    def is_run(self):
        return self.language in RUN and "not run" not in self.marks


def blocks_of(path):
    text = Path(path).read_text(encoding="utf-8")
    blocks = []
    for found in FENCE.finditer(text):
        mark, _, value = (found["comment"] or "").partition(": ")
        blocks.append(Block(found["language"], textwrap.dedent(found["text"]), text.count("\n", 0, found.start()) + 1,
                            {mark: value} if mark else {}))
    return blocks


def is_unfinished(command):
    if command.endswith("\\"):
        return True
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False


def commands_of(text):
    """[(command, [line that it must print…])…] of a console block; a backslash and an open quote continue one."""
    commands = []
    for line in text.splitlines():
        if commands and is_unfinished(commands[-1][0]):
            commands[-1] = (commands[-1][0] + "\n" + line, [])
        elif line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return commands


def plain(line):
    """Without the blanks and dashes that only make columns equally wide."""
    return re.sub(r"-{2,}", "--", re.sub(r"\s+", " ", line)).strip()


def matches(expected, printed):
    """Whether the lines are as expected; empty ones do not count."""
    pattern = ""
    for line in map(plain, expected):
        if line == "…":
            pattern += r"(?:.*\n)*?"
        elif line:
            pattern += ".*".join(map(re.escape, line.split("…"))) + r"\n"
    return re.fullmatch(pattern, "".join(f"{plain(line)}\n" for line in printed if line.strip())) is not None


class World(Pgweir):
    """A directory with a pgbouncer.ini, a pgweir.toml of a cluster and a pgpool.conf, all for the same PostgreSQL. Pages
    speak of the usual ports and directories: these are replaced before anything is run, and put back in what is
    printed."""

    def __init__(self, cluster, toml):
        super().__init__(toml=toml, start=False)
        self.http = Port()
        self.cluster = cluster
        nodes = [node.port for node in cluster.nodes]
        self._usual = {"6432": str(self.port), "9127": str(self.http.number),
                       **{str(5432 + at): str(port) for at, port in enumerate(nodes)},
                       **{path: str(self.directory) for path in ("/run/pgweir", "/etc/pgweir", "/etc/pgpool2")},
                       "/var/run/postgresql": str(cluster.workdir.path)}
        self._started = []
        self.write("pgweir.toml", self.really(self.config.read_text()))
        self.write("pgbouncer.ini", self.really(PGBOUNCER_INI))
        self.write("pgpool.conf", self.really(PGPOOL_CONF))
        self.write("pgpass", "".join(f"*:*:*:{user}:{password}\n" for user, password in PASSWORDS.items())
                   + "*:*:*:pgweir:secret\n*:*:*:shop:secret\n")
        (self.directory / "bin").mkdir(mode=0o755)
        (self.directory / "bin/pgweir").symlink_to(self.program)
        self.write("bin/sudo", '#!/bin/sh\n[ "$1" = -u ] && shift 2\nexec "$@"\n').chmod(0o755)

    def really(self, text):
        """With the ports and directories that are there."""
        return re.sub("|".join(rf"(?<![\w.]){re.escape(usual)}\b" for usual in self._usual),
                      lambda found: self._usual[found[0]], text)

    def usually(self, text):
        """With those of the page. Several names of one directory become the first."""
        for usual, real in self._usual.items():
            text = text.replace(real, usual)
        return text

    def run(self, block):
        """None, or what is wrong."""
        if "file" in block.marks:
            self.write(block.marks["file"], self.really(block.text))
        return {"console": self._console, "sql": self._sql, "toml": self._toml, "ini": self._ini}[block.language](block)

    def _environment(self):
        return {"PATH": f"{self.directory}/bin:{PG_BIN}:/usr/bin:/bin", "HOME": str(self.directory), "LC_ALL": "C.UTF-8",
                "PGPASSFILE": str(self.directory / "pgpass"), "PGCONNECT_TIMEOUT": "20", "PSQL_PAGER": "",
                "PSQLRC": "/dev/null"}

    def _bash(self, command):
        self.cluster.catch_up()  # a reader is slower than replication
        done = subprocess.run(["bash", "-c", self.really(command)], cwd=self.directory, env=self._environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, check=False, **IDENTITY)
        return done.returncode, self.usually(done.stdout)

    def _console(self, block):
        commands = commands_of(block.text)
        for command, expected in commands:
            if command.endswith(" &"):
                self._background(command[:-2])
                continue
            code, printed = self._bash(command)
            last = command == commands[-1][0]
            if code != int(block.marks.get("exit", 0) if last else 0):
                return f"{command}\nended with {code}:\n{printed}"
            if any(line.strip() for line in expected) and not matches(expected, printed.splitlines()):
                return f"{command}\nprinted\n{printed}\ninstead of\n" + "\n".join(expected)
        return None

    def _background(self, command):
        """Starts a pgweir and waits until it answers."""
        with open(self.directory / "background.log", "ab") as log:
            child = subprocess.Popen(["bash", "-c", self.really(command)], cwd=self.directory,
                                     env=self._environment(), stdin=subprocess.DEVNULL, stdout=log,
                                     stderr=subprocess.STDOUT, start_new_session=True, **IDENTITY)
        self._started.append(child)

        def answers():
            if child.poll() is not None:
                return True  # the page's next command shows it
            with Wire(self.port, timeout=2) as wire:
                wire.send(untyped(SSL_REQUEST))
                return wire.read_bytes(1)

        eventually(answers, 30, command)

    def _sql(self, block):
        self.write("block.sql", block.text)
        code, printed = self._bash("psql -X -q -h 127.0.0.1 -p 6432 -U app -v ON_ERROR_STOP=1 -f block.sql app")
        return f"ended with {code}:\n{printed}" if code else None

    def _toml(self, block):
        text = self.really(block.text)
        if "[databases" not in text:
            text += '\n[databases."*"]\nhost = "127.0.0.1"\n'
        for name in sorted(set(re.findall(r"^\[clusters\.(\w+)", text, re.MULTILINE))):
            if not re.search(rf"^\[clusters\.{name}\]", text, re.MULTILINE):
                text += f'\n[clusters.{name}]\nnodes = [{{ host = "127.0.0.1" }}]\n'
        return self._check(self.write("block.toml", text))

    def _ini(self, block):
        text = self.really(block.text)
        return self._check(self.write("block.ini", text if "[databases]" in text else text + "\n[databases]\n* =\n"))

    def _check(self, path):
        names = re.findall(r"\$\{(\w+)\}", path.read_text(encoding="utf-8"))
        done = subprocess.run([self.program, "check", path], capture_output=True, text=True, check=False, timeout=60,
                              cwd=self.directory, env={**os.environ, **{name: "x" for name in names}}, **IDENTITY)
        return None if done.returncode == 0 else done.stdout

    def close(self):
        for child in self._started:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGQUIT)
            child.wait(20)
        super().close()


PGBOUNCER_INI = """\
[databases]
app = host=127.0.0.1 port=5432
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
unix_socket_dir =
auth_type = scram-sha-256
auth_file = userlist.txt
pool_mode = transaction
admin_users = postgres
"""

PGPOOL_CONF = """\
listen_addresses = '*'
port = 9999
backend_hostname0 = '127.0.0.1'
backend_port0 = 5432
backend_hostname1 = '127.0.0.1'
backend_port1 = 5433
load_balance_mode = on
num_init_children = 32
"""
__all__ = ["Block", "PROGRAM", "World", "blocks_of"]
