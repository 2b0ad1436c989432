"""System calls per transaction of the proxy, in the steady state of pgbench -S.

Everything shares one core, so that the counts hardly depend on what else the machine does.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from harness import procfs, trace
from harness.errors import Unsupported
from harness.pgbench import Pgbench
from harness.targets import Settings, Target
from harness.workload import Column, Context, Figures, Measured

_RECEIVE = {"recvfrom", "recvmsg", "recvmmsg", "read", "readv"}
_SEND = {"sendto", "sendmsg", "sendmmsg", "write", "writev"}
_WAIT = {"epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6"}
_ATTACH_S = 1.0               # what attaching may take out of pgbench's time

COLUMNS = (
    Column("data_per_tx", "data", 3),
    Column("recv_per_tx", "recv", 3),
    Column("send_per_tx", "send", 3),
    Column("recv_eagain_per_tx", "EAGAIN recv", 3),
    Column("send_eagain_per_tx", "EAGAIN send", 3),
    Column("epoll_wait_per_tx", "epoll_wait", 3),
    Column("epoll_ctl_per_tx", "epoll_ctl", 3),
    Column("futex_per_tx", "futex", 3),
    Column("other_per_tx", "other", 3),
    Column("syscalls_per_tx", "all", 3),
    Column("transactions", "tx", 0),
)


def _class_of(call: trace.Call, sockets: set[int]) -> str:
    """Which figure a call belongs to. Reading an eventfd, a pipe or a file is `other`."""
    if call.name in _WAIT:
        return "epoll_wait"
    if call.name in ("epoll_ctl", "futex"):
        return call.name
    if call.descriptor in sockets and call.name in _RECEIVE:
        return "recv_eagain" if call.error == "EAGAIN" else "recv"
    if call.descriptor in sockets and call.name in _SEND:
        return "send_eagain" if call.error == "EAGAIN" else "send"
    return "other"


def figures_of(calls: Iterable[trace.Call], sockets: set[int], transactions: float) -> Figures:
    """Calls of each class per transaction; `data` are the sends and receives that moved bytes."""
    counts = Counter(_class_of(call, sockets) for call in calls)
    figures = {f"{name}_per_tx": counts[name] / transactions
               for name in ("recv", "send", "recv_eagain", "send_eagain", "epoll_wait",
                            "epoll_ctl", "futex", "other")}
    figures["data_per_tx"] = figures["recv_per_tx"] + figures["send_per_tx"]
    figures["syscalls_per_tx"] = counts.total() / transactions
    figures["transactions"] = transactions
    return figures


@dataclass(frozen=True)
class Syscalls:
    """One of them. A value."""

    name: str
    text: str
    arguments: tuple[str, ...]
    clients: int = 16
    client_threads: int = 2
    prepared: bool = False
    group: str = "syscalls"
    columns: tuple[Column, ...] = COLUMNS
    ratio_figure: str = "syscalls_per_tx"
    targets: tuple[str, ...] = ("haproxy", "pgbouncer", "pgweir", "pgweir-2")
    needs: tuple[str, ...] = ()
    once: bool = True

    def measure(self, context: Context, target: Target) -> Measured:
        """Attach the tracer in the middle of a pgbench run and count between two moments."""
        settings = Settings(self.clients, prepared=self.prepared)
        arguments = [*self.arguments, "-c", str(self.clients), "-j", str(self.client_threads)]
        # Transactions that straddle an edge count by their share: there must be many more than clients.
        window_s = max(context.window_s, self.clients / 40)
        duration_s = math.ceil(window_s + 2 + _ATTACH_S)
        with (context.core(context.postgres, always=True),
              target.running(context.postgres, settings) as endpoint):
            if endpoint.pid is None:
                raise Unsupported("no proxy")
            with Pgbench(context.postgres, endpoint, arguments, duration_s) as load:
                load.wait_steady()
                sockets = procfs.socket_descriptors(endpoint.pid)
                with trace.Strace(endpoint.pid, context.postgres.folder) as tracer:
                    begin_s = time.time() + 0.1
                    time.sleep(0.1 + window_s)
                    end_s = time.time()
                log = load.log()
        calls = [call for call in tracer.calls() if begin_s <= call.time_s < end_s]
        transactions = log.window(begin_s, end_s).transactions
        return Measured(figures_of(calls, sockets, transactions), endpoint.note)


def syscall_workloads() -> list[Syscalls]:
    """The table of them."""
    return [
        Syscalls("syscalls-simple", "system calls per transaction, -S simple, 16 clients",
                 ("-S", "-M", "simple")),
        Syscalls("syscalls-extended", "the same, extended", ("-S", "-M", "extended")),
        Syscalls("syscalls-prepared", "the same, prepared", ("-S", "-M", "prepared"),
                 prepared=True),
        Syscalls("syscalls-simple-200", "the same, simple, 200 clients on 16 servers",
                 ("-S", "-M", "simple"), 200, 4),
        Syscalls("syscalls-simple-1", "the same, simple, 1 client", ("-S", "-M", "simple"), 1, 1),
        Syscalls("syscalls-prepared-1", "the same, prepared, 1 client",
                 ("-S", "-M", "prepared"), 1, 1, prepared=True),
    ]
