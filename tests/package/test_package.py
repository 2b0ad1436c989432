"""The Debian package: lintian, the manual pages, and its whole life in a fresh Debian 12 with systemd.

`./dev test-package` makes the package and runs this. The tests of the machine go in order, as an operator does.
"""
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cluster"))

# pylint: disable=wrong-import-position
from harness import Cluster, Wire, eventually  # noqa: E402
from harness.postgres import PASSWORDS  # noqa: E402
from machine import TARBALL, Machine, Unavailable, base_system, run  # noqa: E402

PACKAGE = Path(os.environ.get("PGWEIR_PACKAGE", "/nowhere"))
UNIT = "pgweir.service"
DROP_IN = "/etc/systemd/system/pgweir.service.d/test.conf"


@pytest.fixture(scope="module")
def machine():
    """With the package and what it depends on installed, and booted."""
    try:
        made = Machine(base_system(TARBALL))
    except Unavailable as reason:
        pytest.skip(str(reason))
    try:
        shutil.copy(PACKAGE, made.root / "pgweir.deb")
        made.chroot("apt-get", "-q", "update")
        made.chroot("apt-get", "-q", "-y", "install", "/pgweir.deb")
        made.boot()
        made.enter_network()
        yield made
    except Unavailable as reason:
        pytest.skip(str(reason))
    finally:
        made.close()


@pytest.fixture(scope="module")
def cluster(machine):
    """A PostgreSQL on the machine's loopback."""
    with Cluster(replicas=0) as made:
        yield made


def service(machine, *properties):
    """Properties of the unit, as text."""
    lines = machine.run("systemctl", "show", UNIT, *(f"--property={name}" for name in properties)).splitlines()
    return dict(line.split("=", 1) for line in lines)


def main_pid(machine):
    return int(service(machine, "MainPID")["MainPID"])


def is_up(machine):
    return service(machine, "ActiveState", "SubState") == {"ActiveState": "active", "SubState": "running"}


def status_of(machine):
    """/proc/PID/status of the main process."""
    text = machine.run("cat", f"/proc/{main_pid(machine)}/status")
    return dict(re.findall(r"^(\w+):\s+(.*)$", text, re.MULTILINE))


def connect(port=6432, **options):
    return Wire.open(port, user="scram_user", dbname="app", password=PASSWORDS["scram_user"], **options)


def say_unit(machine, text):
    """A drop-in of the administrator's."""
    machine.write(DROP_IN, text)
    machine.run("systemctl", "daemon-reload")


# ---------------------------------------------------------------------------- without a machine


def test_lintian():
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed")
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", str(PACKAGE)], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", ["pgweir.1", "pgweir.toml.5"])
def test_manual_pages(page):
    if not shutil.which("man"):
        pytest.skip("man is not installed")
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", ROOT / "docs/man" / page],
                          text=True, capture_output=True, check=False, env={**os.environ, "MANROFFSEQ": ""})
    assert (done.returncode, done.stderr) == (0, "")


def test_dependencies():
    """docs/dependencies.md names every package that this one asks for."""
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    asked = {part.split()[0] for part in run("dpkg-deb", "-f", PACKAGE, "Depends").split(", ")}
    assert "libssl3" in asked
    assert [name for name in sorted(asked) if name not in page] == []


def test_pages():
    """Every page of docs/, and the files of deploy/ that they link to."""
    there = set(run("dpkg-deb", "-c", PACKAGE).split())
    documents = "./usr/share/doc/pgweir/"
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert f"{documents}docs/{page.name}" in there
        for link in re.findall(r"\]\((?!\w+://)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert documents + os.path.normpath(f"docs/{link}") in there, f"{page.name}: {link}"


def test_version():
    """The package, its changelog and the program agree."""
    version = run("dpkg-deb", "-f", PACKAGE, "Version").strip()
    changelog = (ROOT / "deploy/debian/changelog").read_text(encoding="utf-8")
    assert changelog.startswith(f"pgweir ({version}) ")
    said = run(ROOT / "build/release/pgweir" if "PGWEIR_PROGRAM" not in os.environ else os.environ["PGWEIR_PROGRAM"],
               "--version")
    assert said.splitlines()[0].endswith(f"pgweir {version}")


# ---------------------------------------------------------------------------- in the machine


def test_starts_at_boot(machine):
    eventually(lambda: is_up(machine), 60, "the service")
    for file in ("pgweir.toml", "userlist.txt"):
        assert machine.run("stat", "-c", "%U:%G %a", f"/etc/pgweir/{file}") == "root:pgweir 640\n"
    assert machine.run("stat", "-c", "%U %a", "/run/pgweir/.s.PGSQL.6432").startswith("pgweir ")
    assert machine.run("getent", "passwd", "pgweir").strip().endswith(":/usr/sbin/nologin")
    assert "/etc/pgweir/pgweir.toml: ok" in machine.run("pgweir", "check", "/etc/pgweir/pgweir.toml")


def test_may_do_little(machine):
    status = status_of(machine)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert {status[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert "0" not in status["Uid"].split()
    soft, hard = re.search(r"Max open files +(\d+) +(\d+)",
                           machine.run("cat", f"/proc/{main_pid(machine)}/limits")).groups()
    ours = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # which some sandboxes do not let systemd raise
    assert soft == hard and int(soft) in (262144, ours)


def test_serves(machine, cluster):
    config = machine.root / "etc/pgweir/pgweir.toml"
    text = config.read_text(encoding="utf-8")
    text = text.replace('host = "/var/run/postgresql"\nport = 5432',
                        f'host = "127.0.0.1"\nport = {cluster.primary.port}')
    machine.write("/etc/pgweir/pgweir.toml", text)
    machine.write("/etc/pgweir/userlist.txt", f'"scram_user" "{PASSWORDS["scram_user"]}"\n')
    before = main_pid(machine)
    machine.run("systemctl", "reload", UNIT)

    def serves():
        with connect() as wire:
            return wire.rows("select current_user") == [("scram_user",)]

    eventually(serves, 30, "log-ins after the reload")
    assert main_pid(machine) == before


def test_watchdog(machine):
    """A program that hangs is started anew."""
    say_unit(machine, "[Service]\nWatchdogSec=3\n")
    machine.run("systemctl", "restart", UNIT)
    before = main_pid(machine)
    machine.run("sh", "-c", f"kill -STOP {before}")
    eventually(lambda: is_up(machine) and main_pid(machine) != before, 60, "another process")
    machine.run("systemctl", "reset-failed", UNIT)


def test_restart_that_nobody_notices(machine):
    """docs/restart.md: a reload that starts the program anew."""
    say_unit(machine, "[Service]\nExecReload=\nExecReload=/usr/bin/pgweir -R -d /etc/pgweir/pgweir.toml\n")
    config = machine.root / "etc/pgweir/pgweir.toml"
    text = config.read_text(encoding="utf-8").replace(
        "[listen]", '[log]\nfile = "/var/log/pgweir/pgweir.log"\n[workers]\npidfile = "/run/pgweir/pgweir.pid"\n\n[listen]', 1)
    machine.write("/etc/pgweir/pgweir.toml", text)
    assert ": ok" in machine.run("pgweir", "check", "/etc/pgweir/pgweir.toml")
    machine.run("systemctl", "restart", UNIT)
    before = main_pid(machine)
    with connect() as wire:
        wire.rows("set search_path to nowhere")
        machine.run("systemctl", "reload", UNIT)
        eventually(lambda: main_pid(machine) not in (0, before), 30, "the next process")
        eventually(lambda: not machine.run("sh", "-c", f"ls -d /proc/{before} || true"), 30, "the end of the first")
        assert wire.rows("show search_path") == [("nowhere",)]
    assert is_up(machine)
    machine.run("rm", DROP_IN)
    machine.run("systemctl", "daemon-reload")


def test_log_is_rotated(machine):
    """Its log is in a file since the test before."""
    if not (machine.root / "usr/sbin/logrotate").exists():
        pytest.skip("logrotate is not there")
    machine.run("logrotate", "--force", "/etc/logrotate.d/pgweir")

    def lines():
        return "RELOAD" in machine.run("cat", "/var/log/pgweir/pgweir.log")

    eventually(lines, 30, "lines in the new log")
    assert machine.run("stat", "-c", "%U:%G %a", "/var/log/pgweir/pgweir.log") == "pgweir:pgweir 640\n"


def next_version(directory):
    """The package of a later version, with another pgweir.toml in it."""
    tree = directory / "tree"
    run("dpkg-deb", "-R", PACKAGE, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*", r"\g<0>+next", control.read_text(), flags=re.MULTILINE))
    with open(tree / "etc/pgweir/pgweir.toml", "a", encoding="utf-8") as config:
        config.write("\n# The next version says more.\n")
    run("dpkg-deb", "--root-owner-group", "-b", tree, directory / "next.deb")
    return directory / "next.deb"


def test_upgrade(machine, tmp_path):
    """What the administrator wrote stays, and the new program runs."""
    shutil.copy(next_version(tmp_path), machine.root / "next.deb")
    before = main_pid(machine)
    config = machine.run("cat", "/etc/pgweir/pgweir.toml")
    machine.run("dpkg", "--force-confdef", "--force-confold", "-i", "/next.deb")
    eventually(lambda: is_up(machine) and main_pid(machine) != before, 60, "the new program")
    assert machine.run("cat", "/etc/pgweir/pgweir.toml") == config
    assert machine.run("stat", "-c", "%U:%G %a", "/etc/pgweir/pgweir.toml") == "root:pgweir 640\n"
    with connect() as wire:
        assert wire.rows("select 1") == [("1",)]


def test_socket_activation(machine):
    """systemd listens; who comes while the service is stopped starts it, and nobody is turned away."""
    machine.run("systemctl", "stop", UNIT)
    machine.run("systemctl", "start", "pgweir.socket")
    assert not is_up(machine)
    with connect() as wire:
        assert wire.rows("select 1") == [("1",)]
    assert is_up(machine)
    machine.run("systemctl", "stop", "pgweir.socket", UNIT)


def test_remove_and_purge(machine):
    machine.run("systemctl", "start", UNIT)
    machine.run("dpkg", "-r", "pgweir")
    assert not is_up(machine)
    assert (machine.root / "etc/pgweir/pgweir.toml").exists()
    machine.run("dpkg", "-i", "/next.deb")
    eventually(lambda: is_up(machine), 60, "the service, installed again")
    machine.run("dpkg", "-P", "pgweir")
    assert not is_up(machine)
    for path in ("etc/pgweir", "etc/logrotate.d/pgweir", "var/lib/pgweir", "var/log/pgweir", "usr/bin/pgweir"):
        assert not (machine.root / path).exists(), path
