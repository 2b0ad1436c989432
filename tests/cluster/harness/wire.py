"""A PostgreSQL client at the level of messages: says exactly what it is told, hands back what came.

    wire = Wire.open(port, user="app", dbname="app")
    wire.send(parse("select $1::int"), bind(["7"]), execute(), SYNC)
    wire.read_until("Z")        # [Message('1'), Message('2'), Message('D', …), …]
"""
import base64
import hashlib
import hmac
import os
import select
import socket
import struct
import time
from typing import NamedTuple

PROTOCOL_3_0 = 196608
CANCEL_REQUEST = 80877102
SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104

# ---------------------------------------------------------------- messages of the client


def _message(kind, body=b""):
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def _cstring(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def _values(values):
    """Counted values, each with its length; None is NULL."""
    body = [struct.pack("!H", len(values))]
    for value in values:
        if value is None:
            body.append(struct.pack("!i", -1))
            continue
        data = value if isinstance(value, (bytes, bytearray)) else str(value).encode()
        body += [struct.pack("!i", len(data)), data]
    return b"".join(body)


def _formats(formats):
    return struct.pack(f"!H{len(formats)}H", len(formats), *formats)


def startup(user, dbname, protocol=PROTOCOL_3_0, **parameters):
    fields = {"user": user, "database": dbname, **parameters}
    body = b"".join(_cstring(key) + _cstring(value) for key, value in fields.items()) + b"\0"
    return struct.pack("!II", len(body) + 8, protocol) + body


def untyped(code, body=b""):
    """A start-up packet of that code: SSL_REQUEST, GSSENC_REQUEST, CANCEL_REQUEST."""
    return struct.pack("!II", len(body) + 8, code) + body


def query(sql):
    return _message("Q", _cstring(sql))


def parse(sql, name="", types=()):
    return _message("P", _cstring(name) + _cstring(sql) + struct.pack(f"!H{len(types)}I", len(types), *types))


def bind(values=(), statement="", portal="", formats=(), result_formats=()):
    return _message("B", _cstring(portal) + _cstring(statement) + _formats(formats) + _values(values)
                    + _formats(result_formats))


def describe_statement(name=""):
    return _message("D", b"S" + _cstring(name))


def describe_portal(name=""):
    return _message("D", b"P" + _cstring(name))


def execute(portal="", rows=0):
    return _message("E", _cstring(portal) + struct.pack("!I", rows))


def close_statement(name=""):
    return _message("C", b"S" + _cstring(name))


def close_portal(name=""):
    return _message("C", b"P" + _cstring(name))


def copy_data(data):
    return _message("d", data)


def copy_fail(reason):
    return _message("f", _cstring(reason))


def function_call(oid, arguments, formats=(), result_format=0):
    return _message("F", struct.pack("!I", oid) + _formats(formats) + _values(arguments)
                    + struct.pack("!H", result_format))


def password_message(data):
    return _message("p", data)


FLUSH = _message("H")
SYNC = _message("S")
COPY_DONE = _message("c")
TERMINATE = _message("X")

# ---------------------------------------------------------------- messages of the server


class Message(NamedTuple):
    type: str
    body: bytes

    def fields(self):
        """The fields of an ErrorResponse or NoticeResponse: {'S': 'ERROR', 'C': '42601', …}."""
        return {part[:1].decode(): part[1:].decode(errors="replace")
                for part in self.body.rstrip(b"\0").split(b"\0") if part}

    def columns(self):
        """The values of a DataRow as text; None is NULL."""
        (count,), at, values = struct.unpack_from("!H", self.body), 2, []
        for _ in range(count):
            (length,) = struct.unpack_from("!i", self.body, at)
            at += 4
            values.append(None if length < 0 else self.body[at:at + length].decode(errors="replace"))
            at += max(length, 0)
        return tuple(values)

    def names(self):
        """The column names of a RowDescription."""
        (count,), at, names = struct.unpack_from("!H", self.body), 2, []
        for _ in range(count):
            end = self.body.index(b"\0", at)
            names.append(self.body[at:end].decode())
            at = end + 19
        return names

    def text(self):
        """The one string a CommandComplete carries."""
        return self.body.rstrip(b"\0").decode(errors="replace")

    def __repr__(self):
        if self.type in "EN":
            return f"{self.type} {self.fields()}"
        shown = self.body if len(self.body) <= 60 else self.body[:60] + b"..."
        return f"{self.type} {len(self.body)} {shown!r}"


class ConnectionClosed(Exception):
    """The other side has closed. `messages`: what this read had collected before."""

    def __init__(self, messages=()):
        super().__init__(f"connection closed after {list(messages)}")
        self.messages = list(messages)


class ServerError(Exception):
    """An ErrorResponse where none was expected."""

    def __init__(self, message):
        super().__init__(str(message.fields()))
        self.fields = message.fields()
        self.sqlstate = self.fields.get("C", "")


class Wire:
    """One raw connection. Everything received after login is also kept in `transcript`."""

    def __init__(self, port, host="127.0.0.1", timeout=30.0, source=None):
        """host may be the directory of a Unix socket; source: the address to come from."""
        if host.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            self._address = f"{host}/.s.PGSQL.{port}"
        else:
            self.socket = socket.socket()
            self._address = (host, port)
        self.socket.settimeout(timeout)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(self._address)
        if not host.startswith("/"):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.timeout = timeout
        self.transcript = []
        self.parameters = {}
        self.key = None  # of BackendKeyData: what a cancel request carries
        self._in = bytearray()
        self._at = 0
        self._ended = False

    @classmethod
    def open(cls, port, user, dbname, password=None, host="127.0.0.1", timeout=30.0, **parameters):
        wire = cls(port, host, timeout)
        try:
            wire.login(user, dbname, password, **parameters)
        except BaseException:
            wire.close()
            raise
        return wire

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- bytes

    def send(self, *messages):
        """Sends them as one stream and reads meanwhile, so that neither side can block the other."""
        data = memoryview(b"".join(messages))
        deadline = time.monotonic() + self.timeout
        while data:
            readable, writable, _ = select.select([] if self._ended else [self.socket], [self.socket], [],
                                                  max(0, deadline - time.monotonic()))
            if not readable and not writable:
                raise TimeoutError("send: the other side takes nothing")
            if readable:
                self._receive()
            if writable:
                try:
                    data = data[self.socket.send(data):]
                except BlockingIOError:
                    pass
                except (BrokenPipeError, ConnectionResetError):
                    self._ended = True  # what it said before is still to be read
                    return

    def _receive(self):
        try:
            chunk = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            self._ended = True
        self._in += chunk

    def _need(self, size):
        """Waits until `size` unread bytes are there."""
        deadline = time.monotonic() + self.timeout
        while len(self._in) - self._at < size:
            if self._ended:
                raise ConnectionClosed
            if not select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"nothing came for {self.timeout} s")
            self._receive()

    def read_bytes(self, size):
        self._need(size)
        data = bytes(memoryview(self._in)[self._at:self._at + size])
        self._at += size
        if self._at > 1 << 20 or self._at == len(self._in):
            del self._in[:self._at]
            self._at = 0
        return data

    def is_quiet(self, seconds=0.2):
        """Whether nothing at all arrives within that time: for what must not be answered."""
        if len(self._in) > self._at:
            return False
        return not select.select([self.socket], [], [], seconds)[0]

    # ---- messages

    def read(self):
        """The next message, whatever it is."""
        header = self.read_bytes(5)
        message = Message(chr(header[0]), self.read_bytes(struct.unpack("!I", header[1:])[0] - 4))
        self.transcript.append(message)
        return message

    def read_until(self, kinds):
        """Messages up to and including the first of one of these types."""
        messages = []
        while True:
            try:
                messages.append(self.read())
            except ConnectionClosed:
                raise ConnectionClosed(messages) from None
            if messages[-1].type in kinds:
                return messages

    def ask(self, *messages):
        """Sends them and reads to the next ReadyForQuery."""
        self.send(*messages)
        return self.read_until("Z")

    def query(self, sql):
        return self.ask(query(sql))

    def rows(self, sql):
        """The rows of a simple query as text; an error is raised."""
        messages = self.query(sql)
        for message in messages:
            if message.type == "E":
                raise ServerError(message)
        return [message.columns() for message in messages if message.type == "D"]

    def table(self, sql):
        """The rows of a simple query as dictionaries: for the console's SHOW."""
        messages = self.query(sql)
        names = []
        table = []
        for message in messages:
            if message.type == "E":
                raise ServerError(message)
            if message.type == "T":
                names = message.names()
            if message.type == "D":
                table.append(dict(zip(names, message.columns())))
        return table

    def reads_eof(self):
        """Reads on until the other side has closed; what came before."""
        messages = []
        try:
            while True:
                messages.append(self.read())
        except ConnectionClosed:
            return messages

    # ---- life

    def login(self, user, dbname, password=None, **parameters):
        """Start-up and authentication; the messages up to ReadyForQuery. An error is raised."""
        self.send(startup(user, dbname, **parameters))
        messages = []
        while True:
            message = self.read()
            messages.append(message)
            if message.type == "E":
                raise ServerError(message)
            if message.type == "R":
                self._authenticate(message.body, user, password or "")
            elif message.type == "S":
                name, value = message.body.split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode()
            elif message.type == "K":
                self.key = message.body
            elif message.type == "Z":
                self.transcript.clear()
                return messages

    def _authenticate(self, body, user, password):
        (method,) = struct.unpack_from("!I", body)
        if method == 3:
            self.send(password_message(_cstring(password)))
        elif method == 5:
            inner = hashlib.md5((password + user).encode()).hexdigest().encode()
            self.send(password_message(b"md5" + hashlib.md5(inner + body[4:8]).hexdigest().encode() + b"\0"))
        elif method == 10:
            self._scram(password)

    def _scram(self, password):
        nonce = base64.b64encode(os.urandom(18)).decode()
        first = f"n=,r={nonce}"
        initial = b"n,," + first.encode()
        self.send(password_message(_cstring("SCRAM-SHA-256") + struct.pack("!I", len(initial)) + initial))
        server_first = self._sasl_data(11)
        fields = dict(part.split("=", 1) for part in server_first.split(","))
        assert fields["r"].startswith(nonce)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]),
                                     int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        bare = f"c=biws,r={fields['r']}"
        auth = f"{first},{server_first},{bare}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), auth, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.send(password_message(f"{bare},p={base64.b64encode(proof).decode()}".encode()))
        server_signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth, "sha256")
        assert self._sasl_data(12) == "v=" + base64.b64encode(server_signature).decode()

    def _sasl_data(self, method):
        message = self.read()
        if message.type == "E":
            raise ServerError(message)
        assert message.type == "R" and struct.unpack_from("!I", message.body)[0] == method, message
        return message.body[4:].decode()

    def cancel(self, key=None):
        """Sends a cancel request for this session over a connection of its own, and waits for its end."""
        link = socket.socket(self.socket.family)
        with link:
            link.settimeout(self.timeout)
            link.connect(self._address)
            link.sendall(untyped(CANCEL_REQUEST, key or self.key))
            link.recv(1)

    def terminate(self):
        """Says Terminate and waits for the end."""
        self.send(TERMINATE)
        self.reads_eof()
        self.close()

    def close(self):
        """Closes the socket without a word."""
        self.socket.close()

    def reset(self):
        """Closes with a TCP RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
