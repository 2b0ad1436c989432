"""A throwaway PostgreSQL: initdb in a temporary folder, ended and removed with the run."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

from harness import processes, procfs
from harness.backends import CONNECTIONS_MAX, DATABASE
from harness.errors import BenchError

BINARIES = Path(os.environ.get("PGWEIR_BENCH_PG_BIN", "/usr/lib/postgresql/15/bin"))
_REPLICAS = 2
_CATCH_UP_S = 60.0

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": str(CONNECTIONS_MAX),
    "ssl": "on",
    "shared_buffers": "256MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "logging_collector": "off",
    "log_min_messages": "warning",
}
_ALONE = {"wal_level": "minimal", "max_wal_senders": "0"}
_REPLICATED = {"wal_level": "replica", "hot_standby": "on", "shared_buffers": "128MB"}


class Node:
    """One server on loopback TCP and a Unix socket, trust authentication. Resource."""

    def __init__(self, name: str, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.port = processes.free_port()
        self.user = processes.user_name()
        self._data = folder / name
        arguments = [str(BINARIES / "postgres"), "-D", str(self._data), "-p", str(self.port),
                     "-k", str(folder)]
        for setting, value in {**_SETTINGS, **settings}.items():
            arguments += ["-c", f"{setting}={value}"]
        self._daemon = processes.Daemon(name, arguments, folder, signal.SIGINT, 20.0)
        self._address = ["-h", str(folder), "-p", str(self.port), "-U", self.user]

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self._daemon.stop()

    def start_new(self, scale: int) -> None:
        """With pgbench's tables."""
        processes.run_once([str(BINARIES / "initdb"), "-D", str(self._data), "-U", self.user,
                            "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"], self.folder)
        processes.make_certificate(self._data)
        self._start()
        self.sql("postgres", f"CREATE DATABASE {DATABASE}")
        processes.run_once([str(BINARIES / "pgbench"), *self._address, "-i", "-q", "-s", str(scale),
                            DATABASE], self.folder)
        self.sql(DATABASE, "CHECKPOINT")

    def start_copy(self, primary: Node) -> None:
        """As a replica of it."""
        processes.run_once([str(BINARIES / "pg_basebackup"), *primary._address, "-D",
                            str(self._data), "-R", "-X", "stream", "-c", "fast", "--no-sync"],
                           self.folder)
        self._start()
        deadline = time.monotonic() + _CATCH_UP_S
        while self.sql("postgres", "SELECT count(*) FROM pg_stat_wal_receiver").strip() != "1":
            if time.monotonic() > deadline:
                raise BenchError("a replica does not stream")

    def sql(self, database: str, text: str) -> str:
        """What psql prints for one statement."""
        return processes.run_once([str(BINARIES / "psql"), *self._address, "-XAtq", "-v",
                                   "ON_ERROR_STOP=1", "-d", database, "-c", text], self.folder)

    def _start(self) -> None:
        self._daemon.__enter__()
        self._daemon.wait_for_port(self.port, 30.0)
        for _ in range(200):         # the port is open a moment before logins are welcome
            try:
                self.sql("postgres", "SELECT 1")
                return
            except BenchError as error:
                if "starting up" not in str(error):
                    raise

    def pids(self) -> tuple[int, ...]:
        """The postmaster's, whose children go where it is."""
        return (self._daemon.pid,)

    def usage(self) -> procfs.Usage:
        """CPU of the postmaster and all its children, dead ones included."""
        return procfs.family_usage(self._daemon.pid, False)


class Postgres(Node):
    """One node by itself."""

    ports: tuple[int, ...] = ()
    connections_max = CONNECTIONS_MAX

    def __init__(self, folder: Path, scale: int) -> None:
        super().__init__("postgres", folder, _ALONE)
        self.scale = scale

    def __enter__(self) -> Postgres:
        try:
            self.start_new(self.scale)
        except BaseException:
            self._daemon.stop()
            raise
        return self


class Nodes:
    """A primary and two replicas that stream from it. Resource."""

    connections_max = CONNECTIONS_MAX

    def __init__(self, folder: Path, scale: int) -> None:
        self.folder = folder
        self.scale = scale
        self._nodes = [Node(f"node-{number}", folder, _REPLICATED)
                       for number in range(1 + _REPLICAS)]
        self.port = self._nodes[0].port
        self.ports = tuple(node.port for node in self._nodes)
        self.user = self._nodes[0].user
        self._stack = ExitStack()

    def __enter__(self) -> Nodes:
        try:
            primary = self._stack.enter_context(self._nodes[0])
            primary.start_new(self.scale)
            for replica in self._nodes[1:]:
                self._stack.enter_context(replica).start_copy(primary)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def pids(self) -> tuple[int, ...]:
        """The postmasters'."""
        return tuple(pid for node in self._nodes for pid in node.pids())

    def usage(self) -> procfs.Usage:
        """CPU of all nodes."""
        return sum((node.usage() for node in self._nodes), procfs.Usage())
