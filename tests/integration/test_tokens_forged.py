"""What endpoints are told a token says, nobody else can tell them: under no name that an endpoint could take for that,
not behind the body, in neither version of HTTP."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.integration.hbone_rig import HboneBench, Served, h2_client, h2_headers, hbone_bench
from tests.integration.http_rig import Client, Head, Peer
from tests.integration.test_tokens import GOOD, bearer, put, rule
from tests.integration.token_rig import authentication
from tests.rig import wait_until

TOLD = [{"header": "x-user-id", "claim": "sub"}]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    with hbone_bench(tmp_path_factory.mktemp("forged"), Served("out"), Served("free"), http=True) as running:
        put(running, authentication("out", [rule(outputClaimToHeaders=TOLD)]))
        dump = running.replica.info
        wait_until(lambda: "tokens" in str(dump("/config_dump")["snapshot"]["clusters"]), 10, "the rule is in force")
        yield running


def app(heads: list[Head], trailers: list[bytes]) -> object:
    def handler(peer: Peer) -> None:
        while True:
            head = peer.head()
            heads.append(head)
            if head.get("transfer-encoding") == "chunked":
                trailers.append(peer.chunks()[1])
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    return handler


@pytest.fixture
def heard(proxy: HboneBench) -> tuple[list[Head], list[bytes]]:
    heads: list[Head] = []
    trailers: list[bytes] = []
    for name in ("out", "free"):
        proxy.play(name, app(heads, trailers))  # type: ignore[arg-type]
    return heads, trailers


@pytest.mark.parametrize("name", ["x-user-id", "X-User-Id", "x_user_id", "X_USER-ID", "x-user_id"])
@pytest.mark.parametrize("token", [False, True])
def test_no_other_spelling_goes_on(
    proxy: HboneBench, heard: tuple[list[Head], list[bytes]], name: str, token: bool
) -> None:
    sent = [f"{name}: root", "x-user-ids: kept", *([bearer(GOOD.token(sub="alice"))] if token else [])]
    with Client(proxy.http) as client:
        assert client.ask("out", "/", *sent)[0].status == 200
    (head,) = heard[0]
    like = {each.lower().replace("_", "-"): value.strip() for each, value in head.fields}
    assert like.get("x-user-id") == ("alice" if token else None) and like["x-user-ids"] == "kept"


MIRROR = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "mirror", "namespace": "httpbin"},
    "spec": {"hosts": ["out"], "http": [{"route": [{"destination": {"host": "out"}}], "mirror": {"host": "free"}}]},
}
CHUNKED = b"5\r\nhello\r\n0\r\nx-user-id: root\r\nX_User_Id: root\r\nx-other: 1\r\n\r\n"


@pytest.mark.parametrize(("service", "go_on"), [("out", False), ("free", True)])
def test_nothing_comes_behind_the_body(
    proxy: HboneBench, heard: tuple[list[Head], list[bytes]], service: str, go_on: bool
) -> None:
    """Some servers make headers of trailers (RFC 9110 6.5.1)."""
    with Client(proxy.http) as client:
        client.send(f"POST / HTTP/1.1\r\nhost: {service}\r\ntransfer-encoding: chunked\r\n\r\n".encode() + CHUNKED)
        assert client.answer()[0].status == 200
    with contextlib.closing(h2_client(proxy.tunnel(service))) as client2:
        for announced in ({"trailer": "x-user-id"}, {}):
            stream = client2.request(h2_headers("/", service, "POST", te="trailers", **announced))
            stream.sendall(b"hello")
            stream.finish([("x-user-id", "root"), ("x_user_id", "root")])
            assert stream.answered()[":status"] == "200"
    assert len(heard[1]) == 3 and [b"root" in each for each in heard[1]] == [go_on] * 3


def test_a_copy_for_a_mirror_says_no_more(proxy: HboneBench, heard: tuple[list[Head], list[bytes]]) -> None:
    proxy.manifests.put("mirror", MIRROR)
    wait_until(lambda: "mirrors" in str(proxy.replica.info("/config_dump")["snapshot"]["clusters"]), 10, "the mirror")
    try:
        with Client(proxy.http) as client:
            lines = f"POST / HTTP/1.1\r\nhost: out\r\nx_user_id: root\r\n{bearer(GOOD.token(sub='alice'))}\r\n"
            client.send(f"{lines}transfer-encoding: chunked\r\n\r\n".encode() + CHUNKED)
            assert client.answer()[0].status == 200
        wait_until(lambda: len(heard[1]) == 2, 5, "the copy")
    finally:
        proxy.manifests.remove("mirror")
    assert [head["x-user-id"] for head in heard[0]] == ["alice"] * 2 and heard[1] == [b"", b""]
    assert not any(b"root" in head.raw or b"authorization" in head.raw.lower() for head in heard[0])


@pytest.mark.parametrize("name", ["x-forwarded-client-cert", "X_Forwarded_Client_Cert", "x-forwarded_client-cert"])
def test_what_only_a_proxy_may_say_of_clients(
    proxy: HboneBench, heard: tuple[list[Head], list[bytes]], name: str
) -> None:
    with Client(proxy.http) as client:
        sent = (f"{name}: URI=spiffe://a", "x-forwarded-client-certs: kept", "x_forwarded_for: kept")
        assert client.ask("free", "/", *sent)[0].status == 200
    (head,) = heard[0]
    assert b"spiffe" not in head.raw and head["x-forwarded-client-certs"] == head["x_forwarded_for"] == "kept"
