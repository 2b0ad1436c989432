"""What was measured: rounds of figures per workload and target, their medians and ratios."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from harness.workload import Figures


@dataclass(frozen=True)
class Ratio:
    """A figure over another target's, round by round. A value."""

    median: float
    low: float
    high: float


@dataclass
class Cell:
    """One target under one workload."""

    rounds: list[Figures | None] = field(default_factory=list)   # None: that round failed
    problem: str = ""           # why there is nothing, or no more
    failed: bool = False        # the problem is a failure, not something the target cannot do
    note: str = ""

    def values(self, figure: str) -> list[float]:
        """Of the rounds that have it."""
        return [entry[figure] for entry in self.rounds if entry and figure in entry]

    def median(self, figure: str) -> float | None:
        """None when no round has it."""
        values = self.values(figure)
        return median(values) if values else None


class Results:
    """All cells of a run. Written round by round, then read."""

    def __init__(self) -> None:
        self._cells: dict[str, dict[str, Cell]] = {}

    def cell(self, workload: str, target: str) -> Cell:
        """Made when it is not there yet."""
        return self._cells.setdefault(workload, {}).setdefault(target, Cell())

    def workloads(self) -> list[str]:
        """In the order they ran."""
        return list(self._cells)

    def targets(self, workload: str) -> list[str]:
        """In the order they ran."""
        return list(self._cells.get(workload, {}))

    def median(self, workload: str, target: str, figure: str) -> float | None:
        """None when it was not measured."""
        cell = self._cells.get(workload, {}).get(target)
        return cell.median(figure) if cell else None

    def ratio(self, workload: str, target: str, reference: str, figure: str) -> Ratio | None:
        """The median over rounds of one target's figure over another's in the same round."""
        cells = self._cells.get(workload, {})
        if target not in cells or reference not in cells:
            return None
        pairs = zip(cells[target].rounds, cells[reference].rounds)
        ratios = [one[figure] / other[figure] for one, other in pairs
                  if one and other and figure in one and other.get(figure, 0) > 0]
        return Ratio(median(ratios), min(ratios), max(ratios)) if ratios else None

    def to_json(self) -> dict[str, object]:
        """workload -> target -> medians, rounds, problem."""
        return {workload: {target: self._cell_json(cell) for target, cell in cells.items()}
                for workload, cells in self._cells.items()}

    @staticmethod
    def _cell_json(cell: Cell) -> dict[str, object]:
        names = dict.fromkeys(name for entry in cell.rounds if entry for name in entry)
        medians = {name: round(cell.median(name) or 0.0, 4) for name in names}
        rounds = [entry and {name: round(value, 4) for name, value in entry.items()}
                  for entry in cell.rounds]
        found: dict[str, object] = {"median": medians, "rounds": rounds}
        if cell.note:
            found["note"] = cell.note
        if cell.problem:
            found["failed" if cell.failed else "unsupported"] = cell.problem
        return found

    @staticmethod
    def from_json(found: dict[str, Any]) -> Results:
        """The opposite of to_json()."""
        results = Results()
        for workload, cells in found.items():
            for target, entry in cells.items():
                cell = results.cell(workload, target)
                cell.rounds = list(entry["rounds"])
                cell.note = entry.get("note", "")
                cell.problem = entry.get("failed", "") or entry.get("unsupported", "")
                cell.failed = "failed" in entry
        return results
