"""The tables on stdout."""

from __future__ import annotations

from harness.budgets import Verdict
from harness.results import Results
from harness.workload import Workload


def _table(rows: list[list[str]]) -> list[str]:
    """Rows of equal length, the first the heading; the first column to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  " + "  ".join(cells).rstrip())
    return lines


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def workload_table(workload: Workload, results: Results, reference: str) -> str:
    """One workload: a row for each target, medians, and the ratio with its range over rounds."""
    shown = [column for column in workload.columns
             if any(results.median(workload.name, target, column.figure) is not None
                    for target in results.targets(workload.name))]
    many = any(len(results.cell(workload.name, target).rounds) > 1
               for target in results.targets(workload.name))
    rows = [["", "ratio", *["(rounds)"] * many, *(column.title for column in shown)]]
    remarks = []
    for target in results.targets(workload.name):
        cell = results.cell(workload.name, target)
        ratio = results.ratio(workload.name, target, reference, workload.ratio_figure)
        rows.append([target, _number(ratio.median if ratio else None, 3),
                     *[f"({ratio.low:.2f}-{ratio.high:.2f})" if ratio else ""] * many,
                     *(_number(results.median(workload.name, target, column.figure),
                               column.decimals) for column in shown)])
        for remark in (cell.note, cell.problem):
            if remark:
                remarks.append(f"  {target}: {remark}")
    heading = f"{workload.name}: {workload.text} (ratio: {workload.ratio_figure} ÷ {reference})"
    return "\n".join([heading, *_table(rows), *remarks, ""])


def budget_table(verdicts: list[Verdict], tolerance: float) -> str:
    """Measured against the limits."""
    if not verdicts:
        return ""
    rows = [["budget", "limit", "measured", "(rounds)", "", ""]]
    for verdict in verdicts:
        spread = "" if verdict.low is None else f"({verdict.low:.2f}-{verdict.high:.2f})"
        aim = verdict.budget.aim
        aim_text = "" if aim is None or verdict.measured is None else (
            f"aim {aim:g} {'reached' if verdict.reached_aim() else 'not reached'}")
        measured = "not measured" if verdict.measured is None else f"{verdict.measured:.3f}"
        rows.append([verdict.budget.title, verdict.budget.limit_text, measured, spread,
                     "PASS" if verdict.passed(tolerance) else "FAIL", aim_text])
    failed = sum(not verdict.passed(tolerance) for verdict in verdicts)
    slack = f", ratios of time within {tolerance:.0%}" if tolerance else ""
    return "\n".join(["Budgets", *_table(rows),
                      f"  {len(verdicts) - failed} passed, {failed} failed{slack}", ""])


def noise_line(results: Results, workloads: list[Workload], one: str, other: str) -> str:
    """How far apart the same program measured twice is: the run's own noise."""
    ratios = [(workload.name, results.ratio(workload.name, one, other, workload.ratio_figure))
              for workload in workloads]
    known = [(name, ratio.median) for name, ratio in ratios if ratio]
    if not known:
        return ""
    name, worst = max(known, key=lambda entry: abs(entry[1] - 1))
    mean = sum(abs(ratio - 1) for _, ratio in known) / len(known)
    return (f"Noise, {one} ÷ {other} (the same program): {mean:.1%} on average, "
            f"worst {worst:.3f} ({name})\n")
