"""./dev demo: a primary, two streaming replicas, pgweir in front; pools, split reads, a failover.

Everything is in a temporary directory and on free ports, and gone at the end. --keep leaves it up until
Ctrl-C, for a look of your own: psql, the console, the status page and, where it is installed, Prometheus.
"""
import argparse
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import closing
from threading import Thread

from harness import Cluster, Pgweir, eventually
from harness.pooler import ROOT
from harness.postgres import PG_BIN
from harness.processes import IDENTITY, Port
from harness.prometheus import PROMETHEUS, Prometheus

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
# What only pgweir has stands beside the ini, which PgBouncer could still run.
COMPANION = """
[admin]
http = "127.0.0.1:{http}"
[clusters.main]
nodes = [{nodes}]
[clusters.main.health]
user = "monitor"
[clusters.main.failover]
state_file = "@DIR@/main.state"
[databases.app_cluster]
cluster = "main"
dbname = "app"
"""


def say(text=""):
    print(text, flush=True)


def heading(text):
    say(f"\n== {text}")


def tail(text, lines=12):
    return "\n".join(text.splitlines()[-lines:])


def begin(pgweir, program, *arguments):
    """Shows a command as one would type it and starts it."""
    say(f"$ {shlex.join([program, *arguments])}")
    return subprocess.Popen([PG_BIN / program, *arguments], cwd=pgweir.directory, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **IDENTITY)


def end(pgweir, child):
    """Its output."""
    output, errors = child.communicate()
    if child.returncode != 0:
        raise SystemExit(f"{tail(output + errors)}\ndemo: {child.args[0].name} ended with {child.returncode};"
                         f" pgweir's log ends with\n{tail(pgweir.log())}")
    return output


def run(pgweir, program, *arguments):
    return end(pgweir, begin(pgweir, program, *arguments))


def address(pgweir, user="app"):
    return ["-h", pgweir.host, "-p", str(pgweir.port), "-U", user]


def psql(pgweir, sql, dbname="app", user="app"):
    say(run(pgweir, "psql", "-X", *address(pgweir, user), "-c", sql, dbname).rstrip())


def begin_pgbench(pgweir, dbname, options, seconds=SECONDS):
    return begin(pgweir, "pgbench", "-n", *options, "-j", "2", "-T", str(seconds), *address(pgweir), dbname)


def end_pgbench(pgweir, child):
    output = end(pgweir, child)
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
        end_pgbench(pgweir, begin_pgbench(pgweir, pgweir.entry(mode), options))

    heading("the console")
    console(pgweir, "show pools")


def console(pgweir, command):
    psql(pgweir, command, "pgbouncer", "postgres")


def show_split(cluster, pgweir):
    heading("a cluster is one database: reads go to replicas, everything else to the primary")
    eventually(lambda: sum(row["eligible"] == "yes" for row in pgweir.console("show nodes")) == len(cluster.replicas))
    end_pgbench(pgweir, begin_pgbench(pgweir, "app_cluster",
                                      ["-b", "select-only@9", "-b", "tpcb-like@1", "-c", "20"]))
    console(pgweir, "show routes")


def promote(cluster):
    """What Patroni does, or whoever watches over the cluster: pgweir itself promotes nobody."""
    time.sleep(1)
    first, *others = cluster.replicas
    first.promote()
    for node in others:
        node.rows(f"alter system set primary_conninfo = 'host={first.host} port={first.port} user=postgres'")
        node.rows("select pg_reload_conf()")


def show_failover(cluster, pgweir):
    heading("the primary is killed while clients read; a second later a replica is promoted")
    cluster.catch_up()
    readers = begin_pgbench(pgweir, "app_cluster", ["-S", "-c", "8"], seconds=5)
    time.sleep(1)
    say(f"$ kill -9 {cluster.primary.process.pid} …    # the primary, {cluster.primary.host}:{cluster.primary.port}")
    cluster.primary.kill()
    killed = time.monotonic()
    promotion = Thread(target=promote, args=(cluster,))
    promotion.start()
    psql(pgweir, "update pgbench_branches set bbalance = 0 where bid = 1", "app_cluster")
    say(f"({time.monotonic() - killed:.1f} s after the kill)")
    end_pgbench(pgweir, readers)
    promotion.join()
    console(pgweir, "show events")


def keep(pgweir, http):
    heading("still up, Ctrl-C ends it")
    for dbname, user in (("app_cluster", "app"), ("pgbouncer", "postgres")):
        say(f"psql {' '.join(address(pgweir, user))} {dbname}")
    say(f"status page and metrics: http://127.0.0.1:{http}/")
    say(f"configuration and log: {pgweir.directory}")
    if not PROMETHEUS:
        signal.pause()
    with Prometheus(http, ROOT / "deploy/prometheus/pgweir.rules.yml") as prometheus:
        say(f"Prometheus with the alerts: {prometheus.url} (for Grafana: deploy/grafana/pgweir.json)")
        signal.pause()


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="leave everything up until Ctrl-C")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    say("starting a primary, two replicas and pgweir in a temporary directory")
    with closing(Port()) as http, Cluster(replicas=2) as cluster:
        nodes = ", ".join(f'{{ host = "{node.host}", port = {node.port} }}' for node in cluster.nodes)
        with Pgweir(cluster, default_pool_size=SERVERS,
                    companion=COMPANION.format(http=http.number, nodes=nodes)) as pgweir:
            show(cluster, pgweir)
            show_split(cluster, pgweir)
            show_failover(cluster, pgweir)
            if arguments.keep:
                keep(pgweir, http.number)
            pgweir.stop()
    say("\ndone; nothing is left behind")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
