"""pgpool: a process for each client, session pooling; it splits reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import processes
from harness.backends import Backend
from harness.errors import Unsupported
from harness.targets import Endpoint, Settings, fresh_folder, started, wait_for_login

_CLIENTS_MAX = 250            # each is a process and a server connection


class Pgpool:
    """Debian's pgpool2."""

    name = "pgpool"

    def __init__(self, path: Path = Path("/usr/sbin/pgpool")) -> None:
        self._path = path

    def version(self) -> str:
        """It says it on stderr."""
        return "pgpool-II of Debian" if self._path.exists() else "not installed"

    def _configuration(self, backend: Backend, settings: Settings, folder: Path, port: int) -> str:
        splits = bool(backend.ports)
        values = {
            "listen_addresses": "'127.0.0.1'",
            "port": str(port),
            "socket_dir": f"'{folder}'",
            "pcp_port": str(processes.free_port()),
            "pcp_socket_dir": f"'{folder}'",
            "pid_file_name": f"'{folder}/pgpool.pid'",
            "logdir": f"'{folder}'",
            "backend_clustering_mode": "'streaming_replication'" if splits else "'raw'",
            "load_balance_mode": "on" if splits else "off",
            "statement_level_load_balance": "on",
            "sr_check_period": "10" if splits else "0",
            "sr_check_user": f"'{backend.user}'",
            "health_check_period": "0",
            "num_init_children": str(settings.clients + 8),
            "max_pool": "1",
            "child_life_time": "0",
            "enable_pool_hba": "off",
            "pool_passwd": "''",
            "log_min_messages": "error",
            "ssl": "on" if settings.tls or settings.tls_servers else "off",
            "ssl_key": f"'{folder}/server.key'",
            "ssl_cert": f"'{folder}/server.crt'",
        }
        for number, backend_port in enumerate(backend.ports or (backend.port,)):
            host = backend.folder if settings.unix else "127.0.0.1"
            values[f"backend_hostname{number}"] = f"'{host}'"
            values[f"backend_port{number}"] = str(backend_port)
            values[f"backend_weight{number}"] = "1"
            values[f"backend_flag{number}"] = "'DISALLOW_TO_FAILOVER'"
        return "".join(f"{name} = {value}\n" for name, value in values.items())

    @contextmanager
    def running(self, backend: Backend, settings: Settings) -> Iterator[Endpoint]:
        """Errors: BenchError when it does not start, Unsupported."""
        if settings.auth != "trust" or settings.wrapper or settings.processes > 1:
            raise Unsupported("not set up for that here")
        if settings.clients > _CLIENTS_MAX:
            raise Unsupported("a process for each client")
        if not self._path.exists():
            raise Unsupported("not installed")
        folder, port = fresh_folder(backend, self.name), processes.free_port()
        if settings.tls or settings.tls_servers:
            processes.make_certificate(folder)
        (folder / "pgpool.conf").write_text(self._configuration(backend, settings, folder, port))
        for name in ("pcp.conf", "pool_hba.conf"):
            (folder / name).write_text("")
        argv = [str(self._path), "-n", "-f", "pgpool.conf", "-F", "pcp.conf", "-a", "pool_hba.conf"]
        with started(self.name, argv, folder) as daemon:
            wait_for_login(daemon, backend, port, settings)
            yield Endpoint(port, (daemon.pid,), "session mode", daemon,
                           str(folder) if settings.unix else "127.0.0.1", family=True)
