"""Bodies on their way: back-pressure, flat memory, early answers, clients and endpoints that are slow."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from tests.integration.http_rig import (
    MIB,
    OK,
    Bench,
    Client,
    Peer,
    bench,
    memory_kib,
    outlier_rule,
    send_all,
    serve_ok,
    unique,
)
from tests.patience import within
from tests.rig import steady, wait_until


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    rules = [outlier_rule("solo")]
    with bench(tmp_path_factory.mktemp("streams"), services={"solo": 1, "other": 1}, rules=rules) as running:
        yield running


# -- back-pressure ----------------------------------------------------------------------------------------------------


def test_a_slow_reader_holds_the_endpoint_back(proxy: Bench) -> None:
    size, sent = 64 * MIB, [0]

    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for piece in send_all(size):
            peer.send(piece)
            sent[0] += len(piece)

    proxy.play("solo", handler)
    proxy.play("other", serve_ok)
    with proxy.client() as warm:
        warm.ask("other")
    before = memory_kib(proxy.worker_pid())
    path = unique()
    with proxy.client(receive_buffer=65536) as client:
        client.request("solo", path)
        assert client.head().status == 200
        assert steady(lambda: sent[0]) < 24 * MIB, "only the kernel's buffers are full"
        held = memory_kib(proxy.worker_pid())
        with proxy.client() as another:
            assert another.ask("other")[1] == b"ok", "others are served meanwhile"
        read = len(client.buffer)
        while read < size:
            client.buffer = b""
            assert client.more()
            read += len(client.buffer)
        assert read == size
    assert max(held, memory_kib(proxy.worker_pid())) - before < 3000
    assert proxy.line(path)["sent"] == str(size)


def test_a_slow_endpoint_holds_the_client_back(proxy: Bench) -> None:
    size, go = 64 * MIB, threading.Event()

    def handler(peer: Peer) -> None:
        peer.head()
        go.wait(10)
        left = size - len(peer.buffer)
        while left:
            left -= len(peer.sock.recv(262144))
        peer.send(OK)

    proxy.play("solo", handler)
    before = memory_kib(proxy.worker_pid())
    sent, path = [0], unique()

    with proxy.client() as client:

        def upload() -> None:
            client.send(f"POST {path} HTTP/1.1\r\nhost: solo\r\ncontent-length: {size}\r\n\r\n")
            for piece in send_all(size):
                client.send(piece)
                sent[0] += len(piece)

        thread = threading.Thread(target=upload)
        thread.start()
        assert steady(lambda: sent[0]) < 24 * MIB
        held = memory_kib(proxy.worker_pid())
        go.set()
        assert client.answer()[1] == b"ok"
        thread.join()
        assert client.ask("other")[1] == b"ok"
    assert max(held, memory_kib(proxy.worker_pid())) - before < 3000
    assert proxy.line(path)["received"] == str(size)


def test_both_ways_at_once(proxy: Bench) -> None:
    """An echo that answers while it reads: neither direction waits for the end of the other."""

    def handler(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while (size := int(peer.until(b"\r\n"), 16)) > 0:
            data = peer.exactly(size + 2)
            peer.send(b"%x\r\n%s" % (size, data))
        peer.until(b"\r\n")
        peer.send(b"0\r\n\r\n")

    proxy.play("solo", handler)
    with proxy.client() as client:
        client.send("POST / HTTP/1.1\r\nhost: solo\r\ntransfer-encoding: chunked\r\n\r\n")
        assert client.head().status == 200
        for i in range(200):
            piece = b"%x\r\n%s\r\n" % (i + 1, b"y" * (i + 1))
            client.send(piece)
            assert client.exactly(len(piece)) == piece
        client.send("0\r\n\r\n")
        assert client.exactly(5) == b"0\r\n\r\n"


def test_a_fast_transfer_leaves_others_their_turn(proxy: Bench) -> None:
    stop, running = threading.Event(), threading.Event()

    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stop.is_set():
            peer.send(b"z" * MIB)

    proxy.play("solo", handler)
    proxy.play("other", serve_ok)

    def download() -> None:
        with proxy.client() as client, contextlib.suppress(OSError):
            client.request("solo", "/", "connection: close")
            while client.more():
                client.buffer = b""
                running.set()

    thread = threading.Thread(target=download)
    thread.start()
    assert running.wait(5)
    with proxy.client() as client, within(5, "the others have their turn"):
        for _ in range(10):
            client.ask("other")
    stop.set()
    thread.join()


@pytest.mark.parametrize("kind", ["pipelined 404", "chunk extensions"])
def test_floods_that_never_wait_leave_others_their_turn(proxy: Bench, kind: str) -> None:
    stop = threading.Event()
    flooding: set[int] = set()
    piece = b"1;\r\nx\r\n" if kind == "chunk extensions" else b"GET / HTTP/1.1\r\nhost:x\r\n\r\n"

    def handler(peer: Peer) -> None:
        peer.head()
        while peer.more():
            peer.buffer = b""

    proxy.play("solo", handler)
    proxy.play("other", serve_ok)

    def drain(client: Client) -> None:
        with contextlib.suppress(OSError):
            while client.more():
                client.buffer = b""

    def flood() -> None:
        with proxy.client() as client, contextlib.suppress(OSError):
            threading.Thread(target=drain, args=(client,), daemon=True).start()
            if kind == "chunk extensions":
                client.send("POST / HTTP/1.1\r\nhost: solo\r\ntransfer-encoding: chunked\r\n\r\n")
            while not stop.is_set():
                client.send(piece * 50_000)
                flooding.add(threading.get_ident())

    threads = [threading.Thread(target=flood) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(flooding) == len(threads), 10, "all of them flood")
    with proxy.client() as client, within(5, "the others have their turn"):
        for _ in range(10):
            client.ask("other")
    stop.set()
    for thread in threads:
        thread.join()


# -- early answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closes", [True, False])
def test_an_answer_before_the_body_reaches_a_client_that_still_sends(proxy: Bench, closes: bool) -> None:
    def handler(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        if not closes:
            time.sleep(2)

    proxy.play("solo", handler)
    path = unique()
    with proxy.client() as client:
        client.send(f"POST {path} HTTP/1.1\r\nhost: solo\r\ncontent-length: {50 * MIB}\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for piece in send_all(8 * MIB):
                client.send(piece)
        head, body = client.answer()
        assert (head.status, body) == (413, b"big")
        assert head["connection"] == "close"
        assert client.ended()
    assert proxy.line(path)["status"] == "413"


def test_a_whole_body_that_the_endpoint_did_not_read_is_no_next_request(proxy: Bench) -> None:
    """The endpoint answers and closes; what it left unread must never be taken for a request."""

    def handler(peer: Peer) -> None:
        peer.head()
        peer.send(OK)
        peer.reset()

    endpoint = proxy.play("solo", handler)
    other = proxy.play("other", serve_ok)
    smuggled = b"GET /smuggled HTTP/1.1\r\nhost: other\r\n\r\n"
    for size in (1, 100, 2000):
        with proxy.client() as client, contextlib.suppress(ConnectionError, EOFError):
            client.request("solo", method="POST", body=smuggled * size)
            client.answer()
            client.send("GET /next HTTP/1.1\r\nhost: other\r\n\r\n")
            client.answer()
    assert endpoint.peers
    assert all("smuggled" not in head.first for head in other.heads)


# -- half-closed clients ----------------------------------------------------------------------------------------------


def test_a_half_closed_client_gets_its_answer(proxy: Bench) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        time.sleep(0.3)
        peer.send(OK)

    proxy.play("solo", handler)
    with proxy.client() as client:
        client.request("solo")
        client.finish()
        assert client.answer()[1] == b"ok"
        assert client.ended()
    with proxy.client() as client:
        client.request("solo", method="POST", body=b"x" * 200_000)
        client.finish()
        assert client.answer()[1] == b"ok"


def test_a_half_closed_client_whose_body_is_taken_slowly_gets_its_answer(proxy: Bench) -> None:
    size = 24 * MIB

    def handler(peer: Peer) -> None:
        head = peer.head()
        time.sleep(1.5)
        peer.body(head)
        peer.send(OK)

    proxy.play("solo", handler)
    with proxy.client() as client:
        client.request("solo", method="POST", body=b"x" * size)
        client.finish()
        assert client.answer()[1] == b"ok"
