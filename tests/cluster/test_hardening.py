"""What makes a fault harder to use: how the program is linked, what a crash leaves, what it is made of."""
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from harness.pooler import PROGRAM, ROOT, sanitizer_of

pytestmark = [pytest.mark.pgweir, pytest.mark.pooler]


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.fixture(scope="module")
def hardened():
    """Of a build that is: a sanitizer's is not."""
    if sanitizer_of(PROGRAM):
        pytest.skip("a sanitizer's build")
    return PROGRAM


def test_linked(hardened):
    assert "DYN (Position-Independent Executable" in said("readelf", "-hW", hardened)
    segments = said("readelf", "-lW", hardened)
    assert "GNU_RELRO" in segments
    (stack,) = re.findall(r"GNU_STACK .*? (R\w*) +0x", segments)
    assert stack == "RW"
    assert not re.search(r"LOAD .* RWE ", segments)
    assert "BIND_NOW" in said("readelf", "-dW", hardened)
    assert "TEXTREL" not in said("readelf", "-dW", hardened)


def test_compiled(hardened):
    """By the release preset; PGWEIR_HARDEN is off elsewhere."""
    calls = said("nm", "-D", "--undefined-only", hardened)
    assert "__stack_chk_fail" in calls and "__memcpy_chk" in calls
    assert os.uname().machine != "x86_64" or "SHSTK" in said("readelf", "-nW", hardened)


def limits(proxy):
    return Path(f"/proc/{proxy.pid}/limits").read_text(encoding="ascii")


def test_no_core(pgweir):
    """Passwords and keys are in memory: nothing of it is left behind, whatever the limits of its parent are."""
    proxy = pgweir()
    assert re.search(r"Max core file size +0 +0 ", limits(proxy))
    assert os.stat(f"/proc/{proxy.pid}/mem").st_uid == 0, "nobody but root looks into its memory"
    proxy.process.signal(signal.SIGSEGV)
    assert proxy.process.wait() == -signal.SIGSEGV
    assert not list(Path(proxy.directory).glob("core*"))


def test_a_core_where_it_is_wanted(pgweir):
    proxy = pgweir(companion="[workers]\ncore_dumps = true\n")
    own = Path("/proc/self/limits").read_text(encoding="ascii")
    (line,) = re.findall(r"Max core file size.*", own)
    assert line in limits(proxy)
    assert os.stat(f"/proc/{proxy.pid}/mem").st_uid != 0


def test_sbom(hardened):
    """The list of what it is made of names all that it is linked with, and the page of dependencies does too."""
    bill = json.loads(said(ROOT / "deploy/sbom.py", hardened))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.4")
    assert bill["metadata"]["component"]["name"] == "pgweir" and bill["metadata"]["component"]["version"]
    provided = {item["value"] for one in bill["components"] for item in one["properties"]}
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", said("readelf", "-d", hardened)))
    assert needed and needed <= provided
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    for one in bill["components"]:
        assert one["name"] in page, one["name"]
        assert one["purl"].startswith(f"pkg:deb/debian/{one['name']}@{one['version']}")
        assert one.get("licenses") or one["name"] in ("libc6", "libgcc-s1", "libstdc++6")
