"""The closing lines of ./dev test: one per step, then the sum over all tests.

Reads lines "title|passed or FAILED|seconds|JUnit file of ctest, or nothing"; exits 1 when any failed.
"""
import os
import sys
import xml.etree.ElementTree as xml


def main():
    tests = failed = skipped = 0
    bad = False
    for line in sys.stdin.read().splitlines():
        title, status, seconds, junit = line.split("|")
        note = ""
        if junit and os.path.exists(junit):
            suite = xml.parse(junit).getroot()
            counts = {key: int(suite.get(key)) for key in ("tests", "failures", "skipped", "disabled")}
            tests += counts["tests"]
            failed += counts["failures"]
            skipped += counts["skipped"] + counts["disabled"]
            note = f"{counts['tests']} tests, {counts['failures']} failed, "
        bad = bad or status != "passed"
        print(f"  {status}  {title}  ({note}{seconds} s)")
    passed = tests - failed - skipped
    if tests == 0 and not bad:
        print("  no test was run")
        bad = True
    print()
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if bad else 0


sys.exit(main())
