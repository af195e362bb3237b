"""What a route's rule does beside sending a request on, as a snapshot says it to a worker."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.mesh.traffic.retries import DEFAULT_RETRIES
from proxy.mesh.traffic.routing import (
    Cors,
    FaultInjection,
    HeaderEdits,
    Mirror,
    Origins,
    PathOp,
    PathRewrite,
    Rewrite,
    RouteRule,
)
from tests.integration.http_rig import MIB, OK, Head, Peer, answering, bench, serve_ok, unique
from tests.integration.trying import Trying, silent, trying_with, unavailable
from tests.rig import wait_until

MILLION = 1_000_000
RULE = RouteRule("it")
GRPC = "content-type: application/grpc"


@pytest.fixture(scope="module")
def trying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trying]:
    with trying_with(tmp_path_factory.mktemp("trying"), 1, shadows=1) as made:
        yield made


# -- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "fields", "status", "grpc_status", "text"),
    [
        pytest.param(FaultInjection(abort_status=418), (), 418, None, b"fault filter abort", id="V16-http"),
        pytest.param(FaultInjection(abort_status=503), (GRPC,), 200, "14", b"", id="V16-http-to-gRPC"),
        pytest.param(FaultInjection(abort_status=200, abort_grpc=5), (GRPC,), 200, "5", b"", id="V16-gRPC"),
    ],
)
def test_aborts(
    fault: FaultInjection, fields: tuple[str, ...], status: int, grpc_status: str | None, text: bytes, trying: Trying
) -> None:
    trying.route(replace(RULE, fault=replace(fault, abort_ppm=MILLION)), serve_ok)
    path = unique()
    with trying.client() as client:
        head, said = client.ask("web", path, *fields)
        assert (head.status, head.get("grpc-status"), said) == (status, grpc_status, text)
        client.ask("web", unique())  # the connection goes on
    assert trying.flags(path) == ("FI", "fault_filter_abort")
    assert trying.attempts() == 0


def test_V15_a_delay_and_then_the_answer(trying: Trying) -> None:
    """It is no part of the time that a request may take."""
    rule = replace(RULE, retries=replace(DEFAULT_RETRIES, timeout_ms=250))
    trying.route(replace(rule, fault=FaultInjection(delay_ms=300, delay_ppm=MILLION)), serve_ok)
    path = unique()
    assert trying.ask(path=path, method="POST", text=b"x")[1] == b"ok"
    assert trying.flags(path) == ("DI", "via_upstream")
    assert trying.members[0].bodies == [b"x"]


def test_V15_V16_a_delay_and_then_an_abort(trying: Trying) -> None:
    fault = FaultInjection(delay_ms=1, delay_ppm=MILLION, abort_status=500, abort_ppm=MILLION)
    trying.route(replace(RULE, fault=fault), serve_ok)
    path = unique()
    assert trying.ask(path=path)[0].status == 500
    assert trying.flags(path) == ("DI,FI", "fault_filter_abort")


def test_V15_a_client_that_leaves_is_let_go(trying: Trying) -> None:
    trying.route(replace(RULE, fault=FaultInjection(delay_ms=3_600_000, delay_ppm=MILLION)), serve_ok)
    path = unique()
    with trying.client() as client:
        client.request("web", path)
        client.reset()
    assert trying.flags(path) == ("DI,DC", "downstream_remote_disconnect")
    assert trying.attempts() == 0


def test_V15_a_client_that_waits_less_is_told_then(trying: Trying) -> None:
    trying.route(replace(RULE, fault=FaultInjection(delay_ms=3_600_000, delay_ppm=MILLION)), serve_ok)
    head, _ = trying.ask(GRPC, "te: trailers", "grpc-timeout: 50m")
    assert (head.status, head["grpc-status"]) == (200, "4")


def test_V15_V16_what_is_for_none_of_them_does_nothing(trying: Trying) -> None:
    trying.route(replace(RULE, fault=FaultInjection(delay_ms=3_600_000, abort_status=500)), serve_ok)
    path = unique()
    assert trying.ask(path=path)[0].status == 200
    assert trying.flags(path) == ("-", "via_upstream")


# -- CORS -------------------------------------------------------------------------------------------------------------

FOO = "https://www.foo.com"
CORS = Cors(
    Origins((FOO,), (r"https://[^/:]+\.bar\.com",)),
    methods=("GET", "OPTIONS"),
    headers=("x-1", "x-2"),
    expose=("x-3",),
    credentials=True,
    max_age_s=3600,
)
ASKS = "access-control-request-method: DELETE"
PERMISSION = b"HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\nAccess-Control-Allow-Origin: a\r\nx-3: y\r\n"
PERMISSION += b"content-length: 2\r\n\r\nok"


def of_cors(head: dict[str, str]) -> dict[str, str]:
    prefix = "access-control-"
    return {name.removeprefix(prefix): value for name, value in head.items() if name.startswith(prefix)}


@pytest.mark.parametrize("origin", [FOO, "https://a.b.bar.com"])
def test_F16_C2_C4_C7_a_preflight_is_answered(origin: str, trying: Trying) -> None:
    trying.route(replace(RULE, cors=CORS, response=HeaderEdits(set=(("x-of", "the rule"),))), serve_ok)
    path = unique()
    head, text = trying.ask(f"origin: {origin}", ASKS, method="OPTIONS", path=path)
    assert (head.status, text, trying.attempts()) == (200, b"", 0)
    assert of_cors(head) == {
        "allow-origin": origin,
        "allow-credentials": "true",
        "expose-headers": "x-3",
        "allow-methods": "GET,OPTIONS",
        "allow-headers": "x-1,x-2",
        "max-age": "3600",
    }
    assert trying.flags(path) == ("-", "cors_response")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((ASKS,), id="no-origin"),
        pytest.param((f"origin: {FOO}",), id="no-method"),
        pytest.param(("origin:", ASKS), id="an-empty-origin"),
    ],
)
def test_C2_what_is_no_preflight_goes_on(fields: tuple[str, ...], trying: Trying) -> None:
    trying.route(replace(RULE, cors=CORS), serve_ok)
    assert trying.ask(*fields, method="OPTIONS")[1] == b"ok"


@pytest.mark.parametrize(("forward", "text"), [(False, b""), (True, b"ok")])
def test_C5_V18_a_preflight_of_another_origin(forward: bool, text: bytes, trying: Trying) -> None:
    trying.route(replace(RULE, cors=replace(CORS, forward_unmatched=forward)), serve_ok)
    head, said = trying.ask("origin: https://foobar.com", ASKS, method="OPTIONS")
    assert (head.status, said, of_cors(head)) == (200, text, {})


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        pytest.param(FOO, {"allow-origin": FOO, "allow-credentials": "true", "expose-headers": "x-3"}, id="C3-C7"),
        pytest.param("https://foobar.com", {"allow-origin": "*,a"}, id="C5"),
        pytest.param("null", {"allow-origin": "*,a"}, id="C8"),
    ],
)
def test_other_answers(origin: str, said: dict[str, str], trying: Trying) -> None:
    """With what the rule itself changes of them."""
    edits = HeaderEdits(set=(("x-of", "the rule"), ("access-control-expose-headers", "x-9")))
    trying.route(replace(RULE, cors=CORS, response=edits), answering(PERMISSION))
    for _ in range(2):
        head, text = trying.ask(f"origin: {origin}")
        assert (head["x-of"], head["x-3"], text) == ("the rule", "y", b"ok")
        assert of_cors(head) == {"expose-headers": "x-9", **said}


def test_C3_what_we_answer_ourselves_can_be_read_too(trying: Trying) -> None:
    trying.route(replace(RULE, cors=CORS), Peer.close)
    head, _ = trying.ask(f"origin: {FOO}")
    assert (head.status, of_cors(head)["allow-origin"]) == (503, FOO)


# -- mirrors ----------------------------------------------------------------------------------------------------------


def mirrored(trying: Trying, count: int = 1) -> list[Head]:
    """What the mirror's endpoint has got, once it is so many."""
    shadow = trying.shadow.members[0]
    wait_until(lambda: len(shadow.bodies) >= count, 5, f"{count} mirrored")
    return list(shadow.heads)


def unmirrored(trying: Trying) -> int:
    return trying.worker.board.clusters.counters(trying.shadow.slot).unmirrored


def test_F15_what_a_mirror_gets(trying: Trying) -> None:
    rule = replace(
        RULE,
        mirrors=(Mirror("shadow"), Mirror("nobody")),
        rewrite=Rewrite(path=PathRewrite(PathOp.FULL, "/other")),
        request=HeaderEdits(set=(("x-set", "it"),), remove=("x-gone",)),
    )
    trying.route(rule, serve_ok)
    trying.shadow.members[0].play(serve_ok)
    path = unique()
    assert trying.ask("x-gone: 1", "x-forwarded-for: 9.9.9.9", path=path, method="POST", text=b"a body")[1] == b"ok"
    (copy,), original = mirrored(trying), trying.members[0].heads[0]
    assert copy.first == original.first == "POST /other HTTP/1.1"
    assert (copy["host"], original["host"]) == ("web-shadow", "web")
    assert (copy["x-envoy-internal"], copy["x-forwarded-for"]) == ("true", "9.9.9.9,127.0.0.1")
    mine = {"host", "x-envoy-internal", "x-forwarded-for"}
    assert {n: v for n, v in copy.items() if n not in mine} == {n: v for n, v in original.items() if n not in mine}
    assert "x-gone" not in copy
    assert trying.shadow.members[0].bodies == [b"a body"]
    trying.flags(path)  # asserts that the log has the request, and not its copy


@pytest.mark.parametrize(
    ("request_line", "host", "rewritten", "name"),
    [
        pytest.param("GET /x", "web", "", "web-shadow", id="a-name"),
        pytest.param("GET /x", "web:8000", "", "web-shadow:8000", id="with-a-port"),
        pytest.param("GET http://web/x", "web", "", "web-shadow", id="in-the-target"),
        pytest.param("GET /x", "web", "other:1", "other-shadow:1", id="rewritten"),
    ],
)
def test_F15_the_name_of_a_mirror(request_line: str, host: str, rewritten: str, name: str, trying: Trying) -> None:
    trying.route(replace(RULE, mirrors=(Mirror("shadow"),), rewrite=Rewrite(host=rewritten)), serve_ok)
    trying.shadow.members[0].play(serve_ok)
    with trying.client() as client:
        client.send(f"{request_line} HTTP/1.1\r\nhost: {host}\r\n\r\n")
        assert client.answer()[1] == b"ok"
    (copy,) = mirrored(trying)
    assert (copy["host"], copy.first) == (name, "GET /x HTTP/1.1")


def test_F14_V17_a_part_of_them(trying: Trying) -> None:
    """Of 200 as many as are 20 standard deviations off would be a wonder."""
    trying.route(replace(RULE, mirrors=(Mirror("shadow", 1, 2), Mirror("shadow", 0, 100))), serve_ok)
    trying.shadow.members[0].play(serve_ok)
    with trying.client() as client:
        for _ in range(200):
            client.ask("web")
    assert 50 < len(mirrored(trying, 50)) <= 150


def test_F15_a_mirror_that_hangs_fails_or_is_not_there_is_not_noticed(trying: Trying) -> None:
    trying.route(replace(RULE, mirrors=(Mirror("shadow"),)), serve_ok)
    for handler in (silent, Peer.close):
        trying.shadow.members[0].play(handler)
        assert trying.ask()[1] == b"ok"
    row, trying.shadow.members[0].handler = trying.shadow.slots[0], unavailable
    before = trying.worker.board.endpoints.row(row).failed
    assert trying.ask()[1] == b"ok"
    wait_until(lambda: trying.worker.board.endpoints.row(row).failed > before, 5, "judged by what it answers")


def test_F15_a_body_that_comes_late_is_copied_and_one_that_is_too_long_is_not(trying: Trying) -> None:
    trying.route(replace(RULE, mirrors=(Mirror("shadow"),)), serve_ok)
    trying.shadow.members[0].play(serve_ok)
    before = unmirrored(trying)
    with trying.client() as client:
        client.send("POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        wait_until(lambda: trying.members[0].heads, 5, "it has begun")
        client.send("3\r\ndef\r\n0\r\n\r\n")
        assert client.answer()[1] == b"ok"
        mirrored(trying)
        assert client.ask("web", method="POST", body=b"x" * MIB)[1] == b"ok"
    wait_until(lambda: unmirrored(trying) == before + 1, 5, "one was not copied")
    assert trying.shadow.members[0].bodies == [b"abcdef"]


def test_F15_so_many_at_once(trying: Trying) -> None:
    trying.route(replace(RULE, mirrors=(Mirror("shadow"),)), serve_ok)
    trying.shadow.members[0].play(silent)
    before = unmirrored(trying)
    with trying.client() as client:
        for _ in range(110):
            client.ask("web")
    assert 5 <= unmirrored(trying) - before <= 10, "some of before may run still"
    trying.shadow.members[0].drop()


# -- as an HTTPRoute says it ------------------------------------------------------------------------------------------


def route(*rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "httpbin"},
        "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "web"}], "rules": list(rules)},
    }


def below(prefix: str, **said: Any) -> dict[str, Any]:
    matches = [{"path": {"type": "PathPrefix", "value": prefix}}]
    return {"matches": matches, "backendRefs": [{"name": "web", "port": 8000}], **said}


def test_T5_C3_F14_as_an_HTTPRoute_says(tmp_path: Path) -> None:
    with bench(tmp_path, services={"web": 1, "copy": 1}) as shop:
        mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "copy", "port": 8000}}}
        cors = {"type": "CORS", "cors": {"allowOrigins": ["https://*.bar.com"]}}
        rules = [
            below("/retry", retry={"codes": [500], "attempts": 3}),
            below("/cors", filters=[cors]),
            below("/mirror", filters=[mirror]),
        ]
        shop.manifests.put("route", route(*rules))
        with shop.client() as client:
            wait_until(lambda: client.ask("web", "/")[0].status == 404, 10, "the route is in force")
            origin = "https://a.bar.com"
            assert client.ask("web", "/cors", f"origin: {origin}")[0]["access-control-allow-origin"] == origin
            assert client.ask("web", "/mirror")[0].status == 200
            copy = shop.services["copy"][0]
            wait_until(lambda: [each["host"] for each in copy.heads] == ["web-shadow"], 5, "it is mirrored")
            failed = b"HTTP/1.1 500 It\r\ncontent-length: 0\r\n\r\n"
            shop.play("web", answering(failed, failed, failed, OK))
            assert client.ask("web", "/retry")[1] == b"ok"
