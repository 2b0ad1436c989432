"""A server that speaks as much of the protocol as a log-in has, and lies as it is told to."""
import base64
import contextlib
import hashlib
import hmac
import os
import socket
import ssl
import struct
import threading

from .wire import SSL_REQUEST


def message(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


def authentication(kind, data=b""):
    return message(b"R", struct.pack("!I", kind) + data)


OK, CLEARTEXT, SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 10, 11, 12
READY = (authentication(OK) + message(b"S", b"server_version\x0015.0\0") + message(b"K", struct.pack("!II", 1, 2))
         + message(b"Z", b"I"))


class Session:
    """One connection of a client: bytes in and out, and SCRAM as a server speaks it."""

    def __init__(self, link):
        self.link = link
        self.heard = b""  # everything the client said
        self.code, self.startup = 0, b""  # of the packet before the story: the protocol's version, as a rule

    def send(self, data):
        self.link.sendall(data)

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.link.recv(size - len(data))
            if not part:
                raise ConnectionError
            data += part
        self.heard += data
        return data

    def packet(self):
        """A start-up packet's code and body."""
        (size,) = struct.unpack("!I", self._exactly(4))
        body = self._exactly(size - 4)
        return struct.unpack("!I", body[:4])[0], body[4:]

    def read(self):
        """A message's type and body."""
        kind = self._exactly(1)
        (size,) = struct.unpack("!I", self._exactly(4))
        return kind, self._exactly(size - 4)

    def scram(self, password, iterations=4096, wrong_signature=False, mechanisms=("SCRAM-SHA-256",),
              nonce_size=16):
        """Goes up to where the server would prove itself; what it would say to do so. Keeps the mechanism that
        the client chose and its first message."""
        self.send(authentication(SASL, b"".join(name.encode() + b"\0" for name in mechanisms) + b"\0"))
        _, body = self.read()
        self.mechanism, rest = body.split(b"\0", 1)
        self.first = rest[4:]
        bare = self.first.split(b",", 2)[2]
        nonce = bare.split(b"r=")[1] + base64.b64encode(os.urandom(nonce_size * 3 // 4))
        salt = os.urandom(16)
        challenge = b"r=%s,s=%s,i=%d" % (nonce, base64.b64encode(salt), iterations)
        self.send(authentication(SASL_CONTINUE, challenge))
        _, final = self.read()
        without_proof = final.rsplit(b",p=", 1)[0]
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
        key = hmac.digest(salted, b"Server Key", "sha256")
        signature = hmac.digest(key, b",".join((bare, challenge, without_proof)), "sha256")
        if wrong_signature:
            signature = bytes(len(signature))
        return authentication(SASL_FINAL, b"v=" + base64.b64encode(signature))


@contextlib.contextmanager
def fake_server(story, tls=None):
    """Runs `story(session)` behind the start-up packet of everybody who connects; the port, and the sessions there
    were. `tls`: an ssl.SSLContext to take who asks for TLS by."""
    sessions = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)

    def serve(link):
        with link, contextlib.suppress(OSError):
            link.settimeout(20)
            session = Session(link)
            session.code, session.startup = session.packet()
            while session.code == SSL_REQUEST:
                link.sendall(b"S" if tls else b"N")
                if tls:
                    session.link = tls.wrap_socket(link, server_side=True)
                session.code, session.startup = session.packet()
            sessions.append(session)
            story(session)
            while session.link.recv(4096):
                pass

    def accept():
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                threading.Thread(target=serve, args=(link,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], sessions
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
