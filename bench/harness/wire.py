"""A raw PostgreSQL client for trust logins: small enough to hold thousands of connections."""

from __future__ import annotations

import socket
import ssl
import struct

from harness.errors import BenchError

_SELECT_ONE = b"Q\0\0\0\rSELECT 1\0"
_READY = b"Z\0\0\0\5"          # and one byte more: the state


def _error_text(payload: bytes) -> str:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in payload.split(b"\0") if part}
    return f"{fields.get(b'C', '?')}: {fields.get(b'M', '?')}"


class Connection:
    """One logged-in connection. Resource: close() or `with`."""

    def __init__(self, port: int, user: str, database: str, timeout_s: float = 20.0,
                 tls: ssl.SSLContext | None = None) -> None:
        self._buffer = b""
        self._read = 0               # bytes of the buffer already looked at
        self._socket: socket.socket
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        except OSError as error:
            raise BenchError(f"connect to port {port}: {error}") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pairs = b"user\0%b\0database\0%b\0\0" % (user.encode(), database.encode())
        try:
            if tls:
                self._encrypt(tls)
            self._socket.sendall(struct.pack("!II", 8 + len(pairs), 196608) + pairs)
            self._until_ready()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _encrypt(self, context: ssl.SSLContext) -> None:
        self._socket.sendall(struct.pack("!II", 8, 80877103))
        if self._socket.recv(1) != b"S":
            raise BenchError("no TLS")
        self._socket = context.wrap_socket(self._socket)

    def close(self) -> None:
        """Terminate politely."""
        try:
            self._socket.sendall(b"X\0\0\0\4")
        except OSError:
            pass
        self._socket.close()

    def query(self, sql: str) -> int:
        """Run a simple query; returns the bytes of its answer. Errors: BenchError."""
        text = sql.encode() + b"\0"
        try:
            self._socket.sendall(b"Q" + struct.pack("!I", 4 + len(text)) + text)
        except OSError as error:
            raise BenchError(f"send: {error}") from error
        return self._until_ready()

    def ask_one(self) -> None:
        """SELECT 1 at the least cost: one send, and receives until ReadyForQuery ends the bytes."""
        self._socket.sendall(_SELECT_ONE)
        answer = self._socket.recv(4096)
        while answer[-6:-1] != _READY:
            more = self._socket.recv(4096)
            if not more:
                raise BenchError("the connection was closed")
            answer += more

    def _receive(self) -> None:
        try:
            more = self._socket.recv(262144)
        except OSError as error:
            raise BenchError(f"receive: {error}") from error
        if not more:
            raise BenchError("the connection was closed")
        self._buffer = self._buffer[self._read:] + more
        self._read = 0

    def _message(self) -> tuple[bytes, int]:
        """The next whole message: its type and its size in bytes; it ends at `_read`."""
        while len(self._buffer) - self._read < 5:
            self._receive()
        size = 1 + int(struct.unpack_from("!I", self._buffer, self._read + 1)[0])
        while len(self._buffer) - self._read < size:
            self._receive()
        kind = self._buffer[self._read:self._read + 1]
        self._read += size
        return kind, size

    def _until_ready(self) -> int:
        """Read to ReadyForQuery; returns bytes. Errors: the first ErrorResponse's text."""
        total = 0
        while True:
            kind, size = self._message()
            total += size
            if kind in b"ER":
                payload = self._buffer[self._read - size + 5:self._read]
                if kind == b"E":
                    raise BenchError(_error_text(payload))
                if payload[:4] != b"\0\0\0\0":
                    raise BenchError("authentication other than trust was asked for")
            if kind == b"Z":
                return total
