"""A line between pgweir and a node that can be cut, one way or both: what is sent then arrives nowhere, and nobody is
told, as when packets are lost. When it is mended what was sent meanwhile arrives, as TCP has it."""
import selectors
import socket
import threading

CHUNK = 1 << 16


class Cutter:
    """Listens on a port of its own and passes everything on to the node, in a thread."""

    host = "127.0.0.1"

    def __init__(self, node):
        self.node, self.name = node, node.name
        self._listener = socket.create_server((self.host, 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._wake, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._cut = set()  # of "to", "from": the node
        self._peers = {}   # socket: (where what it sends goes, the way that is)
        self._closing = False
        for one in (self._listener, self._wake):
            self._selector.register(one, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self, *ways):
        """ways: "to" and "from" the node; without any, both."""
        self._cut = set(ways or ("to", "from"))
        self._waker.send(b"x")

    def mend(self):
        self._cut = set()
        self._waker.send(b"x")

    def close(self):
        self._closing = True
        self._waker.send(b"x")
        self._thread.join(10)
        for one in (self._wake, self._waker):  # not before: it may have seen that it is to end by itself
            one.close()

    # ---- in the thread

    def _run(self):
        while not self._closing:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake:
                    self._wake.recv(100)
                elif key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._peers:
                    self._pass_on(key.fileobj)
            self._look()
        for one in [self._listener, *self._peers]:
            one.close()

    def _look(self):
        """Nothing is taken from who sends into the cut; the listener's backlog takes who connects."""
        for one, (_, way) in self._peers.items():
            self._listen_to(one, way not in self._cut)
        self._listen_to(self._listener, "to" not in self._cut)

    def _listen_to(self, one, wanted):
        known = one.fileno() in self._selector.get_map()
        if wanted and not known:
            self._selector.register(one, selectors.EVENT_READ)
        if known and not wanted:
            self._selector.unregister(one)

    def _accept(self):
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection((self.node.host, self.node.port), timeout=5)
        except OSError:
            client.close()
            return
        for one, other, way in ((client, server, "to"), (server, client, "from")):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.settimeout(5)
            self._peers[one] = (other, way)
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, one):
        other, way = self._peers[one]
        if way in self._cut:
            return None
        try:
            data = one.recv(CHUNK)
            if data:
                return other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            self._listen_to(end, False)
            del self._peers[end]
            end.close()
        return None


class Lines:
    """The nodes of a cluster, each at the end of a line: what split_toml() takes for a cluster."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.nodes = [Cutter(node) for node in cluster.nodes]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for line in self.nodes:
            line.close()
