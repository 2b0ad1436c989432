#!/usr/bin/python3
"""PostgreSQL's regression suite directly and through pgweir: which tests fail only with pgweir in between?

    regress.py SOURCE RESULTS [direct] [session] [once] [transaction] [split]

`once` is session mode with server_lifetime = 0: no server session has a second client. In `session` temp, stats
and at times guc see that theirs has had one: no reset takes away a temporary schema, a loaded library or a count.
`split` is transaction mode with a replica that gets the reads, and tells how many it got.
SOURCE is src/test/regress with a built regress.so; what a run leaves is copied to RESULTS/WAY. See regress.sh.
"""
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from harness import Cluster, Pgweir, Workdir
from harness.postgres import PG_BIN
from harness.processes import IDENTITY, RUN_AS, run
from harness.split import split_toml

WAYS = ("direct", "session", "once", "transaction", "split")
WAY_SETTINGS = {"session": {"pool_mode": "session"}, "transaction": {"pool_mode": "transaction"},
                "once": {"pool_mode": "session", "server_lifetime": 0}}
PG_REGRESS = PG_BIN.parent / "lib/pgxs/src/test/regress/pg_regress"
SETTINGS = {"wal_level": "logical", "max_prepared_transactions": "4"}
# What pg_regress sets for a database that it makes itself.
DATABASE = {"lc_messages": "C", "lc_monetary": "C", "lc_numeric": "C", "lc_time": "C", "bytea_output": "hex",
            "timezone_abbreviations": "Default"}
LINE = re.compile(r"^(?:test| {5}) *(\S+) +\.\.\. (ok|FAILED|failed)", re.MULTILINE)
SECONDS = int(os.environ.get("PGWEIR_REGRESS_SECONDS", "900"))


def roles(source):
    """Every name in the scripts that may be a role's: pgweir must know who may log in."""
    text = "".join(path.read_text(errors="replace") for path in source.glob("sql/*.sql"))
    return {"postgres": "x", **{name: "x" for name in re.findall(r"\bregress_\w+", text)}}


def prepare(node):
    with node.connect() as link:
        link.execute("create database regression template template0 encoding 'UTF8' locale 'C'")
        for name, value in DATABASE.items():
            link.execute(f"alter database regression set {name} = '{value}'")


def suite(directory, port):
    """Runs pg_regress; how each test ended, in order. It is ended after SECONDS: some tests wait for ever for
    a lock when a session is not one server session."""
    command = [PG_REGRESS, "--use-existing", "--host=127.0.0.1", f"--port={port}", "--user=postgres",
               "--dbname=regression", f"--inputdir={directory}", f"--outputdir={directory}",
               f"--dlpath={directory}", f"--bindir={PG_BIN}", f"--schedule={directory}/parallel_schedule",
               "--max-concurrent-tests=20"]
    log = directory / "pg_regress.log"
    with open(log, "wb") as output:
        subprocess.run(["timeout", "-k", "10", str(SECONDS), *map(str, command)], check=False, cwd=directory,
                       stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **IDENTITY)
    return dict(LINE.findall(log.read_text(errors="replace")))


def pgweir_for(way, cluster, source):
    if way == "split":
        database = '[databases.regression]\ncluster = "main"'
        return Pgweir(toml=split_toml(cluster, databases=database, pool="size = 40"),
                      userlist={**roles(source), "monitor": "x"})
    address = f"host={cluster.primary.host} port={cluster.primary.port}"
    return Pgweir(cluster, databases={"*": address}, userlist=roles(source), default_pool_size=40,
                  **WAY_SETTINGS[way])


def run_way(way, source, results):
    with Workdir() as workdir, Cluster(replicas=1 if way == "split" else 0, settings=SETTINGS) as cluster:
        directory = workdir.path / "regress"
        shutil.copytree(source, directory)
        if RUN_AS:
            run(["chown", "-R", RUN_AS, directory], cwd="/", user=None, group=None, extra_groups=None)
        prepare(cluster.primary)
        if way == "direct":
            ended = suite(directory, cluster.primary.port)
        else:
            with pgweir_for(way, cluster, source) as pgweir:
                ended = suite(directory, pgweir.port)
                shutil.copy(pgweir.directory / "stderr.log", directory / "pgweir.log")
                if not pgweir.process.alive:
                    print(f"regress: pgweir ended with {pgweir.process.returncode}", file=sys.stderr)
                elif way == "split":
                    print(*(f"{node['role']}: {node['select_cnt']} reads"
                            for node in pgweir.console("show pool_nodes")), sep=", ")
        kept = results / way
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for name in ("pg_regress.log", "regression.diffs", "pgweir.log"):
            if (directory / name).exists():
                shutil.copy(directory / name, kept)
        return ended


def main():
    source, results = Path(sys.argv[1]), Path(sys.argv[2])
    wanted = sys.argv[3:] or WAYS
    failed = {}
    ran = {}
    for way in (way for way in WAYS if way in wanted or way == "direct"):  # without direct nothing to compare
        started = time.monotonic()
        ended = run_way(way, source, results)
        ran[way] = set(ended)
        failed[way] = [name for name, how in ended.items() if how != "ok"]
        print(f"{way}: {len(ended)} tests in {time.monotonic() - started:.0f} s", flush=True)
        if not ended:
            sys.exit(f"regress: nothing ran, see {results / way}")
    print(f"\n{'':12} {'ran':>5} {'failed':>7} {'only with pgweir':>17}")
    for way, names in failed.items():
        more = [name for name in names if name not in failed["direct"]]
        print(f"{way:12} {len(ran[way]):5} {len(names):7} {len(more):17}")
        print(f"{'':13}{' '.join(more if way != 'direct' else names) or '-'}")
        if missing := ran["direct"] - ran[way]:
            print(f"{'':13}not reached in {SECONDS} s: {' '.join(sorted(missing))}")
    print(f"\ndiffs and logs: {results}/{{{','.join(failed)}}}")


if __name__ == "__main__":
    main()
