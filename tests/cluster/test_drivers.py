"""Other languages' drivers: the same program (see drivers/) must say the same with pgweir and without it."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.pooler import ROOT, TARGET

MODES = ("session", "transaction", "statement")
DRIVERS = Path(__file__).parent / "drivers"
JDBC = Path("/usr/share/java/postgresql.jar")
NPM = ROOT / "build/npm/node_modules"  # where ./dev puts node-postgres that cannot come from Debian


def java(workdir):
    """JDBC: compiled once."""
    if not (JDBC.exists() and shutil.which("javac")):
        pytest.skip(f"{JDBC} or javac is not there: ./dev packages drivers")
    subprocess.run(["javac", "-cp", JDBC, "-d", workdir, DRIVERS / "Driver.java"], check=True, timeout=120)
    return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{JDBC}:{workdir}", "Driver"]


def node(_workdir):
    """node-postgres."""
    command = ["node", str(DRIVERS / "driver.js")]
    probe = ["node", "-e", "require('pg'); require('pg-cursor')"]
    if not shutil.which("node") or subprocess.run(probe, check=False, capture_output=True, timeout=60,
                                                  env=ENVIRONMENT).returncode != 0:
        pytest.skip("node with pg and pg-cursor is not there: ./dev packages drivers")
    return command


ENVIRONMENT = {**os.environ, "NODE_PATH": f"{NPM}:/usr/share/nodejs", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


@pytest.fixture(scope="module", params=[java, node], ids=["jdbc", "node"])
def program(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("driver"))


def steps(program, port, dbname, table, mode):
    """What the program prints, a list of lines, having run to its end."""
    done = subprocess.run([*program, str(port), dbname, table, mode], check=False, capture_output=True,
                          text=True, timeout=240, env=ENVIRONMENT, cwd="/")
    assert done.returncode == 0, (done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def directly(cluster, program):
    """What it prints without a pooler, with transactions and without."""
    node_ = cluster.primary
    setup = "create table {} (id bigserial primary key, owner text, number int)"
    with node_.connect(user="scram_user", dbname="app") as link:
        link.execute(setup.format("driven"))
        yield {kind: steps(program, node_.port, "app", "driven", kind) for kind in ("session", "statement")}
        link.execute("drop table driven")


@pytest.mark.parametrize("mode", MODES)
def test_driver(pgweir, program, directly, mode):
    if TARGET == "pgbouncer" and mode != "session":
        pytest.skip("Debian's PgBouncer has no prepared statements of clients")
    size = 20 if mode == "session" else 3  # of 12 clients and more
    # PgBouncer does not know a parameter that JDBC sends.
    options = {"ignore_startup_parameters": "extra_float_digits"} if TARGET == "pgbouncer" else {}
    proxy = pgweir(default_pool_size=size, auth_type="scram-sha-256", **options)
    said = steps(program, proxy.port, proxy.entry(mode), "driven", mode)
    expected = directly["statement" if mode == "statement" else "session"]
    assert [line.split(":")[0] for line in said] == [line.split(":")[0] for line in expected]
    for got, wanted in zip(said, expected):
        assert got == wanted
    assert next(line for line in said if line.startswith("concurrent")).count("ok") == 12
