"""User instructions per transaction, counted by valgrind's callgrind.

Two runs: one in which each client makes one transaction, one in which it makes many. The difference
between their totals, divided by the extra transactions, leaves out start-up, log-ins and shutdown.
Everything shares one core, so that how many events an epoll_wait returns is not left to chance:
with sixteen clients about eight, with one client one. Figures repeat to a few instructions; where
nodes are looked at meanwhile, to a hundred.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from harness import callgrind
from harness.errors import BenchError, Unsupported
from harness.pgbench import Pgbench
from harness.targets import Settings, Target
from harness.workload import Column, Context, Measured

_TRANSACTIONS = 16000         # of all clients in the long run
_STOP_TIMEOUT_S = 60.0        # callgrind writes its file at the end


@dataclass(frozen=True)
class Instructions:
    """One of them. A value."""

    name: str
    text: str
    mode: str                 # of pgbench -M
    clients: int
    backend: str = "postgres"
    group: str = "instructions"
    columns: tuple[Column, ...] = (
        Column("instructions_per_tx", "user instructions", 0),
        Column("short_run_millions", "start and log-ins, M", 2),
    )
    ratio_figure: str = "instructions_per_tx"
    targets: tuple[str, ...] = ("pgbouncer", "pgweir", "pgweir-off")
    needs: tuple[str, ...] = ()
    once: bool = True

    def measure(self, context: Context, target: Target) -> Measured:
        """Errors: BenchError when valgrind or the target under it fails."""
        short, note = self._run(context, target, self.clients)
        long, _ = self._run(context, target, _TRANSACTIONS)
        more = _TRANSACTIONS - self.clients
        figures = {"instructions_per_tx": (long.total() - short.total()) / more,
                   "short_run_millions": short.total() / 1e6}
        figures |= {part_figure(part): (long[part] - short[part]) / more for part in callgrind.PARTS}
        return Measured(figures, note)

    def _run(self, context: Context, target: Target, transactions: int) -> tuple[Counter[str], str]:
        """Instructions of one whole life of the target by part, and its note."""
        backend = context.backends.get(self.backend)
        wrapper = ("valgrind", "--tool=callgrind", "--callgrind-out-file=callgrind.out", "-q")
        settings = Settings(self.clients, prepared=self.mode == "prepared", wrapper=wrapper)
        arguments = ["-S", "-M", self.mode, "-c", str(self.clients),
                     "-j", str(min(2, self.clients)), "-t", str(transactions // self.clients)]
        with (context.core(backend, always=True),
              target.running(backend, settings) as endpoint):
            if endpoint.daemon is None:
                raise Unsupported("no proxy")
            with Pgbench(backend, endpoint, arguments, None) as load:
                if len(load.log()) != transactions:
                    raise BenchError("not every transaction was made")
            endpoint.daemon.stop(_STOP_TIMEOUT_S)
            written = endpoint.daemon.folder / "callgrind.out"
            counts = callgrind.by_part(written)
            if counts.total() != callgrind.total_of(written):
                raise BenchError("the parts are not the whole")
            return counts, endpoint.note


def part_figure(part: str) -> str:
    """The figure that has the instructions of one of callgrind.PARTS."""
    return f"instructions_in_{part}_per_tx"


def instruction_workloads() -> list[Instructions]:
    """The table of them."""
    modes = ("simple", "extended", "prepared")
    return [*(Instructions(f"instructions-{mode}",
                           f"user instructions per transaction, -S {mode}, 16 clients", mode, 16)
              for mode in modes),
            *(Instructions(f"instructions-{mode}-1",
                           f"user instructions per transaction, -S {mode}, 1 client", mode, 1)
              for mode in modes),
            *(Instructions(f"instructions-split-{mode}",
                           f"the same on a primary and two replicas, -S {mode}, 16 clients", mode, 16,
                           backend="nodes", targets=("pgweir",))
              for mode in modes)]
