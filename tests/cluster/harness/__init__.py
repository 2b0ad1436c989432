"""A PostgreSQL cluster and a pgweir in front of it, for tests and for `./dev demo`.

    with Cluster(replicas=2) as cluster, Pgweir(cluster, pool_mode="transaction") as pgweir:
        pgweir.rows("select 1")

Everything runs in temporary directories on ports of its own, so any number of runs may go side by side,
and is gone when the process is, however it ends. Nothing here sleeps to wait for something: `eventually`
asks again until a deadline.
"""
from .pooler import Direct, Pgweir
from .postgres import Cluster, Node
from .processes import Process, Workdir, eventually
from .wire import ConnectionClosed, Message, ServerError, Wire

__all__ = ["Cluster", "ConnectionClosed", "Direct", "Message", "Node", "Pgweir", "Process", "ServerError",
           "Wire", "Workdir", "eventually"]
