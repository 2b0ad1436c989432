"""The lines between pgweir and the nodes: a relay for each (bench_stub), which can be stopped. Then packets are lost, as
it looks from either end, and nobody is told."""
import os
import shutil
import signal
from pathlib import Path

from harness.pooler import PROGRAM
from harness.processes import Port, Process, can_run, eventually
from harness.wire import Wire

STUB = Path(os.environ.get("PGWEIR_BENCH_STUB", PROGRAM.parent / "bench_stub"))


class Line:
    """What split_toml() takes for a node."""

    host = "127.0.0.1"

    def __init__(self, node, folder):
        self.node, self.name = node, node.name
        self._port = Port()
        self.port = self._port.number
        program = STUB
        if not can_run(program):
            program = folder / "relay"
            if not program.exists():
                shutil.copy(STUB, program)
                os.chmod(program, 0o755)
        self.process = Process([program, "relay", self.port, node.port], log=folder / f"line-{node.name}.log",
                               cwd=folder, stop_signal=signal.SIGKILL)
        eventually(lambda: Wire(self.port).close() is None, what="the relay")

    def cut(self):
        self.process.signal(signal.SIGSTOP)

    def mend(self):
        self.process.signal(signal.SIGCONT)

    def close(self):
        self.process.close()
        self._port.close()


class Lines:
    """A cluster's nodes, each at the end of its line."""

    def __init__(self, cluster):
        self.nodes = [Line(node, cluster.workdir.path) for node in cluster.nodes]

    def to(self, node):
        return next(line for line in self.nodes if line.node is node)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for line in self.nodes:
            line.close()
