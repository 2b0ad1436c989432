"""pgbench as the load: one run, its log, and the transactions of a window in the middle of it."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from harness import processes, secrets
from harness.backends import DATABASE, Backend
from harness.errors import BenchError
from harness.postgres import BINARIES
from harness.targets import Endpoint

_LOGIN_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Window:
    """The transactions of a stretch of time. A value."""

    transactions: float          # those that straddle an edge count by their share inside
    duration_s: float
    latencies_us: list[float]    # of those that ended inside, sorted

    @property
    def tps(self) -> float:
        """Transactions a second."""
        return self.transactions / self.duration_s

    def percentile_us(self, share: float) -> float:
        """Latency that `share` (0 to 1) of the transactions stay below.

        The log has whole microseconds: among equal values the place in their run is the fraction,
        so that the medians of two short latencies can be told apart.
        """
        place = share * len(self.latencies_us)
        value = self.latencies_us[min(len(self.latencies_us) - 1, int(place))]
        first = bisect_left(self.latencies_us, value)
        after = bisect_right(self.latencies_us, value)
        return value + (place - first) / (after - first)

    @property
    def mean_us(self) -> float:
        """Average latency."""
        return sum(self.latencies_us) / len(self.latencies_us)


class Log:
    """Every transaction of one run: when it ended (s since the epoch) and how long it took (us)."""

    def __init__(self, paths: list[Path]) -> None:
        self._ends_s = array("d")
        self._latencies_us = array("d")
        for path in paths:
            for line in path.read_text().splitlines():
                fields = line.split()
                if fields[2].isdigit():          # neither "skipped" nor "failed"
                    self._ends_s.append(int(fields[4]) + int(fields[5]) / 1e6)
                    self._latencies_us.append(float(fields[2]))

    def add(self, other: Log) -> None:
        """Those of another run as well."""
        self._ends_s += other._ends_s
        self._latencies_us += other._latencies_us

    def __len__(self) -> int:
        return len(self._ends_s)

    def window(self, begin_s: float, end_s: float) -> Window:
        """What happened between two wall clock times. Errors: BenchError when nothing did."""
        transactions = 0.0
        latencies_us = []
        for ended_s, latency_us in zip(self._ends_s, self._latencies_us):
            began_s = ended_s - latency_us / 1e6
            inside_s = min(ended_s, end_s) - max(began_s, begin_s)
            if inside_s <= 0:
                continue
            transactions += inside_s / (ended_s - began_s)
            if ended_s <= end_s:
                latencies_us.append(latency_us)
        if not latencies_us:
            raise BenchError("no transaction ended inside the window")
        return Window(transactions, end_s - begin_s, sorted(latencies_us))


def merged(logs: list[Log]) -> Log:
    """One log of several runs at the same time."""
    for log in logs[1:]:
        logs[0].add(log)
    return logs[0]


class Pgbench:
    """One run of pgbench. Resource: leaving the `with` ends the process.

    Use: wait_steady() until all clients are logged in and one second has passed, measure, then
    log(). `port` is another than the endpoint's. `duration_s` must leave a second for the warm-up and one for the end.
    """

    def __init__(self, backend: Backend, endpoint: Endpoint, arguments: list[str],
                 duration_s: int | None, tls: bool = False, port: int = 0) -> None:
        self._folder = backend.folder / f"pgbench-{port or endpoint.port}"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        processes.give_to_account(self._folder)
        self._argv = [str(BINARIES / "pgbench"), "-h", endpoint.host, "-p",
                      str(port or endpoint.port), "-U", backend.user, "-n", "-D",
                      f"scale={backend.scale}", "-l",
                      "--progress=1", *(["-T", str(duration_s)] if duration_s else []),
                      *arguments, DATABASE]
        self._sslmode = "require" if tls else "disable"
        self._child: subprocess.Popen[Any] | None = None
        self._stderr = b""

    def __enter__(self) -> Pgbench:
        environment = {**os.environ, "PGPASSWORD": secrets.PASSWORD, "PGGSSENCMODE": "disable",
                       "PGSSLMODE": self._sslmode, "HOME": str(self._folder)}
        self._child = processes.spawn(self._argv, self._folder, env=environment,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        assert self._child is not None
        if self._child.poll() is None:
            self._child.kill()
        self._child.communicate()

    @property
    def pid(self) -> int:
        """The client's process id."""
        assert self._child is not None
        return self._child.pid

    def _failure(self) -> BenchError:
        lines = [line for line in self._stderr.decode(errors="replace").splitlines()
                 if "progress:" not in line]
        return BenchError("pgbench: " + " | ".join(lines[:2])[:300])

    def wait_steady(self) -> None:
        """Until the first progress line: all clients are in and have worked for a second."""
        assert self._child is not None and self._child.stderr is not None
        descriptor = self._child.stderr.fileno()
        deadline = time.monotonic() + _LOGIN_TIMEOUT_S
        while b"progress:" not in self._stderr:
            if time.monotonic() > deadline:
                raise BenchError(f"the clients did not all log in within {_LOGIN_TIMEOUT_S} s")
            if select.select([descriptor], [], [], 0.2)[0]:
                more = os.read(descriptor, 65536)
                if not more:
                    self._child.wait()
                    raise self._failure()
                self._stderr += more

    def log(self) -> Log:
        """Wait for the end; every transaction. Errors: BenchError when a client gave up."""
        assert self._child is not None
        try:
            _, more = self._child.communicate(timeout=_END_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise BenchError("pgbench does not end") from error
        self._stderr += more
        if self._child.returncode != 0:
            raise self._failure()
        return Log(sorted(self._folder.glob("pgbench_log.*")))
