"""Rules of routes as requests find them: edits of heads put together, weights, and what cannot be kept."""

from collections.abc import Sequence
from typing import Any

import pytest

from proxy.controller.route_form import routing_form
from proxy.mesh.traffic.routing import Backend, HeaderEdits, Rewrite, RouteRule, Routing
from proxy.relay.routing.rule import Rule
from proxy.wire.http.edits import Edits
from tests.instruments.inspect_routing import (
    backends_of,
    changed_reply,
    changed_request,
    changed_response,
    edits_of,
)

REQUEST = (
    b"POST /a?b HTTP/1.1\r\nhost: shop:80\r\nX-Old: 1\r\ncontent-length: 2\r\nx-old: 2\r\nx-kept: 3\r\n"
    b"x-envoy-original-path: /forged\r\nx-request-id: 7\r\nx-forwarded-proto: http\r\n\r\n"
)
KEPT = ["x-kept: 3", "x-request-id: 7", "x-forwarded-proto: http"]
RESPONSE = b"HTTP/1.1 200 OK\r\nX-Old: 1\r\nserver: nginx\r\ncontent-length: 0\r\n\r\n"


def rule(*backends: Backend, **fields: Any) -> Rule:
    return Rule(routing_form(Routing((), (RouteRule("a rule", tuple(backends), **fields),)))["rules"][0])


def edits(
    of_rule: HeaderEdits, of_backend: HeaderEdits | None = None, rewrite: Rewrite | None = None, host: str = ""
) -> tuple[Edits | None, Edits | None]:
    """Of the request and of the answer, both being the same; the rewrite is the rule's, the host the backend's."""
    own = Rewrite(host) if host else None
    backend = Backend("a", request=of_backend or HeaderEdits(), response=of_backend or HeaderEdits(), rewrite=own)
    made = rule(backend, request=of_rule, response=of_rule, rewrite=rewrite)
    assert made.problem == ""
    return edits_of(made.backends[0])


def lines(head: bytes) -> list[str]:
    assert head.endswith(b"\r\n\r\n")
    return head[:-4].decode().split("\r\n")


def sent(found: Edits | None, path: bytes | None = None) -> list[str]:
    """What an endpoint gets, but for what it gets anyway."""
    return [line for line in lines(changed_request(REQUEST, found, path)) if line not in KEPT]


FIRST, LENGTH, ORIGINAL = "POST /a?b HTTP/1.1", "content-length: 2", "x-envoy-original-path: /forged"
ROWS = {
    "F3-none": (HeaderEdits(), ["host: shop:80", "X-Old: 1", LENGTH, "x-old: 2", ORIGINAL]),
    "F3-set": (HeaderEdits(set=(("x-old", "3"),)), ["host: shop:80", LENGTH, ORIGINAL, "x-old: 3"]),
    "F3-set-absent": (
        HeaderEdits(set=(("x-new", "3"),)),
        ["host: shop:80", "X-Old: 1", LENGTH, "x-old: 2", ORIGINAL, "x-new: 3"],
    ),
    "F3-add": (
        HeaderEdits(add=(("x-old", "3"),)),
        ["host: shop:80", "X-Old: 1", LENGTH, "x-old: 2", ORIGINAL, "x-old: 3"],
    ),
    "F3-remove": (HeaderEdits(remove=("x-old", "x-nix")), ["host: shop:80", LENGTH, ORIGINAL]),
    "F3-remove-and-add": (
        HeaderEdits(add=(("x-old", "3"),), remove=("x-old",)),
        ["host: shop:80", LENGTH, ORIGINAL, "x-old: 3"],
    ),
    "F5-host": (
        HeaderEdits(set=(("host", "b.org"),)),
        ["X-Old: 1", LENGTH, "x-old: 2", ORIGINAL, "host: b.org", "x-envoy-original-host: shop:80"],
    ),
    "F5-authority": (
        HeaderEdits(set=((":authority", "b.org"), (":path", "/x"))),
        ["X-Old: 1", LENGTH, "x-old: 2", ORIGINAL, "host: b.org", "x-envoy-original-host: shop:80"],
    ),
    "framing": (
        HeaderEdits(
            set=(("content-length", "9"), ("transfer-encoding", "chunked")),
            add=(("connection", "close"), ("host", "x")),
            remove=("content-length", "te", "host", "upgrade"),
        ),
        ["host: shop:80", "X-Old: 1", LENGTH, "x-old: 2", ORIGINAL],
    ),
}


@pytest.mark.parametrize(("asked", "expected"), ROWS.values(), ids=ROWS)
def test_requests(asked: HeaderEdits, expected: list[str]) -> None:
    assert sent(edits(asked)[0]) == [FIRST, *expected]


def test_F17_a_backend_s_edits_come_after_the_rule_s() -> None:
    of_rule = HeaderEdits(set=(("x-a", "1"), ("x-b", "1")), add=(("x-c", "1"), ("x-d", "1")), remove=("x-old",))
    of_backend = HeaderEdits(set=(("x-a", "2"),), add=(("x-c", "2"), ("x-old", "2")), remove=("x-d",))
    found = sent(edits(of_rule, of_backend)[0])
    assert found[4:] == ["x-b: 1", "x-c: 1", "x-a: 2", "x-c: 2", "x-old: 2"]


def test_F13_path_and_host_are_replaced_and_those_before_are_told() -> None:
    found, _ = edits(HeaderEdits(), rewrite=Rewrite("one.org"), host="two.org")
    assert sent(found, b"/new?b") == [
        "POST /new?b HTTP/1.1",
        *("X-Old: 1", LENGTH, "x-old: 2"),
        *("host: two.org", "x-envoy-original-path: /a?b", "x-envoy-original-host: shop:80"),
    ]
    assert sent(None, b"/new")[0] == "POST /new HTTP/1.1"


def test_what_we_add_ourselves_is_anybody_s_to_set_or_remove() -> None:
    bare = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
    named = HeaderEdits(set=(("x-forwarded-proto", "https"),), remove=("x-request-id",))
    request, _ = edits(named)
    assert lines(changed_request(bare, request, None))[2:] == ["x-forwarded-proto: https"]
    _, answer = edits(HeaderEdits(set=(("server", "shop"),), remove=("x-envoy-upstream-service-time", "date")))
    assert lines(changed_response(RESPONSE, answer))[1:] == ["X-Old: 1", "content-length: 0", "server: shop"]


def test_answers() -> None:
    _, answer = edits(HeaderEdits(set=(("x-old", "2"),), add=(("set-cookie", "a"), ("set-cookie", "b"))))
    taken = ("X-Old: 1", "server: waypointd")
    own = [line for line in lines(changed_response(RESPONSE, None))[1:] if line not in taken]
    added = ["x-old: 2", "set-cookie: a", "set-cookie: b"]
    assert lines(changed_response(RESPONSE, answer))[1:] == [*own, *added, "server: waypointd"]


def test_F4_answers_of_our_own() -> None:
    _, answer = edits(HeaderEdits(set=(("server", "shop"),), add=(("x-a", "1"),)))
    assert answer
    reply = b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\nserver: waypointd\r\n\r\nno"
    assert changed_reply(reply, answer) == (
        b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\nserver: shop\r\nx-a: 1\r\n\r\nno"
    )
    _, answer = edits(HeaderEdits(remove=("server",)))
    assert answer
    assert changed_reply(reply, answer) == b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno"


BAD: Sequence[tuple[HeaderEdits, str]] = (
    (HeaderEdits(set=(("x-a", "b\r\nx-c: d"),)), "has a control character"),
    (HeaderEdits(add=(("x a", "b"),)), "is no field name"),
    (HeaderEdits(remove=("x:a",)), "is no field name"),
    (HeaderEdits(set=(("host", "a b"),)), "is no host"),
    (HeaderEdits(add=(("x-a", "b" * 9000), ("x-b", "b" * 9000))), "16384 bytes"),
    (HeaderEdits(add=tuple((f"x-{at}", "") for at in range(65))), "64 header lines"),
)


@pytest.mark.parametrize(("asked", "why"), BAD, ids=[why for _, why in BAD])
def test_a_rule_that_cannot_be_kept_says_why(asked: HeaderEdits, why: str) -> None:
    assert why in rule(Backend("a"), request=asked).problem


def test_a_head_as_large_as_one_may_be_has_room_for_all_that_is_put_into_it() -> None:
    whole = HeaderEdits(add=tuple((f"x-{at}", "b" * 245) for at in range(63)), set=(("host", "b.org"),))
    request, answer = edits(whole)
    line = b"x-filler: " + b"f" * 30000 + b"\r\n"
    path = b"/" + b"p" * 61439
    asked = b"GET /" + b"q" * 30000 + b" HTTP/1.1\r\nhost: a\r\n" + line + b"\r\n"
    assert len(changed_request(asked, request, path)) > 61440 + 61440 + 14000
    assert changed_response(b"HTTP/1.1 200 OK\r\n" + line * 2 + b"\r\n", answer).count(b"x-filler") == 2


def test_B1_B3_B4_shares_of_requests() -> None:
    split = rule(Backend("a", 70), Backend("b", 30), Backend("c", 0))
    found = backends_of(split, 10_000)
    assert {name: found.count(name) / 100 for name in "abc"} == pytest.approx({"a": 70, "b": 30, "c": 0}, abs=5)
    assert set(backends_of(rule(Backend("a")), 10)) == {"a"}
    assert set(backends_of(rule(Backend("a", 0), Backend("b", 0)), 10)) == {""}
    assert set(backends_of(rule(), 10)) == {""}
