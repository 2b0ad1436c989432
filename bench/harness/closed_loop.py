"""The workloads that `bench_stub load` drives: each client asks, waits for the answer, asks again.

The load costs less than pgbench does, and is as fair to 10 000 clients as to 16. With the stub as
backend what remains is the proxy and the kernel.
"""

from __future__ import annotations

import time
import urllib.request
from contextlib import nullcontext
from dataclasses import dataclass

from harness import wire
from harness.backends import Backend
from harness.errors import BenchError
from harness.futexes import FutexCount
from harness.steady import proxy_figures
from harness.stub import Load
from harness.targets import Endpoint, Settings, Target
from harness.workload import Column, Context, Figures, Measured

COLUMNS = (
    Column("tps", "tps", 0),
    Column("cpu_us_per_tx", "cpu µs", 2),
    Column("cpu_user_us_per_tx", "user", 2),
    Column("cpu_system_us_per_tx", "system", 2),
    Column("cpu_share", "cores", 2),
    Column("latency_mean_us", "mean µs", 0),
    Column("latency_p50_us", "p50", 0),
    Column("latency_p99_us", "p99", 0),
    Column("latency_p999_us", "p99.9", 0),
    Column("latency_p999_over_mean", "p99.9/mean", 2),
    Column("least_over_most", "least/most", 3),
    Column("switches_per_tx", "csw", 3),
    Column("futex_per_tx", "futex", 4),
    Column("resident_kib", "RSS KiB", 0),
    Column("console_ms", "SHOW POOLS ms", 1),
    Column("clients_ms", "SHOW CLIENTS ms", 1),
    Column("metrics_ms", "/metrics ms", 1),
)
_ROUNDS_MIN = 8               # answers a client should get, so that fairness can be seen
_WINDOW_MAX_S = 40.0
_PROBE_PAUSE_S = 0.5
_DRAIN_S = 60.0


class _Probes:
    """How long the console and the metrics take meanwhile; the worst of each. Resource."""

    def __init__(self, endpoint: Endpoint, backend: Backend) -> None:
        self._endpoint = endpoint
        self._console = wire.Connection(endpoint.port, backend.user, "pgbouncer")
        self.figures: Figures = {}

    def __enter__(self) -> _Probes:
        return self

    def __exit__(self, *_: object) -> None:
        self._console.close()

    def _worst(self, figure: str, began_s: float) -> None:
        took_ms = (time.monotonic() - began_s) * 1e3
        self.figures[figure] = max(took_ms, self.figures.get(figure, 0.0))

    def _ask(self, figure: str, command: str) -> None:
        began_s = time.monotonic()
        self._console.query(command)
        self._worst(figure, began_s)

    def look(self) -> None:
        """Once at each; SHOW CLIENTS, a row for each client, only the first time."""
        if not self.figures:
            self._ask("clients_ms", "SHOW CLIENTS")
        self._ask("console_ms", "SHOW POOLS")
        if self._endpoint.metrics_port:
            began_s = time.monotonic()
            address = f"http://127.0.0.1:{self._endpoint.metrics_port}/metrics"
            with urllib.request.urlopen(address, timeout=20.0) as answer:
                answer.read()
            self._worst("metrics_ms", began_s)


@dataclass(frozen=True)
class ClosedLoop:
    """One of them. A value."""

    name: str
    text: str
    clients: int
    pool_size: int
    protocol: str = "simple"
    backend: str = "stub"
    group: str = "stub"
    probes: bool = False          # the console and the metrics are asked meanwhile
    columns: tuple[Column, ...] = COLUMNS
    ratio_figure: str = "cpu_us_per_tx"
    targets: tuple[str, ...] = ("direct", "relay", "haproxy", "pgbouncer", "pgweir", "pgweir-2")
    needs: tuple[str, ...] = ()
    once: bool = False

    def measure(self, context: Context, target: Target) -> Measured:
        """Errors: BenchError, Unsupported."""
        backend = context.backends.get(self.backend)
        settings = Settings(self.clients, self.pool_size, prepared=self.protocol == "prepared",
                            metrics=self.probes)
        with (context.core(backend), target.running(backend, settings) as endpoint,
              Load(backend, endpoint, self.protocol) as load):
            login = load.command(f"login {self.clients}")
            load.command("run")
            window_s = self._warm_up(load, context.window_s)
            figures = self._window(endpoint, backend, load, window_s)
            load.command("stop", _DRAIN_S)
        figures["login_s"] = login["seconds"]
        return Measured(figures, endpoint.note)

    def _warm_up(self, load: Load, window_s: float) -> float:
        """How long to look: longer where a client's turn comes seldom."""
        time.sleep(1.0)
        load.command("reset")
        time.sleep(0.5)
        report = load.command("report")
        if not report["transactions"]:
            raise BenchError("nothing was answered")
        turn_s = self.clients / (report["transactions"] / report["seconds"])
        return max(window_s, min(turn_s * _ROUNDS_MIN, _WINDOW_MAX_S))

    def _window(self, endpoint: Endpoint, backend: Backend, load: Load,
                window_s: float) -> Figures:
        load.command("reset")
        before, began_s = endpoint.usage(), time.monotonic()
        probed: Figures = {}
        with FutexCount(endpoint.pids) if endpoint.pids else nullcontext() as futexes:
            if self.probes and endpoint.pid and not endpoint.family:
                with _Probes(endpoint, backend) as probes:
                    while time.monotonic() < began_s + window_s:
                        probes.look()
                        time.sleep(_PROBE_PAUSE_S)
                    probed = probes.figures
            time.sleep(max(0.0, began_s + window_s - time.monotonic()))
            report = load.command("report")
        used, took_s = endpoint.usage() - before, time.monotonic() - began_s
        tps = report["transactions"] / report["seconds"]
        figures = {"tps": tps, "transactions": float(report["transactions"]),
                   "least_over_most": report["least"] / max(1, report["most"]),
                   "latency_max_us": report["max"],
                   "latency_p999_over_mean": report["p999"] / report["mean"], **probed}
        for name in ("mean", "p50", "p95", "p99", "p999"):
            figures[f"latency_{name}_us"] = report[name]
        if endpoint.pid:
            figures |= proxy_figures(used, tps * took_s, took_s)
            figures["resident_kib"] = endpoint.resident_kib()
        if futexes and futexes.count is not None:
            figures["futex_per_tx"] = futexes.count / (tps * took_s)
        return figures


def closed_loop_workloads() -> list[ClosedLoop]:
    """In the order they run and print."""
    proxies = ("pgbouncer", "pgbouncer-x2", "pgweir", "pgweir-2")

    def scale(name: str, text: str, clients: int, servers: int, probes: bool = False,
              backend: str = "stub") -> ClosedLoop:
        return ClosedLoop(name, text, clients, servers, group="scale", probes=probes,
                          backend=backend, targets=proxies, ratio_figure="tps")

    return [
        ClosedLoop("stub-simple", "simple, 16 clients on 16 stub servers", 16, 16),
        ClosedLoop("stub-extended", "the same, extended (unnamed)", 16, 16, "extended"),
        ClosedLoop("stub-prepared", "the same, prepared", 16, 16, "prepared"),
        ClosedLoop("stub-simple-200", "simple, 200 clients on 16 stub servers", 200, 16,
                   targets=("relay", "pgbouncer", "pgbouncer-x2", "pgweir", "pgweir-2")),
        scale("scale-few", "64 clients on 4 stub servers", 64, 4),
        scale("scale-many", "64 clients on 64 stub servers", 64, 64),
        scale("scale-200", "200 clients on 20 stub servers", 200, 20, True),
        scale("scale-10000", "10 000 clients on 20 stub servers", 10000, 20, True),
        scale("overload-200", "200 clients on 20 servers of PostgreSQL", 200, 20, True,
              "postgres"),
        scale("overload-10000", "10 000 clients on 20 servers of PostgreSQL", 10000, 20, True,
              "postgres"),
    ]
