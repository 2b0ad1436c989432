#!/usr/bin/python3
"""Measure pgweir beside PgBouncer, haproxy and PostgreSQL itself. `--list` says what there is."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from harness import budgets, machine, pictures, processes, report, session
from harness.backends import Backends, Maker
from harness.bouncers import Bouncer, parse_programs
from harness.closed_loop import closed_loop_workloads
from harness.copying import copy_workloads
from harness.counted import can_trace, counted_workloads
from harness.errors import BenchError
from harness.instructions import instruction_workloads
from harness.latency import Latency
from harness.memory import memory_workloads
from harness.pgpool import Pgpool
from harness.postgres import Nodes, Postgres
from harness.results import Results
from harness.steady_table import steady_workloads
from harness.stub import PROGRAM as STUB
from harness.stub import Stub
from harness.syscalls import syscall_workloads
from harness.targets import Direct, Haproxy, Relay, Target
from harness.workload import Context, Workload
from report import PAGE as PAGE_FILE
from report import write_folder, write_page

BENCH = Path(__file__).resolve().parent
PGWEIR = Path(os.environ.get("PGWEIR_PROGRAM", BENCH.parent / "build" / "release" / "pgweir"))
PGBOUNCER = Path("/usr/sbin/pgbouncer")
SESSION_STATE_OFF = '[pool]\nsession_state = "off"\n'
CACHE_UNNAMED_OFF = "[pool]\ncache_unnamed = false\n"
BACKENDS: dict[str, Maker] = {"postgres": Postgres, "nodes": Nodes, "stub": Stub}
PAGE = ["simple", "extended", "prepared", "pipeline", "tpcb", "held", "simple-200",
        "simple-2000", "set-heavy", "simple-unix", "simple-tls", "simple-tls-both", "bulk-row",
        "bulk-rows", "bulk-100mb", "churn-scram", "churn-scram-plain", "churn-tls-scram",
        "split-reads", "split-mixed", "copy-out", "copy-in", "latency", "stub-simple",
        "stub-prepared", "stub-simple-200", "scale-few", "scale-many", "scale-200",
        "scale-10000", "idle-1000", "idle-10000", "idle-50000", "idle-tls-1000",
        "syscalls-simple", "syscalls-prepared", "syscalls-simple-200", "instructions-simple",
        "instructions-extended", "instructions-prepared", "instructions-split-simple",
        "instructions-split-extended", "instructions-split-prepared"]
NOT_FOR_SANITIZERS = 5        # an exit code; ctest takes it for "skipped"
QUICK = ["simple", "extended", "prepared", "simple-200", "tpcb", "latency", "bulk-row",
         "bulk-rows", "idle-clients", "idle-servers", "syscalls-simple", "syscalls-prepared",
         "instructions-simple"]


def all_workloads() -> list[Workload]:
    """In the order they run."""
    return [*steady_workloads(), *copy_workloads(), Latency(), *closed_loop_workloads(),
            *memory_workloads(), *counted_workloads(), *syscall_workloads(), *instruction_workloads()]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="about two minutes: a choice of workloads, one round")
    add("--page", action="store_true",
        help="the choice of workloads that docs/benchmark.md shows, and the page made anew: half an "
             "hour, three rounds of a second")
    add("--only", default="", metavar="NAME,…", help="workloads or groups, see --list")
    add("--syscalls", action="store_true", help="the same as --only syscalls")
    add("--instructions", action="store_true", help="the same as --only instructions")
    add("--budgets", action="store_true",
        help="only what does not depend on the machine, against its budgets: half a minute, no "
             "PostgreSQL; exit code 1 when one is not kept")
    add("--targets", default="", metavar="NAME,…",
        help="of direct, relay, haproxy, pgpool, pgbouncer, pgbouncer-x2 (two that share a port), "
             "pgweir, pgweir-2 (threads), pgweir-off (session_state), pgweir-uncached "
             "(cache_unnamed) and the names of --program")
    add("--program", action="append", default=[], metavar="NAME=PATH",
        help="another program that takes a pgbouncer.ini; may be repeated")
    add("--aa", action="store_true", help="pgbouncer against itself: how noisy this machine is")
    add("--repeat", type=int, default=0, metavar="N", help="rounds (3; 1 with --quick)")
    add("--seconds", type=float, default=0.0, metavar="S",
        help="of each measurement (2; 1 with --page)")
    add("--scale", type=int, default=10, metavar="N", help="of pgbench's tables (10)")
    add("--reference", default="pgbouncer", metavar="NAME", help="ratios are against this target")
    add("--cores", choices=("one", "all"), default="",
        help="where client, target and PostgreSQL run; one repeats within 2 %% on a machine that "
             "does other things too, all needs an idle machine (all; one with --quick)")
    add("--check", action="store_true", help="exit with 1 when a budget is not kept")
    add("--tolerance", type=float, default=0.0, metavar="SHARE",
        help="what ratios of time may miss their budget by, e.g. 0.03")
    add("--output", type=Path, metavar="FILE", help="instead of bench/results/<date>.json")
    add("--list", action="store_true", help="say what there is and end")
    return parser.parse_args()


def chosen_workloads(options: argparse.Namespace) -> list[Workload]:
    """Errors: BenchError on a name that does not exist."""
    names = [name for name in options.only.split(",") if name]
    names += ["syscalls"] * options.syscalls + ["instructions"] * options.instructions
    if options.budgets:
        names += ["counted-instructions", "idle-clients"]
        names += ["counted-syscalls-simple-1", "counted-syscalls-prepared-16"] * can_trace()
    if not names:
        names = [workload.name for workload in all_workloads()]
        if options.page or options.quick:
            names = PAGE if options.page else QUICK
    known = {name for workload in all_workloads() for name in (workload.name, workload.group)}
    for name in names:
        if name not in known:
            raise BenchError(f"no workload or group {name}; see --list")
    return [workload for workload in all_workloads()
            if workload.name in names or workload.group in names]


def default_targets(options: argparse.Namespace, known: list[str]) -> list[str]:
    """When none are named."""
    if options.budgets:
        return ["pgweir"]
    if options.aa:
        return ["pgbouncer"]
    if options.quick:
        return ["pgbouncer", "pgweir"]
    return [name for name in known if not (options.page and name in pictures.NOT_SHOWN)]


def make_plan(options: argparse.Namespace) -> session.Plan:
    """What the options ask for. Errors: BenchError on a name that does not exist."""
    workloads = chosen_workloads(options)
    programs = parse_programs(options.program)
    if options.aa:
        programs.append(Bouncer("pgbouncer-again", PGBOUNCER))
    targets: list[Target] = [Direct(), Relay(STUB), Haproxy(), Pgpool(),
                             Bouncer("pgbouncer", PGBOUNCER),
                             Bouncer("pgbouncer-x2", PGBOUNCER, count=2),
                             Bouncer("pgweir", PGWEIR, 1), Bouncer("pgweir-2", PGWEIR, 2),
                             Bouncer("pgweir-off", PGWEIR, 1, SESSION_STATE_OFF),
                             Bouncer("pgweir-uncached", PGWEIR, 1, CACHE_UNNAMED_OFF), *programs]
    known = [target.name for target in targets]
    names = [name for name in options.targets.split(",") if name]
    if not names:
        names = default_targets(options, known)
    for name in names:
        if name not in known:
            raise BenchError(f"no target {name}; there are {', '.join(known)}")
    asked = frozenset([*names, *(program.name for program in programs)])
    return session.Plan(workloads, targets, asked, options.repeat)


def print_list() -> None:
    """Workloads by group."""
    for workload in all_workloads():
        quick = "*" if workload.name in QUICK else " "
        print(f"{quick} {workload.group:13} {workload.name:22} {workload.text}")
    print("* part of --quick")


def write_results(path: Path, options: argparse.Namespace, plan: session.Plan,
                  results: Results) -> None:
    """The whole run as one JSON document."""
    verdicts = budgets.judge(budgets.load(), results)
    document = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": sys.argv[1:],
        "machine": machine.describe(),
        "targets": {target.name: target.version() for target in plan.targets
                    if target.name in plan.names},
        "reference": options.reference,
        "rounds": plan.rounds,
        "seconds": options.seconds,
        "cores": options.cores,
        "workloads": {workload.name: {"group": workload.group, "text": workload.text,
                                      "ratio_figure": workload.ratio_figure}
                      for workload in plan.workloads},
        "results": results.to_json(),
        "budgets": [{"budget": verdict.budget.title, "limit": verdict.budget.limit_text,
                     "measured": verdict.measured and round(verdict.measured, 4),
                     "passed": verdict.passed(options.tolerance)} for verdict in verdicts],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def measure(options: argparse.Namespace, plan: session.Plan, path: Path) -> Results:
    """With backends of its own, in a folder that is removed; written after each workload."""
    results = Results()
    folder = Path(tempfile.mkdtemp(prefix="pgweir-bench-"))
    try:
        processes.give_to_account(folder)
        with Backends(BACKENDS, folder, options.scale) as backends:
            context = Context(backends, options.seconds, options.quick, options.cores == "one")
            session.run(plan, context, results,
                        lambda: write_results(path, options, plan, results))
    except KeyboardInterrupt:
        print("bench: interrupted; what there is so far follows", file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return results


def end_on_signal(number: int, _frame: object) -> None:
    """Unwind, so that every child is ended and the folder removed."""
    raise SystemExit(128 + number)


def main() -> int:
    """Exit code: 0, 1 with --check when a budget is not kept, 2 when nothing could be run."""
    options = arguments()
    if options.list:
        print_list()
        return 0
    options.repeat = options.repeat or (1 if options.quick else 3)
    options.seconds = options.seconds or (1.0 if options.page else 2.0)
    options.cores = options.cores or ("one" if options.quick else "all")
    options.check = options.check or options.budgets
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_on_signal)
    processes.raise_file_limit()
    if options.budgets and "PGWEIR_TESTS_SHORT" in os.environ:
        return NOT_FOR_SANITIZERS
    stamp = datetime.datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    path = options.output or BENCH / "results" / f"{stamp}.json"
    try:
        plan = make_plan(options)
        results = measure(options, plan, path)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    verdicts = budgets.judge(budgets.load(), results)
    print(f"{options.repeat} rounds of {options.seconds:g} s, {options.cores} core"
          f"{'s' if options.cores == 'all' else ''}, load {machine.describe()['load_average']}\n")
    for workload in plan.workloads:
        print(report.workload_table(workload, results, options.reference))
    if options.aa:
        print(report.noise_line(results, plan.workloads, "pgbouncer-again", "pgbouncer"))
    print(report.budget_table(verdicts, options.tolerance))
    if results.workloads():
        print(f"written to {path}; pictures and tables: {write_folder([path], path.with_suffix(''))}")
    if options.page:
        write_page([path], PAGE_FILE)
    kept = all(verdict.passed(options.tolerance) for verdict in verdicts)
    return 1 if options.check and not kept else 0


if __name__ == "__main__":
    sys.exit(main())
