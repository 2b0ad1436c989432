"""What a client that has logged in by TLS costs while it does nothing."""
import contextlib
import resource
import socket
import ssl
from pathlib import Path

import pytest
from harness.pooler import LOOKED_INTO
from harness.processes import Workdir
from harness.tls import Authority
from harness.wire import query, startup

pytestmark = pytest.mark.pgweir

BEFORE, MORE = 200, 1000
CLIENT_KIB = 6  # 2.8 are measured; OpenSSL alone would take 14


@pytest.fixture(scope="module")
def certificate():
    with Workdir() as directory:
        yield Authority(directory.path).certificate("pooler")


@pytest.fixture(autouse=True)
def descriptors():
    """As many as the clients need, on both their ends."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], min(before[1], 8192)), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def resident_kib(proxy):
    """Counted from the page tables: the kernel's own counters lag behind."""
    for line in Path(f"/proc/{proxy.pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    raise AssertionError("no Rss")


def log_in(stack, proxy, context):
    plain = stack.enter_context(socket.create_connection((proxy.host, proxy.port), timeout=20))
    stream = stack.enter_context(context.wrap_socket(plain))
    stream.sendall(startup("app", "app"))
    read_until_ready(stream)
    return stream


def read_until_ready(stream):
    received = b""
    while not received.endswith(b"Z\0\0\0\x05I"):
        part = stream.recv(4096)
        assert part
        received += part


@pytest.mark.parametrize("version", (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3), ids=("1.2", "1.3"))
def test_idle_clients(pgweir, cluster, certificate, version):
    cert, key = certificate
    proxy = pgweir(cluster, client_tls_sslmode="require", client_tls_cert_file=cert, client_tls_key_file=key,
                   max_client_conn=BEFORE + MORE + 10, pool_mode="transaction", default_pool_size=2,
                   companion=LOOKED_INTO)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = version
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["postgresql"])
    with contextlib.ExitStack() as stack:
        streams = [log_in(stack, proxy, context) for _ in range(BEFORE)]
        few = resident_kib(proxy)
        streams += [log_in(stack, proxy, context) for _ in range(MORE)]
        fresh = (resident_kib(proxy) - few) / MORE
        for stream in streams:
            stream.sendall(query("select 1"))
            read_until_ready(stream)
        used = (resident_kib(proxy) - few) / MORE
    print(f"{fresh:.2f} KiB for a client that has logged in, {used:.2f} after a query")
    assert max(fresh, used) < CLIENT_KIB
