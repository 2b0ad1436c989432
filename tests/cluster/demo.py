"""./dev demo: a primary, two streaming replicas, pgweir in front; psql and pgbench through it.

Everything is in a temporary directory and on free ports, and gone at the end. --keep leaves it up until
Ctrl-C, for a look of your own.
"""
import argparse
import re
import shlex
import signal
import subprocess
import sys

from harness import Cluster, Pgweir
from harness.postgres import PG_BIN
from harness.processes import IDENTITY

SERVERS = 8
SECONDS = 3
# What is shown, the pool mode, pgbench's own options. (Not TPC-B with -M prepared: pgbench waits for its
# PREPAREs with the whole thread, and the thread's other clients then hold their servers in transactions.)
RUNS = (
    ("as many clients as servers, TPC-B", "session", ["-M", "simple", "-c", str(SERVERS)]),
    ("100 clients on 8 servers, TPC-B, extended protocol", "transaction", ["-M", "extended", "-c", "100"]),
    ("100 clients on 8 servers, SELECT only, prepared statements", "statement",
     ["-S", "-M", "prepared", "-c", "100"]),
)


def say(text=""):
    print(text, flush=True)


def heading(text):
    say(f"\n== {text}")


def tail(text, lines=12):
    return "\n".join(text.splitlines()[-lines:])


def run(pgweir, program, *arguments):
    """Shows a command as one would type it, runs it, hands back its output."""
    say(f"$ {shlex.join([program, *arguments])}")
    done = subprocess.run([PG_BIN / program, *arguments], cwd=pgweir.directory, check=False, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, **IDENTITY)
    if done.returncode != 0:
        raise SystemExit(f"{tail(done.stdout + done.stderr)}\ndemo: {program} ended with {done.returncode};"
                         f" pgweir's log ends with\n{tail(pgweir.log())}")
    return done.stdout


def address(pgweir, user="app"):
    return ["-h", pgweir.host, "-p", str(pgweir.port), "-U", user]


def psql(pgweir, sql, dbname="app", user="app"):
    say(run(pgweir, "psql", "-X", *address(pgweir, user), "-c", sql, dbname).rstrip())


def pgbench(pgweir, dbname, options):
    output = run(pgweir, "pgbench", "-n", *options, "-j", "2", "-T", str(SECONDS), *address(pgweir), dbname)
    figures = dict(re.findall(r"^([a-z ]+?)(?: \(|:| = | =)\s*(?:.*= )?([\d.]+)", output, re.MULTILINE))
    say(f"{figures['number of transactions actually processed']} transactions,"
        f" {figures['number of failed transactions']} failed, {float(figures['tps']):.0f} a second,"
        f" {float(figures['latency average']):.2f} ms on average")


def show(cluster, pgweir):
    heading("PostgreSQL")
    for node in cluster.nodes:
        role = "primary" if node.is_primary() else "replica, streaming"
        say(f"{node.host}:{node.port}  {role}")

    heading("psql through pgweir")
    psql(pgweir, "select version()")
    run(pgweir, "pgbench", "-q", "-i", "-s", "10", *address(pgweir), "app")

    for title, mode, options in RUNS:
        heading(f"pool_mode = {mode}: {title}")
        pgbench(pgweir, pgweir.entry(mode), options)

    heading("the console")
    psql(pgweir, "show pools", "pgbouncer", "postgres")


def keep(pgweir):
    heading("still up, Ctrl-C ends it")
    for dbname, user in (("app", "app"), ("pgbouncer", "postgres")):
        say(f"psql {' '.join(address(pgweir, user))} {dbname}")
    say(f"configuration and log: {pgweir.directory}")
    signal.pause()


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="leave everything up until Ctrl-C")
    arguments = parser.parse_args()
    say("starting a primary, two replicas and pgweir in a temporary directory")
    with Cluster(replicas=2) as cluster, Pgweir(cluster, default_pool_size=SERVERS) as pgweir:
        show(cluster, pgweir)
        if arguments.keep:
            keep(pgweir)
        pgweir.stop()
    say("\ndone; nothing is left behind")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
