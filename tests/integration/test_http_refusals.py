"""What a whole replica refuses, declines or turns into a tunnel: ambiguous messages, limits, upgrades."""

import threading
from collections.abc import Iterator

import pytest

from tests.integration.http_rig import OK, Bench, Peer, answering, bench, serve_ok, unique
from tests.rig import wait_until


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("refusals"), services={"solo": 1}) as running:
        yield running


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        "GET / HTTP/1.1\nhost: solo\n\n",
        "GET / HTTP/1.1\r\nhost: solo\r\nx : y\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: solo\r\nx: y\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: solo\r\nx: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: solo\r\nx: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: solo\r\nhost: solo\r\n\r\n",
        "GET  / HTTP/1.1\r\nhost: solo\r\n\r\n",
        pytest.param("GET /a#/../b HTTP/1.1\r\nhost: solo\r\n\r\n", id="N8"),
        "GET / HTTP/2.0\r\nhost: solo\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\n",
        "POST / HTTP/1.1\r\nhost: solo\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: solo\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nhost: solo\r\ncontent-length: +3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nhost: solo\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: solo\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nhost: solo\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
    ],
)
def test_what_is_ambiguous_is_refused_and_not_forwarded(proxy: Bench, request_: str) -> None:
    endpoint = proxy.play("solo", serve_ok)
    with proxy.client() as client:
        client.send(request_ + "GET /smuggled HTTP/1.1\r\nhost: solo\r\n\r\n")
        head, body = client.answer()
        assert head.status in (400, 501)
        assert head["connection"] == "close"
        assert body == (b"Bad Request" if head.status == 400 else b"Not Implemented")
        assert client.ended()
    assert endpoint.heads == []


def test_a_body_that_goes_wrong_later_cuts_the_endpoints_connection(proxy: Bench) -> None:
    ended: list[bool] = []
    there = threading.Event()

    def handler(peer: Peer) -> None:
        peer.head()
        peer.until(b"abc\r\n")
        there.set()
        ended.append(not peer.more() or peer.buffer == b"")

    proxy.play("solo", handler)
    path = unique()
    with proxy.client() as client:
        client.send(f"POST {path} HTTP/1.1\r\nhost: solo\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        assert there.wait(5)
        client.send("xyz\r\n")
        head, _ = client.answer()
        assert head.status == 400
        assert client.ended()
    line = proxy.line(path)
    assert (line["status"], line["flags"], line["details"]) == ("400", "DPE", "http1.codec_error")
    wait_until(lambda: ended == [True], 3, "its connection is cut")


def test_http_1_0_is_told_to_upgrade(proxy: Bench) -> None:
    with proxy.client() as client:
        client.send("GET / HTTP/1.0\r\nhost: solo\r\n\r\n")
        head, body = client.answer()
        assert (head.status, body) == (426, b"")
        assert client.ended()
    assert proxy.line("low_version")["flags"] == "DPE"


def test_limits_of_heads(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    with proxy.client() as client:
        assert client.ask("solo", "/", "x: " + "a" * 59000)[0].status == 200
        assert client.ask("solo", "/", *(f"x{i}: y" for i in range(98)))[0].status == 200
        head, _ = client.ask("solo", "/", *(f"x{i}: y" for i in range(100)))
        assert head.status == 431
        assert client.ended()
    with proxy.client() as client:
        client.send("GET / HTTP/1.1\r\nhost: solo\r\nx: " + "a" * 100_000)
        assert client.answer()[0].status == 431
        assert client.ended()
    assert len(endpoint.heads) == 2
    assert proxy.line("headers_too_large")["status"] == "431"


# -- upgrades ---------------------------------------------------------------------------------------------------------

UPGRADE = ("connection: Upgrade", "upgrade: websocket", "sec-websocket-key: x")


def test_upgrade_makes_a_tunnel_with_half_close(proxy: Bench) -> None:
    def handler(peer: Peer) -> None:
        head = peer.head()
        assert head["connection"] == "upgrade"
        assert head["upgrade"] == "websocket"
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello")
        peer.send(peer.rest()[::-1])

    proxy.play("solo", handler)
    path = unique()
    with proxy.client() as client:
        client.request("solo", path, *UPGRADE)
        client.send("early ")
        head = client.head()
        assert (head.status, head["connection"], head["upgrade"]) == (101, "upgrade", "websocket")
        assert client.exactly(5) == b"hello"
        data = bytes(range(256)) * 4096
        client.send(data)
        client.finish()
        assert client.rest() == (b"early " + data)[::-1]
    line = proxy.line(path)
    size = str(len(data) + 6)
    assert (line["status"], line["received"], line["sent"]) == ("101", size, str(int(size) + 5))


def test_a_refused_upgrade_is_an_ordinary_answer(proxy: Bench) -> None:
    endpoint = proxy.play("solo", answering(b"HTTP/1.1 426 No\r\nupgrade: foo\r\ncontent-length: 2\r\n\r\nno", OK))
    with proxy.client() as client:
        head, body = client.ask("solo", "/", *UPGRADE)
        assert (head.status, head["upgrade"], body) == (426, "foo", b"no")
        assert client.ask("solo")[1] == b"ok"
    assert len(endpoint.peers) == 1


@pytest.mark.parametrize("offer", ["h2c", "H2C, websocket", "websocket , h2c"])
def test_an_offer_of_h2c_is_ours_to_ignore(proxy: Bench, offer: str) -> None:
    endpoint = proxy.play("solo", serve_ok)
    fields = ("connection: upgrade, http2-settings", f"upgrade: {offer}", "http2-settings: AAA")
    with proxy.client() as client:
        assert client.ask("solo", "/", *fields)[0].status == 200
    assert not {"upgrade", "connection", "http2-settings"} & endpoint.heads[0].keys()


def test_101_that_nobody_asked_for(proxy: Bench) -> None:
    proxy.play("solo", answering(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"))
    path = unique()
    with proxy.client() as client:
        assert client.ask("solo", path)[0].status == 502
    assert proxy.line(path)["flags"] == "UPE"
