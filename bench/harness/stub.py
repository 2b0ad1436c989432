"""`bench_stub`: a backend that answers at once, and a load that costs little."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from harness import processes, procfs
from harness.backends import DATABASE, Backend
from harness.errors import BenchError
from harness.targets import Endpoint

_BUILD = Path(__file__).resolve().parents[2] / "build"
PROGRAM = Path(os.environ.get("PGWEIR_BENCH_STUB", _BUILD / "release" / "bench_stub"))
QUERY = "SELECT abalance FROM pgbench_accounts WHERE aid = 1"


class Stub:
    """The backend. Resource."""

    ports: tuple[int, ...] = ()
    connections_max = 9000

    def __init__(self, folder: Path, scale: int) -> None:
        self.folder = folder
        self.scale = scale
        self.port = processes.free_port()
        self.user = processes.user_name()
        program = processes.copy_program(PROGRAM, folder / "programs")
        self._daemon = processes.Daemon("stub", [str(program), "backend", str(self.port)], folder)

    def __enter__(self) -> Stub:
        self._daemon.__enter__()
        self._daemon.wait_for_port(self.port, 10.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._daemon.stop()

    def pids(self) -> tuple[int, ...]:
        """Its one process."""
        return (self._daemon.pid,)

    def usage(self) -> procfs.Usage:
        """CPU of that."""
        return procfs.process_usage(self._daemon.pid, False)


class Load:
    """One process of clients; bench/stub/load.hpp has its commands. Resource."""

    def __init__(self, backend: Backend, endpoint: Endpoint, protocol: str = "simple",
                 hosts: int = 1, query: str = QUERY) -> None:
        program = processes.copy_program(PROGRAM, backend.folder / "programs")
        self._folder = backend.folder
        self._argv = [str(program), "load", str(endpoint.port), str(hosts), backend.user, DATABASE,
                      protocol, query]
        self._child: subprocess.Popen[Any] | None = None

    def __enter__(self) -> Load:
        self._child = processes.spawn(self._argv, self._folder, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                      bufsize=1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        assert self._child is not None
        self._child.kill()
        self._child.communicate()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._child is not None
        return self._child.pid

    def send(self, command: str) -> None:
        """Begin a command; answer() has its end."""
        assert self._child is not None and self._child.stdin is not None
        try:
            self._child.stdin.write(f"{command}\n")
        except OSError as error:
            raise self._failure() from error

    def answer(self, timeout_s: float = 60.0) -> dict[str, Any]:
        """Of the oldest command that has none yet. Errors: BenchError."""
        assert self._child is not None and self._child.stdout is not None
        deadline = time.monotonic() + timeout_s
        while not select.select([self._child.stdout], [], [], 1.0)[0]:
            if time.monotonic() > deadline:
                raise BenchError(f"the load does not answer within {timeout_s:g} s")
        line = self._child.stdout.readline()
        if not line:
            raise self._failure()
        answer: dict[str, Any] = json.loads(line)
        if answer.get("errors"):
            raise BenchError(f"{answer['errors']} errors, the first: {answer['first_error']}")
        return answer

    def command(self, command: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Errors: BenchError with what the program says."""
        self.send(command)
        return self.answer(timeout_s)

    def _failure(self) -> BenchError:
        assert self._child is not None
        self._child.kill()
        _, said = self._child.communicate()
        return BenchError(f"load: {said.strip()[-300:]}")
