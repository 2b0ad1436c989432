#!/usr/bin/python3
"""Plots and tables of results files of `./dev bench`: a folder of them, or docs/benchmark.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness import document, page, pictures

BENCH = Path(__file__).resolve().parent
PAGE = BENCH.parent / "docs" / "benchmark.md"


def write_folder(paths: list[Path], folder: Path) -> Path:
    """report.md and its pictures; returns the former's path."""
    found = document.read(paths)
    folder.mkdir(parents=True, exist_ok=True)
    for name, drawn in pictures.make(found).items():
        (folder / f"{name}.svg").write_text(drawn, encoding="utf-8")
    target = folder / "report.md"
    target.write_text(f"# Bench\n\n{page.markdown(found, '')}", encoding="utf-8")
    return target


def write_page(paths: list[Path], target: Path) -> None:
    """The figures of a page, with the pictures in a folder beside it of the same name."""
    found = document.read(paths)
    folder = target.with_suffix("")
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for name, drawn in pictures.make(found).items():
        (folder / f"{name}.svg").write_text(drawn, encoding="utf-8")
    figures = page.markdown(found, f"{folder.name}/")
    target.write_text(page.put_into(target.read_text(encoding="utf-8"), figures), encoding="utf-8")


def main() -> int:
    """Exit code: 0, or 1 when a file cannot be read."""
    parser = argparse.ArgumentParser(prog="bench/report.py", description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS.json",
                        help="later files replace the workloads of earlier ones")
    parser.add_argument("--page", nargs="?", type=Path, const=PAGE, metavar="FILE",
                        help="put the figures into this page (docs/benchmark.md)")
    parser.add_argument("--folder", type=Path, help="instead of one named like the last file")
    options = parser.parse_args()
    try:
        if options.page:
            write_page(options.results, options.page)
            print(f"written to {options.page}")
        else:
            print(f"written to {write_folder(options.results, options.folder or options.results[-1].with_suffix(''))}")
    except (OSError, ValueError, KeyError) as error:
        print(f"bench/report.py: {error!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
