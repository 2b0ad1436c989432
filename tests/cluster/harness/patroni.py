"""A cluster that Patroni looks after: etcd, and three nodes each with its Patroni."""
import json
import os
import shutil
import signal
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from .postgres import HBA, PASSWORDS, PG_BIN, SETTINGS, Node
from .processes import Port, Process, Workdir, children_of, eventually, write

PROGRAMS = ("etcd", "patroni")

CONFIG = """
scope: main
name: {name}
restapi: {{ listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}" }}
etcd3: {{ host: "127.0.0.1:{etcd}" }}
bootstrap:
  dcs:
    ttl: 5
    loop_wait: 1
    retry_timeout: 2
    maximum_lag_on_failover: 16777216
    primary_start_timeout: 0
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters: {parameters}
  initdb: [{{ encoding: UTF8 }}, {{ locale: C.UTF-8 }}, {{ auth: trust }}, no-sync]
postgresql:
  listen: "127.0.0.1:{port}"
  connect_address: "127.0.0.1:{port}"
  data_dir: {data}
  bin_dir: {bin}
  pgpass: {directory}/{name}.pgpass
  parameters: {{ unix_socket_directories: "{directory}" }}
  pg_hba: {hba}
  authentication:
    superuser: {{ username: postgres, password: postgres-secret }}
    replication: {{ username: postgres, password: postgres-secret }}
    rewind: {{ username: postgres, password: postgres-secret }}
"""

# What Patroni sets itself, or must not be told.
OWN_PARAMETERS = ("listen_addresses", "hot_standby", "wal_log_hints")


class PatroniNode(Node):
    """Started and stopped by its Patroni."""

    def __init__(self, directory, name, etcd):
        super().__init__(directory, name)
        self._rest = Port()
        self.url = f"http://127.0.0.1:{self._rest.number}"
        parameters = {key: value.strip("'") for key, value in SETTINGS.items() if key not in OWN_PARAMETERS}
        hba = [" ".join(line.split()) for line in HBA.splitlines()]
        self.config = self.directory / f"{name}.yml"
        write(self.config, CONFIG.format(
            name=name, rest=self._rest.number, etcd=etcd, port=self.port, data=self.data, bin=PG_BIN,
            directory=self.directory, parameters=json.dumps(parameters), hba=json.dumps(hba)))

    def start(self, timeout=60):
        self.process = Process([shutil.which("patroni"), self.config], log=self.directory / f"{self.name}.log",
                               cwd=self.directory, stop_signal=signal.SIGINT, death_signal=signal.SIGTERM)

    def kill(self):
        """kill -9 of Patroni, PostgreSQL and all that belongs to them: the machine is gone."""
        pids, found = [], [self.process.pid]
        postmaster = self.data / "postmaster.pid"
        if postmaster.exists():
            found.append(int(postmaster.read_text(encoding="ascii").split()[0]))
        while found:
            pids.append(found.pop())
            found += children_of(pids[-1])
        self._signal_all(pids, signal.SIGKILL)
        self.process.wait()

    def close(self):
        if self.process:
            if self.process.alive:
                self.kill()
            self.process.close()
        self._rest.close()
        self._port.close()

    def ask(self, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data=data), timeout=60) as answer:
            return answer.read().decode()


class PatroniCluster:
    """Three nodes; who leads is Patroni's business."""

    def __init__(self, setup=""):
        self.workdir = Workdir()
        self.nodes, self.etcd = [], None
        self._ports = [Port(), Port()]
        try:
            client, peer = (f"http://127.0.0.1:{port.number}" for port in self._ports)
            self.etcd = Process([shutil.which("etcd"), "--data-dir", self.workdir.path / "etcd", "--name", "one",
                                 "--listen-client-urls", client, "--advertise-client-urls", client,
                                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                                 "--initial-cluster", f"one={peer}", "--unsafe-no-fsync"],
                                log=self.workdir.path / "etcd.log", cwd=self.workdir.path)
            self.nodes = [PatroniNode(self.workdir.path, f"node{n}", self._ports[0].number) for n in (1, 2, 3)]
            self.nodes[0].start()
            eventually(lambda: self.leader() is self.nodes[0], 60, "a first leader")
            for node in self.nodes[1:]:
                node.start()
            eventually(lambda: len(self.followers()) == 2, 90, "two replicas")
            self._make_users(setup)
        except BaseException:
            for node in self.nodes:
                if node.process:
                    print(f"--- {node.name}\n{node.process.log()[-3000:]}", file=sys.stderr)
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: node.close(), self.nodes))
        if self.etcd:
            self.etcd.close()
        for port in self._ports:
            port.close()
        self.workdir.close()

    def members(self):
        """Patroni's, by the port of their PostgreSQL."""
        for node in self.nodes:
            if not node.process or not node.process.alive:
                continue
            try:
                return {member["port"]: member for member in json.loads(node.ask("/cluster"))["members"]
                        if "port" in member}
            except OSError:
                continue
        return {}

    def leader(self):
        """The node that leads, None: there is none."""
        members = self.members()
        found = [node for node in self.nodes if members.get(node.port, {}).get("role") == "leader"
                 and members[node.port]["state"] == "running"]
        return found[0] if found else None

    def followers(self):
        members, leader = self.members(), self.leader()
        return [node for node in self.nodes if leader and members.get(node.port, {}).get("role") in
                ("replica", "sync_standby") and members[node.port]["state"] in ("running", "streaming")
                and members[node.port].get("timeline") == members[leader.port].get("timeline")]

    def synchronous(self):
        members = self.members()
        return [node for node in self.nodes if members.get(node.port, {}).get("role") == "sync_standby"]

    def _make_users(self, setup):
        with self.leader().connect() as link:
            link.execute("create database app")
            for user, password in PASSWORDS.items():
                if user != "postgres":
                    link.execute(f"create role {user} login password '{password}'")
            link.execute("grant pg_monitor to monitor")
            link.execute("alter database app owner to app")
        with self.leader().connect(dbname="app") as link:
            link.execute(setup)


def missing():
    """Why there cannot be such a cluster here; empty: there can."""
    if not os.environ.get("PGWEIR_TESTS_PATRONI"):
        return "takes a minute or two: PGWEIR_TESTS_PATRONI=1 runs it"
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    return f"not installed: {', '.join(absent)} (./dev packages patroni)" if absent else ""
