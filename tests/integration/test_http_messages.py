"""HTTP/1.1 through a whole replica: framing, keep-alive, pipelining, header mutations, routing, refusals."""

import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from tests.integration.http_rig import OK, Bench, Peer, answering, bench, serve_ok, unique

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("messages"), services={"solo": 1, "pair": 2}) as running:
        yield running


# -- connections ------------------------------------------------------------------------------------------------------


def test_connections_are_kept_on_both_sides(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    with proxy.client() as client:
        for _ in range(5):
            assert client.ask("solo")[1] == b"ok"
    assert len(endpoint.heads) == 5
    assert len(endpoint.peers) == 1


def test_connection_close_of_the_client_is_obeyed_and_goes_no_further(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    with proxy.client() as client:
        head, _ = client.ask("solo", "/", "connection: close")
        assert head["connection"] == "close"
        assert client.ended()
    with proxy.client() as client:
        client.ask("solo")
    assert len(endpoint.peers) == 1
    assert "connection" not in endpoint.heads[0]


def test_connection_close_of_the_endpoint_is_not_the_clients_affair(proxy: Bench) -> None:
    endpoint = proxy.play("solo", answering(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"))
    with proxy.client() as client:
        for _ in range(2):
            head, _ = client.ask("solo")
            assert "connection" not in head
    assert len(endpoint.peers) == 2


def test_pipelined_requests_are_answered_in_order(proxy: Bench) -> None:
    def echo(peer: Peer) -> None:
        while True:
            head, body = peer.request()
            text = head.first.split()[1].encode() + b" " + body
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text))

    proxy.play("solo", echo)
    requests = []
    for i in range(40):
        if i % 3 == 0:
            requests.append(f"GET /{i} HTTP/1.1\r\nhost: solo\r\n\r\n")
        elif i % 3 == 1:
            requests.append(f"POST /{i} HTTP/1.1\r\nhost: solo\r\ncontent-length: 5\r\n\r\nGET /")
        else:
            requests.append(
                f"POST /{i} HTTP/1.1\r\nhost: solo\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n"
            )
    bodies = [b"", b"GET /", b"abc"]
    with proxy.client() as client:
        client.send("".join(requests))
        for i in range(40):
            assert client.answer()[1] == b"/%d %s" % (i, bodies[i % 3])


def test_pipelined_requests_of_a_client_that_then_finishes_are_all_answered(proxy: Bench) -> None:
    proxy.play("solo", serve_ok)
    with proxy.client() as client:
        client.send("GET /1 HTTP/1.1\r\nhost: solo\r\n\r\n" * 5)
        client.finish()
        for _ in range(5):
            assert client.answer()[1] == b"ok"
        assert client.ended()


def test_one_byte_at_a_time(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    with proxy.client() as client:
        for byte in "POST /slow HTTP/1.1\r\nhost: solo\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n":
            client.send(byte)
        assert client.answer()[0].status == 200
    assert endpoint.bodies == [b"ab"]


# -- bodies -----------------------------------------------------------------------------------------------------------


def test_chunked_both_ways_without_extensions_and_with_trailers(proxy: Bench) -> None:
    def handler(peer: Peer) -> None:
        peer.endpoint.heads.append(peer.head())
        data, trailers = peer.chunks()
        peer.endpoint.bodies += [data, trailers]
        peer.send(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
            b'2;a="b;c"\r\nab\r\n1 ; q\r\nc\r\n0;last\r\nx-sum: 3\r\n\r\n'
        )

    endpoint = proxy.play("solo", handler)
    with proxy.client() as client:
        client.send(
            "POST / HTTP/1.1\r\nhost: solo\r\ntransfer-encoding: chunked\r\nte: trailers, deflate\r\n"
            "trailer: x-check\r\n\r\n"
            "4;ext=1\r\ndata\r\n0\r\nx-check: yes\r\n\r\n"
        )
        head = client.head()
        assert head["transfer-encoding"] == "chunked"
        assert client.until(b"\r\n\r\n") == b"2\r\nab\r\n1\r\nc\r\n0\r\nx-sum: 3\r\n\r\n"
    assert endpoint.heads[0]["te"] == "trailers"
    assert endpoint.heads[0]["transfer-encoding"] == "chunked"
    assert endpoint.bodies == [b"data", b"x-check: yes\r\n"]


@pytest.mark.parametrize(
    ("method", "answer", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", "10"),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n", None),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\netag: x\r\n\r\n", "10"),
        ("GET", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "0"),
    ],
)
def test_answers_without_a_body_leave_both_connections_usable(
    proxy: Bench, method: str, answer: bytes, length: str | None
) -> None:
    endpoint = proxy.play("solo", answering(answer, OK))
    with proxy.client() as client:
        client.request("solo", method=method)
        head, body = client.answer(bodiless=True)
        assert (head.get("content-length"), body) == (length, b"")
        assert "transfer-encoding" not in head
        assert client.ask("solo")[1] == b"ok"
    assert len(endpoint.peers) == 1


def test_a_body_that_ends_with_the_connection_becomes_chunked(proxy: Bench) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nfirst ")
        time.sleep(0.05)
        peer.send(b"second")

    proxy.play("solo", handler)
    path = unique()
    with proxy.client() as client:
        for _ in range(2):
            head, body = client.ask("solo", path)
            assert head.first == "HTTP/1.1 200 OK"
            assert head["transfer-encoding"] == "chunked"
            assert body == b"first second"
            path = unique()


def test_interim_answers_are_passed_on(proxy: Bench) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nconnection: x\r\nx: y\r\n\r\n"
    proxy.play("solo", answering(hint + b"HTTP/1.1 102 Processing\r\n\r\n" + OK))
    with proxy.client() as client:
        client.request("solo")
        first = client.head()
        assert first.status == 103
        assert first.fields == [("link", " </a.css>; rel=preload")]
        assert client.head().status == 102
        assert client.answer()[1] == b"ok"
        assert client.ask("solo")[0].status == 103


def test_expect_100_continue(proxy: Bench) -> None:
    def handler(peer: Peer) -> None:
        head = peer.head()
        assert head["expect"] == "100-continue"
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.endpoint.bodies.append(peer.body(head))
        peer.send(OK)

    endpoint = proxy.play("solo", handler)
    with proxy.client() as client:
        client.send("PUT / HTTP/1.1\r\nhost: solo\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        assert client.head().status == 100
        client.send("body")
        assert client.answer()[0].status == 200
    assert endpoint.bodies == [b"body"]


def test_a_final_answer_instead_of_100_ends_the_connection(proxy: Bench) -> None:
    def handler(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 417 No\r\ncontent-length: 2\r\n\r\nno")
        time.sleep(1)

    proxy.play("solo", handler)
    path = unique()
    with proxy.client() as client:
        client.send(f"PUT {path} HTTP/1.1\r\nhost: solo\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        head, body = client.answer()
        assert (head.status, body) == (417, b"no")
        assert head["connection"] == "close"
        assert client.ended()
    line = proxy.line(path)
    assert (line["status"], line["flags"], line["details"]) == ("417", "-", "via_upstream")


# -- header mutations -------------------------------------------------------------------------------------------------


def test_R15_R16_R17_the_request_an_endpoint_gets(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    fields = [
        "X-Custom: Kept As It Is ",
        "connection: close, x-mine, keep-alive",
        "x-mine: hop",
        "keep-alive: timeout=5",
        "proxy-connection: keep-alive",
        "te: gzip",
        "upgrade: foo",
        "x-envoy-retry-on: 5xx",
        "x-envoy-attempt-count: 9",
        "x-envoy-upstream-rq-timeout-ms: 1",
        "x-forwarded-client-cert: forged",
        "x-forwarded-for: 1.2.3.4",
        "cookie: a=b",
        "cookie: c=d",
    ]
    with proxy.client() as client:
        client.ask("solo", "/p?q=1", *fields)
    head = endpoint.heads[0]
    assert head.first == "GET /p?q=1 HTTP/1.1"
    assert UUID.match(head["x-request-id"])
    assert head.fields == [
        ("host", " solo"),
        ("X-Custom", " Kept As It Is "),
        ("x-forwarded-for", " 1.2.3.4"),
        ("cookie", " a=b"),
        ("cookie", " c=d"),
        ("x-forwarded-proto", " http"),
        ("x-request-id", f" {head['x-request-id']}"),
    ]


def test_R17_R18_what_the_client_already_set_stays(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    with proxy.client() as client:
        client.ask("solo", "/", "x-request-id: mine", "x-forwarded-proto: https")
    assert endpoint.heads[0]["x-request-id"] == "mine"
    assert endpoint.heads[0]["x-forwarded-proto"] == "https"


def test_what_the_client_left_empty_is_filled_in_once(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    with proxy.client() as client:
        client.ask("solo", "/", "x-request-id:", "x-forwarded-proto: ")
    fields = [name.lower() for name, _ in endpoint.heads[0].fields]
    assert fields.count("x-request-id") == fields.count("x-forwarded-proto") == 1
    assert UUID.match(endpoint.heads[0]["x-request-id"])


def test_the_answer_a_client_gets(proxy: Bench) -> None:
    answer = (
        b"HTTP/1.1 201 Made It\r\nserver: gunicorn\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=1\r\n"
        b"X-Envoy-Upstream-Service-Time: 999\r\nset-cookie: a\r\nSet-Cookie: b\r\ncontent-length: 0\r\n\r\n"
    )
    proxy.play("solo", answering(answer))
    with proxy.client() as client:
        head, _ = client.ask("solo")
    assert head.first == "HTTP/1.1 201 Made It"
    names = [name for name, _ in head.fields]
    assert names == ["set-cookie", "Set-Cookie", "content-length", "date", "x-envoy-upstream-service-time", "server"]
    assert head["server"] == "waypointd"
    assert head["x-envoy-upstream-service-time"] != "999", "ours, not the endpoint's"
    assert re.match(r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$", head["date"])


def test_the_date_is_that_of_the_answer(proxy: Bench) -> None:
    sent: list[float] = []

    def handler(peer: Peer) -> None:
        peer.request()
        time.sleep(1.1)
        sent.append(time.time())
        peer.send(OK)

    proxy.play("solo", handler)
    with proxy.client() as client:
        date = parsedate_to_datetime(client.ask("solo")[0]["date"]).timestamp()
    assert int(sent[0]) <= date <= time.time()


def test_the_endpoints_date_stays(proxy: Bench) -> None:
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    proxy.play("solo", answering(b"HTTP/1.1 200 OK\r\nDate: %s\r\ncontent-length: 0\r\n\r\n" % date.encode()))
    with proxy.client() as client:
        head, _ = client.ask("solo")
    assert head["date"] == date


# -- routing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["solo", "SOLO", "solo:8000", "solo.httpbin", "Solo.HttpBin.svc", "solo.httpbin.svc.cluster.local:8000"],
)
def test_forms_of_host(proxy: Bench, host: str) -> None:
    endpoint = proxy.play("solo", serve_ok)
    path = unique()
    with proxy.client() as client:
        assert client.ask(host, path)[0].status == 200
    assert endpoint.heads[0]["host"] == host
    assert proxy.line(path)["authority"] == "solo.httpbin.svc.cluster.local:8000"


def test_absolute_form(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    with proxy.client() as client:
        assert client.ask("nowhere", "HTTP://Solo:8000/a?b")[0].status == 200
        assert client.ask("nowhere", "http://solo")[0].status == 200
    assert [head.first for head in endpoint.heads] == ["GET /a?b HTTP/1.1", "GET / HTTP/1.1"]
    assert [head["host"] for head in endpoint.heads] == ["Solo:8000", "solo"]


@pytest.mark.parametrize("host", ["nowhere", "solo:81", "solo.other", "localhost"])
def test_unknown_host(proxy: Bench, host: str) -> None:
    path = unique()
    with proxy.client() as client:
        head, body = client.ask(host, path, method="POST", body=b"to be skipped")
        assert (head.status, body) == (404, b"")
        assert head["server"] == "waypointd"
        assert client.ask("solo")[0].status == 200, "the connection goes on"
    line = proxy.line(path)
    assert (line["status"], line["flags"], line["details"]) == ("404", "NR", "route_not_found")
    assert (line["authority"], line["host"], line["cluster"]) == (host, "-", "-")


def test_connect_has_no_route_here(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    with proxy.client() as client:
        client.send("CONNECT solo:8000 HTTP/1.1\r\nhost: solo:8000\r\n\r\n")
        assert client.answer()[0].status == 404
    assert endpoint.heads == []
