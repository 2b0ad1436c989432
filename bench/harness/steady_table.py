"""The workloads that pgbench drives."""

from __future__ import annotations

from pathlib import Path

from harness.steady import BULK_COLUMNS, COLUMNS, Steady
from harness.workload import Column

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
SELECT = ("-S", "-M", "simple")
SPLIT_COLUMNS = (*COLUMNS, Column("beside_cpu_us_per_tx", "pg + client", 1))
PEERS = ("direct", "relay", "haproxy", "pgpool", "pgbouncer", "pgweir", "pgweir-2")
TLS = ("pgbouncer", "pgweir", "pgweir-2")
SESSION = ("pgbouncer", "pgweir", "pgweir-off")
BULK = ("direct", "relay", "haproxy", "pgpool", "pgbouncer", "pgweir")


def _script(name: str) -> Path:
    return SCRIPTS / name


def _small() -> list[Steady]:
    set_5 = ("-M", "simple", "-D", "begun=0", "-f", str(_script("set_5.sql")))
    return [
        Steady("simple", "pgbench -S, simple protocol, 16 clients on 16 servers", SELECT,
               targets=(*PEERS, "pgweir-off")),
        Steady("extended", "pgbench -S, extended protocol (unnamed), 16 on 16",
               ("-S", "-M", "extended"), targets=(*PEERS, "pgweir-off", "pgweir-uncached")),
        Steady("prepared", "pgbench -S, named statements, 16 on 16",
               ("-S", "-M", "prepared"), prepared=True, targets=PEERS),
        Steady("pipeline", "10 reads in one pipeline, extended, 16 on 16; per pipeline",
               ("-M", "extended", "-f", str(_script("pipeline.sql"))), targets=PEERS),
        Steady("tpcb", "pgbench's TPC-B, 7 statements, 8 clients on 16 servers",
               ("-M", "simple"), 8, targets=PEERS),
        Steady("one-client", "one client, SELECT 1, simple",
               ("-M", "simple", "-f", str(_script("select_one.sql"))), 1, 1, targets=PEERS),
        Steady("held", "simple held at 4000 tps (pgbench -R), 16 on 16", (*SELECT, "-R", "4000"),
               targets=PEERS),
        Steady("simple-200", "pgbench -S, simple, 200 clients on 16 servers", SELECT, 200, 4,
               targets=PEERS),
        Steady("prepared-200", "pgbench -S, named statements, 200 on 16",
               ("-S", "-M", "prepared"), 200, 4, prepared=True, targets=PEERS),
        Steady("simple-2000", "pgbench -S, simple, 2000 clients on 16 servers", SELECT, 2000, 4,
               targets=PEERS),
        Steady("set-5", "simple-200 by clients that began with five SETs, all with the same values",
               (*set_5, "-D", "kinds=1"), 200, 4, targets=SESSION),
        Steady("set-5-kinds", "the same, values of four kinds of clients",
               (*set_5, "-D", "kinds=4"), 200, 4, targets=SESSION),
        Steady("set-heavy", "a SET of another value before every read, 16 on 16; per pair",
               ("-M", "simple", "-f", str(_script("set_heavy.sql"))), targets=SESSION),
    ]


def _other_sockets() -> list[Steady]:
    return [
        Steady("simple-unix", "simple by Unix sockets on both sides", SELECT, unix=True,
               group="unix", targets=PEERS),
        Steady("simple-tls", "simple with clients by TLS", SELECT, tls=True, group="tls",
               targets=TLS),
        Steady("simple-tls-both", "simple with clients and PostgreSQL by TLS", SELECT, tls=True,
               tls_servers=True, group="tls", targets=("direct", "pgpool", *TLS)),
        Steady("bulk-row-tls", "one 1 MB row, 4 clients by TLS", ("-M", "simple"), 4, tls=True,
               script=_script("bulk_row.sql"), group="tls", columns=BULK_COLUMNS,
               ratio_figure="cpu_s_per_gb", targets=TLS),
    ]


def _bulk() -> list[Steady]:
    def bulk(name: str, text: str, script: str, clients: int, window_s: float = 0.0) -> Steady:
        return Steady(name, text, ("-M", "simple"), clients, min(2, clients), window_min_s=window_s,
                      script=_script(script), group="bulk", columns=BULK_COLUMNS,
                      ratio_figure="cpu_s_per_gb", targets=BULK)

    return [bulk("bulk-row", "one 1 MB row, 4 clients", "bulk_row.sql", 4),
            bulk("bulk-rows", "10 MB in 100 k rows, 4 clients", "bulk_rows.sql", 4),
            bulk("bulk-100mb", "100 MB in rows of 1 KB, 2 clients", "bulk_100mb.sql", 2, 5.0)]


def _churn() -> list[Steady]:
    churn = ("-C", *SELECT)
    return [
        Steady("churn", "a connection a transaction (pgbench -C), trust, 8 clients", churn, 8,
               group="churn", targets=("direct", "haproxy", "pgpool", *TLS)),
        Steady("churn-scram", "the same, SCRAM against a stored secret", churn, 8, auth="scram",
               group="churn", targets=TLS),
        Steady("churn-scram-plain", "the same, SCRAM against a plain password", churn, 8,
               auth="scram-plain", group="churn", targets=TLS),
        Steady("churn-tls", "a TLS connection a transaction (TLS 1.3, P-256), trust, 8 clients",
               churn, 8, tls=True, group="churn", targets=TLS),
        Steady("churn-tls-scram", "the same, SCRAM against a stored secret", churn, 8,
               auth="scram", tls=True, group="churn", targets=TLS),
    ]


def _split() -> list[Steady]:
    mixed = ("-M", "simple", "-f", str(_script("split_mixed.sql")))
    targets = ("direct", "pgpool", "pgbouncer", "pgweir", "pgweir-2")
    return [
        Steady("split-reads", "pgbench -S on a primary and two replicas, 24 clients; direct: a third "
               "of them on each", SELECT, 24, 3, backend="nodes", group="split",
               columns=SPLIT_COLUMNS, targets=targets),
        Steady("split-mixed", "nine reads and a write, each by itself, on a primary and two replicas, "
               "24 clients; per ten", mixed, 24, 3, backend="nodes", group="split",
               columns=SPLIT_COLUMNS, targets=targets[1:]),
    ]


def steady_workloads() -> list[Steady]:
    """In the order they run and print."""
    return [*_small(), *_other_sockets(), *_bulk(), *_churn(), *_split()]
