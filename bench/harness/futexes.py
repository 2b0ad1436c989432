"""How often a process's threads wait for each other: its futex calls, counted by the kernel for perf.

A lock that is free costs no system call. So calls per transaction are how often a lock was held by
another thread, twice where somebody had to be woken.
"""

from __future__ import annotations

import signal
import subprocess

_EVENT = "syscalls:sys_enter_futex"


class FutexCount:
    """Counts while the `with` lasts. Resource. Where perf is missing or forbidden it finds nothing."""

    def __init__(self, pids: tuple[int, ...]) -> None:
        self._argv = ["perf", "stat", "-x,", "-e", _EVENT, "-p", ",".join(map(str, pids))]
        self._child: subprocess.Popen[str] | None = None
        self.count: int | None = None

    def __enter__(self) -> FutexCount:
        try:
            self._child = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL, text=True,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except OSError:
            self._child = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is None:
            return
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)
        _, said = self._child.communicate(timeout=10.0)
        for line in said.splitlines():
            fields = line.split(",")
            if len(fields) > 2 and fields[2].startswith(_EVENT) and fields[0].isdigit():
                self.count = int(fields[0])
