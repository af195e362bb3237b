"""A TCP relay between a replica and its Redis that can be made to fail in every way a network does, at run time.

No iptables, no privileges: threads and sockets on loopback. What is refused is refused by the kernel (nobody listens);
what is dropped is accepted and goes nowhere; a delay keeps order. `messages` sees each message that the server pushes,
so that it can be dropped or cut in two.
"""

import contextlib
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

Filter = Callable[[bytes], bytes | None]


class Cut(Exception):
    """Raised by a filter: pass on `args[0]`, then reset the connection."""


class _Pair:
    """One connection: two sockets, and a thread for each way in and each way out."""

    def __init__(self, relay: "Relay", client: socket.socket) -> None:
        self.relay, self.client = relay, client
        self.server = socket.create_connection(("127.0.0.1", relay.target))
        self._ended = 0  # ways
        self.doomed = False  # bytes were dropped: whatever came now would be out of order
        for each in (self.client, self.server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._way(self.client, self.server, None)
        self._way(self.server, self.client, relay)

    def _way(self, source: socket.socket, target: socket.socket, relay: "Relay | None") -> None:
        waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()
        threading.Thread(target=self._read, args=(source, target, waiting, relay), daemon=True).start()
        threading.Thread(target=self._write, args=(target, waiting, relay), daemon=True).start()

    def _read(
        self,
        source: socket.socket,
        target: socket.socket,
        waiting: "queue.Queue[tuple[float, bytes]]",
        relay: "Relay | None",
    ) -> None:
        once = self.relay.greeting if relay else 0.0
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if data and relay is None and self.relay.answer:  # says the same to everything
                with contextlib.suppress(OSError):
                    source.sendall(self.relay.answer)
                continue
            if self.relay.dropping or self.doomed:
                self.doomed = True
                if data:
                    continue
            waiting.put((time.monotonic() + self.relay.delay + once, data))
            once = 0.0
            if not data:
                return

    def _write(self, target: socket.socket, waiting: "queue.Queue[tuple[float, bytes]]", relay: "Relay | None") -> None:
        try:
            self._pass_on(target, waiting, relay)
        except Cut as cut:
            with contextlib.suppress(OSError):
                target.sendall(cut.args[0])
            self.reset()
        except OSError:
            self.reset()
        self._ended += 1
        if self._ended == 2:
            self.client.close()
            self.server.close()

    def _pass_on(
        self, target: socket.socket, waiting: "queue.Queue[tuple[float, bytes]]", relay: "Relay | None"
    ) -> None:
        rest = b""
        while True:
            due, data = waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            while self.relay.holding:
                time.sleep(0.01)
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            if relay is None or relay.messages is None:
                target.sendall(rest + data)
                rest = b""
                continue
            whole, rest = replies(rest + data)
            for reply in whole:
                passed = relay.messages(reply) if reply.startswith(b"*3\r\n$7\r\nmessage\r\n") else reply
                target.sendall(passed or b"")

    def reset(self) -> None:
        """RST to both."""
        for each in (self.client, self.server):
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RD)  # wakes the reader; what ends last closes

    def half_close(self, towards: str) -> None:
        with contextlib.suppress(OSError):
            (self.client if towards == "client" else self.server).shutdown(socket.SHUT_WR)


class Relay:
    """Before the server on `target`, which may be changed: new connections go to the new one."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        self.greeting = 0.0  # the delay of the first answer on each connection
        self.dropping = False
        self.holding = False  # as `dropping`, but it all arrives in the end, as TCP sends again
        self.answer = b""
        self.messages: Filter | None = None
        self._pairs: list[_Pair] = []
        self.accepted = 0
        self.port = 0
        self._listener: socket.socket | None = None
        self.listen()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def listen(self) -> None:
        """Accepts (again)."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                self._pairs.append(_Pair(self, client))
            except OSError:  # the server is away
                client.close()

    def refuse(self) -> None:
        """New connections are refused; those there are stay."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def reset(self) -> None:
        """All connections there are."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.reset()

    def half_close(self, towards: str) -> None:
        """`client` or `server` sees the end of the stream on every connection, and may still send."""
        for pair in self._pairs:
            pair.half_close(towards)

    def end(self, towards: str) -> None:
        """As `half_close`, and nobody comes back."""
        self.refuse()
        self.half_close(towards)

    def cut(self) -> None:
        """As `reset`, and nobody comes back."""
        self.refuse()
        self.reset()

    def drop(self) -> None:
        self.dropping = True

    def heal(self) -> None:
        """Everything passes again; connections that have lost bytes are reset."""
        self.delay, self.greeting, self.answer = 0.0, 0.0, b""
        self.dropping, self.holding, self.messages = False, False, None
        for pair in [pair for pair in self._pairs if pair.doomed]:
            self._pairs.remove(pair)
            pair.reset()
        if self._listener is None:
            self.listen()

    def close(self) -> None:
        self.refuse()
        self.reset()


@contextlib.contextmanager
def relays(target: int, count: int) -> Iterator[list[Relay]]:
    made = [Relay(target) for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            each.close()


def replies(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole RESP2 replies at the front of `data`, and what is left."""
    whole = []
    while (end := _end(data, 0)) is not None:
        whole.append(data[:end])
        data = data[end:]
    return whole, data


def _end(data: bytes, at: int) -> int | None:
    """Where the reply that begins at `at` ends; None if that has not come yet."""
    line = data.find(b"\r\n", at)
    if line < 0:
        return None
    kind, after = data[at : at + 1], line + 2
    if kind == b"$":
        size = int(data[at + 1 : line])
        end = after if size < 0 else after + size + 2
        return end if end <= len(data) else None
    for _ in range(int(data[at + 1 : line]) if kind == b"*" else 0):
        found = _end(data, after)
        if found is None:
            return None
        after = found
    return after
