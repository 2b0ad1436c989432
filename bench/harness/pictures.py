"""Which pictures are made of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness import svg
from harness.document import Document

# Variants of pgweir that say what one of its features costs, not how it compares with its peers.
NOT_SHOWN = {"pgweir-off", "pgweir-uncached"}


@dataclass(frozen=True)
class Plan:
    """One picture. A value."""

    name: str                                   # of the file
    title: str
    panels: tuple[tuple[str, str, bool], ...]   # title, figure, less is better
    shows: Callable[[str], bool]                # of a workload's group


def _only(*groups: str) -> Callable[[str], bool]:
    return lambda group: group in groups


def _loads(group: str) -> bool:
    return group in ("steady", "tls", "churn", "unix", "split", "")


PICTURES = (
    Plan("cpu", "CPU time of the proxy per transaction",
         (("CPU per transaction", "cpu_us_per_tx", True), ("of it user", "cpu_user_us_per_tx", True),
          ("of it system", "cpu_system_us_per_tx", True)), _loads),
    Plan("throughput", "Transactions a second, CPU of proxy and PostgreSQL, context switches",
         (("transactions a second", "tps", False),
          ("CPU, proxy + PostgreSQL", "both_cpu_us_per_tx", True),
          ("context switches per tx", "switches_per_tx", True)), _loads),
    Plan("latency", "Latency under load",
         (("p50", "latency_p50_us", True), ("p95", "latency_p95_us", True),
          ("p99", "latency_p99_us", True), ("p99.9", "latency_p999_us", True)), _loads),
    Plan("added", "Latency that the proxy adds for one client",
         (("added to the median", "added_p50_us", True), ("added to the mean", "added_mean_us", True)),
         _only("latency")),
    Plan("bulk", "Large results and COPY",
         (("CPU seconds per GB", "cpu_s_per_gb", True), ("GB a second", "gb_per_s", False)),
         _only("bulk", "copy", "tls")),
    Plan("stub", "Before a backend that answers at once",
         (("CPU per transaction", "cpu_us_per_tx", True), ("transactions a second", "tps", False),
          ("p99", "latency_p99_us", True)), _only("stub")),
    Plan("scale", "Many clients on few servers",
         (("transactions a second", "tps", False), ("CPU per transaction", "cpu_us_per_tx", True),
          ("p99.9 ÷ mean latency", "latency_p999_over_mean", True)), _only("scale")),
    Plan("syscalls", "System calls per transaction",
         (("all", "syscalls_per_tx", True), ("that move data", "data_per_tx", True),
          ("epoll_wait", "epoll_wait_per_tx", True)), _only("syscalls", "counted-syscalls")),
    Plan("instructions", "User instructions per transaction",
         (("user instructions", "instructions_per_tx", True),), _only("instructions", "counted-instructions")),
    Plan("memory", "Memory of idle connections",
         (("KiB per client or server", "idle_kib", True), ("resident memory", "resident_kib", True)),
         _only("memory")),
)


def make(document: Document) -> dict[str, str]:
    """File name without its ending -> SVG, of the pictures there are figures for."""
    made = {}
    for plan in PICTURES:
        names = [name for name in document.results.workloads() if plan.shows(document.group(name))]
        rows = [name for name in names
                if any(_dots(document, name, figure) for _, figure, _ in plan.panels)]
        if rows:
            panels = [svg.Panel(title, low, [svg.Row(name, _dots(document, name, figure))
                                             for name in rows])
                      for title, figure, low in plan.panels]
            panels = [panel for panel in panels if any(row.dots for row in panel.rows)]
            heading = f"{plan.title}, as ratios to {document.reference}"
            made[plan.name] = svg.picture(heading, panels, document.reference)
    return made


def _dots(document: Document, workload: str, figure: str) -> dict[str, svg.Ratio]:
    dots = {}
    for target in document.results.targets(workload):
        if target in NOT_SHOWN or target == document.reference:
            continue
        ratio = document.results.ratio(workload, target, document.reference, figure)
        if ratio and ratio.median > 0:
            dots[target] = ratio
    return dots
