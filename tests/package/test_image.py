"""The last stage of deploy/docker/Dockerfile, built by its own lines in a fresh Debian 12: there is no Docker here."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cluster"))

# pylint: disable=wrong-import-position
from harness import Cluster, Wire, eventually  # noqa: E402
from harness.postgres import PASSWORDS  # noqa: E402
from harness.processes import Port  # noqa: E402
from machine import TARBALL, Machine, Unavailable, base_system  # noqa: E402

PACKAGE = Path(os.environ.get("PGWEIR_PACKAGE", "/nowhere"))
READ_ONLY = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
mount -t proc proc "$1/proc"
root=$1
user=$2
shift 2
exec chroot --userspec="$user" --groups= "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin "$@"
"""


def last_stage():
    """[(instruction, its text)…]"""
    text = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    starts = [at for at, line in enumerate(lines) if line[0] == "FROM"]
    return [(name, rest.strip()) for name, rest in lines[starts[-1]:]]


def the(instruction):
    found = [text for name, text in last_stage() if name == instruction]
    assert len(found) == 1, instruction
    return found[0]


@pytest.fixture(scope="module")
def image():
    """Its files."""
    try:
        made = Machine(base_system(TARBALL))
    except Unavailable as reason:
        pytest.skip(str(reason))
    try:
        for name, text in last_stage():
            if name == "RUN":
                made.chroot("sh", "-ec", text)
            if name == "COPY":
                copy(made, text.split())
        yield made
    finally:
        made.close()


def copy(machine, words):
    options = dict(word.lstrip("-").split("=", 1) for word in words if word.startswith("--"))
    source, target = [word for word in words if not word.startswith("--")]
    file = PACKAGE if "from" in options else ROOT / source
    target = machine.root / target.lstrip("/")
    if target.is_dir():
        target = target / file.name
    shutil.copy(file, target)
    if "chmod" in options:
        target.chmod(int(options["chmod"], 8))


class Container:
    """A process with the image's files, read-only, and with its user, environment and entrypoint, as process 1."""

    def __init__(self, image, arguments=(), **variables):
        self.port = Port()
        self.http = Port()
        self.image = image
        self.environment = dict(word.split("=", 1) for word in the("ENV").split())
        self.environment |= {"PGBOUNCER_PORT": str(self.port.number), "PGBOUNCER_LISTEN_ADDRESS": "127.0.0.1",
                             "PGWEIR_ADMIN_HTTP": f"127.0.0.1:{self.http.number}", **variables}
        self.log = image.directory / "container.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", *self._command(json.loads(the("ENTRYPOINT"))),
                 *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def _command(self, words):
        return ["sh", "-c", READ_ONLY, "sh", str(self.image.root), the("USER"),
                *(f"{name}={value}" for name, value in self.environment.items()), *words]

    def connect(self):
        if self.process.poll() is not None:
            raise ProcessLookupError(self.log.read_text(errors="replace"))
        return Wire.open(self.port.number, user="scram_user", dbname="app", password=PASSWORDS["scram_user"])

    def is_healthy(self):
        command = json.loads(the("HEALTHCHECK").split("CMD", 1)[1])
        return subprocess.run(["unshare", "--mount", *self._command(command)], check=False, timeout=30,
                              capture_output=True).returncode == 0

    def stop(self):
        """As Docker does; the exit code."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        os.kill(int(children.split()[0]), getattr(signal, the("STOPSIGNAL")))
        return self.process.wait(30)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.port.close()
        self.http.close()


@pytest.fixture(scope="module")
def container(image):
    with Cluster(replicas=0) as cluster:
        made = Container(image, POSTGRESQL_HOST=cluster.primary.host, POSTGRESQL_PORT=str(cluster.primary.port),
                         POSTGRESQL_USERNAME="scram_user", POSTGRESQL_PASSWORD=PASSWORDS["scram_user"])
        try:
            eventually(lambda: made.connect().close() or True, 60, "the container")
            yield made
        finally:
            made.close()


def test_serves(container):
    with container.connect() as wire:
        assert wire.rows("select current_user") == [("scram_user",)]


def test_is_nobody(container):
    children = Path(f"/proc/{container.process.pid}/task/{container.process.pid}/children").read_text(encoding="ascii")
    status = Path(f"/proc/{children.split()[0]}/status").read_text(encoding="ascii")
    assert re.search(r"^Uid:\s+65532\s+65532\s+65532\s+65532$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NSpid:\s+\d+\s+1$", status, re.MULTILINE)


def test_healthcheck(container):
    eventually(container.is_healthy, 30, "health")


def test_stops(container):
    """Last: process 1 obeys, at once as no transaction is open."""
    assert container.stop() == 0
    assert not container.is_healthy()
