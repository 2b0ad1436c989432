"""What is measured, and what every kind of it has in common. PostgreSQL itself, haproxy, a relay.

A target is started afresh for every measurement, runs as the unprivileged account in a folder of
its own, listens on a free loopback port, and is ended by pid.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness import processes, procfs, wire
from harness.backends import DATABASE, Backend
from harness.errors import BenchError, Unsupported

_START_TIMEOUT_S = 10.0
_WRAPPED_START_TIMEOUT_S = 60.0
LOOPBACK = ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")   # each has its own client ports


@dataclass(frozen=True)
class Settings:
    """What a workload asks of a pooler. A value."""

    clients: int = 16
    pool_size: int = 16
    auth: str = "trust"            # trust | scram (stored secret) | scram-plain (plain password)
    prepared: bool = False         # named statements are used
    tls: bool = False              # with clients
    tls_servers: bool = False      # with PostgreSQL
    unix: bool = False             # Unix sockets on both sides
    hosts: int = 1                 # how many of LOOPBACK it listens on
    metrics: bool = False          # it serves /metrics, if it can
    processes: int = 1             # that share its port, when one may not have enough descriptors
    wrapper: tuple[str, ...] = ()  # put before the program: valgrind and its options


@dataclass(frozen=True)
class Endpoint:
    """Where a running target listens. A value."""

    port: int
    pids: tuple[int, ...]          # none for PostgreSQL itself
    note: str = ""
    daemon: processes.Daemon | None = None
    host: str = "127.0.0.1"        # or the folder of its Unix socket
    family: bool = False           # what its children use counts as well
    metrics_port: int = 0          # where it serves /metrics
    ports: tuple[int, ...] = ()    # the load is spread over these instead

    @property
    def pid(self) -> int | None:
        """Of the process, the first one where there are several; None for PostgreSQL itself."""
        return self.pids[0] if self.pids else None

    def usage(self) -> procfs.Usage:
        """What all its processes have used so far."""
        count = procfs.family_usage if self.family else procfs.process_usage
        return sum((count(pid) for pid in self.pids), procfs.Usage())

    def resident_kib(self) -> float:
        """Memory; pages that its processes share count once."""
        if self.family:
            return sum(procfs.family_proportional_kib(pid) for pid in self.pids)
        return sum(procfs.resident_kib(pid) for pid in self.pids)


class Target(Protocol):
    """Something that can be started in front of a backend."""

    name: str

    def version(self) -> str:
        """One line; what a program says of itself is known once it has run."""

    def running(self, backend: Backend,
                settings: Settings) -> AbstractContextManager[Endpoint]:
        """It runs inside the `with`. Errors: BenchError when it does not start, Unsupported."""


class Direct:
    """No proxy: clients connect to PostgreSQL, to each of its nodes where there are several."""

    name = "direct"

    def version(self) -> str:
        return "PostgreSQL itself"

    @contextmanager
    def running(self, backend: Backend, settings: Settings) -> Iterator[Endpoint]:
        if settings.auth != "trust" or settings.wrapper:
            raise Unsupported("PostgreSQL here trusts everybody")
        if settings.clients > backend.connections_max - 100:
            raise Unsupported("more clients than max_connections")
        yield Endpoint(backend.port, (), ports=backend.ports,
                       host=str(backend.folder) if settings.unix else "127.0.0.1")


def _knows_no_protocol(backend: Backend, settings: Settings) -> None:
    if settings.auth != "trust" or settings.wrapper or settings.tls or settings.processes > 1:
        raise Unsupported("no protocol")
    if settings.clients > backend.connections_max - 100:
        raise Unsupported("more clients than max_connections")


class Haproxy:
    """haproxy in TCP mode: one server connection a client, no protocol. The floor."""

    name = "haproxy"

    def __init__(self, path: str = "/usr/sbin/haproxy") -> None:
        self._path = path

    def version(self) -> str:
        return processes.run_once([self._path, "-v"], Path("/")).splitlines()[0]

    @contextmanager
    def running(self, backend: Backend, settings: Settings) -> Iterator[Endpoint]:
        _knows_no_protocol(backend, settings)
        folder, port = fresh_folder(backend, self.name), processes.free_port()
        bind, server = f"127.0.0.1:{port}", f"127.0.0.1:{backend.port}"
        if settings.unix:
            bind = f"unix@{folder}/.s.PGSQL.{port} mode 777\n  bind {bind}"
            server = f"unix@{backend.folder}/.s.PGSQL.{backend.port}"
        (folder / "haproxy.cfg").write_text(
            f"global\n  nbthread 1\n  maxconn {backend.connections_max}\n"
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n"
            f"  timeout server 1h\nlisten pg\n  bind {bind}\n  server pg {server}\n")
        with started(self.name, [self._path, "-db", "-f", "haproxy.cfg"], folder) as daemon:
            wait_for_login(daemon, backend, port, settings)
            yield Endpoint(port, (daemon.pid,), daemon=daemon,
                           host=str(folder) if settings.unix else "127.0.0.1")


class Relay:
    """`bench_stub relay`: recv and send, one connection each, nothing else. The kernel's own floor."""

    name = "relay"

    def __init__(self, program: Path) -> None:
        self._program = program

    def version(self) -> str:
        return "bench_stub relay"

    @contextmanager
    def running(self, backend: Backend, settings: Settings) -> Iterator[Endpoint]:
        _knows_no_protocol(backend, settings)
        if settings.unix:
            raise Unsupported("TCP only")
        folder, port = fresh_folder(backend, self.name), processes.free_port()
        program = processes.copy_program(self._program, backend.folder / "programs")
        with started(self.name, [str(program), "relay", str(port), str(backend.port)],
                     folder) as daemon:
            wait_for_login(daemon, backend, port, settings)
            yield Endpoint(port, (daemon.pid,), daemon=daemon)


def fresh_folder(backend: Backend, name: str) -> Path:
    """For one life of a target."""
    folder = backend.folder / "targets" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    processes.give_to_account(folder)
    return folder


@contextmanager
def started(name: str, argv: list[str], folder: Path) -> Iterator[processes.Daemon]:
    """The program while the `with` lasts; a failure inside says how it ended and what it wrote."""
    with processes.Daemon(name, argv, folder) as daemon:
        try:
            yield daemon
        except BenchError as error:
            raise BenchError(f"{error} [{daemon.state()}: {daemon.log_tail()}]") from error


def wait_for_login(daemon: processes.Daemon, backend: Backend, port: int,
                    settings: Settings) -> None:
    """Until it carries a query, so that a broken target fails here and says why."""
    timeout_s = _WRAPPED_START_TIMEOUT_S if settings.wrapper else _START_TIMEOUT_S
    daemon.wait_for_port(port, timeout_s)
    if settings.auth != "trust" or settings.tls or settings.processes > 1:
        return                     # the raw client knows neither; pgbench will tell
    with wire.Connection(port, backend.user, DATABASE, timeout_s) as connection:
        connection.query("SELECT 1")
