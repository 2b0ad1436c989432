"""Counters of processes, from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BenchError

_TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What one or several processes have used so far, or between two readings. A value."""

    cpu_us: float = 0.0      # from schedstat: nanosecond counters, all threads
    user_us: float = 0.0     # from stat: the kernel's split of the same time, 10 ms steps
    system_us: float = 0.0
    voluntary: int = 0       # context switches because it had nothing to do
    involuntary: int = 0     # because another task was to run

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.cpu_us - other.cpu_us, self.user_us - other.user_us,
                     self.system_us - other.system_us, self.voluntary - other.voluntary,
                     self.involuntary - other.involuntary)

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.cpu_us + other.cpu_us, self.user_us + other.user_us,
                     self.system_us + other.system_us, self.voluntary + other.voluntary,
                     self.involuntary + other.involuntary)


def _stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on; index 0 is the state, 1 the parent's pid."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2:].split()


def _switches(status: str) -> tuple[int, int]:
    voluntary = involuntary = 0
    for line in status.splitlines():
        if line.startswith("voluntary_ctxt_switches:"):
            voluntary = int(line.split()[1])
        elif line.startswith("nonvoluntary_ctxt_switches:"):
            involuntary = int(line.split()[1])
    return voluntary, involuntary


def process_usage(pid: int, with_switches: bool = True) -> Usage:
    """All threads of one process that are alive. A process that is gone has used nothing."""
    try:
        fields = _stat_fields(pid)
        cpu_ns = voluntary = involuntary = 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            cpu_ns += int((task / "schedstat").read_text().split()[0])
            if with_switches:
                more = _switches((task / "status").read_text())
                voluntary += more[0]
                involuntary += more[1]
    except (FileNotFoundError, ProcessLookupError):
        return Usage()
    return Usage(cpu_ns / 1000, int(fields[11]) * _TICK_US, int(fields[12]) * _TICK_US,
                 voluntary, involuntary)


def family_proportional_kib(parent: int) -> float:
    """Resident memory of a process and its children; a page that n share counts as 1/n in each."""
    total = 0.0
    for pid in (parent, *_children(parent)):
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += float(line.split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def wait_for_listeners(port: int, count: int, timeout_s: float = 10.0) -> None:
    """Until so many sockets listen on a TCP port. Errors: BenchError."""
    deadline = time.monotonic() + timeout_s
    while True:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        if sum(int(row[1].split(":")[1], 16) == port and row[3] == "0A" for row in rows) >= count:
            return
        if time.monotonic() > deadline:
            raise BenchError(f"fewer than {count} processes listen on port {port}")
        time.sleep(0.05)


def _children(parent: int) -> Iterable[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if int(_stat_fields(int(entry.name))[1]) == parent:
                    yield int(entry.name)
            except (FileNotFoundError, ProcessLookupError):
                continue


def family_usage(parent: int, switches: bool = True) -> Usage:
    """A process, its children alive, and its children already waited for (those in 10 ms steps)."""
    fields = _stat_fields(parent)
    user_us, system_us = int(fields[13]) * _TICK_US, int(fields[14]) * _TICK_US
    total = process_usage(parent, switches) + Usage(user_us + system_us, user_us, system_us)
    for child in _children(parent):
        total += process_usage(child, switches)
    return total


def resident_kib(pid: int) -> float:
    """Resident memory, exact: counted from the page tables, not from the kernel's lazy counters."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return float(line.split()[1])
    return 0.0


def socket_descriptors(pid: int) -> set[int]:
    """Descriptors of the process that are sockets (and not an eventfd, epoll, pipe or file)."""
    found = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(entry.path).startswith("socket:"):
                found.add(int(entry.name))
        except OSError:
            continue
    return found
