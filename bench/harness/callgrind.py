"""What callgrind wrote: how many instructions, and in which part of the program they were.

The format is described in valgrind's manual ("Callgrind Format Specification").
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from harness.errors import BenchError

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("proxy", "router", "pool", "net", "protocol", "libc", "other")   # "other": libraries

_NAMES = re.compile(r"(c?(?:ob|fl|fi|fe))=\((\d+)\)(?: (.*))?$")
_COST = re.compile(r"[-+*\d]\S* (\d+)$")
_LIBC = re.compile(r"/(?:libc|libm|libpthread|ld-linux[^/]*)[.-][^/]*$|/ld-linux[^/]*$")


def total_of(path: Path) -> int:
    """The instructions of all threads. Errors: BenchError when the file has no total."""
    found = re.findall(r"^(?:totals|summary): (\d+)", path.read_text(errors="replace"), re.MULTILINE)
    if not found:
        raise BenchError(f"callgrind wrote no total to {path.name}")
    return int(found[-1])


def _part_of(library: str, source: str) -> str:
    """Of the function that was compiled from `source`, whatever was inlined into it."""
    if _LIBC.search(library):
        return "libc"
    if source.startswith(f"{ROOT}/pool/net/"):
        return "net"
    folder = source.removeprefix(f"{ROOT}/").partition("/")[0]
    return folder if folder in PARTS else "other"


def by_part(path: Path) -> Counter[str]:
    """Instructions by PARTS: our folders, libc with the dynamic loader, everything else."""
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    library = source = part = ""
    calls = False
    for line in path.read_text(errors="replace").splitlines():
        if named := _NAMES.match(line):
            kind, number, name = named.groups()
            key = f"{'ob' if kind.endswith('ob') else 'fl'}{number}"   # each kind counts by itself
            if name:
                names[key] = name
            if kind == "ob":
                library = names[key]
            elif kind == "fl":
                source = names[key]
            part = _part_of(library, source)
        elif line.startswith("calls="):
            calls = True                   # the next line is what the call cost, counted there
        elif cost := _COST.match(line):
            if not calls:
                counts[part] += int(cost[1])
            calls = False
    return counts
