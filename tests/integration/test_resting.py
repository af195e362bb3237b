"""Clients that ask for nothing for a while: they lose nothing but their greenlets (proxy/relay/resting.pyx)."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.http_rig import Bench, Client, Peer, bench, memory_kib, serve_ok
from tests.patience import within
from tests.rig import wait_until

RESTED_SECONDS = 1.0
"""By then a silent client rests: half a second, and a tick. If it does not yet, a test shows less but passes."""
MANY = 400


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("resting"), "--idle-timeout", "3", services={"solo": 1}) as running:
        running.play("solo", serve_ok)
        yield running


def connections(proxy: Bench) -> int:
    return int(sum(worker["connections"] for worker in proxy.replica.info("/server_info")["workers"]))


def rested(proxy: Bench, count: int) -> list[Client]:
    """Clients that have asked once, but for the first half, and then nothing."""
    clients = [proxy.client() for _ in range(count)]
    for client in clients[count // 2 :]:
        assert client.ask("solo")[1] == b"ok"
    time.sleep(RESTED_SECONDS)
    return clients


def test_who_has_rested_is_served_as_before(proxy: Bench) -> None:
    for client in rested(proxy, 20):
        with client:
            for _ in range(3):
                assert client.ask("solo")[1] == b"ok"
            client.send("GET / HTTP/1.1\r\nhost: so")
            client.send("lo\r\nconnection: close\r\n\r\n")
            assert client.answer()[1] == b"ok"
            assert client.ended()


def test_who_rests_may_leave(proxy: Bench) -> None:
    for client in rested(proxy, 20):
        client.close()
    wait_until(lambda: connections(proxy) == 0, what="none is counted")


def test_who_rests_too_long_is_ended(proxy: Bench) -> None:
    clients = [proxy.client() for _ in range(20)]
    with within(4.0, at_least=2.5):
        for client in clients:
            with client:
                assert client.ended()
                assert client.buffer == b""
    wait_until(lambda: connections(proxy) == 0, what="none is counted")


def test_who_rests_weighs_little(proxy: Bench) -> None:
    for client in rested(proxy, MANY):  # what the next ones need is there
        client.close()
    before = memory_kib(proxy.worker_pid())
    clients = rested(proxy, MANY)
    held = memory_kib(proxy.worker_pid()) - before
    for client in clients:
        client.close()
    assert held < MANY * 2, "KiB"


def test_the_last_answer_of_a_connection_is_whole(proxy: Bench) -> None:
    """It goes out together with the end of the connection."""
    size = 20_000

    def large(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)

    proxy.play("solo", large)
    for _ in range(20):
        with proxy.client() as client:
            client.send("GET / HTTP/1.1\r\nhost: solo\r\nconnection: close\r\n\r\n")
            assert client.answer()[1] == b"x" * size
            assert client.ended()
    proxy.play("solo", serve_ok)


def test_draining_ends_who_rests(tmp_path: Path) -> None:
    with bench(tmp_path, "--idle-timeout", "0", services={"solo": 1}) as proxy:
        proxy.play("solo", serve_ok)
        clients = rested(proxy, 20)
        proxy.waypoint.process.send_signal(signal.SIGINT)
        for client in clients:
            with client:
                assert client.ended()
        assert proxy.waypoint.ended(5) == 0
