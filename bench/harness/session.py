"""One run of the bench: every workload, its targets in turn, round after round."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import BenchError, Unsupported
from harness.results import Cell, Results
from harness.targets import Target
from harness.workload import Context, Measured, Separate, Together, Workload


@dataclass(frozen=True)
class Plan:
    """What to run. A value."""

    workloads: list[Workload]
    targets: list[Target]       # all there are, in the order they take turns
    names: frozenset[str]       # those that were asked for
    rounds: int

    def targets_of(self, workload: Workload) -> list[Target]:
        """Those that were asked for and make sense there, and what the workload cannot do without.

        A program given by --program makes sense everywhere.
        """
        usual = {"direct", "haproxy", "pgbouncer", "pgweir"}
        known = usual | {"relay", "pgpool", "pgbouncer-x2", "pgweir-2", "pgweir-off",
                         "pgweir-uncached"}
        sensible = set(workload.targets) or usual
        return [target for target in self.targets
                if target.name in workload.needs
                or (target.name in self.names
                    and (target.name in sensible or target.name not in known))]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _record(workload: Workload, cell: Cell, found: Measured | Exception, label: str) -> None:
    """One round of one target into its cell."""
    if isinstance(found, Exception):
        cell.problem, cell.failed = str(found), isinstance(found, BenchError)
        cell.rounds.append(None)
        _say(f"{label}: {found}")
        return
    cell.rounds.append(found.figures)
    cell.note = found.note
    shown = workload.ratio_figure
    if shown not in found.figures:
        shown = next(iter(found.figures))
    _say(f"{label}: {shown} {found.figures[shown]:.3f}")


def _measure(workload: Separate, context: Context, target: Target) -> Measured | Exception:
    """A failure gets a second try: a long run is not to lose a target to one bad moment."""
    found = _measure_once(workload, context, target)
    if isinstance(found, BenchError):
        _say(f"{workload.name} {target.name}: {found}; once more")
        return _measure_once(workload, context, target)
    return found


def _measure_once(workload: Separate, context: Context, target: Target) -> Measured | Exception:
    try:
        return workload.measure(context, target)
    except (BenchError, Unsupported) as error:
        return error
    except OSError as error:      # /proc of a target that died meanwhile, a closed connection
        return BenchError(str(error))


def _measure_all(workload: Together, context: Context,
                 targets: list[Target]) -> dict[str, Measured | Exception]:
    try:
        return workload.measure_together(context, targets)
    except (BenchError, OSError) as error:      # any of them may be to blame
        return {target.name: BenchError(str(error)) for target in targets}


def _run_round(workload: Workload, context: Context, targets: list[Target], results: Results,
               label: str) -> None:
    """Every target once. One that failed in an earlier round is left out."""
    well = [target for target in targets if not results.cell(workload.name, target.name).problem]
    for target in targets:
        if target not in well:
            results.cell(workload.name, target.name).rounds.append(None)
    if isinstance(workload, Together):
        for name, found in _measure_all(workload, context, well).items():
            _record(workload, results.cell(workload.name, name), found, f"{label} {name}")
        return
    for target in well:
        _record(workload, results.cell(workload.name, target.name),
                _measure(workload, context, target), f"{label} {target.name}")


def run(plan: Plan, context: Context, results: Results, keep: Callable[[], None]) -> None:
    """Measure everything: A B C A B C … within each workload; `keep` is called after each."""
    for workload in plan.workloads:
        targets = plan.targets_of(workload)
        rounds = 1 if workload.once else plan.rounds
        for number in range(rounds):
            _run_round(workload, context, targets, results,
                       f"{workload.name} {number + 1}/{rounds}")
        keep()
