"""What settings make of the program's sockets, which the kernel shows: pidfd_getfd() gives a copy of each."""
import ctypes
import os
import socket
import struct
from contextlib import ExitStack

import pytest
from harness.pooler import LOOKED_INTO

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]

PIDFD_GETFD = 438  # the same number on every architecture
BACKLOG_AT = 28  # bytes into tcp_info: of a socket that listens, tcpi_sacked is how long its queue may be
TCP = socket.IPPROTO_TCP
_libc = ctypes.CDLL(None, use_errno=True)


def sockets_of(pid, stack):
    """Copies of its TCP sockets."""
    process = os.pidfd_open(pid)
    stack.callback(os.close, process)
    for name in os.listdir(f"/proc/{pid}/fd"):
        copy = _libc.syscall(PIDFD_GETFD, process, int(name), 0)
        if copy < 0:
            if ctypes.get_errno() == 1:
                pytest.skip("pidfd_getfd() is not allowed")
            continue  # gone meanwhile
        try:
            found = stack.enter_context(socket.socket(fileno=copy))
        except OSError:
            os.close(copy)
            continue
        if found.family in (socket.AF_INET, socket.AF_INET6) and found.type & socket.SOCK_STREAM:
            yield found


def peer_of(found):
    try:
        return found.getpeername()
    except OSError:
        return None


def connections(proxy, cluster, wire, stack):
    """The proxy's ends of the connections with this client and with the primary."""
    by_peer = {peer_of(found): found for found in sockets_of(proxy.pid, stack)}
    return by_peer[wire.socket.getsockname()], by_peer[(cluster.primary.host, cluster.primary.port)]


def test_keepalive(pgweir, cluster):
    proxy = pgweir(companion=LOOKED_INTO, tcp_keepalive=1, tcp_keepcnt=7, tcp_keepidle=123, tcp_keepintvl=45,
                   tcp_user_timeout=6789)
    with proxy.wire() as wire, ExitStack() as stack:
        wire.rows("select 1")
        for end in connections(proxy, cluster, wire, stack):
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert end.getsockopt(TCP, socket.TCP_KEEPCNT) == 7
            assert end.getsockopt(TCP, socket.TCP_KEEPIDLE) == 123
            assert end.getsockopt(TCP, socket.TCP_KEEPINTVL) == 45
            assert end.getsockopt(TCP, socket.TCP_USER_TIMEOUT) == 6789


def test_keepalive_off(pgweir, cluster):
    proxy = pgweir(companion=LOOKED_INTO, tcp_keepalive=0)
    with proxy.wire() as wire, ExitStack() as stack:
        wire.rows("select 1")
        for end in connections(proxy, cluster, wire, stack):
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


def test_socket_buffer(pgweir, cluster):
    proxy = pgweir(companion=LOOKED_INTO, tcp_socket_buffer=20480)
    with proxy.wire() as wire, ExitStack() as stack:
        wire.rows("select 1")
        for end in connections(proxy, cluster, wire, stack):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                assert end.getsockopt(socket.SOL_SOCKET, option) == 2 * 20480  # Linux counts its own share too


def test_listen_backlog(pgweir):
    proxy = pgweir(companion=LOOKED_INTO, listen_backlog=77)
    with ExitStack() as stack:
        queues = [struct.unpack_from("=I", found.getsockopt(TCP, socket.TCP_INFO, BACKLOG_AT + 4), BACKLOG_AT)[0]
                  for found in sockets_of(proxy.pid, stack)
                  if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)]
    assert queues == [77]
