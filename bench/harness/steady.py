"""The workloads that pgbench drives: CPU, throughput and latency of a steady stretch."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from harness import procfs, wire
from harness.pgbench import Pgbench, Window
from harness.postgres import DATABASE, Postgres
from harness.targets import Settings, Target
from harness.workload import Column, Context, Figures, Measured

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"

COLUMNS = (
    Column("tps", "tps", 0),
    Column("cpu_us_per_tx", "cpu µs", 1),
    Column("cpu_user_us_per_tx", "user", 1),
    Column("cpu_system_us_per_tx", "system", 1),
    Column("postgres_cpu_us_per_tx", "pg µs", 1),
    Column("both_cpu_us_per_tx", "both", 1),
    Column("latency_mean_us", "mean µs", 0),
    Column("latency_p50_us", "p50", 0),
    Column("latency_p95_us", "p95", 0),
    Column("latency_p99_us", "p99", 0),
    Column("latency_p999_us", "p99.9", 0),
    Column("switches_per_tx", "csw", 2),
    Column("resident_kib", "RSS KiB", 0),
)
BULK_COLUMNS = (Column("cpu_s_per_gb", "cpu s/GB", 3), Column("gb_per_s", "GB/s", 2), *COLUMNS)


@dataclass(frozen=True)
class Sample:
    """All counters at one moment. A value."""

    time_s: float               # since the epoch
    proxy: procfs.Usage
    postgres: procfs.Usage
    client: procfs.Usage

    @staticmethod
    def take(proxy_pid: int | None, client_pid: int, postgres: Postgres) -> Sample:
        """The proxy is read next to the clock; the others a moment later."""
        proxy = procfs.process_usage(proxy_pid) if proxy_pid else procfs.Usage()
        now_s = time.time()
        client = procfs.process_usage(client_pid, False)
        return Sample(now_s, proxy, postgres.usage(), client)


def _proxy_figures(proxy: procfs.Usage, window: Window) -> Figures:
    """What the proxy used; the split into user and system is the kernel's, in 10 ms steps."""
    count = window.transactions
    ticks_us = proxy.user_us + proxy.system_us
    user_share = proxy.user_us / ticks_us if ticks_us else 0.0
    return {
        "cpu_us_per_tx": proxy.cpu_us / count,
        "cpu_user_us_per_tx": proxy.cpu_us * user_share / count,
        "cpu_system_us_per_tx": proxy.cpu_us * (1 - user_share) / count,
        "cpu_share": proxy.cpu_us / 1e6 / window.duration_s,
        "switches_voluntary_per_tx": proxy.voluntary / count,
        "switches_involuntary_per_tx": proxy.involuntary / count,
        "switches_per_tx": (proxy.voluntary + proxy.involuntary) / count,
    }


def _load_figures(window: Window, before: Sample, after: Sample) -> Figures:
    """What the client saw and PostgreSQL and the client used."""
    count = window.transactions
    return {
        "tps": window.tps,
        "transactions": count,
        "postgres_cpu_us_per_tx": (after.postgres - before.postgres).cpu_us / count,
        "client_cpu_us_per_tx": (after.client - before.client).cpu_us / count,
        "latency_mean_us": window.mean_us,
        "latency_p50_us": window.percentile_us(0.50),
        "latency_p95_us": window.percentile_us(0.95),
        "latency_p99_us": window.percentile_us(0.99),
        "latency_p999_us": window.percentile_us(0.999),
    }


@lru_cache(maxsize=None)
def answer_bytes(port: int, user: str, script: Path) -> int:
    """Bytes PostgreSQL sends for a script of one query."""
    with wire.Connection(port, user, DATABASE) as connection:
        return connection.query(script.read_text().strip().rstrip(";"))


@dataclass(frozen=True)
class Steady:
    """One pgbench workload. A value."""

    name: str
    text: str
    arguments: tuple[str, ...]            # of pgbench, without -c and -j
    clients: int = 16
    client_threads: int = 2
    auth: str = "trust"
    prepared: bool = False
    tls: bool = False                     # with clients
    script: Path | None = None            # a file of one bulk query: bytes are counted too
    group: str = "steady"
    columns: tuple[Column, ...] = COLUMNS
    ratio_figure: str = "cpu_us_per_tx"
    targets: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    once: bool = False

    def measure(self, context: Context, target: Target) -> Measured:
        """Start the target, load it, measure between log-in and the end."""
        settings = Settings(self.clients, auth=self.auth, prepared=self.prepared,
                            tls=self.tls)
        arguments = [*self.arguments, "-c", str(self.clients), "-j", str(self.client_threads)]
        if self.script:
            arguments += ["-f", str(self.script)]
        duration_s = math.ceil(context.window_s + 2)
        core = context.postgres.on_one_core() if context.one_core else nullcontext()
        with core, target.running(context.postgres, settings) as endpoint:
            with Pgbench(context.postgres, endpoint.port, arguments, duration_s,
                         self.tls) as load:
                load.wait_steady()
                before = Sample.take(endpoint.pid, load.pid, context.postgres)
                time.sleep(max(0.0, before.time_s + context.window_s - time.time()))
                after = Sample.take(endpoint.pid, load.pid, context.postgres)
                resident_kib = procfs.resident_kib(endpoint.pid) if endpoint.pid else 0.0
                log = load.log()
        window = log.window(before.time_s, after.time_s)
        figures = _load_figures(window, before, after)
        if endpoint.pid:
            figures |= _proxy_figures(after.proxy - before.proxy, window)
            figures["both_cpu_us_per_tx"] = (figures["cpu_us_per_tx"]
                                             + figures["postgres_cpu_us_per_tx"])
            figures["resident_kib"] = resident_kib
        if self.script:
            size = answer_bytes(context.postgres.port, context.postgres.user, self.script)
            figures["gb_per_s"] = figures["tps"] * size / 1e9
            if endpoint.pid:
                figures["cpu_s_per_gb"] = figures["cpu_us_per_tx"] / size * 1e3
        return Measured(figures, endpoint.note)


def steady_workloads() -> list[Steady]:
    """The table of them, in the order they run and print."""
    two = ("direct", "haproxy", "pgbouncer", "pgweir", "pgweir-2")
    session = ("pgbouncer", "pgweir", "pgweir-off")
    tls = ("pgbouncer", "pgweir", "pgweir-2")

    def script(name: str) -> Path:
        return SCRIPTS / name

    set_5 = ("-M", "simple", "-D", "begun=0", "-f", str(script("set_5.sql")))
    return [
        Steady("simple", "pgbench -S, simple protocol, 16 clients on 16 servers",
               ("-S", "-M", "simple"), targets=(*two, "pgweir-off")),
        Steady("extended", "pgbench -S, extended protocol (unnamed), 16 on 16",
               ("-S", "-M", "extended"), targets=(*two, "pgweir-off", "pgweir-uncached")),
        Steady("prepared", "pgbench -S, named statements, 16 on 16",
               ("-S", "-M", "prepared"), prepared=True, targets=two),
        Steady("simple-200", "pgbench -S, simple, 200 clients on 16 servers",
               ("-S", "-M", "simple"), 200, 4, targets=two),
        Steady("prepared-200", "pgbench -S, named statements, 200 on 16",
               ("-S", "-M", "prepared"), 200, 4, prepared=True, targets=two),
        Steady("set-5", "simple-200 by clients that began with five SETs, all with the same values",
               (*set_5, "-D", "kinds=1"), 200, 4, targets=session),
        Steady("set-5-kinds", "the same, values of four kinds of clients",
               (*set_5, "-D", "kinds=4"), 200, 4, targets=session),
        Steady("simple-2000", "pgbench -S, simple, 2000 clients on 16 servers",
               ("-S", "-M", "simple"), 2000, 4, targets=two),
        Steady("tpcb", "pgbench's TPC-B, 7 statements, 8 clients on 16 servers",
               ("-M", "simple"), 8, targets=two),
        Steady("pipeline", "10 reads in one pipeline, extended, 16 on 16; per pipeline",
               ("-M", "extended", "-f", str(script("pipeline.sql")))),
        Steady("held", "simple held at 4000 tps (pgbench -R), 16 on 16",
               ("-S", "-M", "simple", "-R", "4000")),
        Steady("one-client", "one client, SELECT 1, simple",
               ("-M", "simple", "-f", str(script("select_one.sql"))), 1, 1),
        Steady("bulk-row", "one 1 MB row, 4 clients", ("-M", "simple"), 4,
               script=script("bulk_row.sql"), group="bulk", columns=BULK_COLUMNS,
               ratio_figure="cpu_s_per_gb"),
        Steady("bulk-rows", "10 MB in 100 k rows, 4 clients", ("-M", "simple"), 4,
               script=script("bulk_rows.sql"), group="bulk", columns=BULK_COLUMNS,
               ratio_figure="cpu_s_per_gb"),
        Steady("churn", "a connection a transaction (pgbench -C), trust, 8 clients",
               ("-C", "-S", "-M", "simple"), 8, group="churn"),
        Steady("churn-scram", "the same, SCRAM against a stored secret",
               ("-C", "-S", "-M", "simple"), 8, auth="scram", group="churn"),
        Steady("churn-scram-plain", "the same, SCRAM against a plain password in the file",
               ("-C", "-S", "-M", "simple"), 8, auth="scram-plain", group="churn"),
        Steady("churn-tls", "a TLS connection a transaction (TLS 1.3, P-256), trust, 8 clients",
               ("-C", "-S", "-M", "simple"), 8, tls=True, group="churn", targets=tls),
        Steady("churn-tls-scram", "the same, SCRAM against a stored secret",
               ("-C", "-S", "-M", "simple"), 8, auth="scram", tls=True, group="churn",
               targets=tls),
        Steady("simple-tls", "simple with clients by TLS", ("-S", "-M", "simple"), tls=True,
               group="tls", targets=tls),
        Steady("bulk-row-tls", "one 1 MB row, 4 clients by TLS", ("-M", "simple"), 4, tls=True,
               script=script("bulk_row.sql"), group="tls", columns=BULK_COLUMNS,
               ratio_figure="cpu_s_per_gb", targets=tls),
    ]
