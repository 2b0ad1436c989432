"""COPY in both directions, by psql: CPU seconds of the proxy for each 10^9 bytes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from harness import processes
from harness.backends import DATABASE, Backend
from harness.errors import Unsupported
from harness.postgres import BINARIES
from harness.targets import Endpoint, Settings, Target
from harness.workload import Column, Context, Measured

_ROWS = 500_000
_ROW = "'" + "x" * 99 + "'"   # 100 bytes with the end of the line
_BYTES = _ROWS * 100
_TIMES = 4                    # in one session


@dataclass(frozen=True)
class Copy:
    """One direction. A value."""

    name: str
    text: str
    into: bool                    # the table
    group: str = "copy"
    columns: tuple[Column, ...] = (
        Column("cpu_s_per_gb", "cpu s/GB", 3),
        Column("gb_per_s", "GB/s", 3),
        Column("postgres_cpu_s_per_gb", "pg s/GB", 2),
        Column("resident_kib", "RSS KiB", 0),
    )
    ratio_figure: str = "cpu_s_per_gb"
    targets: tuple[str, ...] = ("direct", "relay", "haproxy", "pgpool", "pgbouncer", "pgweir")
    needs: tuple[str, ...] = ()
    once: bool = False

    def measure(self, context: Context, target: Target) -> Measured:
        """A session that copies a few times, from its start to its end."""
        backend = context.postgres
        with context.core(backend), target.running(backend, Settings(clients=8)) as endpoint:
            self._prepare(backend)
            before, postgres_before = endpoint.usage(), backend.usage()
            began_s = time.monotonic()
            self._psql(backend, endpoint, self._statements(backend))
            took_s = time.monotonic() - began_s
            used, postgres_used = endpoint.usage() - before, backend.usage() - postgres_before
            resident_kib = endpoint.resident_kib()
        total = _BYTES * _TIMES
        figures = {"gb_per_s": total / 1e9 / took_s,
                   "postgres_cpu_s_per_gb": postgres_used.cpu_us / total * 1e3}
        if endpoint.pid:
            figures |= {"cpu_s_per_gb": used.cpu_us / total * 1e3, "resident_kib": resident_kib}
        return Measured(figures, endpoint.note)

    def _statements(self, backend: Backend) -> list[str]:
        if self.into:
            return ["TRUNCATE bench_copy",
                    f"\\copy bench_copy FROM '{backend.folder}/copy.txt'"] * _TIMES
        return [f"COPY (SELECT {_ROW} FROM generate_series(1, {_ROWS})) TO STDOUT"] * _TIMES

    def _prepare(self, backend: Backend) -> None:
        """The file and the table, once."""
        path = backend.folder / "copy.txt"
        if not self.into or path.exists():
            return
        path.write_bytes((b"x" * 99 + b"\n") * _ROWS)
        processes.give_to_account(path)
        direct = Endpoint(backend.port, ())
        self._psql(backend, direct, ["CREATE UNLOGGED TABLE bench_copy (line text)"])

    @staticmethod
    def _psql(backend: Backend, endpoint: Endpoint, statements: list[str]) -> None:
        if not (BINARIES / "psql").exists():
            raise Unsupported("no psql")
        argv = [str(BINARIES / "psql"), "-h", endpoint.host, "-p", str(endpoint.port), "-U",
                backend.user, "-XAtq", "-o", os.devnull, "-v", "ON_ERROR_STOP=1", "-d", DATABASE]
        for statement in statements:
            argv += ["-c", statement]
        processes.run_once(argv, backend.folder)


def copy_workloads() -> list[Copy]:
    """Both."""
    return [Copy("copy-out", "COPY TO STDOUT, 50 MB in rows of 100 bytes", False),
            Copy("copy-in", "COPY FROM STDIN, the same", True)]
