"""What README.md promises of ./dev demo."""
import os
import re
import signal
import subprocess
import sys

import pytest
from harness import eventually
from harness.http import get_json
from harness.pooler import ROOT

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]


@pytest.fixture(name="demo")
def started(tmp_path):
    """The demo with --keep, and what it has said so far."""
    said = tmp_path / "said"
    with open(said, "wb") as out:
        child = subprocess.Popen([sys.executable, ROOT / "tests/cluster/demo.py", "--keep"], stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    yield child, lambda: said.read_text(encoding="utf-8")
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)  # the servers it has started end with it
    child.wait(20)


def test_it_shows_what_it_promises(demo):
    child, said = demo
    eventually(lambda: "Ctrl-C ends it" in said() and "configuration and log" in said() or child.poll() is not None, 120)
    assert child.poll() is None, said()
    done = re.findall(r"^(\d+) transactions, (\d+) failed", said(), re.MULTILINE)
    assert len(done) == 5 and all(int(good) > 0 and int(bad) == 0 for good, bad in done), said()
    reads = re.search(r"^ app_cluster +\| read +\| replica +\| +(\d+)", said(), re.MULTILINE)
    assert int(reads[1]) > 0
    assert "UPDATE 1\n" in said() and "is the primary, on timeline 2" in said()
    http = int(re.search(r"status page and metrics: http://127\.0\.0\.1:(\d+)/", said())[1])
    assert get_json(http, "/readyz")[0] == 200
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 130
