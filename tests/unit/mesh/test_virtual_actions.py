"""What VirtualServices do with requests: rows V10 to V19 of what is known of them at Istio's waypoints."""

from __future__ import annotations

import pytest

from proxy.mesh.traffic.retries import DEFAULT_RETRIES, RetryPolicy
from proxy.mesh.traffic.routing import (
    Cors,
    DirectResponse,
    FaultInjection,
    HeaderEdits,
    Mirror,
    Origins,
    PathOp,
    PathRewrite,
    Redirect,
    Rewrite,
)
from tests.unit.mesh.mesh_rig import (
    Object,
    shop,
    virtual,
)
from tests.unit.mesh.virtual_rig import (
    CART,
    FULL,
    http,
    routing_of,
    rule_of,
    told,
)


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        ({"uri": "/a"}, Redirect(301, path=PathRewrite(PathOp.FULL, "/a"), own_port=80)),
        ({"authority": "b.example"}, Redirect(301, host="b.example", own_port=80)),
        ({"authority": "b.example:81"}, Redirect(301, host="b.example", port=81, own_port=80)),
        ({"port": 8443}, Redirect(301, port=8443, own_port=80)),
        ({"scheme": "https", "redirectCode": 307}, Redirect(307, scheme="https", own_port=80)),
        ({"derivePort": "FROM_REQUEST_PORT"}, Redirect(301, port=80, own_port=80)),
        ({"prefixRewrite": "/a"}, Redirect(301, path=PathRewrite(PathOp.STRING, "/a", "/"), own_port=80)),
    ],
)  # fmt: skip
def test_v10_redirect(redirect: Object, expected: Redirect) -> None:
    found = rule_of(redirect=redirect)
    assert (found.redirect, found.backends) == (expected, ())


def test_v11_direct_response() -> None:
    found = rule_of(directResponse={"status": 503, "body": {"bytes": "Y2xvc2Vk"}})
    assert (found.direct, found.backends) == (DirectResponse(503, b"closed"), ())
    assert rule_of(directResponse={"status": 204}).direct == DirectResponse(204)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ({"prefix": "/a"}, PathRewrite(PathOp.STRING, "/b", "/a")),
        ({"exact": "/a"}, PathRewrite(PathOp.FULL, "/b")),
        ({"regex": "/a.*"}, PathRewrite(PathOp.FULL, "/b")),
        (None, PathRewrite(PathOp.STRING, "/b", "/")),
    ],
)
def test_v12_rewrite_of_what_was_matched(uri: Object | None, expected: PathRewrite) -> None:
    match = [{"uri": uri}] if uri else []
    (found,) = routing_of(virtual(http({"match": match, "rewrite": {"uri": "/b"}, "route": [CART]}))).rules
    assert found.rewrite == Rewrite(path=expected)


def test_v12_two_matches_of_a_rule_have_a_rewrite_each() -> None:
    match = [
        {"uri": {"prefix": "/a"}},
        {"uri": {"prefix": "/c"}},
        {"uri": {"prefix": "/a"}, "method": {"exact": "GET"}},
    ]
    found = routing_of(virtual(http({"match": match, "rewrite": {"uri": "/b"}, "route": [CART]})))
    assert [each.rule for each in found.matches] == [0, 1, 0]


def test_v12_rewrite_of_host_and_by_expression() -> None:
    found = rule_of(rewrite={"authority": "b", "uriRegexRewrite": {"match": "^/(.*)$", "rewrite": "/b/\\1"}})
    assert found.rewrite == Rewrite("b", PathRewrite(PathOp.LIKE, "/b/\\1", "^/(.*)$"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, DEFAULT_RETRIES),
        ({"timeout": "1500ms"}, RetryPolicy(timeout_ms=1500)),
        ({"retries": {}}, RetryPolicy(attempts=0)),
        ({"retries": {"attempts": 3, "perTryTimeout": "1s"}}, RetryPolicy(attempts=3, attempt_ms=1000)),
        (
            {"retries": {"attempts": 1, "backoff": "100ms"}},
            RetryPolicy(attempts=1, pause_ms=100, longest_pause_ms=1000),
        ),
        (
            {"retries": {"attempts": 2, "retryOn": "connect-failure,5xx,503,retriable-status-codes,unavailable"}},
            RetryPolicy(codes=(503,), on=("5xx", "unavailable")),
        ),
    ],
)
def test_v14_timeout_and_retries(fields: Object, expected: RetryPolicy) -> None:
    assert rule_of(**fields).retries == expected


@pytest.mark.parametrize(
    ("retries", "said"),
    [
        ({"retryOn": "5xx,envoy-ratelimited"}, "retryOn: 5xx,envoy-ratelimited is not in force"),
        ({"retryRemoteLocalities": True}, "retryRemoteLocalities: is not in force"),
        ({"retryIgnorePreviousHosts": False}, "retryIgnorePreviousHosts: is not in force"),
        ({"retryIgnorePreviousHosts": True, "retryRemoteLocalities": False}, ""),
    ],
)
def test_v14_what_has_no_place_is_told(retries: Object, said: str) -> None:
    found = told(*shop(virtual(http({"route": [CART], "retries": {"attempts": 1, **retries}}))))
    assert [said in each.replace("true ", "").replace("false ", "") for each in found] == ([True] if said else [])


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(
            {"delay": {"fixedDelay": "5s", "percentage": {"value": 0.1}}},
            FaultInjection(delay_ms=5000, delay_ppm=1000),
            id="V15",
        ),
        pytest.param(
            {"delay": {"fixedDelay": "1s", "percent": 10}},
            FaultInjection(delay_ms=1000, delay_ppm=100_000),
            id="V15 percent",
        ),
        pytest.param({"delay": {"fixedDelay": "5s"}}, None, id="V15 of none"),
        pytest.param(
            {"abort": {"httpStatus": 418, "percentage": {"value": 100}}},
            FaultInjection(abort_status=418, abort_ppm=1_000_000),
            id="V16",
        ),
        pytest.param(
            {"abort": {"grpcStatus": "NOT_FOUND", "percentage": {"value": 50}}},
            FaultInjection(abort_status=200, abort_grpc=5, abort_ppm=500_000),
            id="V16 gRPC",
        ),
        pytest.param({"abort": {"httpStatus": 500}}, None, id="V16 of none"),
        pytest.param({"abort": {"percentage": {"value": 5}}}, None, id="V16 of nothing"),
    ],
)
def test_faults(fault: Object, expected: FaultInjection | None) -> None:
    assert rule_of(fault=fault).fault == expected
    said = [each for each in told(*shop(virtual(http({"route": [CART], "fault": fault}))))]
    assert bool(said) is (expected is None), "what does nothing says so"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"mirror": {"host": "cart"}}, (Mirror("shop/cart:80"),)),
        (
            {"mirror": {"host": "cart"}, "mirrorPercentage": {"value": 12.5}},
            (Mirror("shop/cart:80", 125_000, 1_000_000),),
        ),
        ({"mirror": {"host": "cart"}, "mirrorPercent": 7}, (Mirror("shop/cart:80", 70_000, 1_000_000),)),
        ({"mirror": {"host": "cart"}, "mirrorPercentage": {"value": 0}}, ()),
        ({"mirror": {"host": "cart"}, "mirrorPercentage": {}}, ()),
        ({"mirror": {"host": "gone"}}, ()),
        (
            {
                "mirrors": [
                    {"destination": {"host": "cart"}},
                    {"destination": {"host": FULL}, "percentage": {"value": 5}},
                ]
            },
            (Mirror("shop/cart:80"), Mirror("shop/cart:80", 50_000, 1_000_000)),
        ),
    ],
)
def test_v17_mirrors(fields: Object, expected: tuple[Mirror, ...]) -> None:
    assert rule_of(**fields).mirrors == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, Cors(Origins(), forward_unmatched=True)),
        ({"unmatchedPreflights": "FORWARD"}, Cors(Origins(), forward_unmatched=True)),
        ({"unmatchedPreflights": "IGNORE"}, Cors(Origins())),
        (
            {"allowOrigins": [{"exact": "http://a"}, {"exact": "*"}, {"prefix": "http://a."}, {"regex": "h.*"}]},
            Cors(Origins(("http://a", "*"), ("h.*", "http://a\\..*")), forward_unmatched=True),
        ),
        (
            {"allowOrigins": [{"exact": "http://*.b"}]},
            Cors(Origins((), ("http://\\*\\.b",)), forward_unmatched=True),
        ),
        ({"allowOrigin": ["*"]}, Cors(Origins(("*",)), forward_unmatched=True)),
        (
            {"allowMethods": ["GET"], "allowHeaders": ["x-a"], "exposeHeaders": ["x-b"], "allowCredentials": True}
            | {"maxAge": "2m"},
            Cors(Origins(), ("GET",), ("x-a",), ("x-b",), True, 120, True),
        ),
    ],
)
def test_v18_cors(policy: Object, expected: Cors) -> None:
    assert rule_of(corsPolicy=policy).cors == expected


def test_v19_headers() -> None:
    edits: Object = {
        "request": {"set": {"X-A": "1", "Host": "b"}, "add": {"x-b": "100%%"}, "remove": ["X-C"]},
        "response": {"set": {"x-d": "4"}},
    }
    found = rule_of(headers=edits)
    assert found.request == HeaderEdits((("x-a", "1"),), (("x-b", "100%"),), ("x-c",))
    assert found.response == HeaderEdits((("x-d", "4"),))
    assert found.rewrite == Rewrite("b")


def test_v19_headers_of_a_destination_and_its_host_only_where_the_rule_has_none() -> None:
    edits: Object = {"request": {"set": {"host": "c", "x-a": "1"}}, "response": {"remove": ["x-b"]}}
    shares = [{**CART, "headers": edits}]
    (found,) = rule_of(route=shares).backends
    assert found.request == HeaderEdits((("x-a", "1"),)) and found.response == HeaderEdits(remove=("x-b",))
    assert found.rewrite == Rewrite("c")
    (found,) = rule_of(route=shares, rewrite={"authority": "b"}).backends
    assert found.rewrite is None


def test_v19_what_envoy_would_put_in_is_left_out_and_told() -> None:
    edits: Object = {"request": {"set": {"x-a": "%REQ(x-b)%", "x-c": "1", "connection": "close"}}}
    assert rule_of(headers=edits).request == HeaderEdits((("x-c", "1"),))
    variable, framing = told(*shop(virtual(http({"route": [CART], "headers": edits}))))
    assert "headers.request.set.connection: is left out" in framing
    assert "set.x-a: %REQ(x-b)% is not in force in this version (the header is left as it is)" in variable


def test_V11_more_than_a_head_has_room_for_is_told() -> None:
    def with_lines(rule: int, share: int) -> Object:
        names = [f"x-{at}" for at in range(rule + share)]
        whole, own = ({"request": {"set": dict.fromkeys(each, "1")}} for each in (names[:rule], names[rule:]))
        return virtual(http({"headers": whole, "route": [CART | {"headers": own}]}))

    assert not told(*shop(with_lines(40, 24)))
    (warning,) = told(*shop(with_lines(40, 25)))
    assert "headers put more than 64 header lines" in warning.replace(":", "") and "get 500" in warning
