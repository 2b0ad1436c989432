"""A results file: one run of the bench, or several put together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.results import Results


@dataclass(frozen=True)
class Document:
    """What a run found, and what the reader must know about it. A value."""

    head: dict[str, Any]               # date, machine, targets, reference, rounds, cores, …
    workloads: dict[str, dict[str, str]]    # name -> group, text, ratio_figure
    results: Results

    @property
    def reference(self) -> str:
        """The target that ratios are against."""
        return str(self.head["reference"])

    def group(self, workload: str) -> str:
        """Empty when the file does not say."""
        return self.workloads.get(workload, {}).get("group", "")


def read(paths: list[Path]) -> Document:
    """Where files have the same workload the last one's is taken.

    Errors: OSError, ValueError, KeyError when a file is none of the bench's.
    """
    head: dict[str, Any] = {}
    workloads: dict[str, dict[str, str]] = {}
    cells: dict[str, Any] = {}
    for path in paths:
        found = json.loads(path.read_text())
        targets = {**head.get("targets", {}), **found["targets"]}
        head = {name: value for name, value in found.items()
                if name not in ("results", "workloads", "budgets")}
        head["targets"] = targets
        workloads |= found.get("workloads", {})
        cells |= found["results"]
    return Document(head, workloads, Results.from_json(cells))
