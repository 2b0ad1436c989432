"""What is sent at about the same time goes to the kernel at once (io_uring), and all is well where it may not."""
import ctypes
import os
import shutil
import sys

import pytest
from harness.pooler import LOOKED_INTO, PROGRAM
from harness.processes import Workdir, eventually, write
from harness.wire import query

pytestmark = [pytest.mark.pgweir, pytest.mark.pooler]

CLIENTS = 16
IO_URING_SETUP = 425
UNAVAILABLE = "io_uring is not to be had"

# A container's seccomp profile: io_uring_setup() gives EPERM. A BPF program over the number of the call.
FORBIDDING = f"""#!{sys.executable}
import ctypes, os, struct, sys
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
steps = [(LOAD, 0, 0, 0), (IF_EQUAL, 0, 1, {IO_URING_SETUP}), (RETURN, 0, 0, 0x00050001), (RETURN, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
filter = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter, 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[0] + ".program", sys.argv)
"""


def has_io_uring():
    """Whether this machine lets anybody."""
    number = ctypes.CDLL(None).syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(120))
    if number >= 0:
        os.close(number)
    return number >= 0


@pytest.fixture(name="loaded")
def fixture_loaded(pgweir, cluster):
    """A proxy that has had queries of several clients at once, as often as told."""
    def make(companion, **options):
        proxy = pgweir(cluster, companion=companion, default_pool_size=CLIENTS, verbose=2, **options)
        wires = [proxy.wire() for _ in range(CLIENTS)]

        def ask():
            for number, wire in enumerate(wires):
                wire.send(query(f"select {number}, repeat('x', {number * 400})"))
            for number, wire in enumerate(wires):
                rows = [message.columns() for message in wire.read_until("Z") if message.type == "D"]
                assert rows == [(str(number), "x" * number * 400)]
        return proxy, ask
    return make


def rings(proxy):
    folder = f"/proc/{proxy.pid}/fd"
    return [name for name in os.listdir(folder) if "io_uring" in os.readlink(f"{folder}/{name}")]


@pytest.fixture(name="workdir")
def fixture_workdir():
    with Workdir() as workdir:
        yield workdir


@pytest.mark.skipif(not has_io_uring(), reason="the kernel forbids io_uring here")
def test_sends_together(loaded):
    proxy, ask = loaded(LOOKED_INTO)

    def used():
        ask()
        return rings(proxy)
    eventually(used)
    for _ in range(50):
        ask()
    assert UNAVAILABLE not in proxy.log()


def test_not_where_it_is_switched_off(loaded):
    proxy, ask = loaded(LOOKED_INTO + "io_uring = false\n")
    for _ in range(50):
        ask()
    assert not rings(proxy)
    assert UNAVAILABLE not in proxy.log()


def test_not_where_it_is_forbidden(loaded, workdir):
    """As in most containers."""
    program = workdir.path / "pgweir"
    shutil.copy(PROGRAM, f"{program}.program")
    write(program, FORBIDDING, mode=0o755)
    proxy, ask = loaded("[workers]\nthreads = 1\n", program=program)

    def noticed():
        ask()
        return UNAVAILABLE in proxy.log()
    eventually(noticed)
    for _ in range(50):
        ask()
    assert proxy.log().count(UNAVAILABLE) == 1, "it is asked for once"
