"""Resident memory of idle connections: clients that are logged in, servers that wait in the pool.

Both are differences between two counts in one process, so that the program itself, its first
buffers and its tables do not count.
"""

from __future__ import annotations

import resource
import ssl
import time
from contextlib import ExitStack
from dataclasses import dataclass

from harness import wire
from harness.backends import DATABASE, Backend
from harness.errors import Unsupported
from harness.stub import Load
from harness.targets import LOOPBACK, Endpoint, Settings, Target
from harness.workload import Column, Context, Figures, Measured

_CLIENTS_BEFORE = 100         # logged in before the first reading
_CLIENTS_OF_LOAD = 15000      # of one process of the load
_DESCRIPTORS_SPARE = 600      # of a proxy, beside its clients'
_SERVERS_BEFORE = 5
_SERVERS = 100
_SETTLE_S = 1.0               # for what frees memory from a timer


def _resident_kib(endpoint: Endpoint) -> float:
    time.sleep(_SETTLE_S)
    if endpoint.pid is None:
        raise Unsupported("no proxy")
    return endpoint.resident_kib()


class _Clients:
    """Logged-in connections. Resource: its ExitStack closes them."""

    def __init__(self, stack: ExitStack, endpoint: Endpoint, backend: Backend,
                 tls: bool = False) -> None:
        self._stack = stack
        self._port = endpoint.port
        self._user = backend.user
        self._context = ssl.create_default_context() if tls else None
        if self._context:
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        self.all: list[wire.Connection] = []

    def log_in(self, count: int) -> None:
        """So many more."""
        for _ in range(count):
            connection = wire.Connection(self._port, self._user, DATABASE, tls=self._context)
            self._stack.callback(connection.close)
            self.all.append(connection)


class _Crowd:
    """As many clients as several processes of the load can hold. Resource: its ExitStack ends them."""

    def __init__(self, stack: ExitStack, endpoint: Endpoint, backend: Backend, count: int) -> None:
        loads = -(-count // _CLIENTS_OF_LOAD)
        self._loads = [stack.enter_context(Load(backend, endpoint, hosts=len(LOOPBACK)))
                       for _ in range(loads)]

    def log_in(self, total: int) -> None:
        """Until there are so many, spread evenly."""
        for number, load in enumerate(self._loads):
            share = total * (number + 1) // len(self._loads) - total * number // len(self._loads)
            load.command(f"login {share}", 300.0)

    def ask_once(self, within_s: float) -> Figures:
        """Each client asks once, evenly over that time."""
        for load in self._loads:
            load.send(f"once {within_s:g}")
        reports = [load.answer(within_s + 120.0) for load in self._loads]
        return {"once_p50_us": max(report["p50"] for report in reports),
                "once_p99_us": max(report["p99"] for report in reports),
                "once_max_us": max(report["max"] for report in reports),
                "once_s": max(report["seconds"] for report in reports)}


def _processes_for(clients: int) -> int:
    """Of a proxy, as far as this machine's limit of open files goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > clients + _DESCRIPTORS_SPARE:
        return 1
    return -(-clients // max(1, hard * 9 // 10 - _DESCRIPTORS_SPARE))   # the kernel shares unevenly


@dataclass(frozen=True)
class IdleClients:
    """KiB of the proxy for each client that is logged in and does nothing. A value."""

    name: str
    text: str
    count: int
    tls: bool = False
    once_s: float = 0.0           # then each asks once, evenly over that time
    quick_count: int = 0          # with --quick; 0: as many
    targets: tuple[str, ...] = ("haproxy", "pgbouncer", "pgweir", "pgweir-2")
    group: str = "memory"
    columns: tuple[Column, ...] = (
        Column("client_kib", "KiB/client", 3),
        Column("queried_client_kib", "after a query", 3),
        Column("clients", "clients", 0),
        Column("empty_kib", "RSS KiB empty", 0),
        Column("resident_kib", "RSS KiB", 0),
        Column("login_s", "log-ins s", 2),
        Column("once_p50_us", "query p50 µs", 0),
        Column("once_p99_us", "p99", 0),
        Column("once_max_us", "max", 0),
        Column("processes", "processes", 0),
    )
    ratio_figure: str = "client_kib"
    needs: tuple[str, ...] = ()
    once: bool = True

    def measure(self, context: Context, target: Target) -> Measured:
        """Log in, wait, read; then a query from each, wait, read."""
        extra = self.quick_count if context.quick and self.quick_count else self.count
        backend = context.backends.get("stub")
        processes = _processes_for(extra)
        settings = Settings(clients=extra + _CLIENTS_BEFORE, tls=self.tls, processes=processes,
                            hosts=1 if self.tls or target.name == "haproxy" else len(LOOPBACK))
        with target.running(backend, settings) as endpoint, ExitStack() as stack:
            empty_kib = _resident_kib(endpoint)
            clients = (_Clients(stack, endpoint, backend, self.tls)
                       if settings.hosts == 1 else _Crowd(stack, endpoint, backend, extra))
            clients.log_in(_CLIENTS_BEFORE)
            few_kib = _resident_kib(endpoint)
            began_s = time.monotonic()
            clients.log_in(extra if settings.hosts == 1 else extra + _CLIENTS_BEFORE)
            login_s = time.monotonic() - began_s
            many_kib = _resident_kib(endpoint)
            if isinstance(clients, _Crowd):
                figures = clients.ask_once(self.once_s or 2.0)
            else:
                figures = {}
                for connection in clients.all:
                    connection.query("SELECT 1")
            queried_kib = _resident_kib(endpoint)
        client_kib = (many_kib - few_kib) / extra
        figures |= {"client_kib": client_kib, "idle_kib": client_kib,
                    "queried_client_kib": (queried_kib - few_kib) / extra,
                    "clients": float(extra), "empty_kib": empty_kib, "resident_kib": many_kib,
                    "login_s": login_s, "processes": float(processes)}
        return Measured(figures, f"{processes} processes share the port" if processes > 1 else "")


@dataclass(frozen=True)
class IdleServers:
    """KiB of the proxy for each server connection that waits in the pool. A value."""

    name: str = "idle-servers"
    group: str = "memory"
    text: str = f"memory per idle server connection (pool of {_SERVERS})"
    columns: tuple[Column, ...] = (
        Column("server_kib", "KiB/server", 3),
        Column("resident_kib", "RSS KiB", 0),
    )
    ratio_figure: str = "server_kib"
    targets: tuple[str, ...] = ("pgbouncer", "pgweir", "pgweir-2")
    needs: tuple[str, ...] = ()
    once: bool = True

    def measure(self, context: Context, target: Target) -> Measured:
        """Open transactions one after another, so that one buffer is in use at a time."""
        settings = Settings(clients=_SERVERS, pool_size=_SERVERS)
        with target.running(context.postgres, settings) as endpoint, ExitStack() as stack:
            clients = _Clients(stack, endpoint, context.postgres)
            clients.log_in(_SERVERS)
            for connection in clients.all:
                connection.query("SELECT 1")
            self._fill_pool(clients.all[:_SERVERS_BEFORE])
            few_kib = _resident_kib(endpoint)
            self._fill_pool(clients.all)
            many_kib = _resident_kib(endpoint)
        extra = _SERVERS - _SERVERS_BEFORE
        server_kib = (many_kib - few_kib) / extra
        return Measured({"server_kib": server_kib, "idle_kib": server_kib,
                         "resident_kib": many_kib})

    @staticmethod
    def _fill_pool(clients: list[wire.Connection]) -> None:
        for connection in clients:
            connection.query("BEGIN")
        for connection in clients:
            connection.query("COMMIT")


def memory_workloads() -> list[IdleClients | IdleServers]:
    """In the order they run and print."""
    proxies = ("pgbouncer", "pgweir", "pgweir-2")
    return [
        IdleClients("idle-clients", "memory per idle client (2000; quick: 1000)", 2000,
                    quick_count=1000),
        IdleClients("idle-1000", "1000 idle clients", 1000),
        IdleClients("idle-10000", "10 000 idle clients", 10000, targets=proxies),
        IdleClients("idle-50000", "50 000 idle clients, each of which asks once within a minute",
                    50000, once_s=60.0, targets=proxies),
        IdleClients("idle-tls-1000", "1000 idle clients by TLS", 1000, tls=True, targets=proxies),
        IdleClients("idle-tls-10000", "10 000 idle clients by TLS", 10000, tls=True,
                    targets=proxies),
        IdleServers(),
    ]
