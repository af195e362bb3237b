"""Bytes that are no HTTP: declared ports, sniffed ones, servers that speak first, half close, the line in the log."""

import contextlib
import random
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.hbone.stream import Stream
from tests.hbone.ztunnel import Refused
from tests.integration.hbone_rig import TCP_LINE, HboneBench, Served, echo, fields, hbone_bench, outlier_rule
from tests.integration.http_rig import Peer, serve_ok
from tests.patience import within
from tests.rig import wait_until

MIB = 1 << 20


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    served = [
        Served("raw", port=9000, port_name="tcp"),
        Served("rawplain", port=9000, port_name="web", app_protocol="tcp", hbone=False),
        Served("trio", port=9000, port_name="redis", count=3, rule=outlier_rule("trio")),
        Served("any", port=7000, port_name="", count=1),
    ]
    with hbone_bench(tmp_path_factory.mktemp("tcp"), *served, args=("--protocol-detection-timeout", "1")) as running:
        yield running


def lines(proxy: HboneBench, name: str) -> list[dict[str, str]]:
    """The lines of TCP connections to a Service."""
    found = proxy.waypoint.lines(f"|{proxy.host(name)} ")
    return [fields(TCP_LINE, line) for line in found if '"- - -" 0 ' in line]


@pytest.mark.parametrize("name", ["raw", "rawplain"])
def test_bytes_half_close_and_the_line(proxy: HboneBench, name: str) -> None:
    endpoint = proxy.play(name, echo)
    before = len(lines(proxy, name))
    with proxy.client(name) as client:
        client.send(b"\x00\x01GET / HTTP/1.1\r\n\r\n")
        assert client.exactly(20) == b"\x00\x01GET / HTTP/1.1\r\n\r\n", "bytes are bytes"
        client.send(b"more")
        assert client.exactly(4) == b"more"
        client.finish()
        assert client.rest() == b"END"
    line = wait_until(lambda: lines(proxy, name)[before:], 3, "the line")[0]
    assert (line["received"], line["sent"], line["flags"]) == ("24", "27", "-")
    assert line["host"] == endpoint.address
    assert line["cluster"] == f"inbound-vip|9000|tcp|{proxy.host(name)}"
    assert line["downstream"] == proxy.authority(name)
    assert line["remote"].startswith(proxy.ztunnel.pod + ":")


@pytest.mark.parametrize("name", ["raw", "rawplain"])
def test_data_and_the_end_in_one_burst_are_answered_in_full(proxy: HboneBench, name: str) -> None:
    proxy.play(name, echo)
    stream = proxy.tunnel(name)
    data = b"q" * MIB
    for _ in range(3):
        stream.sendall(data)
    stream.send_and_finish(b"last")
    got = b""
    while piece := stream.recv(MIB):
        got += piece
    assert got == data * 3 + b"lastEND"


@pytest.mark.parametrize("name", ["raw", "rawplain", "any"])
def test_a_server_that_speaks_first_and_closes_first(proxy: HboneBench, name: str) -> None:
    heard = []

    def handler(peer: Peer) -> None:
        peer.send(b"220 ready\r\n")
        peer.finish()
        heard.append(peer.rest())

    proxy.play(name, handler)
    least, most = (0.9, 3) if name == "any" else (0, 0.9)
    with within(most, "silence decides what is not declared", at_least=least):
        stream = proxy.tunnel(name)
        assert stream.recv(100) == b"220 ready\r\n"
        assert stream.recv(100) == b""
        stream.sendall(b"after its end")
        stream.finish()
        wait_until(lambda: heard == [b"after its end"], 3, "the upload goes on")


def test_an_app_that_resets(proxy: HboneBench) -> None:
    def handler(peer: Peer) -> None:
        peer.until(b"\n")
        peer.reset()

    for name in ("raw", "rawplain"):
        proxy.play(name, handler)
        stream = proxy.tunnel(name)
        stream.sendall(b"x\n")
        with contextlib.suppress(ConnectionResetError):
            assert stream.recv(1) == b""


def test_a_client_that_resets_is_gone_for_the_app(proxy: HboneBench) -> None:
    for name in ("raw", "rawplain"):
        ended = threading.Event()

        def handler(peer: Peer, ended: threading.Event = ended) -> None:
            with contextlib.suppress(OSError):
                peer.rest()
            ended.set()

        endpoint = proxy.play(name, handler)
        stream = proxy.tunnel(name)
        stream.sendall(b"x")
        wait_until(lambda at=endpoint: any(peer.buffer for peer in at.peers), 5, "the app has it")
        stream.cancel()
        assert ended.wait(3), name


def test_sniffing(proxy: HboneBench) -> None:
    proxy.play("any", echo)
    before = len(lines(proxy, "any"))
    with proxy.client("any") as client:
        client.send(b"\x16\x03\x01")
        assert client.exactly(3) == b"\x16\x03\x01"
        client.finish()
        assert client.rest() == b"END"
    assert len(wait_until(lambda: lines(proxy, "any")[before:], 2)) == 1
    proxy.play("any", serve_ok)
    with proxy.client("any") as client:
        for piece in (b"G", b"ET / HT", b"TP/1.1\r\nhos", b"t: a\r\n\r\n"):
            client.send(piece)
            time.sleep(0.03)
        assert client.answer()[1] == b"ok"
        assert client.ask("a")[1] == b"ok"


def test_connections_take_turns_and_go_round_a_dead_endpoint(proxy: HboneBench) -> None:
    def handler(peer: Peer) -> None:
        peer.send(peer.endpoint.name)
        peer.rest()

    proxy.play("trio", handler)

    def name() -> bytes:
        with proxy.client("trio") as client:
            return bytes(client.sock.recv(100))

    names = [name() for _ in range(6)]
    assert names[:3] == names[3:] and len(set(names)) == 3
    victim = proxy.services["trio"][0]
    victim.stop()
    try:
        assert victim.name.encode() not in [name() for _ in range(9)], "no client sees it"
        wait_until(lambda: proxy.ejected("trio") == [victim.address], 2, "ejected")
        (line,) = wait_until(
            lambda: proxy.waypoint.lines(f"ejecting endpoint due to consecutive 5xx endpoint={victim.address}"), 2
        )
        assert line.endswith(" cause=tunnel_503"), "Z5"
    finally:
        victim.start()


def test_nobody_to_connect_to(proxy: HboneBench) -> None:
    endpoint = proxy.play("raw", echo)
    endpoint.stop()
    try:
        before = len(lines(proxy, "raw"))
        with contextlib.suppress(ConnectionResetError, Refused):
            assert proxy.tunnel("raw").recv(1) == b""
        line = wait_until(lambda: lines(proxy, "raw")[before:], 3, "its line")[0]
        assert "UF" in line["flags"]
    finally:
        endpoint.start()


def test_much_both_ways_at_once(proxy: HboneBench) -> None:
    size = 24 * MIB
    for name in ("raw", "rawplain"):
        proxy.play(name, echo)
        stream = proxy.tunnel(name)
        stream.settimeout(30)

        def upload(stream: Stream = stream) -> None:
            piece = struct.pack("Q", 7) * (MIB // 8)
            for _ in range(size // MIB):
                stream.sendall(piece)
            stream.finish()

        sender = threading.Thread(target=upload)
        sender.start()
        left = size
        while left > 0:
            data = stream.recv(MIB)
            assert data
            left -= len(data)
        sender.join()
        assert stream.recv(10)[-3:] == b"END" or left == -3


@pytest.mark.parametrize("name", ["raw", "rawplain"])
def test_every_byte_of_three_tunnels_at_once_on_one_connection(proxy: HboneBench, name: str) -> None:
    """Each with bytes of its own, so that none can stray unseen."""
    proxy.play(name, echo)
    bodies = [random.Random(number).randbytes(6 * MIB + number) for number in range(3)]
    streams = [proxy.tunnel(name) for _ in bodies]
    assert len({id(stream.connection) for stream in streams}) == 1

    def send(stream: Stream, body: bytes) -> None:
        stream.sendall(body)
        stream.finish()

    senders = [threading.Thread(target=send, args=pair) for pair in zip(streams, bodies, strict=True)]
    for sender in senders:
        sender.start()
    for stream, body in zip(streams, bodies, strict=True):
        stream.settimeout(30)
        received = bytearray()
        while data := stream.recv(MIB):
            received += data
        assert received == body + b"END"
    for sender in senders:
        sender.join()


@pytest.mark.parametrize("name", ["raw", "rawplain"])
def test_every_byte_to_a_client_that_pauses(proxy: HboneBench, name: str) -> None:
    """It does not read its connection for a moment: records are cut short where the socket is full, and go on later."""
    bodies = [random.Random(number).randbytes(8 * MIB + number) for number in range(3)]

    def serve(peer: Peer) -> None:
        peer.send(bodies[int(peer.exactly(1))])

    proxy.play(name, serve)
    streams = [proxy.tunnel(name) for _ in bodies]
    for number, stream in enumerate(streams):
        stream.sendall(b"%d" % number)
    with streams[0].connection.lock:  # its reader waits for that
        time.sleep(0.3)
    for stream, body in zip(streams, bodies, strict=True):
        stream.settimeout(30)
        received = bytearray()
        while data := stream.recv(MIB):
            received += data
        assert received == body
