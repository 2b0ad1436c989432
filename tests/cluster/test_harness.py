"""The harness itself: what other tests lean on."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import ServerError, eventually
from harness.processes import Port
from harness.wire import SYNC, bind, describe_portal, execute, parse

INTERRUPTED = """
import os, sys
sys.path.insert(0, os.path.dirname({here!r}))
from harness import Cluster
with Cluster(replicas=1) as cluster:
    print(cluster.workdir.path, *[node.process.pid for node in cluster.nodes], flush=True)
    sys.stdin.read()
"""


def test_replicas_follow(cluster):
    cluster.primary.rows("create table followed as select 1 as a", dbname="app")
    cluster.catch_up()
    assert [node.value("select a from followed", dbname="app") for node in cluster.replicas] == [1, 1]
    assert [node.is_primary() for node in cluster.nodes] == [True, False, False]
    cluster.primary.rows("drop table followed", dbname="app")


@pytest.mark.parametrize("user", ["app", "scram_user", "md5_user", "plain_user"])
def test_wire_logs_in(cluster, user):
    with cluster.primary.wire(user=user) as wire:
        assert wire.rows("select current_user") == [(user,)]
        messages = wire.ask(parse("select $1::int, null"), bind(["7"]), describe_portal(), execute(), SYNC)
        assert [message.type for message in messages] == ["1", "2", "T", "D", "C", "Z"]
        assert messages[2].names() == ["int4", "?column?"]
        assert messages[3].columns() == ("7", None)
        with pytest.raises(ServerError) as error:
            wire.rows("select 1/0")
        assert error.value.sqlstate == "22012"


def test_ports_are_not_shared():
    ports = [Port() for _ in range(50)]
    assert len({port.number for port in ports}) == 50
    for port in ports:
        port.close()


@pytest.mark.parametrize("number", ["TERM", "INT", "KILL"])
def test_nothing_is_left_behind(number):
    child = subprocess.Popen([sys.executable, "-c", INTERRUPTED.format(here=__file__)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             text=True, start_new_session=True)
    directory, *pids = child.stdout.readline().split()
    subprocess.run(["kill", f"-{number}", str(child.pid)], check=True)
    child.wait(30)
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), what="all servers gone")
    if number == "KILL":  # the directory is then left to a later run
        shutil.rmtree(directory)
    assert not Path(directory).exists()
