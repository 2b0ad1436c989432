"""System calls of a running process, each with its time, from strace."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.errors import BenchError

_ATTACH_TIMEOUT_S = 5.0

# 6224  1795234963.342404 recvfrom(0x4, 0x7ff646ff1dc0, 0xa, 0, 0, 0) = -1 EAGAIN (Resource …)
# 6224  1795234963.342404 recvfrom(0x4, … <unfinished ...>, then <... recvfrom resumed>) = 0x1
_STRACE_LINE = re.compile(
    r"^(?:\d+ +)?(?P<time>\d+\.\d+) "
    r"(?:(?P<name>\w+)\((?P<fd>0x[0-9a-f]+|\d+)?|<\.\.\. (?P<resumed>\w+) resumed>)")
_STRACE_THREAD = re.compile(r"^(\d+) ")


@dataclass(frozen=True)
class Call:
    """One system call that has returned. A value."""

    time_s: float          # since the epoch
    name: str
    descriptor: int        # its first argument when that is a number; -1
    error: str             # EAGAIN, …; empty when it succeeded


def _error_of(line: str) -> str:
    found = re.search(r"= -1 (E[A-Z0-9]+)", line)
    return found[1] if found else ""


class Strace:
    """strace attached to a process while the `with` lasts. Resource.

    It slows the process down several times, so what depends on its rhythm (how many events one
    epoll_wait returns) is that of a process under full load.
    """

    def __init__(self, pid: int, folder: Path) -> None:
        self._output = folder / "strace.out"
        self._argv = ["strace", "-f", "-ttt", "-e", "raw=all", "-e", "signal=none",
                      "-o", str(self._output), "-p", str(pid)]
        self._complaint = ""
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._output.unlink(missing_ok=True)
        try:
            self._child = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except OSError as error:
            raise BenchError(f"strace: {error}") from error
        deadline = time.monotonic() + _ATTACH_TIMEOUT_S
        while not (self._output.exists() and self._output.stat().st_size):
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise BenchError(f"strace does not trace: {self._complaint}")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child is not None
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)
        try:
            _, error = self._child.communicate(timeout=10.0)
        except subprocess.TimeoutExpired:
            self._child.kill()
            _, error = self._child.communicate()
        self._complaint = error.decode(errors="replace").strip()[-200:]

    def calls(self) -> Iterator[Call]:
        """A call that another thread interrupts on paper is counted where it returns."""
        pending: dict[str, int] = {}
        for line in self._output.read_text(errors="replace").splitlines():
            found = _STRACE_LINE.match(line)
            if found is None:
                continue
            thread = _STRACE_THREAD.match(line)
            key = thread[1] if thread else ""
            if found["resumed"]:
                descriptor = pending.pop(key, -1)
            else:
                descriptor = int(found["fd"], 0) if found["fd"] else -1
                if line.endswith("<unfinished ...>"):
                    pending[key] = descriptor
                    continue
            yield Call(float(found["time"]), found["resumed"] or found["name"], descriptor,
                       _error_of(line))
