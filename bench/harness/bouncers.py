"""PgBouncer, pgweir, and programs like them: what takes a pgbouncer.ini."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness import processes, procfs, secrets
from harness.backends import DATABASE, Backend
from harness.errors import BenchError, Unsupported
from harness.targets import LOOPBACK, Endpoint, Settings, fresh_folder, started, wait_for_login


class Bouncer:
    """PgBouncer, pgweir, or any program that takes a pgbouncer.ini."""

    def __init__(self, name: str, path: Path, threads: int | None = None,
                 companion: str = "", count: int = 1) -> None:
        self.name = name
        self.path = path
        self._threads = threads    # written to the companion file; None: there is no such file
        self._companion = companion     # what else that file says
        self._count = count        # processes that share the port, at least
        self._version = "not run"
        self._copy: Path | None = None

    def version(self) -> str:
        return self._version

    def _program(self, backend: Backend) -> Path:
        if self._copy is None:
            self._copy = processes.copy_program(self.path, backend.folder / "programs")
            said = processes.run_once([str(self._copy), "--version"], backend.folder, 5.0)
            self._version = said.partition("\n")[0]
        return self._copy

    def _knows_prepared(self) -> bool:
        found = re.match(r"PgBouncer (\d+)\.(\d+)", self._version)
        if found is None:
            return self._threads is not None
        return (int(found[1]), int(found[2])) >= (1, 21)

    def ini(self, backend: Backend, port: int, settings: Settings, session_mode: bool) -> str:
        """The configuration: the same text for every program, but for what a version lacks."""
        server = backend.folder if settings.unix else "127.0.0.1"
        lines = [
            "[databases]",
            f"{DATABASE} = host={server} port={backend.port} dbname={DATABASE}",
            "[pgbouncer]",
            f"listen_addr = {','.join(LOOPBACK[:settings.hosts])}",
            f"listen_port = {port}",
            f"unix_socket_dir = {'.' if settings.unix else ''}",
            f"auth_type = {'trust' if settings.auth == 'trust' else 'scram-sha-256'}",
            "auth_file = userlist.txt",
            f"admin_users = {backend.user}",
            f"pool_mode = {'session' if session_mode else 'transaction'}",
            f"default_pool_size = {settings.pool_size}",
            f"max_client_conn = {settings.clients + 100}",
            "query_wait_timeout = 600",
            "ignore_startup_parameters = extra_float_digits",
            f"server_tls_sslmode = {'require' if settings.tls_servers else 'disable'}",
            "log_connections = 0",
            "log_disconnections = 0",
        ]
        if self._knows_prepared():
            lines.append("max_prepared_statements = 200")
        if self._processes(settings) > 1:
            lines.append("so_reuseport = 1")
        if settings.tls:
            lines += ["client_tls_sslmode = require", "client_tls_cert_file = server.crt",
                      "client_tls_key_file = server.key"]
        if self._splits(backend):
            del lines[1]             # the companion has it
        return "\n".join(lines) + "\n"

    def _processes(self, settings: Settings) -> int:
        return max(self._count, settings.processes)

    def _splits(self, backend: Backend) -> bool:
        return bool(backend.ports) and self._threads is not None

    def _companion_text(self, backend: Backend, settings: Settings, metrics_port: int) -> str:
        """What a pgbouncer.ini cannot say."""
        text = f"{self._companion}[workers]\nthreads = {self._threads}\n"
        if metrics_port:
            text += f'[admin]\nhttp = "127.0.0.1:{metrics_port}"\n'
        if self._splits(backend):
            nodes = ", ".join(f'{{ host = "127.0.0.1", port = {port} }}' for port in backend.ports)
            text += (f"[clusters.main]\nnodes = [{nodes}]\n[clusters.main.health]\n"
                     f'user = "{backend.user}"\n[clusters.main.failover]\n'
                     f'state_file = "{backend.folder}/targets/{self.name}/main.state"\n'
                     f'[databases.{DATABASE}]\ncluster = "main"\n')
        return text

    def _write_files(self, folder: Path, backend: Backend, port: int, settings: Settings,
                     session_mode: bool, metrics_port: int) -> None:
        secret = secrets.scram_secret() if settings.auth == "scram" else secrets.PASSWORD
        (folder / "userlist.txt").write_text(f'"{backend.user}" "{secret}"\n')
        if settings.tls:
            processes.make_certificate(folder)
        (folder / "bouncer.ini").write_text(self.ini(backend, port, settings, session_mode))
        if self._threads is not None:
            (folder / "bouncer.pgweir.toml").write_text(
                self._companion_text(backend, settings, metrics_port))

    @contextmanager
    def running(self, backend: Backend, settings: Settings) -> Iterator[Endpoint]:
        program = self._program(backend)
        session_mode = settings.prepared and not self._knows_prepared()
        if session_mode and settings.clients > settings.pool_size:
            raise Unsupported("no prepared statements in transaction mode")
        folder, port = fresh_folder(backend, self.name), processes.free_port()
        metrics_port = processes.free_port() if settings.metrics and self._threads else 0
        self._write_files(folder, backend, port, settings, session_mode, metrics_port)
        argv = [*settings.wrapper, str(program), "bouncer.ini"]
        with ExitStack() as stack:
            daemons = [stack.enter_context(started(f"{self.name}-{number}", argv, folder))
                       for number in range(self._processes(settings))]
            wait_for_login(daemons[0], backend, port, settings)
            if len(daemons) > 1:
                procfs.wait_for_listeners(port, len(daemons) * settings.hosts)
            note = "session mode" if session_mode else ""
            if backend.ports and not self._splits(backend):
                note = "the primary only"
            yield Endpoint(port, tuple(daemon.pid for daemon in daemons), note, daemons[0],
                           str(folder) if settings.unix else "127.0.0.1",
                           metrics_port=metrics_port)


def parse_programs(texts: list[str]) -> list[Bouncer]:
    """NAME=PATH options. A program whose file name starts with pgweir gets one thread."""
    programs = []
    for text in texts:
        name, separator, path = text.partition("=")
        if not separator or not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            raise BenchError(f"--program {text}: expected NAME=PATH")
        threads = 1 if Path(path).name.startswith("pgweir") else None
        programs.append(Bouncer(name, Path(path).resolve(), threads))
    return programs
