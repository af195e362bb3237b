"""Answers that other proxies deliver, through a whole replica: delivered, and nobody ejected; and what is refused, and
whom that is held against. Tests are named after the faults of issue 10; tests/wire/test_lenient.py has the other forms
of each.
"""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hbone.http2 import Connection
from tests.hbone.stream import Headers, Stream
from tests.integration.captured import captured, h2_app
from tests.integration.hbone_rig import H2
from tests.integration.hbone_rig import outlier_rule as ejecting
from tests.integration.http_rig import OK, Bench, Client, Peer, answering, bench, serve_ok, unique
from tests.rig import wait_until

RULES = [ejecting(name, consecutive5xxErrors=3, maxEjectionPercent=100) for name in ("solo", "run")]
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
PROTOCOL_ERROR = b"upstream connect error or disconnect/reset before headers. reset reason: protocol error"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("lenient"), services={"solo": 1, "other": 1, "run": 1}, rules=RULES) as running:
        yield running


def five(proxy: Bench, answer: bytes, status: int, body: bytes, method: str = "GET") -> dict[str, str]:
    """Five requests in a row, answered so; none was a failure. What the head of the last one had."""
    proxy.play("solo", answering(answer))
    before = proxy.failures("solo")
    with proxy.client() as client:
        for _ in range(5):
            head, text = client.ask("solo", method=method)
            assert (head.status, text) == (status, body)
    row = proxy.row("solo")[0]
    assert row["failed"] == before and row["ejected_left_ms"] <= 0
    return head


# -- taken ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fold", [b"\n  b", b"\r\n\tb"])
def test_H_A_a_page_with_a_folded_field_ejects_nobody(proxy: Bench, fold: bytes) -> None:
    head = five(proxy, HEAD + b"X-A: a;" + fold + b"\r\nContent-Length: 2\r\n\r\nok", 200, b"ok")
    assert head["x-a"].split() == ["a;", "b"]


def test_H_B_an_answer_with_a_forbidden_trailer_is_whole(proxy: Bench) -> None:
    answer = HEAD + CHUNKED + b"\r\n2\r\nok\r\n0\r\nContent-Length: 0\r\nX-Sum: 1\r\n\r\n"
    five(proxy, answer, 200, b"ok")
    with proxy.client() as client:
        client.request("solo", "/", "te: trailers")
        client.head()
        assert client.chunks() == (b"ok", b"X-Sum: 1\r\n")


def test_H_B_a_request_with_a_forbidden_trailer_is_whole(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    with proxy.client() as client:
        client.send(b"POST /x HTTP/1.1\r\nhost: solo\r\n" + CHUNKED + b"\r\n3\r\nabc\r\n0\r\nx-request-id: 1\r\n\r\n")
        assert client.answer()[1] == b"ok"
    assert endpoint.bodies == [b"abc"]


def test_H_E_a_status_beyond_599_is_a_5xx_at_most(proxy: Bench) -> None:
    proxy.play("solo", answering(b"HTTP/1.1 600 X\r\nContent-Length: 2\r\n\r\nok", OK))
    before = proxy.failures("solo")
    path = unique()
    with proxy.client() as client:
        assert [client.ask("solo", path)[0].status, client.ask("solo")[0].status] == [600, 200]
    assert proxy.failures("solo") == before + 1
    line = proxy.line(path)
    assert (line["status"], line["flags"], line["details"]) == ("600", "-", "via_upstream")


@pytest.mark.parametrize("sizes", [(b"2 ", b"0 "), (b"0000000000000002", b"0"), (b"2\t", b"00\t")])
def test_H_F_padded_sizes(proxy: Bench, sizes: tuple[bytes, bytes]) -> None:
    five(proxy, HEAD + CHUNKED + b"\r\n%s\r\nok\r\n%s\r\n\r\n" % sizes, 200, b"ok")


def test_H_G_a_blank_behind_a_coding(proxy: Bench) -> None:
    five(proxy, HEAD + b"Transfer-Encoding: chunked \r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok")


def test_H_H_connection_options(proxy: Bench) -> None:
    five(proxy, HEAD + b"Connection: Transfer-Encoding\r\n" + CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok")
    five(proxy, HEAD + b"Connection: close;\r\nContent-Length: 2\r\n\r\nok", 200, b"ok")
    assert len(proxy.services["solo"][0].peers) == 5, "not used again: it may have meant `close`"


def test_H_I_an_empty_host_selects_nothing(proxy: Bench) -> None:
    with proxy.client() as client:
        client.send("GET /x HTTP/1.1\r\nhost:\r\n\r\n")
        assert client.answer()[0].status == 404


def test_H_J_an_absolute_form_without_a_path(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    path = unique("?x=")
    with proxy.client() as client:
        client.send(f"GET http://solo:8000{path} HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.answer()[1] == b"ok"
    assert endpoint.heads[0].first == f"GET /{path} HTTP/1.1"
    assert proxy.line(path)["path"] == f"/{path}"


def test_H_K_a_higher_minor_version(proxy: Bench) -> None:
    five(proxy, b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok")
    endpoint = proxy.play("solo", serve_ok)
    with proxy.client() as client:
        client.send("GET /x HTTP/1.2\r\nhost: solo\r\n\r\n")
        assert client.answer()[0].first == "HTTP/1.1 200 OK"
    assert endpoint.heads[0].first == "GET /x HTTP/1.1"


def test_H_M_426_says_what_to_upgrade_to(proxy: Bench) -> None:
    answer = b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n"
    head = five(proxy, answer, 426, b"")
    assert (head["upgrade"], head["connection"]) == ("websocket", "upgrade")
    with proxy.client() as client:
        head, _ = client.ask("solo", "/", "connection: close")
        assert head["connection"] == "upgrade,close"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nX: y\nContent-Length: 2\n\nok",
        HEAD + b"Content-Length: 000000000000000000000002\r\n\r\nok",
        HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        HEAD + b"Content-Length : 2\r\n\r\nok",
        b"HTTP/1.1  200  OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + OK,
    ],
)
def test_P4_more_that_others_deliver(proxy: Bench, answer: bytes) -> None:
    proxy.play("solo", answering(answer))
    before = proxy.failures("solo")
    with proxy.client() as client:
        for _ in range(5):
            client.request("solo")
            head = client.head()
            if head.status == 103:
                assert "content-length" not in head
                head = client.head()
            assert (head.status, client.body(head)) == (200, b"ok")
    assert proxy.failures("solo") == before


# -- refused, and held against nobody ---------------------------------------------------------------------------------


REFUSED = [
    HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    HEAD + b"Content-Length: 1\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"x: y\r\n" * 101 + b"\r\n",
    HEAD + b"x: " + b"a" * 70_000 + b"\r\n\r\n",
    HEAD + b"x: \0\r\n\r\n",
    HEAD + CHUNKED + b"\r\nxyz\r\n",
    HEAD + b"Content-Length:\r\n 2\r\n\r\nok",
    b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
]


@pytest.mark.parametrize("answer", REFUSED)
def test_H_A_a_refused_answer_ejects_nobody(proxy: Bench, answer: bytes) -> None:
    five(proxy, answer, 502, PROTOCOL_ERROR)


def test_H_A_a_refused_answer_clears_no_run_either(proxy: Bench) -> None:
    """It is no outcome: two failures, an answer that is refused, a failure are three failures in a row."""
    broken = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"
    with proxy.client() as client:
        for answer in (broken, broken, REFUSED[0], broken):
            proxy.play("run", answering(answer))
            assert client.ask("run")[0].status == (502 if answer is REFUSED[0] else 503)
    wait_until(lambda: proxy.row("run")[0]["ejected_left_ms"] > 0, 3, "three failures in a row")


def test_H_F_a_body_that_turns_out_malformed_is_cut_and_no_failure(proxy: Bench) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + CHUNKED + b"\r\n2\r\nok\r\n")
        peer.until(b"\n")

    endpoint = proxy.play("solo", handler)
    before = proxy.failures("solo")
    path = unique()
    with proxy.client() as client:
        client.request("solo", path)
        client.head()
        assert client.until(b"ok\r\n")
        endpoint.peers[0].send(b"xyz\r\n")
        assert client.rest() == b""
    assert proxy.line(path)["flags"] == "UPE"
    assert proxy.failures("solo") == before


@pytest.mark.parametrize("banner", [b"SSH-2.0-OpenSSH_9.6\r\n", b"220 mail ready\r\n", b"\0\0\x12\x04\0\0\0\0\0"])
def test_H_O_what_speaks_no_http_is_said_to(proxy: Bench, banner: bytes) -> None:
    """At its first octet, whether it goes on waiting or ends; and it is a failure: it is no endpoint for this."""

    def waiting(peer: Peer) -> None:
        peer.send(banner)
        peer.rest()

    def ending(peer: Peer) -> None:
        peer.send(banner)
        peer.until(b"\r\n\r\n")

    for handler in (waiting, ending):
        proxy.play("other", handler)
        before = proxy.failures("other")
        path = unique()
        with proxy.client() as client:
            head, text = client.ask("other", path)
            assert (head.status, text) == (502, PROTOCOL_ERROR)
        line = proxy.line(path)
        assert (line["flags"], line["details"]) == ("UPE", "upstream_reset_before_response_started{protocol_error}")
        assert proxy.failures("other") == before + 1


def test_H_O_a_head_that_breaks_off_is_a_connection_that_did(proxy: Bench) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 O")

    proxy.play("other", handler)
    path = unique()
    with proxy.client() as client:
        assert client.ask("other", path)[0].status == 503
    assert proxy.line(path)["flags"] == "UC"


@pytest.mark.parametrize(("count", "status"), [(250, 200), (2000, 502)])
def test_P11_interim_answers_have_a_limit(proxy: Bench, count: int, status: int) -> None:
    proxy.play("solo", answering(b"HTTP/1.1 100 Continue\r\n\r\n" * count + OK))
    before = proxy.failures("solo")
    with proxy.client() as client:
        client.request("solo")
        heads = [client.head()]
        while heads[-1].status < 200:
            heads.append(client.head())
        assert heads[-1].status == status and len(heads) <= 257
    assert proxy.failures("solo") == before


# -- HTTP/2 -----------------------------------------------------------------------------------------------------------


def h2_client(port: int) -> Connection:
    return Connection(socket.create_connection(("127.0.0.1", port)), None, server=False, settings=H2, window=1 << 24)


def headers(service: str, path: str, *more: tuple[str, str], method: str = "GET") -> Headers:
    return [(":method", method), (":scheme", "http"), (":authority", service), (":path", path), *more]


def body_of(stream: Stream) -> bytes:
    text = b""
    while piece := stream.recv(1 << 18):
        text += piece
    return text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_H_D_what_HTTP_2_leaves_out_is_put_in(proxy: Bench, method: str) -> None:
    endpoint = proxy.play("solo", serve_ok)
    with contextlib.closing(h2_client(proxy.replica.port)) as client:
        assert client.request(headers("solo", "/x", method=method), end=True).answered()[":status"] == "200"
        assert client.request(headers("solo", "/x", method="GET"), end=True).answered()[":status"] == "200"
    with proxy.client() as http1:
        http1.ask("solo", method=method)
    lengths = [head.get("content-length") for head in endpoint.heads]
    assert lengths == ["0", None, "0"]
    assert all("transfer-encoding" not in head for head in endpoint.heads)


def with_trailers(stream: Stream, _: Any) -> None:
    while stream.recv(1 << 18):
        pass
    stream.connection.respond(stream, [(":status", "200"), ("content-length", "2")])
    stream.sendall(b"ok")
    stream.finish([("x-sum", "1")])


def test_H_L_trailers_beside_a_length(tmp_path: Path) -> None:
    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(with_trailers)) as one:
        with contextlib.closing(h2_client(one.replica.port)) as client:
            stream = client.request(headers("web", "/", ("te", "trailers")), end=True)
            assert stream.answered()["content-length"] == "2"
            assert body_of(stream) == b"ok" and stream.trailers == {"x-sum": "1"}
            stream = client.request(headers("web", "/"), end=True)
            assert stream.answered()["content-length"] == "2" and body_of(stream) == b"ok"
        with Client(one.replica.port) as http1:
            http1.request("web", "/", "te: trailers")
            assert "content-length" not in http1.head() and http1.chunks() == (b"ok", b"x-sum: 1\r\n")
            head, body = http1.ask("web")
            assert (head["content-length"], body) == ("2", b"ok")


def test_H2_H_blanks_around_a_value(tmp_path: Path) -> None:
    def padded(stream: Stream, _: Any) -> None:
        while stream.recv(1 << 18):
            pass
        stream.connection.respond(stream, [(":status", "200"), ("x-a", " padded ")])
        stream.sendall(b"ok")
        stream.finish()

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(padded)) as one:
        with contextlib.closing(h2_client(one.replica.port)) as client:
            for _ in range(4):
                assert client.request(headers("web", "/"), end=True).answered()["x-a"] == "padded"
        assert one.row(one.members[0])["failed"] == 0


# -- the log ----------------------------------------------------------------------------------------------------------

TEXTS = [
    (b"na\xc3\xafve", "naïve"),
    (b"na\xefve", "na\u00efve"),
    ("日本語 👋".encode(), "日本語 👋"),
    (b"\xc3", "\u00c3"),
    (b"a\xe2\x82", "a\u00e2\u0082"),
    (b"\xc0\xaf", "\u00c0\u00af"),
    (b"\xed\xa0\x80", "\u00ed\u00a0\u0080"),
    (b"\xf4\x90\x80\x80", "\u00f4\u0090\u0080\u0080"),
    ('"\\\u202e'.encode(), '"\\\u00e2\u0080\u00ae'),
    (b"\xc2\x9b31m", "\u00c2\u009b31m"),
]


def test_H_N_texts_of_the_json_log(tmp_path: Path) -> None:
    with bench(tmp_path, "--access-log-format", "json", services={"solo": 1}) as proxy:
        proxy.play("solo", serve_ok)
        with proxy.client() as client:
            for raw, _ in TEXTS:
                for name in (b"user-agent", b"x-forwarded-for", b"x-request-id"):
                    client.send(b"GET / HTTP/1.1\r\nhost: solo\r\n%s: %s\r\n\r\n" % (name, raw))
                    assert client.answer()[1] == b"ok"
        lines = wait_until(lambda: (got := proxy.waypoint.lines()) and len(got) == 3 * len(TEXTS) and got, 3, "lines")
        for index, (_, text) in enumerate(TEXTS):
            entries = [json.loads(line) for line in lines[3 * index : 3 * index + 3]]
            assert [entries[0]["user_agent"], entries[1]["x_forwarded_for"], entries[2]["request_id"]] == [text] * 3
        assert "naïve" in lines[0] and "\\u202e" not in lines[0]
