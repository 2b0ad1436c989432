"""A pgweir process in front of a cluster, or what the tests put in its place.

PGWEIR_TEST_TARGET  pgweir (default), pgbouncer (Debian's, to check the tests), or direct (no pooler at all)
PGWEIR_PROGRAM      the program; default build/release/pgweir
"""
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from .postgres import PASSWORDS
from .processes import Port, Process, Workdir, can_run, eventually, write
from .wire import SSL_REQUEST, Wire, untyped

ROOT = Path(__file__).resolve().parents[3]
TARGET = os.environ.get("PGWEIR_TEST_TARGET", "pgweir")
PROGRAM = Path(os.environ.get("PGWEIR_PROGRAM", ROOT / "build/release/pgweir"))
PGBOUNCER = "/usr/sbin/pgbouncer"

SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error: ")


# For a companion: the user that it runs as may look into /proc/PID/fd and smaps, as root may anyhow.
LOOKED_INTO = "[workers]\ncore_dumps = true\n"


def sanitizer_of(program):
    """"asan" (which comes with UBSan here), "tsan" or None."""
    code = Path(program).read_bytes()
    return next((name for name in ("asan", "tsan") if f"__{name}_init".encode() in code), None)


class Endpoint:
    """Something that speaks the protocol on a port."""

    host = "127.0.0.1"
    port = None
    dbname = "app"

    def connect(self, user="app", dbname=None, **options):
        """A psycopg connection in autocommit mode."""
        options = {"autocommit": True, "connect_timeout": 20, "password": PASSWORDS.get(user), **options}
        return psycopg.connect(host=self.host, port=self.port, user=user, dbname=dbname or self.dbname,
                               **options)

    def wire(self, user="app", dbname=None, password=None, **options):
        """A raw protocol connection, logged in."""
        return Wire.open(self.port, user=user, dbname=dbname or self.dbname,
                         password=password or PASSWORDS.get(user), **options)

    def rows(self, sql, **connection):
        with self.wire(**connection) as wire:
            return wire.rows(sql)


class Direct(Endpoint):
    """A node itself where a test expects a pooler: what passes here is a statement about PostgreSQL."""

    has_console = False

    def __init__(self, node):
        self.node = node
        self.port = node.port

    def entry(self, _mode):
        return self.dbname

    def stop(self, *_arguments, **_options):
        return 0

    close = stop

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Pgweir(Endpoint):
    """One process. Without text its configuration is an ini made of the keywords:

        Pgweir(cluster, pool_mode="transaction", default_pool_size=1)
        Pgweir(cluster, databases={"x": "host=… port=…"}, users={"app": "pool_size=3"}, companion=toml)

    With `ini` or `toml` it is that text; with `file=False` there is none, as in a container, and `environment`
    says it all. In every text @PORT@ is the port to listen on, @DIR@ the directory of the configuration
    (userlist.txt is there) and of the Unix socket.

    Default databases: `app`, and app_session, app_transaction, app_statement with that pool_mode, all on the
    primary. Default users: all of PASSWORDS, auth_type trust, console for postgres.
    """

    has_console = True

    def __init__(self, cluster=None, *, databases=None, users=None, ini=None, toml=None, companion=None,
                 userlist=None, file=True, arguments=(), environment=None, program=None, start=True, **settings):
        self.workdir = Workdir()
        self.directory = self.workdir.path
        self._port = Port()
        self.port = self._port.number
        self.arguments = list(arguments)
        self.environment = {"UBSAN_OPTIONS": "print_stacktrace=1",
                            **{name: self._filled(value) for name, value in (environment or {}).items()}}
        self.process = None
        self.is_pgbouncer = TARGET == "pgbouncer" and program is None
        self.program = self._runnable(PGBOUNCER if self.is_pgbouncer else program or PROGRAM)
        try:
            self.write("userlist.txt", self._userlist(PASSWORDS if userlist is None else userlist))
            if not file:
                self.config = None
            elif toml is not None:
                self.config = self.write("pgweir.toml", toml)
            else:
                self.config = self.write("pgweir.ini", ini or self.ini(cluster, databases, users, **settings))
            if companion is not None:
                self.write("pgweir.pgweir.toml", companion)
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    # ---- configuration

    @staticmethod
    def ini(cluster=None, databases=None, users=None, **settings):
        """The text of a pgbouncer.ini."""
        entries = {}
        if cluster:
            address = f"host={cluster.primary.host} port={cluster.primary.port} dbname=app"
            entries["app"] = address
            for mode in ("session", "transaction", "statement"):
                entries[f"app_{mode}"] = f"{address} pool_mode={mode}"
            for node in cluster.replicas:
                entries[f"app_{node.name}"] = f"host={node.host} port={node.port} dbname=app"
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": "@PORT@",
            "unix_socket_dir": "@DIR@",
            "auth_type": "trust",
            "auth_file": "@DIR@/userlist.txt",
            "admin_users": "postgres",
            "stats_users": "monitor",
            "pool_mode": "transaction",
            "max_client_conn": "1000",
            **settings,
        }
        sections = {"databases": {**entries, **(databases or {})}, "users": users or {}, "pgbouncer": settings}
        return "\n".join(f"[{title}]\n" + "".join(f"{key} = {value}\n" for key, value in section.items())
                         for title, section in sections.items() if section)

    @staticmethod
    def _userlist(secrets):
        return "".join(f'"{name}" "{secret}"\n' for name, secret in secrets.items())

    def entry(self, mode):
        """The database entry of that pool mode."""
        return f"app_{mode}"

    def write(self, name, text):
        """Writes a file beside the configuration; its path."""
        path = self.directory / name
        write(path, self._filled(text))
        return path

    def _filled(self, text):
        return text.replace("@PORT@", str(self.port)).replace("@DIR@", str(self.directory))

    # ---- life

    def _runnable(self, program):
        program = Path(program).resolve()
        if not program.exists():
            raise FileNotFoundError(f"{program} is not there: ./dev build")
        if can_run(program):
            return program
        copy = self.directory / program.name
        shutil.copy(program, copy)
        os.chmod(copy, 0o755)
        return copy

    def _command(self, *options):
        return [self.program, *self.arguments, *options, *([self.config] if self.config else [])]

    def start(self, timeout=30):
        self.process = Process(self._command(), log=self.directory / "stderr.log", cwd=self.directory,
                               environment=self.environment)
        eventually(self._answers, timeout, f"{self.program.name} accepting connections")
        return self

    def restart(self, timeout=30):
        """Online restart: the next process takes over with -R and is this one from here on. The one before,
        which hands over its clients and ends when it has none."""
        before = self.process
        self.restarts = getattr(self, "restarts", 0) + 1
        self.process = Process(self._command("-R"), cwd=self.directory,
                               log=self.directory / f"stderr-{self.restarts}.log", environment=self.environment)
        eventually(lambda: "handing over" in before.log(), timeout, "the hand-over")
        return before

    def _answers(self):
        if not self.process.alive:
            raise ProcessLookupError(f"{self.program.name} ended with {self.process.returncode}:\n{self.log()}")
        with Wire(self.port, timeout=2) as wire:
            wire.send(untyped(SSL_REQUEST))
            return wire.read_bytes(1) in (b"N", b"S")

    def stop(self, number=signal.SIGINT, timeout=20):
        """Asks the process to end; its exit code. Raises when a sanitizer had something to say."""
        code = self.process.stop(number, timeout)
        if SANITIZER.search(self.log()):
            raise AssertionError(f"sanitizer report of {self.program.name}:\n{self.log()[-8000:]}")
        return code

    def kill(self):
        self.process.kill()

    def close(self):
        """Ends it at once, in whatever state it is."""
        if self.process and self.process.alive:
            try:
                self.process.stop(signal.SIGQUIT, 10)
            except subprocess.TimeoutExpired:
                pass  # it has been killed
        self._port.close()
        self.workdir.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def reload(self):
        self.process.signal(signal.SIGHUP)

    # ---- looking at it

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.process.log() if self.process else ""

    def console(self, command, user="postgres"):
        """A console command's rows as dictionaries, all values text; an error is raised."""
        with self.wire(user=user, dbname="pgbouncer") as wire:
            return wire.table(command)

    def pool(self, dbname=None, user="app"):
        """The row of SHOW POOLS, numbers as int; {} when there is no such pool."""
        for row in self.console("show pools"):
            if (row["database"], row["user"]) == (dbname or self.dbname, user):
                return {key: int(value) if (value or "").isdigit() else value for key, value in row.items()}
        return {}

    def rss_kib(self):
        """Resident memory."""
        return self._status_kib("VmRSS")

    def peak_kib(self):
        """The most it ever was."""
        return self._status_kib("VmHWM")

    def _status_kib(self, key):
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"{key}:\s+(\d+)", status)[1])

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
