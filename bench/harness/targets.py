"""What is measured: PostgreSQL itself, haproxy, PgBouncer, pgweir and programs like them.

A target is started afresh for every measurement, runs as the unprivileged account in a folder of
its own, listens on a free loopback port, and is ended by pid.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness import processes, secrets, wire
from harness.errors import BenchError, Unsupported
from harness.postgres import CONNECTIONS_MAX, DATABASE, Postgres

_START_TIMEOUT_S = 5.0
_COPY_ATTEMPTS = 10           # a second apart
_WRAPPED_START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Settings:
    """What a workload asks of a pooler. A value."""

    clients: int = 16
    pool_size: int = 16
    auth: str = "trust"            # trust | scram (stored secret) | scram-plain (plain password)
    prepared: bool = False         # named statements are used
    tls: bool = False              # with clients
    wrapper: tuple[str, ...] = ()  # put before the program: valgrind and its options


@dataclass(frozen=True)
class Endpoint:
    """Where a running target listens. `pid` is None for PostgreSQL itself. A value."""

    port: int
    pid: int | None
    note: str = ""
    daemon: processes.Daemon | None = None


class Target(Protocol):
    """Something that can be started in front of `postgres`."""

    name: str

    def version(self) -> str:
        """One line; what a program says of itself is known once it has run."""

    def running(self, postgres: Postgres,
                settings: Settings) -> AbstractContextManager[Endpoint]:
        """It runs inside the `with`. Errors: BenchError when it does not start, Unsupported."""


class Direct:
    """No proxy: clients connect to PostgreSQL."""

    name = "direct"

    def version(self) -> str:
        return "PostgreSQL itself"

    @contextmanager
    def running(self, postgres: Postgres, settings: Settings) -> Iterator[Endpoint]:
        if settings.auth != "trust" or settings.wrapper or settings.tls:
            raise Unsupported("PostgreSQL here trusts everybody")
        if settings.clients > CONNECTIONS_MAX - 100:
            raise Unsupported("more clients than max_connections")
        yield Endpoint(postgres.port, None)


class Haproxy:
    """haproxy in TCP mode: one server connection a client, no protocol. The floor."""

    name = "haproxy"

    def __init__(self, path: str = "/usr/sbin/haproxy") -> None:
        self._path = path

    def version(self) -> str:
        return processes.run_once([self._path, "-v"], Path("/")).splitlines()[0]

    @contextmanager
    def running(self, postgres: Postgres, settings: Settings) -> Iterator[Endpoint]:
        if settings.auth != "trust" or settings.wrapper or settings.tls:
            raise Unsupported("no protocol")
        if settings.clients > CONNECTIONS_MAX - 100:
            raise Unsupported("more clients than max_connections")
        folder, port = _fresh_folder(postgres, self.name), processes.free_port()
        (folder / "haproxy.cfg").write_text(
            f"global\n  nbthread 1\n  maxconn {CONNECTIONS_MAX}\n"
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n"
            f"  timeout server 1h\nlisten pg\n  bind 127.0.0.1:{port}\n"
            f"  server pg 127.0.0.1:{postgres.port}\n")
        with _started(self.name, [self._path, "-db", "-f", "haproxy.cfg"], folder) as daemon:
            _wait_for_login(daemon, postgres, port, settings)
            yield Endpoint(port, daemon.pid, daemon=daemon)


class Bouncer:
    """PgBouncer, pgweir, or any program that takes a pgbouncer.ini."""

    def __init__(self, name: str, path: Path, threads: int | None = None,
                 companion: str = "") -> None:
        self.name = name
        self.path = path
        self._threads = threads    # written to the companion file; None: there is no such file
        self._companion = companion     # what else that file says
        self._version = "not run"
        self._copy: Path | None = None

    def version(self) -> str:
        return self._version

    def _program(self, postgres: Postgres) -> Path:
        """A copy made once a run, so that a build meanwhile changes nothing; waits for a linker."""
        if self._copy is None:
            folder = postgres.folder / "programs" / str(self.path).replace("/", "_")
            copy = folder / self.path.name
            for attempt in range(_COPY_ATTEMPTS):
                try:
                    if not copy.exists():
                        folder.mkdir(parents=True, exist_ok=True)
                        shutil.copy2(self.path, copy)
                    said = processes.run_once([str(copy), "--version"], folder, 5.0)
                    self._version = said.partition("\n")[0]
                    break
                except (BenchError, OSError) as error:
                    copy.unlink(missing_ok=True)
                    if attempt + 1 == _COPY_ATTEMPTS or not self.path.exists():
                        raise BenchError(f"{self.path}: {error}") from error
                    time.sleep(1.0)
            self._copy = copy
        return self._copy

    def _knows_prepared(self) -> bool:
        found = re.match(r"PgBouncer (\d+)\.(\d+)", self._version)
        if found is None:
            return self._threads is not None
        return (int(found[1]), int(found[2])) >= (1, 21)

    def ini(self, postgres: Postgres, port: int, settings: Settings, session_mode: bool) -> str:
        """The configuration: the same text for every program, but for what a version lacks."""
        lines = [
            "[databases]",
            f"{DATABASE} = host=127.0.0.1 port={postgres.port} dbname={DATABASE}",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {port}",
            "unix_socket_dir =",
            f"auth_type = {'trust' if settings.auth == 'trust' else 'scram-sha-256'}",
            "auth_file = userlist.txt",
            f"admin_users = {postgres.user}",
            f"pool_mode = {'session' if session_mode else 'transaction'}",
            f"default_pool_size = {settings.pool_size}",
            f"max_client_conn = {settings.clients + 100}",
            "ignore_startup_parameters = extra_float_digits",
            "log_connections = 0",
            "log_disconnections = 0",
        ]
        if self._knows_prepared():
            lines.append("max_prepared_statements = 200")
        if settings.tls:
            lines += ["client_tls_sslmode = require", "client_tls_cert_file = server.crt",
                      "client_tls_key_file = server.key"]
        return "\n".join(lines) + "\n"

    def _write_files(self, folder: Path, postgres: Postgres, port: int, settings: Settings,
                     session_mode: bool) -> None:
        secret = secrets.scram_secret() if settings.auth == "scram" else secrets.PASSWORD
        (folder / "userlist.txt").write_text(f'"{postgres.user}" "{secret}"\n')
        if settings.tls:
            processes.run_once(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=bench",
                 "-keyout", "server.key", "-out", "server.crt"], folder)
        (folder / "bouncer.ini").write_text(self.ini(postgres, port, settings, session_mode))
        if self._threads is not None:
            (folder / "bouncer.pgweir.toml").write_text(
                f"{self._companion}[workers]\nthreads = {self._threads}\n")

    @contextmanager
    def running(self, postgres: Postgres, settings: Settings) -> Iterator[Endpoint]:
        program = self._program(postgres)
        session_mode = settings.prepared and not self._knows_prepared()
        if session_mode and settings.clients > settings.pool_size:
            raise Unsupported("no prepared statements in transaction mode")
        folder, port = _fresh_folder(postgres, self.name), processes.free_port()
        self._write_files(folder, postgres, port, settings, session_mode)
        argv = [*settings.wrapper, str(program), "bouncer.ini"]
        with _started(self.name, argv, folder) as daemon:
            _wait_for_login(daemon, postgres, port, settings)
            yield Endpoint(port, daemon.pid, "session mode" if session_mode else "", daemon)


def _fresh_folder(postgres: Postgres, name: str) -> Path:
    folder = postgres.folder / "targets" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    processes.give_to_account(folder)
    return folder


@contextmanager
def _started(name: str, argv: list[str], folder: Path) -> Iterator[processes.Daemon]:
    """The program while the `with` lasts; a failure inside says how it ended and what it wrote."""
    with processes.Daemon(name, argv, folder) as daemon:
        try:
            yield daemon
        except BenchError as error:
            raise BenchError(f"{error} [{daemon.state()}: {daemon.log_tail()}]") from error


def _wait_for_login(daemon: processes.Daemon, postgres: Postgres, port: int,
                    settings: Settings) -> None:
    """Until it carries a query, so that a broken target fails here and says why."""
    timeout_s = _WRAPPED_START_TIMEOUT_S if settings.wrapper else _START_TIMEOUT_S
    daemon.wait_for_port(port, timeout_s)
    if settings.auth != "trust" or settings.tls:
        return                     # the raw client knows neither; pgbench will tell
    with wire.Connection(port, postgres.user, DATABASE, timeout_s) as connection:
        connection.query("SELECT 1")


def parse_programs(texts: list[str]) -> list[Bouncer]:
    """NAME=PATH options. A program whose file name starts with pgweir gets one thread."""
    programs = []
    for text in texts:
        name, separator, path = text.partition("=")
        if not separator or not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            raise BenchError(f"--program {text}: expected NAME=PATH")
        threads = 1 if Path(path).name.startswith("pgweir") else None
        programs.append(Bouncer(name, Path(path).resolve(), threads))
    return programs
