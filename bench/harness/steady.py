"""The workloads that pgbench drives: CPU, throughput and latency of a steady stretch."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from harness import procfs, wire
from harness.backends import DATABASE, Backend
from harness.pgbench import Pgbench, Window, merged
from harness.targets import Endpoint, Settings, Target
from harness.workload import Column, Context, Figures, Measured

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
    def take(endpoint: Endpoint, client_pids: list[int], backend: Backend) -> Sample:
        """The proxy is read next to the clock; the others a moment later."""
        proxy = endpoint.usage()
        now_s = time.time()
        client = sum((procfs.process_usage(pid, False) for pid in client_pids), procfs.Usage())
        return Sample(now_s, proxy, backend.usage(), client)


def proxy_figures(proxy: procfs.Usage, count: float, duration_s: float) -> Figures:
    """What the proxy used for so many transactions; the kernel's split into user and system has 10 ms
    steps."""
    ticks_us = proxy.user_us + proxy.system_us
    user_share = proxy.user_us / ticks_us if ticks_us else 0.0
    return {
        "cpu_us_per_tx": proxy.cpu_us / count,
        "cpu_user_us_per_tx": proxy.cpu_us * user_share / count,
        "cpu_system_us_per_tx": proxy.cpu_us * (1 - user_share) / count,
        "cpu_share": proxy.cpu_us / 1e6 / duration_s,
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


_answer_bytes: dict[Path, int] = {}


def answer_bytes(backend: Backend, script: Path) -> int:
    """Bytes PostgreSQL sends for a script of one query."""
    if script not in _answer_bytes:
        with wire.Connection(backend.port, backend.user, DATABASE) as connection:
            _answer_bytes[script] = connection.query(script.read_text().strip().rstrip(";"))
    return _answer_bytes[script]


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
    tls_servers: bool = False
    unix: bool = False
    backend: str = "postgres"             # or "nodes"
    window_min_s: float = 0.0             # where few transactions fit into what is asked for
    script: Path | None = None            # a file of one bulk query: bytes are counted too
    group: str = "steady"
    columns: tuple[Column, ...] = COLUMNS
    ratio_figure: str = "cpu_us_per_tx"
    targets: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    once: bool = False

    def measure(self, context: Context, target: Target) -> Measured:
        """Start the target, load it, measure between log-in and the end."""
        settings = Settings(self.clients, auth=self.auth, prepared=self.prepared, tls=self.tls,
                            tls_servers=self.tls_servers, unix=self.unix)
        backend = context.backends.get(self.backend)
        with (context.core(backend), target.running(backend, settings) as endpoint,
              ExitStack() as stack):
            loads = [stack.enter_context(load) for load in self._loads(context, backend, endpoint)]
            for load in loads:
                load.wait_steady()
            pids = [load.pid for load in loads]
            before = Sample.take(endpoint, pids, backend)
            time.sleep(max(0.0, before.time_s + self._window_s(context) - time.time()))
            after = Sample.take(endpoint, pids, backend)
            resident_kib = endpoint.resident_kib()
            window = merged([load.log() for load in loads]).window(before.time_s, after.time_s)
        figures = _load_figures(window, before, after)
        if endpoint.pid:
            figures |= proxy_figures(after.proxy - before.proxy, window.transactions,
                                     window.duration_s)
            figures["resident_kib"] = resident_kib
        figures["both_cpu_us_per_tx"] = (figures.get("cpu_us_per_tx", 0.0)
                                         + figures["postgres_cpu_us_per_tx"])
        figures["beside_cpu_us_per_tx"] = (figures["client_cpu_us_per_tx"]
                                           + figures["postgres_cpu_us_per_tx"])
        if self.script and self.script.name.startswith("bulk"):
            size = answer_bytes(backend, self.script)
            figures["gb_per_s"] = figures["tps"] * size / 1e9
            if endpoint.pid:
                figures["cpu_s_per_gb"] = figures["cpu_us_per_tx"] / size * 1e3
        return Measured(figures, endpoint.note)

    def _window_s(self, context: Context) -> float:
        return max(self.window_min_s, context.window_s)

    def _loads(self, context: Context, backend: Backend, endpoint: Endpoint) -> list[Pgbench]:
        """One pgbench, or one for each port with its share of the clients."""
        ports = endpoint.ports or (endpoint.port,)
        clients = max(1, self.clients // len(ports))
        threads = max(1, self.client_threads // len(ports))
        arguments = [*self.arguments, "-c", str(clients), "-j", str(threads)]
        if self.script:
            arguments += ["-f", str(self.script)]
        duration_s = math.ceil(self._window_s(context) + 2) + (len(ports) - 1)
        return [Pgbench(backend, endpoint, arguments, duration_s, self.tls, port) for port in ports]
