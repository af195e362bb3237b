"""Routes in force in a worker, as a snapshot says them: where requests go, what is changed of them, what is answered
here. Which request a rule is for, and paths and heads that are changed, are tested without one
(tests/unit/policy/test_matching.py, tests/unit/relay/test_rewriting.py, test_rules.py)."""

import ast
import contextlib
import socket
from collections.abc import Iterator

import pytest

from proxy.mesh.traffic.retries import RetryPolicy
from proxy.mesh.traffic.routing import (
    Backend,
    DirectResponse,
    HeaderEdits,
    PathOp,
    PathRewrite,
    Persistence,
    Redirect,
    Rewrite,
)
from tests.integration.hbone_rig import h2_client, h2_headers
from tests.integration.http_rig import Client, Peer
from tests.integration.routed_rig import Routed, named, routed, to, under

GRPC = ("content-type: application/grpc", "te: trailers")
MARK = HeaderEdits(set=(("x-rule", "1"),), remove=("x-old",))
PREFIX = PathRewrite(PathOp.PREFIX, "/new", "/rewrite")


def silent(peer: Peer) -> None:
    peer.request()
    peer.rest()


RULES = (
    under("/v1", to("v1")),
    under("/self", to("web")),
    under("/split", to(Backend("v1", 70), Backend("v2", 30), Backend("web", 0))),
    under("/kept", to(Backend("v1", 1), Backend("v2", 1), Backend("gone", 1), persistence=Persistence("x-s", True))),
    under("/half", to(Backend("v1", 1), Backend("gone", 1))),
    under("/nobody", to(Backend("v1", 0), response=MARK)),
    under("/none", to()),
    under("/invalid", to(Backend(""), response=MARK)),
    under("/503", to(Backend("gone", status=503))),
    under("/redirect", to(redirect=Redirect(301, host="a.org", own_port=8080), response=MARK)),
    under("/elsewhere", to(Backend("v1", redirect=Redirect(303, "https", path=PathRewrite(PathOp.FULL, "/x"))))),
    under("/teapot", to(direct=DirectResponse(418, b"short and stout"))),
    under("/nothing", to(direct=DirectResponse(304, b"nothing"))),
    under("/rewrite", to("v1", rewrite=Rewrite("one.org", PREFIX), request=MARK, response=MARK)),
    under("/own", to(Backend("v1", rewrite=Rewrite(path=PathRewrite(PathOp.FULL, "/full"))), request=MARK)),
    under("/slow", to("v2", retries=RetryPolicy(timeout_ms=300))),
    under("/h2", to("h2", rewrite=Rewrite("one.org"), request=MARK, response=MARK)),
    under("/broken", to("v1", request=HeaderEdits(set=(("x a", "1"),)))),
)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Routed]:
    with routed(tmp_path_factory.mktemp("routing")) as made:
        made.obey(*RULES)
        yield made


@pytest.mark.parametrize(("path", "name"), [("/v1/x", b"v1"), ("/v1", b"v1"), ("/self", b"web")])
def test_B13_requests_go_where_the_rule_says(serving: Routed, path: str, name: bytes) -> None:
    assert serving.ask(path)[1] == name
    assert serving.ask("/nowhere", host="v2")[1] == b"v2", "routes of others do not matter"


def test_A10_no_rule_no_route(serving: Routed) -> None:
    head, text = serving.ask("/v2")
    assert (head.status, text) == (404, b"")
    head, _ = serving.ask("/v2", *GRPC, method="POST")
    assert (head.status, head["grpc-status"]) == (200, "12")
    with Client(serving.port) as client:
        assert client.ask("web", "/v2")[0].status == 404
        assert client.ask("web", "/v1")[0].status == 200, "the connection goes on"


def test_F19_a_session_stays_with_its_backend(serving: Routed) -> None:
    with Client(serving.port) as client:
        begun = {
            head["x-s"]: name for head, name in (client.ask("web", "/kept") for _ in range(60)) if head.status == 200
        }
        assert sorted(begun.values()) == [b"v1", b"v2"]
        for value, name in begun.items():
            assert {client.ask("web", "/kept", f"x-s: {value}")[1] for _ in range(8)} == {name}


def test_B1_B5_shares(serving: Routed) -> None:
    with Client(serving.port) as client:
        found = [client.ask("web", "/split")[1] for _ in range(400)]
        assert {name: found.count(name) / 4 for name in (b"v1", b"v2", b"web")} == pytest.approx(
            {b"v1": 70, b"v2": 30, b"web": 0}, abs=12
        )
        statuses = [client.ask("web", "/half")[0].status for _ in range(100)]
        assert set(statuses) == {200, 500}
        assert 20 < statuses.count(500) < 80


@pytest.mark.parametrize("path", ["/nobody", "/none", "/invalid", "/503"])
def test_B4_B5_without_a_backend(serving: Routed, path: str) -> None:
    head, text = serving.ask(path)
    assert (head.status, text) == (503 if path == "/503" else 500, b"")
    assert ("x-rule" in head) is (path in ("/nobody", "/invalid")), "F4"
    head, _ = serving.ask(path, *GRPC, method="POST")
    assert (head.status, head["grpc-status"]) == (200, "14")


def test_F7_F10_redirects(serving: Routed) -> None:
    head, text = serving.ask("/redirect/y?z=1", method="POST")
    assert (head.status, head["location"], text) == (301, "http://a.org:8080/redirect/y?z=1", b"")
    assert head["x-rule"] == "1", "F4"
    head, _ = serving.ask("/elsewhere?z=1", host="WEB:80")
    assert head.status == 404, "the frontend of that name only"
    head, _ = serving.ask("/elsewhere?z=1")
    assert (head.status, head["location"]) == (303, "https://web/x?z=1")


def test_V11_a_direct_response(serving: Routed) -> None:
    head, text = serving.ask("/teapot")
    assert (head.status, head["content-type"], text) == (418, "text/plain", b"short and stout")
    with Client(serving.port) as client:
        assert client.ask("web", "/nothing")[0].status == 304
        assert client.ask("web", "/v1")[1] == b"v1", "no body came between"


def test_F3_F12_F13_what_the_endpoint_gets(serving: Routed) -> None:
    head, _ = serving.ask("/rewrite/x?y=1", "x-old: 1", "x-envoy-original-path: /forged")
    assert ("x-old" in head, head["x-rule"]) == (False, "1")
    seen = serving.seen("v1")
    assert seen.first == "GET /new/x?y=1 HTTP/1.1"
    assert (seen["host"], seen["x-rule"], "x-old" in seen) == ("one.org", "1", False)
    assert (seen["x-envoy-original-host"], seen["x-envoy-original-path"]) == ("web", "/rewrite/x?y=1")
    serving.ask("/own/x?y=1")
    assert serving.seen("v1").first == "GET /full?y=1 HTTP/1.1", "F17"
    serving.ask("/v1")
    assert "x-rule" not in serving.seen("v1")


def test_M15_paths_are_brought_into_one_form_before_and_forwarded_so(serving: Routed) -> None:
    assert serving.ask("/x/../v%31/./y?a=/../b")[1] == b"v1"
    assert serving.seen("v1").first == "GET /v1/y?a=/../b HTTP/1.1"
    assert serving.ask("/v1/%00")[0].status == 400
    assert serving.ask("/x/../y", host="v2")[1] == b"v2"
    assert serving.seen("v2").first == "GET /x/../y HTTP/1.1", "where nobody goes by paths they go on as they came"


def test_T2_T4_a_rule_s_timeout_is_for_all_of_it(serving: Routed) -> None:
    serving.endpoints["v2"].play(silent)
    head, text = serving.ask("/slow")
    assert (head.status, text) == (504, b"upstream request timeout")
    serving.endpoints["v2"].play(named)
    assert serving.ask("/slow")[1] == b"v2"


def test_a_rule_that_cannot_be_kept_is_answered_and_others_go_on(serving: Routed) -> None:
    assert serving.ask("/broken")[0].status == 500
    assert serving.ask("/v1")[0].status == 200


def test_the_same_in_http2_on_both_sides(serving: Routed) -> None:
    with contextlib.closing(h2_client(socket.create_connection(("127.0.0.1", serving.port)))) as client:
        asked = client.request(h2_headers("/h2/x/../y", x_old="1"), end=True)
        answer = asked.answered()
        assert (answer[":status"], answer["x-rule"], "x-old" in answer) == ("200", "1", False)
        seen = dict(ast.literal_eval(asked.recv(1 << 16).decode()))
        assert (seen[":path"], seen[":authority"], seen["x-rule"]) == ("/h2/y", "one.org", "1")
        assert ("x-old" in seen, seen["x-envoy-original-host"]) == (False, "web")
        answer = client.request(h2_headers("/redirect/y"), end=True).answered()
        assert (answer[":status"], answer["location"]) == ("301", "http://a.org:8080/redirect/y")
