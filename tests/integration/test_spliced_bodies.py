"""Large bodies over plain TCP, which pass through the kernel: every byte arrives, and is counted, whatever stalls,
breaks off or is refused."""

import contextlib
import hashlib
import os
import random
import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.http_rig import MIB, OK, Bench, Client, Head, Peer, Wire, bench, outlier_rule, unique
from tests.rig import wait_until

GIB = 1 << 30
STALL_S = 0.01
SPARE = 8
"""Pipes that a worker keeps."""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("spliced"), services={"solo": 1}, rules=[outlier_rule("solo")]) as running:
        yield running


# -- bodies that are made as they go, and only summed up --------------------------------------------------------------


def pieces(size: int, seed: int, largest: int = MIB) -> Iterator[bytes]:
    """The body of that seed, in pieces of any length; after some of them nothing comes for a moment."""
    chance = random.Random(seed)
    block = chance.randbytes(2 * MIB)
    while size:
        length = min(size, int(largest ** chance.random()))
        at = chance.randrange(len(block) - length)
        yield block[at : at + length]
        size -= length
        if chance.random() < 0.05:
            time.sleep(chance.random() * STALL_S)


def sum_of(size: int, seed: int, largest: int = MIB) -> str:
    whole = hashlib.blake2b()
    for piece in pieces(size, seed, largest):
        whole.update(piece)
    return whole.hexdigest()


def fields(framing: str, size: int) -> str:
    return {
        "length": f"content-length: {size}\r\n",
        "chunked": "transfer-encoding: chunked\r\n",
        "until close": "connection: close\r\n",
    }[framing]


def put_body(wire: Wire, framing: str, body: Iterator[bytes]) -> None:
    for piece in body:
        wire.send(b"%x\r\n%s\r\n" % (len(piece), piece) if framing == "chunked" else piece)
    if framing == "chunked":
        wire.send(b"0\r\n\r\n")


def take(wire: Wire, size: int, chance: random.Random, update: Callable[[bytes], object]) -> None:
    """`size` bytes, in reads of any length; between some of them nothing is read for a moment."""
    while size:
        data = wire.buffer[:size] or wire.sock.recv(min(size, int(MIB ** chance.random())))
        if not data:
            raise EOFError
        wire.buffer = wire.buffer[len(data) :]
        size -= len(data)
        update(data)
        if chance.random() < 0.02:
            time.sleep(chance.random() * STALL_S)


def sum_read(wire: Wire, head: Head, seed: int) -> str:
    """The sum of a body with a length, or in chunks."""
    whole, chance = hashlib.blake2b(), random.Random(seed)
    if "content-length" in head:
        take(wire, int(head["content-length"]), chance, whole.update)
        return whole.hexdigest()
    while (size := int(wire.until(b"\r\n"), 16)) > 0:
        take(wire, size, chance, whole.update)
        assert wire.exactly(2) == b"\r\n"
    assert wire.exactly(2) == b"\r\n"
    return whole.hexdigest()


def exchange(proxy: Bench, asked: str, answered: str, size: int) -> None:
    """A body of `size` bytes goes up in one framing, another comes down in the other; both arrive and are counted."""
    up, down, path = random.randrange(1 << 30), random.randrange(1 << 30), unique()
    seen: list[str] = []

    def handler(peer: Peer) -> None:
        seen.append(sum_read(peer, peer.head(), down))
        peer.send(f"HTTP/1.1 200 OK\r\n{fields(answered, size)}\r\n")
        put_body(peer, answered, pieces(size, down))

    proxy.play("solo", handler)
    with proxy.client(timeout=60) as client:
        client.send(f"POST {path} HTTP/1.1\r\nhost: solo\r\n{fields(asked, size)}\r\n")
        put_body(client, asked, pieces(size, up))
        head = client.head()
        assert head.status == 200 and sum_read(client, head, up) == sum_of(size, down)
    assert seen == [sum_of(size, up)], (up, down)
    line = proxy.line(path)
    assert (line["received"], line["sent"], line["flags"]) == (str(size), str(size), "-")


@pytest.mark.parametrize(
    ("asked", "answered"), [("length", "chunked"), ("chunked", "length"), ("chunked", "until close")]
)
def test_every_byte_arrives(proxy: Bench, asked: str, answered: str) -> None:
    exchange(proxy, asked, answered, 12 * MIB + 4321)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("asked", "answered"), [("length", "chunked"), ("chunked", "length"), ("chunked", "until close")]
)
def test_every_byte_of_a_gibibyte_arrives(proxy: Bench, asked: str, answered: str) -> None:
    exchange(proxy, asked, answered, GIB + 4321)


def test_every_byte_of_an_upgraded_connection_arrives(proxy: Bench) -> None:
    size, path, seen = 6 * MIB + 77, unique(), hashlib.blake2b()

    def handler(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\n")
        take(peer, size, random.Random(1), seen.update)
        put_body(peer, "raw", pieces(size, 2))

    proxy.play("solo", handler)
    whole = hashlib.blake2b()
    with proxy.client(timeout=60) as client:
        client.request("solo", path, "connection: upgrade", "upgrade: raw")
        assert client.head().status == 101
        put_body(client, "raw", pieces(size, 3))
        client.finish()
        take(client, size, random.Random(4), whole.update)
        assert client.ended()
    assert seen.hexdigest() == sum_of(size, 3) and whole.hexdigest() == sum_of(size, 2)
    line = proxy.line(path)
    assert (line["received"], line["sent"]) == (str(size), str(size))


# -- pipes ------------------------------------------------------------------------------------------------------------


def pipes(pid: int) -> int:
    """How many pipes a process has both ends of."""
    ends = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            ends.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return sum(ends.count(each) == 2 for each in set(ends) if each.startswith("pipe:"))


def answer_of(size: int) -> Callable[[Peer], None]:
    """An endpoint whose answers have a body of so many bytes, but for those to /small."""

    def handler(peer: Peer) -> None:
        while True:
            if " /small " in peer.request()[0].first:
                peer.send(OK)
                continue
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            for at in range(0, size, MIB):
                peer.send(b"x" * min(MIB, size - at))

    return handler


def begun(proxy: Bench, path: str) -> Client:
    """A client that has read the head of an answer, and no more."""
    client = proxy.client(receive_buffer=65536)
    client.request("solo", path)
    client.head()
    return client


def test_who_leaves_gives_the_pipe_back(proxy: Bench) -> None:
    """Clients that stall hold a pipe each, no longer than they are there; a small body takes none."""
    proxy.play("solo", answer_of(64 * MIB))
    before = pipes(proxy.worker_pid())
    paths = [unique() for _ in range(SPARE + 4)]
    clients = [begun(proxy, path) for path in paths]
    wait_until(lambda: pipes(proxy.worker_pid()) == max(before, len(clients)), 30, "a pipe for each")
    for client in clients:
        client.reset()
    wait_until(lambda: pipes(proxy.worker_pid()) <= SPARE, 30, "pipes given back")
    for path in paths:
        assert proxy.line(path, 30)["flags"] == "DC"
    proxy.settled()


def test_an_endpoint_that_breaks_off(proxy: Bench) -> None:
    path, size = unique(), 8 * MIB

    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        peer.send(b"y" * (size - 1))

    proxy.play("solo", handler)
    failures = proxy.failures("solo")
    with proxy.client() as client:
        client.request("solo", path)
        client.head()
        assert client.rest() == b"y" * (size - 1)
    line = proxy.line(path)
    assert (line["flags"], line["sent"]) == ("UC", str(size - 1))
    wait_until(lambda: proxy.failures("solo") == failures + 1, 5, "an endpoint's failure")


def test_a_client_that_breaks_off(proxy: Bench) -> None:
    got, ended, path = [0], threading.Event(), unique()

    def handler(peer: Peer) -> None:
        peer.head()
        with contextlib.suppress(OSError):
            while data := peer.sock.recv(262144):
                got[0] += len(data)
        ended.set()

    proxy.play("solo", handler)
    with proxy.client() as client:
        client.send(f"POST {path} HTTP/1.1\r\nhost: solo\r\ncontent-length: {8 * MIB}\r\n\r\n")
        client.send(b"z" * (4 * MIB))
        wait_until(lambda: got[0] > 2 * MIB, 30, "much of the body")
        client.reset()
    assert ended.wait(30), "the endpoint is not left waiting"
    assert proxy.line(path)["flags"] == "DC"
    proxy.settled()


def test_without_pipes_bodies_are_copied(proxy: Bench) -> None:
    """No descriptor is left for one more pipe: every byte arrives all the same, and why is said once."""
    size, pid = 4 * MIB, proxy.worker_pid()
    proxy.play("solo", answer_of(size))

    def said() -> list[str]:
        return [line for line in proxy.waypoint.errors().splitlines() if "bodies are copied" in line]

    with proxy.client() as client, contextlib.ExitStack() as held:
        assert client.ask("solo")[1] == b"x" * size
        stalled = pipes(pid) + 1
        for _ in range(stalled):
            held.enter_context(begun(proxy, unique()))
        wait_until(lambda: pipes(pid) == stalled, 30, "no spare pipe")
        assert client.ask("solo", "/small")[1] == b"ok", "a connection to the endpoint is there"
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free(pid), before[1]))
        try:
            wait_until(lambda: client.ask("solo")[1] == b"x" * size and said(), 30, "a body that is copied")
            assert client.ask("solo")[1] == b"x" * size
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert len(said()) == 1 and "Too many open files" in said()[0] and "ulimit -n" in said()[0]


def lowest_free(pid: int) -> int:
    """The number that the next descriptor of a process gets."""
    taken = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
    return min(set(range(len(taken) + 1)) - taken)
