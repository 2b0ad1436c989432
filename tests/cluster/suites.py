#!/usr/bin/python3
"""Drivers' own test suites: which of their tests fail only with pgweir in between, in transaction mode?

    suites.py FOLDER

FOLDER has the suites as tests/suites.sh puts them there; what each printed is left in FOLDER/log.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from harness import Cluster, Pgweir

DATABASE = "pqgotest"  # as lib/pq's tests have it
SECONDS = 300
GO_LINE = re.compile(r"^ *--- (PASS|FAIL): (\S+)", re.MULTILINE)


def run(command, folder, port):
    """What it prints."""
    env = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "postgres", "PGDATABASE": DATABASE,
           "PGSSLMODE": "disable", "GO111MODULE": "auto", "GOFLAGS": "", "GOCACHE": str(folder / "go-cache")}
    done = subprocess.run(["timeout", str(SECONDS), *map(str, command)], cwd=folder, env=env, check=False, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def lib_pq(folder, port, log):
    """Go's lib/pq."""
    _, text = run(["go", "test", "-count=1", "-v", ".", "./hstore"], folder / "lib-pq", port)
    log.write(text)
    return {name: how == "PASS" for how, name in GO_LINE.findall(text)}


def libpq_pipeline(folder, port, log):
    """libpq's own, of pipeline mode."""
    program = folder / "libpq_pipeline"
    ended = {}
    for name in run([program, "tests"], folder, port)[1].split():
        code, text = run([program, name], folder, port)
        log.write(text)
        ended[name] = code == 0
    return ended


def mocha(package):
    def suite(folder, port, log):
        tests = sorted((folder / f"npm/node_modules/{package}/test").glob("*.js"))
        _, text = run(["npx", "mocha", "--exit", "--timeout", "8000", "--reporter", "json", *tests],
                      folder / "npm", port)
        log.write(text)
        report = json.loads(text[text.index('{\n  "stats"'):])
        return {**{test["fullTitle"]: True for test in report["passes"]},
                **{test["fullTitle"]: False for test in report["failures"]}}
    suite.__doc__ = f"node-postgres' {package}."
    return suite


SUITES = {"lib/pq": lib_pq, "libpq_pipeline": libpq_pipeline, "pg-cursor": mocha("pg-cursor"),
          "pg-pool": mocha("pg-pool")}


def main():
    folder = Path(sys.argv[1])
    (folder / "log").mkdir(exist_ok=True)
    ended = {}
    with Cluster(replicas=0) as cluster:
        with cluster.primary.connect() as link:
            link.execute(f"create database {DATABASE}")
        address = f"host={cluster.primary.host} port={cluster.primary.port}"
        with Pgweir(cluster, databases={"*": address}, userlist={"postgres": "x"}, default_pool_size=10,
                    auth_type="trust", pool_mode="transaction") as pgweir:
            for name, suite in SUITES.items():
                for way, port in (("direct", cluster.primary.port), ("transaction", pgweir.port)):
                    with open(folder / "log" / f"{name.replace('/', '-')}.{way}", "w", encoding="utf-8") as log:
                        ended[name, way] = suite(folder, port, log)
    print(f"{'':16} {'passed directly':>16} {'with pgweir':>12}  not any more with pgweir")
    for name in SUITES:
        direct, through = ended[name, "direct"], ended[name, "transaction"]
        if not any(direct.values()):
            sys.exit(f"suites: nothing of {name} passed, see {folder}/log")
        lost = [test for test, ok in direct.items() if ok and not through.get(test)]
        print(f"{name:16} {sum(direct.values()):16} {sum(through.values()):12}  {', '.join(lost) or '-'}")


if __name__ == "__main__":
    main()
