"""Latency a target adds to one client's `SELECT 1`.

All targets are up at once, and one client asks PostgreSQL itself and each of them in turn, query by
query: what else the machine does meanwhile hits all of them alike, and the difference of the
medians holds where separate runs would not agree with themselves. The client's own few
microseconds are in every latency and in no difference. Client, targets and PostgreSQL share one
core here: otherwise where the scheduler happens to put each of them decides (waking an idle core of
a virtual machine costs more than the whole query), not what the target does.
"""

from __future__ import annotations

import gc
import time
from array import array
from contextlib import ExitStack
from dataclasses import dataclass

from harness import wire
from harness.backends import DATABASE
from harness.errors import BenchError, Unsupported
from harness.pgbench import Window
from harness.targets import Settings, Target
from harness.workload import Column, Context, Measured

_WARM_UP_TURNS = 200


@dataclass(frozen=True)
class Latency:
    """The measurement of all targets together. A value."""

    name: str = "latency"
    group: str = "latency"
    text: str = "one client, SELECT 1: what the target adds to PostgreSQL's own median latency"
    columns: tuple[Column, ...] = (
        Column("added_p50_us", "added µs", 1),
        Column("added_mean_us", "added mean", 1),
        Column("latency_p50_us", "p50 µs", 1),
        Column("latency_p95_us", "p95", 1),
        Column("latency_p99_us", "p99", 1),
        Column("latency_p999_us", "p99.9", 1),
        Column("transactions", "queries", 0),
    )
    ratio_figure: str = "added_p50_us"
    targets: tuple[str, ...] = ()
    needs: tuple[str, ...] = ("direct",)
    once: bool = False

    def measure_together(self, context: Context,
                         targets: list[Target]) -> dict[str, Measured | Exception]:
        """For each target its figures, or the BenchError or Unsupported that kept it out."""
        found: dict[str, Measured | Exception] = {}
        with ExitStack() as stack:
            stack.enter_context(context.core(context.postgres, always=True))
            connections: dict[str, wire.Connection] = {}
            for target in targets:
                try:
                    endpoint = stack.enter_context(
                        target.running(context.postgres, Settings(clients=1)))
                    connections[target.name] = stack.enter_context(
                        wire.Connection(endpoint.port, context.postgres.user, DATABASE))
                except (BenchError, Unsupported) as error:
                    found[target.name] = error
            windows = _take_turns(connections, context.window_s * len(connections))
        direct = windows["direct"]
        for name, window in windows.items():
            figures = {"latency_p50_us": window.percentile_us(0.50),
                       "latency_p95_us": window.percentile_us(0.95),
                       "latency_p99_us": window.percentile_us(0.99),
                       "latency_p999_us": window.percentile_us(0.999),
                       "transactions": window.transactions}
            if name != "direct":
                figures["added_p50_us"] = window.percentile_us(0.5) - direct.percentile_us(0.5)
                figures["added_mean_us"] = window.mean_us - direct.mean_us
            found[name] = Measured(figures)
        return found


def _take_turns(connections: dict[str, wire.Connection], duration_s: float) -> dict[str, Window]:
    """Ask each in turn, starting with another every time, for so long."""
    order = list(connections.values())
    latencies = [array("d") for _ in order]
    clock = time.perf_counter_ns
    for connection in order * _WARM_UP_TURNS:
        connection.ask_one()
    gc.disable()
    try:
        first, end = 0, clock() + int(duration_s * 1e9)
        while clock() < end:
            for step in range(len(order)):
                index = (first + step) % len(order)
                began = clock()
                order[index].ask_one()
                latencies[index].append((clock() - began) / 1e3)
            first += 1
    finally:
        gc.enable()
    return {name: Window(len(values), duration_s, sorted(values))
            for name, values in zip(connections, latencies)}
