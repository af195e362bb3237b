"""The peers that the HBONE tests are made of, by themselves: that they are what they say."""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hpack import Decoder
from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame, WindowUpdateFrame

from tests.hbone import destination, envoy, ztunnel
from tests.hbone.destination import Destination
from tests.hbone.http2 import MAGIC, Connection
from tests.hbone.identities import Authority, Leaf, context, install
from tests.hbone.joined import Forwarder
from tests.hbone.stream import Stream
from tests.hbone.ztunnel import Refused, Ztunnel
from tests.rig import free_port, wait_until

CA = Authority()
MIB = 1 << 20


@contextlib.contextmanager
def app(ip: str = "127.0.0.1") -> Iterator[int]:
    """An app that repeats what it gets, in upper case, and says "bye" after the end of it."""

    def repeat(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            while data := sock.recv(MIB):
                sock.sendall(data.upper())
            sock.sendall(b"bye")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=repeat, args=(listener.accept()[0],), daemon=True).start()

    listener = socket.create_server((ip, 0))
    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@contextlib.contextmanager
def pair(ip: str = "127.0.0.1", **more: Any) -> Iterator[tuple[Ztunnel, Destination]]:
    """A source ztunnel that takes a destination's for its waypoint."""
    port = free_port(ip)
    with (
        Destination(ip, CA.leaf("httpbin-waypoint"), CA.root, port=port, **more) as far,
        Ztunnel([(ip, port)], CA.leaf("client"), CA.root) as near,
    ):
        yield near, far


class Flight:
    """What a ztunnel sends up to the answer to its CONNECT: TLS's first record, then HTTP/2 in the clear."""

    def __init__(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        near = Ztunnel([listener.getsockname()], CA.leaf("client"), CA.root, pod="127.0.0.77")
        asking = threading.Thread(target=self._ask, args=(near,))
        asking.start()
        sock, self.source = listener.accept()
        self.hello = sock.recv(65536, socket.MSG_PEEK)
        with context(CA.leaf("httpbin-waypoint"), CA.root, server=True).wrap_socket(sock, server_side=True) as tls:
            self.chain = dict(tls.getpeercert() or {})
            self.sent = b""
            with contextlib.suppress(TimeoutError):
                tls.settimeout(0.3)
                while data := tls.recv(65536):
                    self.sent += data
        asking.join()
        near.close()
        listener.close()

    def _ask(self, near: Ztunnel) -> None:
        near.ask("10.96.1.2:8000", "in-ambient.httpbin.svc.cluster.local")

    def frames(self) -> list[Frame]:
        data = memoryview(self.sent)[len(MAGIC) :]
        found: list[Frame] = []
        while data:
            frame, length = Frame.parse_frame_header(data[:9])
            frame.parse_body(data[9 : 9 + length])
            data = data[9 + length :]
            found.append(frame)
        return found

    def extensions(self) -> dict[int, bytes]:
        at = 9 + 2 + 32  # record and message heads, version, random
        at += 1 + self.hello[at]
        (length,) = struct.unpack_from(">H", self.hello, at)
        at += 2 + length
        at += 1 + self.hello[at] + 2
        found = {}
        while at < len(self.hello):
            kind, length = struct.unpack_from(">HH", self.hello, at)
            found[kind] = self.hello[at + 4 : at + 4 + length]
            at += 4 + length
        return found


@pytest.fixture(scope="module")
def flight() -> Flight:
    return Flight()


def test_the_first_flight_is_ztunnels_byte_by_byte(flight: Flight) -> None:
    settings = bytes.fromhex("000018040000000000000200000000000400400000000500100000000600004000")
    window = bytes.fromhex("00000408000000000000ff0001")
    assert flight.sent.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + window)
    first, second, third = flight.frames()[:3]
    assert isinstance(first, SettingsFrame) and isinstance(second, WindowUpdateFrame)
    assert isinstance(third, HeadersFrame) and set(third.flags) == {"END_HEADERS"} and third.stream_id == 1
    assert not any(isinstance(frame, DataFrame) for frame in flight.frames()), "no byte before the 200"


def test_its_connect_has_ztunnels_fields(flight: Flight) -> None:
    head = flight.frames()[2]
    assert isinstance(head, HeadersFrame)
    fields = [(str(name), str(value)) for name, value in Decoder().decode(head.data)]
    assert [name for name, _ in fields] == [":method", ":authority", "baggage", "forwarded", "traceparent"]
    values = dict(fields)
    assert (values[":method"], values[":authority"]) == ("CONNECT", "10.96.1.2:8000")
    assert values["forwarded"] == 'for="127.0.0.77:40000";host=in-ambient.httpbin.svc.cluster.local'
    assert values["baggage"].startswith("k8s.cluster.name=Kubernetes,k8s.namespace.name=httpbin,k8s.deployment.name=")
    assert [len(part) for part in values["traceparent"].split("-")] == [2, 32, 16, 2]


def test_its_tls_is_ztunnels(flight: Flight) -> None:
    extensions = flight.extensions()
    assert 0 not in extensions, "no server name"
    assert extensions[16] == b"\x00\x03\x02h2"
    assert extensions[43] == b"\x02\x03\x04", "TLS 1.3 alone"
    assert flight.source[0] == "127.0.0.77"
    assert flight.chain["subjectAltName"] == (("URI", "spiffe://cluster.local/ns/httpbin/sa/client"),)


def test_the_destinations_settings_are_ztunnels() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sock = socket.create_connection(listener.getsockname())
    with sock:
        peer = listener.accept()[0]
        made = Connection(peer, None, server=True, settings=destination.SETTINGS, window=destination.WINDOW)
        sock.settimeout(2)
        sent = sock.recv(46, socket.MSG_WAITALL)
        made.close()
    listener.close()
    settings = bytes.fromhex("0000180400000000000003000000c8000400400000000500100000000600010000")
    assert sent == settings + bytes.fromhex("00000408000000000000ff0001")


def test_bytes_and_half_closes_go_both_ways() -> None:
    with app() as port, pair() as (near, far):
        streams = [near.tunnel(f"127.0.0.1:{port}") for _ in range(20)]
        assert len(near.connections) == 1
        for stream in streams:
            stream.sendall(b"abc")
        for stream in streams:
            assert stream.recv(100) == b"ABC"
            stream.shutdown(socket.SHUT_WR)
            assert stream.recv(100) == b"bye"
            assert stream.recv(100) == b""
        wait_until(lambda: far.connections[0].open_streams() == 0, 2, "all streams done")
        assert far.connects[0].identity == "spiffe://cluster.local/ns/httpbin/sa/client"
        assert far.connects[0].headers["forwarded"].startswith("for=")


def test_large_bodies_pass_and_a_stopped_reader_stops_its_sender_alone() -> None:
    size = 12 * MIB
    with app() as port, pair() as (near, _):
        stopped, other = near.tunnel(f"127.0.0.1:{port}"), near.tunnel(f"127.0.0.1:{port}")
        sender = threading.Thread(target=stopped.sendall, args=(b"x" * size,), daemon=True)
        stopped.settimeout(20)
        sender.start()
        other.sendall(b"quick")
        assert other.recv(100) == b"QUICK"
        wait_until(lambda: stopped.received == 4 * MIB, 5, "its window is used up")
        time.sleep(0.1)
        assert stopped.received == 4 * MIB, "and never more"
        other.sendall(b"again")
        assert other.recv(100) == b"AGAIN"
        left = size
        while left:
            left -= len(stopped.recv(MIB))
        sender.join()


def test_the_destination_answers_as_ztunnel() -> None:
    with app() as port, pair() as (near, far):

        def status(authority: str) -> int:
            with pytest.raises(Refused) as refused:
                near.tunnel(authority)
            return refused.value.status

        assert status(f"127.0.0.2:{port}") == 400, "not its pod"
        assert status("nonsense") == 400
        assert status(f"127.0.0.1:{free_port()}") == 503, "the app refuses"
        assert status("127.0.0.1:15008") == 503
        far.answer = 401
        assert status(f"127.0.0.1:{port}") == 401
        far.answer = None
        assert near.tunnel(f"127.0.0.1:{port}").status == 200
        assert len(near.connections) == 1, "refused tunnels leave the connection alone"


def test_an_app_that_resets_its_connection_is_a_clean_end() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with pair() as (near, _):
        stream = near.tunnel(f"127.0.0.1:{listener.getsockname()[1]}")
        sock = listener.accept()[0]
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        assert stream.recv(10) == b""
    listener.close()


def test_a_hundred_tunnels_a_connection_and_none_after_a_goaway() -> None:
    with app() as port, pair() as (near, far):
        streams = [near.tunnel(f"127.0.0.1:{port}") for _ in range(101)]
        assert len(near.connections) == 2
        assert streams[100].connection is near.connections[1]
        far.connections[1].goaway()
        wait_until(lambda: near.connections[1].goaways, 2, "GOAWAY")
        assert near.tunnel(f"127.0.0.1:{port}").connection is near.connections[2]
        streams[100].sendall(b"goes on")
        assert streams[100].recv(10) == b"GOES ON"


def test_killed_and_strange_peers() -> None:
    with app() as port, pair() as (near, far):
        stream = near.tunnel(f"127.0.0.1:{port}")
        assert near.connections[0].ping() < 1
        far.stop()
        with pytest.raises(ConnectionResetError):
            stream.recv(1)
        with pytest.raises(ConnectionRefusedError):
            near.connect()
    with pair(trust_domain="elsewhere.example") as (near, far), pytest.raises(ConnectionResetError):
        near.tunnel("127.0.0.1:1")
    assert far.refused == ["trust domain: spiffe://cluster.local/ns/httpbin/sa/client"]


@pytest.mark.parametrize("leaf", [None, Authority().leaf("client"), CA.leaf("client", hours=-1.0)])
def test_the_destination_checks_certificates(leaf: Leaf | None) -> None:
    with pair() as (near, far):
        near._context = context(leaf, CA.root, server=False)
        with pytest.raises((ConnectionResetError, ssl.SSLError)):
            near.tunnel("127.0.0.1:1")
        wait_until(lambda: len(far.refused) == 1, 2, "refused")


def test_resets_and_cancels() -> None:
    with app() as port, pair() as (near, far):
        stream = near.tunnel(f"127.0.0.1:{port}")
        theirs: Stream = wait_until(lambda: far.connections[0].streams.get(stream.number), 2)
        stream.cancel(10)
        wait_until(lambda: theirs.reset_code == 10, 2, "CONNECT_ERROR")
        with pytest.raises(ConnectionResetError):
            theirs.recv(1)
        stream = near.tunnel(f"127.0.0.1:{port}")
        theirs = wait_until(lambda: far.connections[0].streams.get(stream.number), 2)
        theirs.cancel()
        assert stream.recv(1) == b"", "CANCEL is an end"


def test_envoy_is_a_client_of_ours_and_ours_one_of_envoys(tmp_path: Path) -> None:
    files = install(tmp_path / "tls", CA.leaf("httpbin-waypoint"), CA.root)
    far_port, near_port, local = free_port("127.0.0.3"), free_port("127.0.0.2"), free_port()
    with (
        app("127.0.0.3") as port,
        envoy.running(tmp_path, "dest", envoy.destination(["127.0.0.3"], files, far_port)) as far,
        Ztunnel([("127.0.0.3", far_port)], CA.leaf("client"), CA.root) as near,
    ):
        stream = near.tunnel(f"127.0.0.3:{port}")
        stream.sendall(b"abc")
        assert stream.recv(100) == b"ABC"
        stream.shutdown(socket.SHUT_WR)
        assert stream.recv(100) == b"bye"
        with (
            Forwarder(lambda: near.tunnel(f"127.0.0.3:{port}")) as forwarder,
            socket.create_connection(("127.0.0.1", forwarder.port)) as sock,
        ):
            sock.sendall(b"def")
            assert sock.recv(100) == b"DEF"
        wait_until(lambda: far.lines("peer=spiffe://cluster.local/ns/httpbin/sa/client"), 2, "Envoy's line")
    with (
        app("127.0.0.2") as port,
        Destination("127.0.0.2", CA.leaf("httpbin-waypoint"), CA.root, port=near_port) as ours,
        envoy.running(
            tmp_path,
            "client",
            envoy.client(("127.0.0.2", near_port), files, {local: (f"127.0.0.2:{port}", "some.service")}),
        ),
        socket.create_connection(("127.0.0.1", local)) as sock,
    ):
        sock.sendall(b"ghi")
        assert sock.recv(100) == b"GHI"
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b"bye"
        assert ours.connects[0].headers["forwarded"].endswith(";host=some.service")
    assert ztunnel.STREAMS == 100
