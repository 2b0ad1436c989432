"""What goes wrong in a soak, and what operators do meanwhile: one thing after the other, by a seed.

Each is a method of `Trouble` that leaves a cluster in which a primary and two replicas answer again. Names and
times are kept for the report.
"""
import os
import random
import signal
import subprocess
import threading
import time

from harness import eventually
from harness.postgres import PG_BIN
from harness.processes import run, write


class Trouble:
    """Chooses what happens next; `pause` is the mean time in between, in seconds. For the main thread: processes
    that are started end with the thread that started them."""

    def __init__(self, cluster, lines, proxy, authority, seed, pause, only=None):
        self.cluster = cluster
        self.lines = lines
        self.proxy = proxy
        self.authority = authority
        self.primary = cluster.primary
        self.luck = random.Random(f"{seed}/trouble")
        self.pause = pause
        self.done = []  # (seconds since the start, name)
        self.pool_size = 20
        self.began = time.monotonic()
        every = (self.backends_ended, self.replica_restarted, self.replica_hangs, self.replica_lags,
                 self.configuration_reloaded, self.handed_over, self.certificate_changed, self.paused,
                 self.reconnected, self.primary_hangs, self.primary_killed, self.switched_over, self.replica_cut_off,
                 self.primary_cut_off, self.primary_replaced_behind_a_cut)
        self.ways = [way for way in every if not only or way.__name__ in only]

    def run(self, seconds):
        bag = []
        while time.monotonic() - self.began < seconds:
            time.sleep(self.luck.uniform(0.5, 1.5) * self.pause)  # nothing is waited for: the load goes on
            if not bag:  # each of them in every round
                bag = self.luck.sample(self.ways, len(self.ways))
            way = bag.pop()
            if way == self.handed_over and time.monotonic() - self.began > seconds / 2:
                continue  # the process that is there then is watched to the end
            self.done.append((time.monotonic() - self.began, way.__name__))
            way()

    # ---- the cluster

    @property
    def replicas(self):
        return [node for node in self.cluster.nodes if node is not self.primary]

    def backends_ended(self):
        node = self.luck.choice(self.cluster.nodes)
        node.rows("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app' and random() < 0.3")

    def replica_restarted(self):
        node = self.luck.choice(self.replicas)
        node.kill()
        node.start()
        self.streaming()

    def replica_hangs(self):
        node = self.luck.choice(self.replicas)
        node.freeze()
        time.sleep(2)
        node.thaw()

    def replica_lags(self):
        node = self.luck.choice(self.replicas)
        node.rows("select pg_wal_replay_pause()")
        time.sleep(2)
        node.rows("select pg_wal_replay_resume()")

    def primary_hangs(self):
        self.primary.freeze()
        time.sleep(1.5)
        self.primary.thaw()

    def primary_killed(self):
        """kill -9; the replica that has most is promoted, the old primary comes back as a replica."""
        lost = self.primary
        lost.kill()
        self.follow(lost, self.most_advanced())

    def switched_over(self):
        """The primary ends as it should, and another takes its place."""
        lost = self.primary
        chosen = self.luck.choice(self.replicas)
        lost.stop("fast")
        self.follow(lost, chosen)

    def most_advanced(self):
        return max(self.replicas, key=lambda node: node.value("select pg_last_wal_receive_lsn() - '0/0'::pg_lsn"))

    def replica_cut_off(self):
        line = self.lines.to(self.luck.choice(self.replicas))
        line.cut()
        time.sleep(self.luck.uniform(0.5, 3))
        line.mend()

    def primary_cut_off(self):
        line = self.lines.to(self.primary)
        line.cut()
        time.sleep(self.luck.uniform(0.5, 3))
        line.mend()

    def primary_replaced_behind_a_cut(self):
        """pgweir does not see the old primary while another is promoted; then it is there again, and takes writes."""
        lost, line = self.primary, self.lines.to(self.primary)
        line.cut()
        chosen = self.most_advanced()
        chosen.promote()
        time.sleep(1)
        line.mend()
        time.sleep(2)
        [other] = [node for node in self.replicas if node is not chosen]
        other.stop("fast")  # it has followed the old primary beyond where the new one began
        lost.stop("fast")
        self.follow(lost, chosen, other)

    def follow(self, lost, chosen, strayed=None):
        """The others follow `chosen`, which is promoted; `lost` and `strayed` have ended, and have what it has not."""
        if not chosen.is_primary():
            chosen.promote()
        self.primary = chosen
        for node in self.replicas:
            conninfo = f"host=127.0.0.1 port={chosen.port} user=postgres application_name={node.name}"
            if node in (lost, strayed):
                self.rewind(node, conninfo)
            else:
                node.rows(f"alter system set primary_conninfo = '{conninfo}'")
                node.rows("select pg_reload_conf()")
        self.streaming()

    def rewind(self, node, conninfo):
        self.primary.rows("checkpoint")  # until then pg_rewind takes it for what it was before
        state = run([PG_BIN / "pg_controldata", node.data], cwd=self.cluster.workdir.path)
        if "shut down" not in state:  # pg_rewind wants a clean end
            node.start()  # no replica that has strayed: that finds its timeline ended before where it is, and gives up
            node.stop("fast")
        source = f"host=127.0.0.1 port={self.primary.port} user=postgres dbname=postgres"
        run([PG_BIN / "pg_rewind", "-D", node.data, f"--source-server={source}", "--no-sync"],
            cwd=self.cluster.workdir.path)
        write(node.data / "standby.signal", "")
        with open(node.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
            conf.write(f"primary_conninfo = '{conninfo}'\n")
        node.start()

    def streaming(self):
        eventually(lambda: self.primary.value("select count(*) from pg_stat_replication"
                                              " where state = 'streaming'") == 2, 90, "two replicas stream")

    # ---- pgweir

    def configuration_reloaded(self):
        before, self.pool_size = self.pool_size, self.luck.choice((12, 20, 28))
        text = self.proxy.config.read_text(encoding="utf-8")
        write(self.proxy.config, text.replace(f"size = {before}\n", f"size = {self.pool_size}\n"))
        self.proxy.reload()

    def handed_over(self):
        """The next process takes over with -R; the one before has a while to let its last clients go."""
        before = self.proxy.restart()
        try:
            before.wait(30)
        except subprocess.TimeoutExpired:
            before.stop(signal.SIGINT, 30)

    def certificate_changed(self):
        self.authority.certificate("localhost", names=["DNS:localhost", "IP:127.0.0.1"])
        self.proxy.reload()

    def paused(self):
        self.proxy.console("pause app")
        time.sleep(0.5)
        self.proxy.console("resume app")

    def reconnected(self):
        self.proxy.console("reconnect")


class Watch(threading.Thread):
    """Looks at the program once a second: (seconds, process id, resident KiB, descriptors, ms that the console
    takes, clients that wait)."""

    def __init__(self, proxy):
        super().__init__(name="watch", daemon=True)
        self.proxy = proxy
        self.ending = threading.Event()
        self.samples = []
        self.began = time.monotonic()

    def run(self):
        while not self.ending.wait(1):
            try:
                asked = time.monotonic()
                pools = self.proxy.console("show pools")
                took_ms = (time.monotonic() - asked) * 1000
                pid = self.proxy.pid
                self.samples.append((asked - self.began, pid, self.proxy.rss_kib(),
                                     len(os.listdir(f"/proc/{pid}/fd")), took_ms,
                                     sum(int(row["cl_waiting"]) for row in pools)))
            except (OSError, RuntimeError, ValueError):
                continue  # between two processes
