"""The limits of bench/budgets.json and how a run stands against them.

An entry: `workload`, `figure`, optional `target` (pgweir), optional `ratio_to` (a target: the
figure is divided by that target's in the same round), `at_most` or `at_least`, optional `aim`
(reported, never failed), `machine_independent` (it does not depend on what else the machine does),
`note` (why the limit is what it is).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.results import Results

FILE = Path(__file__).resolve().parent.parent / "budgets.json"


@dataclass(frozen=True)
class Budget:
    """One limit. A value."""

    workload: str
    figure: str
    target: str = "pgweir"
    ratio_to: str = ""
    at_most: float | None = None
    at_least: float | None = None
    aim: float | None = None
    machine_independent: bool = False
    note: str = ""

    @property
    def title(self) -> str:
        """What is limited, in a line."""
        over = f" ÷ {self.ratio_to}" if self.ratio_to else ""
        who = "" if self.target == "pgweir" else f" of {self.target}"
        return f"{self.workload}: {self.figure}{who}{over}"

    @property
    def limit_text(self) -> str:
        """With its sign."""
        return f"<= {self.at_most:g}" if self.at_most is not None else f">= {self.at_least:g}"


@dataclass(frozen=True)
class Verdict:
    """A budget and what was measured. A value."""

    budget: Budget
    measured: float | None      # None: the run could not tell
    low: float | None = None    # of the rounds, for ratios
    high: float | None = None

    def passed(self, tolerance: float) -> bool:
        """`tolerance` is a share of the limit that ratios of time may miss it by."""
        if self.measured is None:
            return False
        slack = 0.0 if self.budget.machine_independent else tolerance
        return self._within(self.budget.at_most, self.budget.at_least, slack)

    def reached_aim(self) -> bool:
        """True as well when there is none."""
        if self.budget.aim is None:
            return True
        if self.budget.at_most is not None:
            return self._within(self.budget.aim, None, 0.0)
        return self._within(None, self.budget.aim, 0.0)

    def _within(self, at_most: float | None, at_least: float | None, slack: float) -> bool:
        if self.measured is None:
            return False
        if at_most is not None and self.measured > at_most * (1 + slack):
            return False
        return at_least is None or self.measured >= at_least * (1 - slack)


def load(path: Path = FILE) -> list[Budget]:
    """Errors: ValueError, TypeError when an entry is not as the module's text says."""
    entries: list[dict[str, Any]] = json.loads(path.read_text())["budgets"]
    budgets = [Budget(**entry) for entry in entries]
    for budget in budgets:
        if (budget.at_most is None) == (budget.at_least is None):
            raise ValueError(f"{budget.title}: exactly one of at_most and at_least is needed")
    return budgets


def judge(budgets: list[Budget], results: Results) -> list[Verdict]:
    """One verdict for every budget whose workload and target were part of the run."""
    verdicts = []
    for budget in budgets:
        if budget.target not in results.targets(budget.workload):
            continue
        if budget.ratio_to:
            if budget.ratio_to not in results.targets(budget.workload):
                continue
            ratio = results.ratio(budget.workload, budget.target, budget.ratio_to, budget.figure)
            verdicts.append(Verdict(budget, ratio.median, ratio.low, ratio.high) if ratio
                            else Verdict(budget, None))
        else:
            verdicts.append(Verdict(budget, results.median(budget.workload, budget.target,
                                                           budget.figure)))
    return verdicts
