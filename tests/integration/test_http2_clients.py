"""HTTP/2 on a plain listener: requests, refusals, broken answers, gRPC's own words for them, the tools of nghttp2."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hpack import Encoder
from hyperframe.frame import HeadersFrame, SettingsFrame

from tests.hbone.http2 import Connection
from tests.hbone.stream import Headers, Stream
from tests.integration.captured import captured
from tests.integration.hbone_rig import H2
from tests.integration.http_rig import OK, Bench, Peer, answering, bench, serve_ok, unique

GRPC = [("content-type", "application/grpc"), ("te", "trailers")]
NO_ERROR, INTERNAL_ERROR = 0, 2


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    services = {"solo": 1, "trio": 3, "dead": 1}
    with bench(tmp_path_factory.mktemp("h2"), services=services) as running:
        running.services["dead"][0].stop()
        yield running


@pytest.fixture
def client(proxy: Bench) -> Iterator[Connection]:
    sock = socket.create_connection(("127.0.0.1", proxy.replica.port))
    with contextlib.closing(Connection(sock, None, server=False, settings=H2, window=1 << 24)) as connection:
        yield connection


def headers(service: str, path: str, *more: tuple[str, str], method: str = "GET") -> Headers:
    return [(":method", method), (":scheme", "http"), (":authority", service), (":path", path), *more]


def body_of(stream: Stream) -> bytes:
    text = b""
    while piece := stream.recv(1 << 18):
        text += piece
    return text


def test_a_request_and_its_line(proxy: Bench, client: Connection) -> None:
    proxy.play("solo", serve_ok)
    path = unique()
    stream = client.request(headers("solo", path, ("cookie", "a"), ("cookie", "b"), ("te", "trailers")), end=True)
    assert stream.answered()[":status"] == "200" and body_of(stream) == b"ok"
    line = proxy.line(path)
    assert (line["status"], line["protocol"], line["flags"]) == ("200", "HTTP/2", "-")
    head = proxy.services["solo"][0].heads[-1]
    assert (head["host"], head["cookie"], head["te"]) == ("solo", "a; b", "trailers")


def test_many_requests_on_one_connection(proxy: Bench, client: Connection) -> None:
    proxy.play("trio", serve_ok)
    streams = [client.request(headers("trio", "/", method="POST")) for _ in range(50)]
    for stream in reversed(streams):
        stream.sendall(b"x" * 1000)
        stream.finish()
    assert [body_of(stream) for stream in streams] == [b"ok"] * 50
    assert client.ping() < 1


@pytest.mark.parametrize(
    ("more", "status"), [([("x", "1" * 62000)], "431"), ([(f"x{index}", "") for index in range(120)], "431")]
)
def test_heads_that_are_too_large(client: Connection, more: list[tuple[str, str]], status: str) -> None:
    assert client.request(headers("solo", "/", *more), end=True).answered()[":status"] == status
    assert client.request(headers("nobody", "/"), end=True).answered()[":status"] == "404"


def test_a_method_that_is_not_for_proxies(client: Connection) -> None:
    stream = client.request([(":method", "CONNECT"), (":authority", "solo:80")])
    assert stream.answered()[":status"] == "404"


@pytest.mark.parametrize(
    ("service", "status", "message", "flags"),
    [
        ("nobody", "12", "", "NR"),
        ("dead", "14", "upstream connect error or disconnect/reset before headers. reset reason: "
                       "remote connection failure", "UF"),
    ],
)  # fmt: skip
def test_what_grpc_is_told(
    proxy: Bench, client: Connection, service: str, status: str, message: str, flags: str
) -> None:
    """Trailers alone, and 200, in the log too: as Envoy does."""
    path = unique("/a.B/c")
    stream = client.request(headers(service, path, *GRPC, method="POST"))
    stream.send_and_finish(b"\0\0\0\0\0")
    answer = stream.answered()
    assert (answer[":status"], answer["content-type"]) == ("200", "application/grpc")
    assert (answer["grpc-status"], answer.get("grpc-message", "")) == (status, message)
    assert "content-length" not in answer and body_of(stream) == b"" and stream.ended and not stream.trailers
    line = proxy.line(path)
    assert (line["status"], line["flags"]) == ("200", flags)


def test_a_malformed_answer(proxy: Bench, client: Connection) -> None:
    proxy.play("solo", answering(b"HTTP/1.1 200 OK\r\nx\r\n\r\n"))
    path = unique()
    assert client.request(headers("solo", path), end=True).answered()[":status"] == "502"
    assert proxy.line(path)["flags"] == "UPE"


def test_a_cut_answer_is_a_reset(proxy: Bench, client: Connection) -> None:
    def cut(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")

    proxy.play("solo", cut)
    path = unique()
    stream = client.request(headers("solo", path), end=True)
    assert stream.answered()[":status"] == "200"
    with pytest.raises(ConnectionResetError):
        body_of(stream)
    assert stream.reset_code == INTERNAL_ERROR and proxy.line(path)["flags"] == "UC"
    assert client.ping() < 1


def test_an_answer_before_the_request_is_whole(proxy: Bench, client: Connection) -> None:
    def early(peer: Peer) -> None:
        peer.head()
        peer.send(OK)
        peer.more()

    proxy.play("solo", early)
    stream = client.request(headers("solo", "/", method="POST"))
    stream.sendall(b"begun")
    assert stream.answered()[":status"] == "200" and body_of(stream) == b"ok"
    assert client.wait_until(lambda _: stream.reset_code is not None) and stream.reset_code == NO_ERROR
    assert client.ping() < 1


def test_a_client_that_resets_has_left(proxy: Bench, client: Connection) -> None:
    def silent(peer: Peer) -> None:
        peer.head()
        peer.more()

    proxy.play("solo", silent)
    path = unique()
    stream = client.request(headers("solo", path), end=True)
    assert client.ping() < 1
    stream.cancel()
    line = proxy.line(path)
    assert (line["status"], line["flags"], line["details"]) == ("0", "DC", "downstream_remote_disconnect")
    proxy.settled()


def test_a_malformed_answer_in_http_2(tmp_path: Path) -> None:
    """What nghttp2 finds wrong is told apart from an endpoint that resets: no HTTP, so 502."""

    def app(peer: Peer) -> None:
        block = Encoder().encode([(":status", "200"), ("x", "1\r\ny: 2")])
        frame = HeadersFrame(1, block)
        frame.flags |= {"END_HEADERS", "END_STREAM"}
        peer.until(b"\x01\x05\0\0\0\x01")  # HEADERS of stream 1
        peer.send(SettingsFrame(0).serialize() + frame.serialize())
        peer.more()

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=app) as one:
        assert one.ask("/bad") == "502"
        assert one.line("/bad")["flags"] == "UPE"


# -- nghttp2's own tools ----------------------------------------------------------------------------------------------


def run(*command: str) -> str:
    assert shutil.which(command[0]), "Debian's nghttp2-client; `make test` installs it"
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_nghttp(proxy: Bench) -> None:
    proxy.play("solo", serve_ok)
    out = run("nghttp", "-v", "-H:authority: solo", f"http://127.0.0.1:{proxy.replica.port}/")
    assert ":status: 200" in out and "\nok" in out and "GOAWAY" in out


def test_h2load(proxy: Bench, tmp_path: Path) -> None:
    proxy.play("trio", serve_ok)
    message = tmp_path / "message"
    message.write_bytes(b"x" * 100_000)
    url = f"http://127.0.0.1:{proxy.replica.port}/"
    for more in ([], ["-d", str(message)]):
        out = run("h2load", "-n", "400", "-c", "4", "-m", "20", "-H:authority: trio", *more, url)
        assert "400 succeeded, 0 failed, 0 errored, 0 timeout" in out and "status codes: 400 2xx" in out
    proxy.settled()
