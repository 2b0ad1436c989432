"""Resident memory of idle connections: clients that are logged in, servers that wait in the pool.

Both are differences between two counts in one process, so that the program itself, its first
buffers and its tables do not count.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass

from harness import procfs, wire
from harness.errors import Unsupported
from harness.postgres import CONNECTIONS_MAX, DATABASE, Postgres
from harness.targets import Endpoint, Settings, Target
from harness.workload import Column, Context, Measured

_CLIENTS_BEFORE = 100         # logged in before the first reading
_SERVERS_BEFORE = 5
_SERVERS = 100
_SETTLE_S = 1.0               # for what frees memory from a timer


def _resident_kib(endpoint: Endpoint) -> float:
    time.sleep(_SETTLE_S)
    if endpoint.pid is None:
        raise Unsupported("no proxy")
    return procfs.resident_kib(endpoint.pid)


class _Clients:
    """Logged-in connections. Resource: its ExitStack closes them."""

    def __init__(self, stack: ExitStack, endpoint: Endpoint, postgres: Postgres) -> None:
        self._stack = stack
        self._port = endpoint.port
        self._user = postgres.user
        self.all: list[wire.Connection] = []

    def log_in(self, count: int) -> None:
        """So many more."""
        for _ in range(count):
            connection = wire.Connection(self._port, self._user, DATABASE)
            self._stack.callback(connection.close)
            self.all.append(connection)


@dataclass(frozen=True)
class IdleClients:
    """KiB of the proxy for each client that is logged in and does nothing. A value."""

    name: str = "idle-clients"
    group: str = "memory"
    text: str = "memory per idle logged-in client (2000; quick: 1000), fresh and after a query"
    columns: tuple[Column, ...] = (
        Column("client_kib", "KiB/client", 3),
        Column("queried_client_kib", "after a query", 3),
        Column("clients", "clients", 0),
        Column("resident_kib", "RSS KiB", 0),
    )
    ratio_figure: str = "client_kib"
    targets: tuple[str, ...] = ("haproxy", "pgbouncer", "pgweir", "pgweir-2")
    needs: tuple[str, ...] = ()
    once: bool = True

    def measure(self, context: Context, target: Target) -> Measured:
        """Log in, wait, read; then a query from each, wait, read."""
        extra = 1000 if context.quick else 2000
        if target.name == "haproxy":      # every client of it is a PostgreSQL process
            extra = CONNECTIONS_MAX - 100 - _CLIENTS_BEFORE
        settings = Settings(clients=extra + _CLIENTS_BEFORE)
        with target.running(context.postgres, settings) as endpoint, ExitStack() as stack:
            clients = _Clients(stack, endpoint, context.postgres)
            clients.log_in(_CLIENTS_BEFORE)
            few_kib = _resident_kib(endpoint)
            clients.log_in(extra)
            many_kib = _resident_kib(endpoint)
            for connection in clients.all:
                connection.query("SELECT 1")
            queried_kib = _resident_kib(endpoint)
        return Measured({"client_kib": (many_kib - few_kib) / extra,
                         "idle_kib": (many_kib - few_kib) / extra,
                         "queried_client_kib": (queried_kib - few_kib) / extra,
                         "clients": float(extra), "resident_kib": many_kib})


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
