"""Instructions and system calls per transaction that do not depend on what else the machine does.

A client asks the stub a fixed number of times, one request at a time, so that every turn of the
proxy's loop has one event, however busy the machine is: figures repeat to a few parts in a thousand.
This is what `--budgets` judges, and `./dev test` with it. How the load shares turns when there are
many clients, `instructions` and `syscalls` tell.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from harness import procfs, trace
from harness.callgrind import total_of
from harness.errors import Unsupported
from harness.stub import Load
from harness.syscalls import COLUMNS, figures_of
from harness.targets import Settings, Target
from harness.workload import Column, Context, Measured

_FEW, _MANY = 200, 4200       # transactions of the two runs under callgrind
_WARM_UP, _TRACED = 100, 2000
_STOP_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_S = 240.0
_TARGETS = ("pgbouncer", "pgweir", "pgweir-off")


def can_trace() -> bool:
    """Some containers forbid ptrace."""
    return subprocess.run(["strace", "-o", "/dev/null", "true"], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0


@dataclass(frozen=True)
class CountedInstructions:
    """User instructions of a transaction of one client, by callgrind. A value."""

    name: str
    text: str
    protocol: str
    group: str = "counted-instructions"
    columns: tuple[Column, ...] = (Column("instructions_per_tx", "user instructions", 1),)
    ratio_figure: str = "instructions_per_tx"
    targets: tuple[str, ...] = _TARGETS
    needs: tuple[str, ...] = ()
    once: bool = True

    def measure(self, context: Context, target: Target) -> Measured:
        """A long run less a short one. Errors: BenchError when valgrind or the target fails."""
        few, note = self._run(context, target, _FEW)
        many, _ = self._run(context, target, _MANY)
        return Measured({"instructions_per_tx": (many - few) / (_MANY - _FEW)}, note)

    def _run(self, context: Context, target: Target, transactions: int) -> tuple[int, str]:
        wrapper = ("valgrind", "--tool=callgrind", "--callgrind-out-file=callgrind.out", "-q")
        settings = Settings(1, prepared=self.protocol == "prepared", wrapper=wrapper)
        backend = context.backends.get("stub")
        with target.running(backend, settings) as endpoint:
            if endpoint.daemon is None:
                raise Unsupported("no proxy")
            with Load(backend, endpoint, self.protocol) as load:
                load.command("login 1")
                load.command(f"ask {transactions}", _ANSWER_TIMEOUT_S)
            endpoint.daemon.stop(_STOP_TIMEOUT_S)
            return total_of(endpoint.daemon.folder / "callgrind.out"), endpoint.note


@dataclass(frozen=True)
class CountedSyscalls:
    """System calls of a transaction, by strace from before the first to after the last. A value."""

    name: str
    text: str
    protocol: str
    clients: int
    group: str = "counted-syscalls"
    columns: tuple[Column, ...] = COLUMNS
    ratio_figure: str = "syscalls_per_tx"
    targets: tuple[str, ...] = _TARGETS
    needs: tuple[str, ...] = ()
    once: bool = True

    def measure(self, context: Context, target: Target) -> Measured:
        """Errors: BenchError, Unsupported."""
        backend = context.backends.get("stub")
        settings = Settings(self.clients, prepared=self.protocol == "prepared")
        each = _TRACED // self.clients
        with (target.running(backend, settings) as endpoint,
              Load(backend, endpoint, self.protocol) as load):
            if endpoint.pid is None:
                raise Unsupported("no proxy")
            load.command(f"login {self.clients}")
            load.command(f"ask {_WARM_UP}", _ANSWER_TIMEOUT_S)
            sockets = procfs.socket_descriptors(endpoint.pid)
            with trace.Strace(endpoint.pid, backend.folder) as tracer:
                load.command(f"ask {each}", _ANSWER_TIMEOUT_S)
        return Measured(figures_of(tracer.calls(), sockets, each * self.clients), endpoint.note)


def counted_workloads() -> list[CountedInstructions | CountedSyscalls]:
    """In the order they run and print."""
    return [
        *(CountedInstructions(f"counted-instructions-{protocol}",
                              f"user instructions per transaction, {protocol}, 1 client", protocol)
          for protocol in ("simple", "extended", "prepared")),
        *(CountedSyscalls(f"counted-syscalls-{protocol}-{clients}",
                          f"system calls per transaction, {protocol}, {clients} clients", protocol,
                          clients)
          for protocol in ("simple", "prepared") for clients in (1, 16)),
    ]
