"""What one call costs the server's processor, for the model: each kind alone, one after another on one connection.

Its caches are as warm as a busy server's. That one is woken less often, for many calls at once: these are upper bounds.
"""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from state.keys import Keys
from state.outlier.redis_store import RedisStore
from state.outlier.run import FAILURE, SUCCESS
from state.outlier.store import Batch, Policy
from state.server.access import Access
from state.server.connect import connect
from state.server.embedded import Embedded
from tests.bench.processes import cpu_seconds

SECONDS = 1.5
SUBSCRIBERS = 64
ENDPOINTS = tuple(f"10.0.{number // 250}.{number % 250 + 1}:8080" for number in range(50))
_POLICY = Policy(1_000_000, 10_000, 30_000, 50, 3)


class Costs(NamedTuple):
    """Microseconds of the server's processor."""

    failure: float  # a report of one that counts, and is told to nobody
    turn: float  # one that starts or ends a run, so that it is published, to no subscriber
    delivery: float  # handing a published event to one subscriber
    look: float  # the MGET of a reconcile, without its endpoints
    look_endpoint: float  # for each endpoint in it


def measure() -> Costs:
    """On a server of its own."""
    server = Embedded.start(0)
    client: Any = connect(Access(server.url), 5.0)
    try:
        return _measure(server, client, RedisStore(client))
    finally:
        client.close()
        server.stop()


def _measure(server: Embedded, client: Any, store: RedisStore) -> Costs:
    failure = _cost(server, lambda: store.report(_batch("counted"), _POLICY))
    store.report(_batch("turning", success=True), _POLICY)
    turn = _cost(server, lambda: _turns(store)) / 2
    look = _cost(server, lambda: store.glance("looked", ENDPOINTS[:1]))
    looks = _cost(server, lambda: store.glance("looked", ENDPOINTS))
    each = (looks - look) / (len(ENDPOINTS) - 1)
    quiet = _cost(server, lambda: client.publish("nobody", "x" * 200))
    with _Subscribers(server, Keys("waypoint", "told").events):
        told = _cost(server, lambda: client.publish(Keys("waypoint", "told").events, "x" * 200))
    return Costs(failure, turn, (told - quiet) / SUBSCRIBERS, look - each, each)


def _batch(cluster: str, success: bool = False) -> Batch:
    return Batch(cluster, ENDPOINTS[0], "in-ambient", 0, SUCCESS if success else FAILURE, 503, "bench")


def _turns(store: RedisStore) -> None:
    """A failure that starts a run, a success that ends it."""
    store.report(_batch("turning"), _POLICY)
    store.report(_batch("turning", success=True), _POLICY)


def _cost(server: Embedded, call: Callable[[], Any]) -> float:
    call()
    count, used, until = 0, cpu_seconds(server.pid), time.monotonic() + SECONDS
    while time.monotonic() < until:
        call()
        count += 1
    return (cpu_seconds(server.pid) - used) * 1e6 / count


class _Subscribers:
    """Connections that listen, and one thread that reads them all."""

    def __init__(self, server: Embedded, channel: str) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(SUBSCRIBERS)]
        for each in self._sockets:
            each.sendall(f"SUBSCRIBE {channel}\r\n".encode())
            each.recv(4096)
            each.setblocking(False)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        while not self._over.wait(0.01):
            for each in self._sockets:
                try:
                    each.recv(1 << 20)
                except BlockingIOError:
                    continue

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for each in self._sockets:
            each.close()
