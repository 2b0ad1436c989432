"""A throwaway PostgreSQL: initdb in a temporary folder, ended and removed with the run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from harness import processes, procfs

BINARIES = Path(os.environ.get("PGWEIR_BENCH_PG_BIN", "/usr/lib/postgresql/15/bin"))
DATABASE = "bench"
CONNECTIONS_MAX = 400

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": str(CONNECTIONS_MAX),
    "shared_buffers": "256MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "logging_collector": "off",
    "log_min_messages": "warning",
}


class Postgres:
    """One server on loopback TCP and a Unix socket, trust authentication. Resource."""

    def __init__(self, folder: Path, scale: int) -> None:
        self.folder = folder
        self.scale = scale           # of pgbench's tables: 100 000 accounts each
        self.port = processes.free_port()
        self.user = processes.user_name()
        self._data = folder / "data"
        arguments = [str(BINARIES / "postgres"), "-D", str(self._data), "-p", str(self.port),
                     "-k", str(folder)]
        for name, value in _SETTINGS.items():
            arguments += ["-c", f"{name}={value}"]
        self._daemon = processes.Daemon("postgres", arguments, folder, signal.SIGINT, 20.0)

    def __enter__(self) -> Postgres:
        processes.run_once([str(BINARIES / "initdb"), "-D", str(self._data), "-U", self.user,
                            "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"], self.folder)
        self._daemon.__enter__()
        try:
            self._daemon.wait_for_port(self.port, 30.0)
            self._fill()
        except BaseException:
            self._daemon.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._daemon.stop()

    def _fill(self) -> None:
        address = ["-h", str(self.folder), "-p", str(self.port), "-U", self.user]
        psql = [str(BINARIES / "psql"), *address, "-XAtq", "-v", "ON_ERROR_STOP=1"]
        for _ in range(100):         # the port is open a moment before logins are welcome
            try:
                processes.run_once([*psql, "-d", "postgres", "-c", f"CREATE DATABASE {DATABASE}"],
                                   self.folder)
                break
            except processes.BenchError as error:
                if "starting up" not in str(error):
                    raise
        processes.run_once([str(BINARIES / "pgbench"), *address, "-i", "-q", "-s", str(self.scale),
                            DATABASE], self.folder)
        processes.run_once([*psql, "-d", DATABASE, "-c", "CHECKPOINT"], self.folder)

    @contextmanager
    def on_one_core(self) -> Iterator[None]:
        """Keep this process, the postmaster, and what they start meanwhile on the last core."""
        before = os.sched_getaffinity(0)
        pids = (0, self._daemon.pid)
        try:
            for pid in pids:
                os.sched_setaffinity(pid, {max(before)})
            yield
        finally:
            for pid in pids:
                os.sched_setaffinity(pid, before)

    def usage(self) -> procfs.Usage:
        """CPU of the postmaster and all its children, dead ones included."""
        return procfs.family_usage(self._daemon.pid)

    def version(self) -> str:
        """As `postgres --version` says it."""
        return processes.run_once([str(BINARIES / "postgres"), "--version"], self.folder).strip()
