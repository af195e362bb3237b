"""Servers that are away, hang, or answer with errors: StoreUnavailable, soon, and nothing else."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest
import redis

from state.errors import StoreUnavailable
from state.outlier.redis_store import RedisStore
from state.server.access import Access
from state.server.connect import connect
from state.server.embedded import Embedded
from tests.patience import within
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, an_ejection, batch

Start = Callable[..., Embedded]

TIMEOUT = 0.2
CALLS: list[Callable[[RedisStore], object]] = [
    lambda store: store.report(batch("F"), SEED),
    lambda store: store.glance(CLUSTER, [A]),
    lambda store: store.sync(CLUSTER, [A]),
    lambda store: store.offer(CLUSTER, an_ejection(), SEED),
    lambda store: store.forget(CLUSTER, A, "pod-a", "r1"),
    lambda store: store.subscribe([CLUSTER]),
]


def check_unavailable(url: str, calls: list[Callable[[RedisStore], object]] = CALLS) -> None:
    with connect(Access(url), TIMEOUT) as client:
        store = RedisStore(client)
        for call in calls:
            with within(TIMEOUT + 1.3), pytest.raises(StoreUnavailable, match="redis: "):
                call(store)


def test_refused() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        check_unavailable(f"redis://127.0.0.1:{unused.getsockname()[1]}")


def test_accepted_and_silent() -> None:
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        check_unavailable(f"redis://127.0.0.1:{silent.getsockname()[1]}")


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """A server that gives one answer to everything; its URL."""

    def converse(connection: socket.socket) -> None:
        with connection:
            try:
                while connection.recv(65536):
                    connection.sendall(reply * 1)
            except OSError:
                return  # the client has left

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed: the test is over
            threading.Thread(target=converse, args=(connection,), daemon=True).start()

    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        threading.Thread(target=accept, daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "reply",
    [
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        b"-MOVED 3999 127.0.0.1:6381\r\n",
        b"-NOSCRIPT No matching script.\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"+OK\r\n",
        b"*0\r\n",
    ],
)
def test_answers_that_are_no_use(reply: bytes) -> None:
    with answering(reply) as url:
        check_unavailable(url, CALLS[:4])


def test_a_hung_server_costs_the_timeout_and_is_used_again(start: Start) -> None:
    server = start()
    with connect(Access(server.url), TIMEOUT) as client:
        store = RedisStore(client)
        store.report(batch("F"), SEED)
        os.kill(server.pid, signal.SIGSTOP)
        with within(TIMEOUT + 0.3), pytest.raises(StoreUnavailable):
            store.report(batch("S"), SEED)
        os.kill(server.pid, signal.SIGCONT)
        time.sleep(0.05)
        assert store.report(batch("S"), SEED).outcome == "clean"


def test_a_server_restarted_empty_has_another_epoch_and_takes_offers(start: Start) -> None:
    first = start()
    with connect(Access(first.url), 1.0) as client:
        store = RedisStore(client)
        verdict = store.report(batch("FFF"), SEED)
        epoch = store.sync(CLUSTER, [A]).epoch
        first.process.kill()
        first.process.wait()
        with pytest.raises(StoreUnavailable):
            store.glance(CLUSTER, [A])
        second = start(first.port, insist=True)
        assert second.port == first.port
        assert store.glance(CLUSTER, [A]).epoch == ""
        offered = an_ejection(left_ms=verdict.left_ms, ejection_ms=verdict.ejection_ms)
        assert store.offer(CLUSTER, offered, SEED).outcome == "ejected"
        assert store.sync(CLUSTER, [A]).epoch not in ("", epoch)
        assert 0 < client.pttl(KEYS.eject(A)) <= verdict.left_ms


def test_a_full_server_is_unavailable(start: Start) -> None:
    server = start()
    with connect(Access(server.url), 1.0) as client:
        store = RedisStore(client)
        store.sync(CLUSTER, [A])
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable, match=r"OOM|maxmemory"):
            store.report(batch("F"), SEED)


@pytest.mark.parametrize("url", ["http://localhost", "redis+sentinel://h1,h2", "localhost:6379"])
def test_a_url_that_is_not_of_redis(url: str) -> None:
    with pytest.raises(ValueError, match="redis"):
        connect(Access(url), 1.0)


def test_what_is_given_up_is_taken_back() -> None:
    """A call that the network has not taken yet never arrives; closed the usual way it would, when a partition ends."""
    with closing(socket.socket()) as hung:
        hung.bind(("127.0.0.1", 0))
        hung.listen()
        with connect(Access(f"redis://127.0.0.1:{hung.getsockname()[1]}"), 1.0) as client:
            caller = threading.Thread(target=lambda: suppressed(client.set, "key", "x" * 2**24))
            caller.start()
            connection, _ = hung.accept()
            caller.join()
            with closing(connection), pytest.raises(ConnectionResetError):
                while connection.recv(65536):
                    pass


def suppressed(call: Callable[..., object], *arguments: object) -> None:
    with suppress(redis.TimeoutError):
        call(*arguments)
