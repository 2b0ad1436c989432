"""What targets stand in front of: PostgreSQL, a primary with replicas, or a stub. Started when the
first workload wants it, ended with the run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol

from harness import procfs

DATABASE = "bench"
CONNECTIONS_MAX = 400         # of PostgreSQL


class Backend(Protocol):
    """It trusts everybody who connects over loopback or the socket in `folder`."""

    folder: Path              # of the run, where every process may write
    port: int
    ports: tuple[int, ...]    # of all nodes, the primary's first; empty when there is only one
    user: str                 # a superuser
    scale: int                # of pgbench's tables: 100 000 accounts each

    connections_max: int      # it takes no more

    def pids(self) -> tuple[int, ...]:
        """Whose children the processes are that serve."""

    def usage(self) -> procfs.Usage:
        """CPU of all its processes, dead ones included."""


Maker = Callable[[Path, int], AbstractContextManager[Backend]]   # of a folder and a scale


class Backends:
    """Those of one run, by name. Resource: leaving the `with` ends them."""

    def __init__(self, makers: dict[str, Maker], folder: Path,
                 scale: int) -> None:
        self._makers = makers
        self._folder = folder
        self._scale = scale
        self._running: dict[str, Backend] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Backends:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def get(self, name: str) -> Backend:
        """Errors: BenchError when it does not start."""
        if name not in self._running:
            maker = self._makers[name](self._folder, self._scale)
            self._running[name] = self._stack.enter_context(maker)
        return self._running[name]
