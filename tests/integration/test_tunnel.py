"""`tunnel` of a DestinationRule: TCP connections through endpoints that are HTTP proxies."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.hbone_rig import TCP_LINE, HboneBench, Served, fields, hbone_bench, outlier_rule
from tests.integration.http_rig import Handler, Peer
from tests.patience import within
from tests.rig import wait_until

TARGET = "external.example.com:443"
ASKED = f"CONNECT {TARGET} HTTP/1.1\r\nHost: {TARGET}\r\n\r\n".encode()


def rule(name: str, **policy: Any) -> dict[str, Any]:
    made = outlier_rule(name)
    tunnel = {"targetHost": "external.example.com", "targetPort": 443}
    made["spec"]["trafficPolicy"] |= {"tunnel": tunnel, **policy}
    return made


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    short = {"connectionPool": {"tcp": {"connectTimeout": "300ms"}}}
    served = [
        Served("captured", port=9000, port_name="tcp", rule=rule("captured")),
        Served("plain", port=9000, port_name="tcp", hbone=False, rule=rule("plain")),
        Served("pair", port=9000, port_name="tcp", count=2, hbone=False, rule=rule("pair")),
        Served("slow", port=9000, port_name="tcp", hbone=False, rule=rule("slow", **short)),
        Served("web", port=9000, port_name="http", hbone=False, rule=rule("web")),
    ]
    with hbone_bench(tmp_path_factory.mktemp("tunnel"), *served) as running:
        yield running


def granting(answer: bytes) -> Handler:
    """A proxy; behind it somebody who gives back what he gets."""

    def handler(peer: Peer) -> None:
        assert peer.exactly(len(ASKED)) == ASKED
        peer.send(answer)
        while peer.more():
            peer.send(peer.buffer)
            peer.buffer = b""

    return handler


def flags(proxy: HboneBench, name: str) -> set[str]:
    """Of its connections that were not made."""
    found = wait_until(lambda: proxy.waypoint.lines(f"|{proxy.host(name)} "), 5, "the line")
    return {fields(TCP_LINE, line)["flags"] for line in found} - {"-"}


@pytest.mark.parametrize("name", ["captured", "plain"])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 Connection established\r\nproxy-agent: x\r\n\r\nhello",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 204 \r\n\r\n",
    ],
    ids=["plain", "and the server speaks first", "after an interim one"],
)
def test_what_lies_behind_the_proxy_gets_the_bytes(answer: bytes, name: str, proxy: HboneBench) -> None:
    proxy.play(name, granting(answer))
    greeting = answer.rpartition(b"\r\n\r\n")[2]
    with proxy.client(name) as client:
        assert client.exactly(len(greeting)) == greeting
        client.send(b"\x00\x01bytes")
        assert client.exactly(7) == b"\x00\x01bytes"


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", b"220 mail ready\r\n\r\n", b"", b"x" * 40000],
    ids=["refused", "no HTTP", "nothing", "no end"],
)
def test_who_does_not_grant_it_was_not_reached(answer: bytes, proxy: HboneBench) -> None:
    def refuses(peer: Peer) -> None:
        peer.exactly(len(ASKED))
        peer.send(answer)

    proxy.play("plain", refuses)
    before = proxy.failures("plain")
    with proxy.client("plain") as client:
        assert client.ended()
    wait_until(lambda: proxy.failures("plain") == before + 1, 5, "it is counted")
    assert flags(proxy, "plain") == {"UF"}


def test_another_is_asked_then(proxy: HboneBench) -> None:
    proxy.play("pair", granting(b"HTTP/1.1 200 OK\r\n\r\n"))

    def refuses(peer: Peer) -> None:
        peer.exactly(len(ASKED))
        peer.send(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")

    proxy.services["pair"][0].play(refuses)
    for _ in range(4):
        with proxy.client("pair") as client:
            client.send(b"hello")
            assert client.exactly(5) == b"hello"


def test_all_of_it_has_the_connect_timeout(proxy: HboneBench) -> None:
    def silent(peer: Peer) -> None:
        while peer.more():
            pass

    proxy.play("slow", silent)
    with proxy.client("slow") as client, within(5, at_least=0.25):
        assert client.ended()
    assert flags(proxy, "slow") == {"UF"}


def test_requests_of_http_go_to_the_endpoints_themselves(proxy: HboneBench) -> None:
    with proxy.client("web") as client:
        assert client.ask("any")[0].status == 200
