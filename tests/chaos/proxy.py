"""A TCP proxy in front of Postgres that can lose the answer to a COMMIT, or everything."""

import contextlib
import socket
import struct
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

# Before: the server never sees the COMMIT. After: it has committed and said so, to nobody.
Cut = Literal["before", "after"]
CUTS: list[Cut] = ["after", "before"]

_SSL_REQUEST, _CANCEL_REQUEST = 80877103, 80877102
_HEADER = struct.Struct("!I")
_COMMITTED = b"COMMIT\x00"


@dataclass(slots=True)
class ForwardedTransaction:
    """What a client sent from a BEGIN on, as far as it was forwarded; `ended` is its COMMIT or ROLLBACK."""

    sent: bytearray = field(default_factory=bytearray)
    ended: str = ""
    cut: bool = False


class CommitProxy:
    """Forwards everything, and when armed, cuts a connection around its next COMMIT.

    Args:
        url: of the database behind it.
    """

    def __init__(self, url: str) -> None:
        target = urllib.parse.urlsplit(url)
        assert target.hostname and target.port
        self._target = (target.hostname, target.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = target._replace(netloc=f"{target.username}@127.0.0.1:{self._listener.getsockname()[1]}").geturl()
        self.transactions: list[ForwardedTransaction] = []
        self._sent = bytearray()
        self._armed: list[Cut] = []
        self._silent = False
        self._silences = 0
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def arm(self, *cuts: Cut) -> None:
        """The next COMMITs, one each, are cut like this."""
        with self._lock:
            self._armed += cuts

    def disarm(self) -> None:
        """No COMMIT to come is cut: fewer may have come than was armed for."""
        with self._lock:
            self._armed.clear()

    def swallow(self) -> None:
        """From now on connections hang, old and new: nothing is forwarded, nothing is closed."""
        with self._lock:
            self._silent = True
            self._silences += 1

    def restore(self) -> None:
        """New connections work again; those that hung go on hanging, as after a failover of the network."""
        with self._lock:
            self._silent = False

    @property
    def armed(self) -> int:
        return len(self._armed)

    @property
    def lost(self) -> list[ForwardedTransaction]:
        """Those whose commit was cut."""
        return [transaction for transaction in self.transactions if transaction.cut]

    def transactions_with(self, data: bytes) -> list[ForwardedTransaction]:
        """Those in which the client sent these bytes."""
        return [transaction for transaction in self.transactions if data in transaction.sent]

    def mentions_of(self, data: bytes) -> int:
        """How often clients sent these bytes, in a transaction or not."""
        with self._lock:
            return self._sent.count(data)

    def close(self) -> None:
        with self._lock:
            for each in (self._listener, *self._sockets):
                _shut(each)
        for thread in self._threads:
            thread.join()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    _shut(client)
                    continue
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._sockets |= {client, server}
                connection = _Connection(self, client, server)
                self._start(connection.forward_requests)
                self._start(connection.forward_answers)

    def _era(self) -> int:
        """Changes when connections begin to hang."""
        return -1 if self._silent else self._silences

    def _next_cut(self) -> Cut | None:
        with self._lock:
            return self._armed.pop(0) if self._armed else None

    def _closed(self, each: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(each)


class _Connection:
    def __init__(self, proxy: CommitProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._withheld: bytearray | None = None
        self._era = proxy._era()
        self._transaction: ForwardedTransaction | None = None

    def forward_requests(self) -> None:
        with contextlib.suppress(OSError):
            for message in self._messages():
                cut = self._look_at(message)
                if cut == "before":
                    break
                if self._hangs:
                    continue
                if cut == "after":
                    self._withheld = bytearray()
                self._server.sendall(message)
        self._close()

    def forward_answers(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._server.recv(65536):
                if self._hangs:
                    continue
                if self._withheld is None:
                    self._client.sendall(data)
                    continue
                self._withheld += data
                if _COMMITTED in self._withheld:
                    break
        self._close()

    @property
    def _hangs(self) -> bool:
        return self._era < 0 or self._era != self._proxy._era()

    def _messages(self) -> Iterator[bytes]:
        """Whole messages of the client's; those before the start-up carry no type."""
        reader = self._client.makefile("rb")
        with reader:
            while True:
                size = reader.read(4)
                if len(size) < 4:
                    return
                message = size + reader.read(_HEADER.unpack(size)[0] - 4)
                yield message
                code = _HEADER.unpack(message[4:8])[0]
                if code == _CANCEL_REQUEST:
                    return
                if code != _SSL_REQUEST:
                    break
            while header := reader.read(5):
                yield header + reader.read(_HEADER.unpack(header[1:])[0] - 4)

    def _look_at(self, message: bytes) -> Cut | None:
        """Keeps the record of transactions and says whether this is the place to cut."""
        with self._proxy._lock:
            self._proxy._sent += message
        command = message[5:-1].decode(errors="replace").partition(";")[0] if message[:1] == b"Q" else ""
        cut: Cut | None = None
        if command == "BEGIN":
            self._transaction = ForwardedTransaction()
            self._proxy.transactions.append(self._transaction)
        if self._transaction is not None:
            self._transaction.sent += message
            if command in ("COMMIT", "ROLLBACK"):
                cut = self._proxy._next_cut() if command == "COMMIT" else None
                self._transaction.cut = cut is not None
                self._transaction.ended, self._transaction = command, None
        return cut

    def _close(self) -> None:
        for each in (self._client, self._server):
            _shut(each)
            self._proxy._closed(each)


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
