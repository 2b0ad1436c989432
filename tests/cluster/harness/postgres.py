"""A real PostgreSQL cluster: one primary and streaming replicas."""
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from .processes import Port, Process, Workdir, children_of, eventually, run, write
from .wire import Wire

PG_BIN = Path(os.environ.get("PGWEIR_PG_BIN", "/usr/lib/postgresql/15/bin"))

# Users every cluster has, with their passwords. How a user must log in over TCP goes by the name; over the
# Unix socket everybody is trusted.
PASSWORDS = {
    "postgres": "postgres-secret",
    "app": "app-secret",
    "other": "other-secret",
    "scram_user": "scram-secret",
    "md5_user": "md5-secret",
    "plain_user": "plain-secret",
    "monitor": "monitor-secret",
}

HBA = """\
local all         all                        trust
local replication all                        trust
host  all         scram_user   127.0.0.1/32  scram-sha-256
host  all         md5_user     127.0.0.1/32  md5
host  all         plain_user   127.0.0.1/32  password
host  all         all          127.0.0.1/32  trust
host  replication all          127.0.0.1/32  trust
"""

SETTINGS = {
    "fsync": "off",
    "shared_buffers": "32MB",
    "max_connections": "300",
    "max_wal_size": "2GB",
    "wal_level": "replica",
    "wal_log_hints": "on",  # so that pg_rewind can be used
    "wal_keep_size": "256MB",
    "max_wal_senders": "16",
    "max_prepared_transactions": "16",
    "hot_standby": "on",
    "hot_standby_feedback": "on",
    "listen_addresses": "'127.0.0.1'",
    "jit": "off",
    "log_line_prefix": "'%m [%p] %q%u@%d %a '",
    "password_encryption": "scram-sha-256",
}


class Node:
    """One PostgreSQL server. `start` and `stop` may alternate; the data stay until the cluster is closed."""

    host = "127.0.0.1"

    def __init__(self, directory, name):
        self.name = name
        self.directory = Path(directory)
        self.data = self.directory / name
        self._port = Port()
        self.process = None

    def __repr__(self):
        return f"<Node {self.name} port {self.port}>"

    @property
    def port(self):
        return self._port.number

    def start(self, timeout=60):
        self.process = Process(
            [PG_BIN / "postgres", "-D", self.data, "-p", self.port, "-k", self.directory,
             "-c", f"cluster_name={self.name}"],
            log=self.directory / f"{self.name}.log", cwd=self.directory,
            stop_signal=signal.SIGINT, death_signal=signal.SIGQUIT)

        def answers():
            if not self.process.alive:
                raise RuntimeError(f"{self.name} did not start:\n{self.process.log()[-4000:]}")
            return self.value("select true")

        eventually(answers, timeout, f"{self.name} accepting connections")

    def stop(self, mode="fast", timeout=60):
        """mode: smart (waits for clients), fast (ends them), immediate (as a crash)."""
        number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        return self.process.stop(number, timeout)

    def kill(self):
        """kill -9 of the postmaster and all its children: the machine is gone."""
        pids = [self.process.pid, *children_of(self.process.pid)]
        self._signal_all(pids, signal.SIGKILL)
        self.process.wait()

    def freeze(self):
        """The node hangs: connections stay open, nothing answers. Until thaw()."""
        self._signal_all([self.process.pid, *children_of(self.process.pid)], signal.SIGSTOP)

    def thaw(self):
        self._signal_all([self.process.pid, *children_of(self.process.pid)], signal.SIGCONT)

    @staticmethod
    def _signal_all(pids, number):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def close(self):
        if self.process:
            if self.process.alive:
                self.thaw()
                self.stop("immediate")
            self.process.close()
        self._port.close()

    # ---- talking to it

    def connect(self, user="postgres", dbname="postgres", **options):
        """A psycopg connection in autocommit mode."""
        return psycopg.connect(host=self.host, port=self.port, user=user, dbname=dbname,
                               password=PASSWORDS.get(user), autocommit=True, connect_timeout=10, **options)

    def wire(self, user="app", dbname="app", **options):
        """A raw protocol connection, logged in."""
        return Wire.open(self.port, user=user, dbname=dbname, password=PASSWORDS.get(user), **options)

    def rows(self, sql, parameters=None, **connection):
        """The result of one statement as tuples; [] when it has none."""
        with self.connect(**connection) as link:
            cursor = link.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def value(self, sql, parameters=None, **connection):
        return self.rows(sql, parameters, **connection)[0][0]

    def backends(self, where="true", **connection):
        """How many client backends match a condition on pg_stat_activity (our own aside)."""
        return self.value("select count(*) from pg_stat_activity where backend_type = 'client backend'"
                          f" and pid <> pg_backend_pid() and ({where})", **connection)

    # ---- replication

    def is_primary(self):
        return not self.value("select pg_is_in_recovery()")

    def lsn(self):
        """What it has written, or replayed when a replica."""
        return self.value("select case when pg_is_in_recovery() then pg_last_wal_replay_lsn()"
                          " else pg_current_wal_lsn() end::text")

    def has_replayed(self, lsn):
        return self.value("select pg_last_wal_replay_lsn() >= %s::pg_lsn", [lsn])

    def promote(self):
        self.rows("select pg_promote(true, 60)")
        eventually(self.is_primary, what=f"{self.name} promoted")


class Cluster:
    """A primary and its streaming replicas with the database `app` and the users of PASSWORDS.

    `primary` and `replicas` are the roles at the start; a test that moves them keeps its own account.
    """

    def __init__(self, replicas=2, settings=None, setup=""):
        self.workdir = Workdir()
        self.settings = {**SETTINGS, **(settings or {})}
        self.primary = Node(self.workdir.path, "primary")
        self.replicas = [Node(self.workdir.path, f"replica{n}") for n in range(1, replicas + 1)]
        try:
            self._make_primary(setup)
            with ThreadPoolExecutor() as pool:
                list(pool.map(self._copy_primary, self.replicas))
            for node in self.replicas:
                node.start()
            self.catch_up()
        except BaseException:
            self.close()
            raise

    @property
    def nodes(self):
        return [self.primary, *self.replicas]

    def close(self):
        for node in reversed(self.nodes):
            node.close()
        self.workdir.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def catch_up(self, timeout=30):
        """Waits until every replica has replayed what the primary has written by now."""
        lsn = self.primary.lsn()
        for node in self.replicas:
            eventually(lambda node=node: node.has_replayed(lsn), timeout, f"{node.name} at {lsn}")

    def _make_primary(self, setup):
        node = self.primary
        run([PG_BIN / "initdb", "-D", node.data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-A",
             "trust", "--no-sync", "--no-instructions"], cwd=self.workdir.path)
        write(node.data / "pg_hba.conf", HBA)
        with open(node.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.writelines(f"{name} = {value}\n" for name, value in self.settings.items())
        node.start()
        with node.connect() as link:
            link.execute("create database app")
            for user, password in PASSWORDS.items():
                encryption = "md5" if user == "md5_user" else "scram-sha-256"
                link.execute(f"set password_encryption = '{encryption}'")
                verb = "alter" if user == "postgres" else "create"
                link.execute(f"{verb} role {user} login password '{password}'")
            link.execute("grant pg_monitor to monitor")
            link.execute("alter database app owner to app")
        with node.connect(dbname="app") as link:
            link.execute("grant all on schema public to public")
            if setup:
                link.execute(setup)

    def _copy_primary(self, node):
        run([PG_BIN / "pg_basebackup", "-D", node.data, "-d",
             f"host={self.workdir.path} port={self.primary.port} user=postgres application_name={node.name}",
             "-R", "-X", "stream", "-c", "fast", "--no-sync"], cwd=self.workdir.path)
