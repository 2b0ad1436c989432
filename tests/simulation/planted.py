#!/usr/bin/python3
"""planted.py [--check] [--seeds N] [--tree DIR] [FAULT…]: faults planted on purpose, each of which the
simulation has to find within the number of seeds that stands beside it: proof that it can fail.

A fault is a file in planted/: lines `name: value` (fault, noticed, seeds), an empty line, and a unified diff,
whose hunks are found by what they say, wherever that stands by now. It is planted in a copy of the sources
(build/planted, which keeps what it has compiled), never in the sources themselves. `noticed` is a regular
expression on what the simulation says. --check only looks whether every fault can still be planted.

The exit status is 1 when a fault was not found, was noticed by something else, or cannot be planted."""
import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAULTS = Path(__file__).resolve().parent / "planted"
FOLDERS = ("protocol", "config", "health", "router", "pool", "proxy", "tests", "bench", "cmake", "deploy", "docs")
PATIENCE_S = 600  # for one fault's seeds: one that hangs the program is not found


class Bad(Exception):
    """A fault that cannot be planted."""


class Fault:
    def __init__(self, path):
        self.name = path.stem
        head, _, self.diff = path.read_text().partition("\n\n")
        fields = dict(line.split(": ", 1) for line in head.splitlines())
        self.text, self.noticed, self.seeds = fields["fault"], fields["noticed"], int(fields["seeds"])

    def planted(self):
        """The files it changes, by path, with it in them."""
        files = {}
        path = None
        for part in re.split(r"^(?=\+\+\+ b/|@@)", self.diff, flags=re.M):
            if part.startswith("+++ b/"):
                path = part[6:].split("\n", 1)[0]
                files[path] = (ROOT / path).read_text() if (ROOT / path).exists() else ""
            elif part.startswith("@@"):
                lines = [line for line in part.splitlines()[1:] if line[:1] in " +-" and not line.startswith("--- ")]
                before = "".join(line[1:] + "\n" for line in lines if line[0] != "+")
                after = "".join(line[1:] + "\n" for line in lines if line[0] != "-")
                places = ("\n" + files[path]).count("\n" + before)
                if places != 1:
                    raise Bad(f"{path} has {places} places for it")
                files[path] = ("\n" + files[path]).replace("\n" + before, "\n" + after)[1:]
        if not files:
            raise Bad("it changes nothing")
        return files


def sources():
    """What is copied, by path."""
    tops = [path for path in ROOT.iterdir() if path.is_file()]
    below = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(ROOT)): path for path in tops + below if "__pycache__" not in path.parts}


def write(tree, path, content):
    """Only what differs, so that only that is compiled."""
    place = tree / path
    if place.exists() and place.read_bytes() == content:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def copy_sources(tree, planted):
    wanted = sources()
    for path, source in wanted.items():
        write(tree, path, planted[path].encode() if path in planted else source.read_bytes())
    for folder in FOLDERS:
        for place in (tree / folder).rglob("*"):
            if place.is_file() and str(place.relative_to(tree)) not in wanted:
                place.unlink()


def build(tree):
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count()))
    for command in (["cmake", "--preset", "release"],
                    ["cmake", "--build", "--preset", "release", "-j", jobs, "--target", "simulation"]):
        done = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        if done.returncode != 0:
            sys.stdout.write(done.stdout[-4000:])
            return False
    return True


def hunt(tree, seeds):
    """The seed that finds it, and what the simulation says; None: all of them hold."""
    command = [tree / "build/release/simulation", "--seeds", str(seeds)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE_S,
                              text=True, errors="replace", check=False)
    except subprocess.TimeoutExpired:
        return None, f"no end after {PATIENCE_S} s"
    if done.returncode == 0:
        return None, "all seeds hold"
    first = re.search(r"^seed (\d+):? (.*)", done.stdout, flags=re.M)
    return (int(first[1]), first[2]) if first else (None, f"it ended with {done.returncode}: {done.stdout[-300:]}")


def try_fault(fault, tree, seeds):
    """The rest of its line in the table, and whether it was found as it has to be."""
    copy_sources(tree, fault.planted())
    if not build(tree):
        return "-", "does not compile", False
    seed, said = hunt(tree, seeds or fault.seeds)
    if seed is None:
        return "-", "NOT FOUND: " + said, False
    match = re.search(fault.noticed, said)
    return seed, (match[0] if match else "NOTICED BY ANOTHER: " + said), bool(match)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--tree", type=Path, default=ROOT / "build/planted")
    parser.add_argument("fault", nargs="*", help="all that begin so")
    wanted = parser.parse_args()
    bad = 0
    faults = [Fault(path) for path in sorted(FAULTS.glob("*.patch"))]
    if wanted.fault:
        faults = [fault for fault in faults if fault.name.startswith(tuple(wanted.fault))]
    if not faults:
        sys.exit("there is no such fault")
    for fault in faults:
        began = time.monotonic()
        try:
            if wanted.check:
                fault.planted()
                continue
            seed, said, good = try_fault(fault, wanted.tree, wanted.seeds)
        except Bad as why:
            seed, said, good = "-", f"CANNOT BE PLANTED: {why}", False
        bad += not good
        print(f"{fault.name:34} seed {seed!s:>4} of {wanted.seeds or fault.seeds:<5} "
              f"{time.monotonic() - began:4.0f} s  {said[:200]}", flush=True)
    if not wanted.check:
        copy_sources(wanted.tree, {})
    print(f"{len(faults)} faults, {bad} of them " + ("cannot be planted" if wanted.check else "not found as they should be"))
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
