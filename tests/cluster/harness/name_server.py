"""A DNS server for a few names, on an address of the loopback interface of its own."""
import os
import socket
import struct
import threading

A, SOA = 1, 6
NO_SUCH_NAME = 3


class NameServer:
    """Answers for `names` ({"db.example": "127.0.0.1"}) in a zone with a `serial`, both of which may change.

    Listens on port 53, as that is the one that is asked: root only.
    """

    def __init__(self, zone, **names):
        self.zone, self.names, self.serial = zone, names, 1
        self.asked = []
        self.address = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def resolv_conf(self):
        return f"nameserver {self.address}\noptions timeout:1 attempts:1\n"

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self):
        while True:
            try:
                question, sender = self._socket.recvfrom(4096)
                self._socket.sendto(self._answer(question), sender)
            except OSError:
                return

    def _answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        (kind,) = struct.unpack_from("!H", question, at + 1)
        asked = question[12:at + 5]
        name = ".".join(labels).lower()
        self.asked.append((name, kind))
        known = name in self.names or name == self.zone
        records = b""
        if kind == A and name in self.names:
            records = self._record(kind, socket.inet_aton(self.names[name]))
        elif kind == SOA and name == self.zone:
            records = self._record(kind, b"\0\0" + struct.pack("!5I", self.serial, 60, 60, 60, 60))
        flags = 0x8400 | (0 if known else NO_SUCH_NAME)
        return question[:2] + struct.pack("!5H", flags, 1, 1 if records else 0, 0, 0) + asked + records

    @staticmethod
    def _record(kind, data):
        """About the name that was asked for, which stands behind the header."""
        return struct.pack("!HHHIH", 0xC00C, kind, 1, 1, len(data)) + data
