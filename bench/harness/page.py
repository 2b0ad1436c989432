"""The Markdown of a run: its conditions, one table of ratios, what is slower, the pictures."""

from __future__ import annotations

import re

from harness import budgets, callgrind, pictures
from harness.document import Document
from harness.instructions import part_figure

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
_SLOWER = 1.03                # what counts as such: less is within what a run repeats to
_COLUMNS = (("cpu_us_per_tx", "CPU"), ("both_cpu_us_per_tx", "with PostgreSQL"), ("tps", "tps"),
            ("latency_p50_us", "p50"), ("latency_p95_us", "p95"), ("latency_p99_us", "p99"),
            ("latency_p999_us", "p99.9"), ("switches_per_tx", "switches"))
_COUNTS = (("cpu_s_per_gb", "CPU s/GB", 3), ("added_p50_us", "added µs", 1),
           ("syscalls_per_tx", "syscalls", 2), ("instructions_per_tx", "instructions", 0),
           ("idle_kib", "KiB each", 2), ("resident_kib", "RSS KiB", 0))
_SUBJECT = "pgweir"


def _conditions(document: Document) -> str:
    head = document.head
    machine = head["machine"]
    programs = ", ".join(f"{name}: {said}" for name, said in head["targets"].items()
                         if name in ("pgbouncer", "haproxy", "pgpool", "pgweir", *_others(document)))
    cores = ("one core for client, proxy and PostgreSQL together" if head["cores"] == "one"
             else "all cores shared by client, proxy and PostgreSQL")
    return (f"Measured {str(head['date'])[:10]} on {machine['cores']} cores"
            f" ({machine['processor']}, {machine['memory_kib'] // 1048576} GiB, Linux"
            f" {machine['kernel']}); {cores}; {head['rounds']} rounds of {head['seconds']:g} s; load"
            f" average at the end {machine['load_average'][0]}. {programs}.")


def _others(document: Document) -> list[str]:
    """Other releases of the reference, by `--program NAME-VERSION=PATH`."""
    form = re.compile(re.escape(document.reference) + r"-\d[\d.]+")
    return [name for name in document.head["targets"] if form.fullmatch(name)]


def _ratio_table(document: Document, reference: str) -> list[str]:
    """Workloads that have a load: pgweir's figures over those of a target."""
    rows = []
    for name in document.results.workloads():
        ratios = [document.results.ratio(name, _SUBJECT, reference, figure) for figure, _ in _COLUMNS]
        cells = [f"{ratio.median:.2f}" if ratio else "" for ratio in ratios]
        if any(cells):
            text = document.workloads.get(name, {}).get("text", "")
            rows.append(f"| `{name}` {text} | " + " | ".join(cells) + " |")
    if not rows:
        return []
    return [f"`{_SUBJECT}` ÷ `{reference}`, medians over rounds; less is better, but for tps:", "",
            "| | " + " | ".join(title for _, title in _COLUMNS) + " |",
            "|---" * (len(_COLUMNS) + 1) + "|", *rows, ""]


def _count_table(document: Document) -> list[str]:
    """Absolute figures of what is counted rather than timed."""
    rows = []
    results = document.results
    for name in results.workloads():
        for figure, title, decimals in _COUNTS:
            ours = results.median(name, _SUBJECT, figure)
            theirs = results.median(name, document.reference, figure)
            counted = document.group(name) in ("syscalls", "instructions", "memory", "latency",
                                               "bulk", "copy", "counted-syscalls",
                                               "counted-instructions")
            if ours is None or not counted:
                continue
            other = "" if theirs is None else f"{theirs:.{decimals}f}"
            rows.append(f"| `{name}` | {title} | {ours:.{decimals}f} | {other} |")
    if not rows:
        return []
    return ["Counted, not timed, but for the CPU seconds and the added latency:", "",
            f"| | figure | {_SUBJECT} | {document.reference} |", "|---|---|---|---|", *rows, ""]


def _part_table(document: Document) -> list[str]:
    """Where our instructions are."""
    rows = []
    for name in document.results.workloads():
        found = [document.results.median(name, _SUBJECT, figure)
                 for figure in ("instructions_per_tx", *map(part_figure, callgrind.PARTS))]
        if all(one is not None for one in found):
            rows.append(f"| `{name}` | " + " | ".join(f"{one:.0f}" for one in found) + " |")
    if not rows:
        return []
    titles = ["all", *(f"`{part}/`" for part in callgrind.PARTS[:-2]), "libc", "other libraries"]
    return ["Where the instructions are (callgrind; `net/` is `pool/net/`, `pool/` the rest of it):", "",
            "| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|", *rows, ""]


def _is_better(figure: str) -> bool:
    """More of it is better."""
    return figure in ("tps", "gb_per_s")


def _slower(document: Document) -> list[str]:
    """Every figure of ours that is worse than the reference's, a line for each workload."""
    lines = []
    for name in document.results.workloads():
        figures = {**dict(_COLUMNS), **{figure: title for figure, title, _ in _COUNTS}}
        if document.group(name) != "memory":
            figures.pop("resident_kib")
        worse = []
        for figure, title in figures.items():
            ratio = document.results.ratio(name, _SUBJECT, document.reference, figure)
            if ratio is None or ratio.median <= 0:
                continue
            times = 1 / ratio.median if _is_better(figure) else ratio.median
            if times > _SLOWER:
                worse.append(f"{title} {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")
        if worse:
            lines.append(f"- `{name}`: {', '.join(worse)}")
    heading = (f"Where {_SUBJECT} is worse than {document.reference} by more than {_SLOWER - 1:.0%},"
               " with the range over rounds:")
    return [heading, "", *(lines or ["- nowhere in this run"]), ""]


def _budget_table(document: Document) -> list[str]:
    verdicts = budgets.judge(budgets.load(), document.results)
    if not verdicts:
        return []
    lines = ["Budgets (`bench/budgets.json`):", "", "| | limit | measured | | aim |", "|---|---|---|---|---|"]
    for verdict in verdicts:
        aim = verdict.budget.aim
        reached = "" if aim is None else f"{aim:g}, {'reached' if verdict.reached_aim() else 'not reached'}"
        measured = "not measured" if verdict.measured is None else f"{verdict.measured:.3f}"
        lines.append(f"| {verdict.budget.title} | {verdict.budget.limit_text} | {measured} |"
                     f" {'kept' if verdict.passed(0.0) else '**missed**'} | {reached} |")
    return [*lines, ""]


def _problems(document: Document) -> list[str]:
    lines = []
    for name in document.results.workloads():
        for target in document.results.targets(name):
            cell = document.results.cell(name, target)
            if cell.problem and cell.failed:
                lines.append(f"- `{name}`, {target}: {cell.problem}")
    return ["Could not be measured:", "", *lines, ""] if lines else []


def markdown(document: Document, folder: str) -> str:
    """The figures of a page whose pictures lie in `folder`, relative to it."""
    lines = [_conditions(document), ""]
    for plan in pictures.PICTURES:
        if plan.name in pictures.make(document):
            lines += [f"![{plan.title}]({folder}{plan.name}.svg)", ""]
    lines += _slower(document)
    for reference in (document.reference, *_others(document)):
        lines += _ratio_table(document, reference)
    lines += [*_count_table(document), *_part_table(document),
              *_budget_table(document), *_problems(document)]
    return "\n".join(lines)


def put_into(text: str, figures: str) -> str:
    """A page with its figures replaced. Errors: ValueError when it has no place for them."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"the page lacks {BEGIN} … {END}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n\n{figures}\n{END}{after}"
