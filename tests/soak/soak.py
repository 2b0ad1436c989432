"""./dev soak MINUTES: a real cluster under mixed load while nodes die, hang, lag and change places, and pgweir is
reloaded, paused and handed over to its successor. Ends with 1 when anybody saw what nobody may see.

    ./dev soak 30
    ./dev soak 1 --seed 7 --only primary_killed,handed_over
"""
import argparse
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/cluster"), str(ROOT / "tests/soak")]

# pylint: disable=wrong-import-position
from harness import Cluster, Pgweir, eventually  # noqa: E402
from harness.pooler import LOOKED_INTO  # noqa: E402
from harness.split import split_toml  # noqa: E402
from harness.tls import Authority  # noqa: E402
from lines import Lines  # noqa: E402
from load import TABLES, Canary, Counting, Crowd, Driver, Writer, check_ledger  # noqa: E402
from report import DESCRIPTORS, growth, write_report  # noqa: E402
from trouble import Trouble, Watch  # noqa: E402

GROWTH_MAX = 0.02  # of memory, from one half of a process's life to the other
DESCRIPTOR_GROWTH_MAX = 0.25  # likewise; how many are open hangs on what goes wrong


def arguments():
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__.splitlines()[0])
    parser.add_argument("minutes", type=float, nargs="?", default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--pause", type=float, default=5, metavar="S", help="mean time between two troubles")
    parser.add_argument("--only", metavar="NAME,…", help="of the troubles (see trouble.py)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/soak", help="where the report goes")
    return parser.parse_args()


def configuration(lines):
    toml = split_toml(lines, pool="size = 20\nmax_client_connections = 500", reads='max_lag = "1s"')
    return toml + LOOKED_INTO + '[tls.client]\nmode = "allow"\ncert_file = "@DIR@/localhost.crt"\nkey_file = "@DIR@/localhost.key"\n'


def make_synchronous(cluster):
    """PostgreSQL itself loses nothing that was acknowledged: what is lost then, pgweir has lost."""
    for node in cluster.nodes:
        node.rows("alter system set synchronous_standby_names = 'ANY 1 (*)'")
        node.rows("select pg_reload_conf()")


def leaks(cluster, proxy):
    """Server connections that nobody knows of, or clients that are gone and still counted."""
    problems = []

    def gone():
        return all(row["database"] == "pgbouncer" for row in proxy.console("show clients"))

    def agree():
        known = sum(row["user"] == "app" for row in proxy.console("show servers"))
        return known == sum(node.backends("usename = 'app'") for node in cluster.nodes)

    for check, what in ((gone, "clients that have left are still counted"),
                        (agree, "SHOW SERVERS and pg_stat_activity do not agree")):
        try:
            eventually(check, 30, what)
        except TimeoutError as error:
            problems.append(str(error))
    return problems


def main():
    wanted = arguments()
    only = wanted.only.split(",") if wanted.only else None
    print(f"soak: {wanted.minutes:g} minutes, seed {wanted.seed}", flush=True)
    with Cluster(replicas=2, setup=TABLES) as cluster, Lines(cluster) as lines:
        make_synchronous(cluster)
        proxy = Pgweir(toml=configuration(lines), start=False)
        with proxy:
            authority = Authority(proxy.directory)
            authority.certificate("localhost", names=["DNS:localhost", "IP:127.0.0.1"])
            proxy.start()
            trouble = Trouble(cluster, lines, proxy, authority, wanted.seed, wanted.pause, only)
            return soak(trouble, wanted)


def soak(trouble, wanted):
    cluster, proxy = trouble.cluster, trouble.proxy
    writers = [Writer(proxy, number, wanted.seed) for number in range(6)]
    workers = [*writers, *(Counting(proxy, number, wanted.seed) for number in range(6)),
               *(Canary(proxy, number, wanted.seed) for number in range(12)),
               *(Driver(proxy, number, wanted.seed) for number in range(6))]
    crowds = [Crowd(proxy, "-S", "-c", "8", "-M", "prepared"), Crowd(proxy, "-N", "-c", "4", "-M", "extended")]
    Crowd(proxy, "-i", "-q").once()
    trouble.began = time.monotonic()
    watch = Watch(proxy)
    threads = (*workers, *crowds, watch)
    for thread in threads:
        thread.start()
    violations = []
    try:
        trouble.run(wanted.minutes * 60)
    except Exception as error:  # what was seen until then is worth a report
        violations.append(f"{trouble.done[-1][1]}: {type(error).__name__}: {error}")
    for thread in threads:
        thread.ending.set()
    for thread in threads:
        thread.join(120)
    violations += [violation for worker in workers for violation in worker.violations]
    violations += [f"{thread.name} does not end" for thread in workers if thread.is_alive()]
    violations += check_ledger(trouble.primary, writers) + leaks(cluster, proxy)
    grown = growth(watch.samples)
    if wanted.minutes >= 30 and grown is not None and grown > GROWTH_MAX:
        violations.append(f"memory grew by {grown:.1%}")
    opened = growth(watch.samples, DESCRIPTORS)
    if opened is not None and opened > DESCRIPTOR_GROWTH_MAX:
        violations.append(f"descriptors grew by {opened:.1%}")
    path = write_report(wanted.folder, watch.samples, trouble, workers, violations, wanted.seed)
    print(path.read_text(encoding="utf-8"))
    print(f"soak: {'FAILED' if violations else 'clean'}; {path}; again with --seed {wanted.seed}")
    if violations:
        (wanted.folder / "pgweir.log").write_text(proxy.log(), encoding="utf-8")
        for node in cluster.nodes:
            (wanted.folder / f"{node.name}.log").write_text(node.process.log(), encoding="utf-8")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
