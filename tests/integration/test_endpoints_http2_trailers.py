"""H-L, of requests: trailers behind a body with a content-length, which nobody announced. HTTP/2 endpoints get them, as
HTTP/2 clients send them; HTTP/1.1 has no place for them (RFC 9110 6.5, RFC 9112 7.1.2). Those of answers are in
test_http_lenient.py.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from h2.errors import ErrorCodes

from tests.hbone.stream import Headers, Stream
from tests.integration.captured import Captured, captured, h2_app
from tests.integration.http_rig import OK, Client, Peer, Scripted, serve_ok
from tests.integration.test_endpoints_http2 import HBONE, h2_client, headers
from tests.integration.test_endpoints_refusing import refuse, whole
from tests.rig import wait_until

SUM: Headers = [("x-sum", "1")]


def echo(stream: Stream, endpoint: Scripted) -> None:
    """Answers with the body and the trailers of the request, and with its content-length."""
    body = whole(stream)
    if not stream.ended:
        return  # reset
    endpoint.bodies.append(body)
    fields = [(":status", "200"), ("content-length", str(len(body)))]
    stream.connection.respond(stream, [*fields, ("x-length", stream.headers.get("content-length", "none"))])
    stream.sendall(body)
    stream.finish(list(stream.trailers.items()))


def post(length: int, *more: tuple[str, str]) -> Headers:
    return [*headers("/", "POST"), ("content-length", str(length)), ("te", "trailers"), *more]


Asked = tuple[dict[str, str], bytes, dict[str, str]]


@contextlib.contextmanager
def asking(one: Captured) -> Iterator[Callable[..., Asked]]:
    """An HTTP/2 client: a request with these trailers, and its answer with its own."""
    with contextlib.closing(h2_client(one)) as client:

        def ask(body: bytes, trailers: Headers | None, *more: tuple[str, str], pause_s: float = 0) -> Asked:
            stream = client.request(post(len(body), *more))
            stream.sendall(body)
            time.sleep(pause_s)
            stream.finish(trailers)
            return stream.answered(), whole(stream), stream.trailers

        yield ask


@pytest.fixture(scope="module", params=[False, True], ids=["tcp", "hbone"])
def http2(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Captured]:
    directory = tmp_path_factory.mktemp("trailers")
    with captured(directory, 1, hbone=request.param, port_name="http2", handler=h2_app(echo)) as running:
        yield running


@pytest.mark.parametrize("body", [b"", b"ok", b"x" * 300_000], ids=["none", "short", "long"])
@pytest.mark.parametrize("pause_s", [0, 0.05], ids=["at once", "by themselves"])
def test_H_L_request_trailers_beside_a_length(http2: Captured, body: bytes, pause_s: float) -> None:
    with asking(http2) as ask:
        for _ in range(3):
            head, text, trailers = ask(body, [*SUM, ("x-two", "2")], pause_s=pause_s)
            assert (head[":status"], head["x-length"]) == ("200", str(len(body)))
            assert (text, trailers) == (body, {"x-sum": "1", "x-two": "2"})
    assert http2.row(http2.members[0])["failed"] == 0


@pytest.mark.parametrize("pause_s", [0, 0.05], ids=["at once", "by itself"])
def test_H_L_an_end_without_trailers_is_one(http2: Captured, pause_s: float) -> None:
    with asking(http2) as ask:
        for body in (b"", b"ok", b"x" * 300_000):
            head, text, trailers = ask(body, None, pause_s=pause_s)
            assert (head[":status"], head["x-length"], text, trailers) == ("200", str(len(body)), body, {})


def test_H_L_announced_ones_go_on_too(http2: Captured) -> None:
    with asking(http2) as ask:
        head, text, trailers = ask(b"ok", SUM, ("trailer", "x-sum"))
        assert (head[":status"], text, trailers) == ("200", b"ok", {"x-sum": "1"})


def test_H_L_those_that_may_not_be_are_left_out(http2: Captured) -> None:
    with asking(http2) as ask:
        named = [("host", "b"), *SUM, ("authorization", "me"), ("x-forwarded-for", "9"), ("cookie", "a")]
        assert ask(b"ok", named)[1:] == (b"ok", {"x-sum": "1"})
        assert ask(b"ok", [("authorization", "me")])[1:] == (b"ok", {})


@pytest.mark.parametrize("length", [0, 2])
def test_H_L_too_many_are_refused(http2: Captured, length: int) -> None:
    before = http2.row(http2.members[0])["failed"]
    with asking(http2) as ask:
        assert ask(b"x" * length, [(f"x-{index}", "1") for index in range(101)])[0][":status"] == "400"
        assert ask(b"ok", [(f"x-{index}", "1") for index in range(100)])[0][":status"] == "200"
        assert ask(b"ok", [(f"x-{index}", "1" * 8000) for index in range(8)])[0][":status"] == "400"
        assert ask(b"ok", SUM)[1:] == (b"ok", {"x-sum": "1"}), "on the same connection"
    assert http2.row(http2.members[0])["failed"] == before


def test_H_L_of_http_1_in_chunks(http2: Captured) -> None:
    with Client(http2.replica.port) as client:
        client.request("web", "/", "transfer-encoding: chunked", "te: trailers", method="POST")
        client.send(b"2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n")
        assert client.head().status == 200 and client.chunks() == (b"ok", b"x-sum: 1\r\n")


@HBONE
def test_H_L_to_http_1_the_length_stays_and_they_do_not(tmp_path: Path, hbone: bool) -> None:
    with captured(tmp_path, 1, hbone=hbone, handler=serve_ok) as one, asking(one) as ask:
        (member,) = one.members
        for body in (b"ok", b"", b"x" * 300_000):
            member.heads.clear()
            member.bodies.clear()
            assert ask(body, SUM)[1] == b"ok" and member.bodies == [body]
            assert member.heads[0]["content-length"] == str(len(body)) and len(member.peers) == 1
            assert "transfer-encoding" not in member.heads[0]


def test_H_L_to_http_1_announced_ones_go_in_chunks(tmp_path: Path) -> None:
    def serve(peer: Peer) -> None:
        peer.endpoint.heads.append(peer.head())
        peer.endpoint.bodies += peer.chunks()
        peer.send(OK)

    with captured(tmp_path, 1, hbone=False, handler=serve) as one, asking(one) as ask:
        assert ask(b"abc", SUM, ("trailer", "x-sum"))[1] == b"ok"
        (head,) = one.members[0].heads
        assert one.members[0].bodies == [b"abc", b"x-sum: 1\r\n"] and "content-length" not in head


def test_H_L_what_is_sent_again_has_them_again(tmp_path: Path) -> None:
    def serve(stream: Stream, endpoint: Scripted) -> None:
        if len(endpoint.peers) > 1:
            return echo(stream, endpoint)
        endpoint.bodies.append(whole(stream))
        return refuse(stream)

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one, asking(one) as ask:
        assert ask(b"ok", SUM, pause_s=0.05)[1:] == (b"ok", {"x-sum": "1"})
        assert one.members[0].bodies == [b"ok", b"ok"], "refused when it was there whole"


def test_H_L_a_request_reset_behind_its_last_byte_has_no_end(tmp_path: Path) -> None:
    """It may be malformed: the endpoint is not told that it was whole."""
    seen: list[Stream] = []

    def serve(stream: Stream, _: Scripted) -> None:
        seen.append(stream)
        with contextlib.suppress(ConnectionResetError):
            whole(stream)

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one:
        with contextlib.closing(h2_client(one)) as client:
            stream = client.request(post(2))
            stream.sendall(b"ok")
            wait_until(lambda: seen and seen[0].received == 2, 5, "the body is there")
            stream.cancel()
            wait_until(lambda: seen[0].reset_code is not None, 5, "a reset")
        assert seen[0].reset_code == ErrorCodes.CANCEL and not seen[0].ended
