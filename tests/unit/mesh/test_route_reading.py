"""What is read of a route's rules: the rows M, F, B and T of the reference's tables that are about reading."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.mesh.kinds.routes import Filters, Rule
from proxy.mesh.traffic.retries import DEFAULT_RETRIES
from proxy.mesh.traffic.routing import (
    Condition,
    HeaderEdits,
    Op,
    Part,
    PathOp,
    PathRewrite,
    Persistence,
    Redirect,
    Rewrite,
)
from tests.unit.mesh.mesh_rig import Object
from tests.unit.mesh.route_rig import CART, filtered, read


def rule(said: Object, kind: str = "HTTPRoute") -> Rule:
    """One that is right."""
    route, faults, warnings = read(said, kind=kind)
    assert route is not None and not faults and not warnings, (faults, warnings)
    return route.rules[0]


def filters(*given: Object, matches: Any = ()) -> Filters:
    return rule({"filters": list(given), "matches": list(matches)}).filters


def path(value: str, kind: str = "PathPrefix") -> Object:
    return {"path": {"type": kind, "value": value}}


def path_is(op: Op, text: str) -> tuple[Condition, ...]:
    return (Condition(Part.PATH, op, text),)


def long(*names: str, kind: str = "RequestHeaderModifier") -> Object:
    """A filter whose lines are long."""
    return filtered(kind, add=[{"name": each, "value": "v" * 4000} for each in names])


LONG, HALF, HALF_MORE = long(*"abcde"), long(*"abc"), long(*"def")
LONG_ANSWER = long(*"abcde", kind="ResponseHeaderModifier")


@pytest.mark.parametrize(
    ("match", "conditions"),
    [
        pytest.param(None, path_is(Op.SEGMENTS, "/"), id="M1"),
        pytest.param(path("/one", "Exact"), path_is(Op.IS, "/one"), id="M5"),
        pytest.param(path("/v2/"), path_is(Op.SEGMENTS, "/v2"), id="M6"),
        pytest.param(path("/re/[a-z]+", "RegularExpression"), path_is(Op.LIKE, "/re/[a-z]+"), id="M8"),
        pytest.param({"method": "GET"}, (*path_is(Op.SEGMENTS, "/"), Condition(Part.METHOD, Op.IS, "GET")), id="M9"),
        pytest.param(
            {"headers": [{"name": "V", "value": "One"}, {"name": "v", "value": "two"}]},
            (*path_is(Op.SEGMENTS, "/"), Condition(Part.HEADER, Op.IS, "One", "v")),
            id="M10",
        ),
        pytest.param(
            {"queryParams": [{"name": "a", "value": "b.", "type": "RegularExpression"}, {"name": "A", "value": "c"}]},
            (
                *path_is(Op.SEGMENTS, "/"),
                Condition(Part.QUERY, Op.LIKE, "b.", "a"),
                Condition(Part.QUERY, Op.IS, "c", "A"),
            ),
            id="M12",
        ),
    ],
)
def test_a_match_is_conditions_that_all_hold(match: Object | None, conditions: tuple[Condition, ...]) -> None:
    (found,) = rule({"matches": [match]} if match else {}).matches
    assert found.conditions == conditions


@pytest.mark.parametrize(
    "value", ["one", "/a//b", "/a/./b", "/a/../b", "/a/.", "/..", "/a%2fb", "/a%2Fb", "/a#b", "/a b", "/%zz", "/ä"]
)
@pytest.mark.parametrize("kind", ["Exact", "PathPrefix"])
def test_a_path_that_nothing_could_match_is_a_fault_of_the_route(value: str, kind: str) -> None:
    """M7."""
    route, faults, _ = read({"matches": [path(value, kind)]})
    assert route is None and faults[0].startswith("spec.rules[0].matches[0].path.value: must begin with /")


@pytest.mark.parametrize(
    ("match", "said"),
    [
        pytest.param(path("/" + "a" * 1024), "path.value: has 1025 characters", id="M7"),
        pytest.param(path("(", "RegularExpression"), "path.value: must be a regular expression", id="M8"),
        pytest.param(path("(?=a)", "RegularExpression"), "path.value: must be a regular expression", id="M8-RE2"),
        pytest.param({"method": "get"}, 'method: must be one of GET, HEAD, POST, PUT, DELETE, ', id="M9"),
        pytest.param({"headers": [{"name": "a b", "value": "c"}]}, "headers[0].name: must be a name", id="M10-name"),
        pytest.param({"headers": [{"name": "a", "value": ""}]}, "headers[0].value: must not be empty", id="M10"),
        pytest.param({"headers": [{"name": "a", "value": "b" * 4097}]}, "value: has 4097 characters", id="M10-long"),
        pytest.param({"headers": [{"name": "a", "value": "b"}] * 17}, "headers: has 17 items; at most 16", id="M10-17"),
        pytest.param(path("/", "Glob"), "path.type: must be one of Exact, PathPrefix, RegularExpression", id="M14"),
        pytest.param({"header": []}, 'header: is not a known field (did you mean "headers"?)', id="unknown"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_match_is_a_fault_of_the_route(match: Object, said: str) -> None:
    route, faults, _ = read({"matches": [match], "backendRefs": [CART]})
    assert route is None and len(faults) == 1
    assert faults[0].startswith("spec.rules[0].matches[0].") and said in faults[0]


def test_m1_there_are_limits() -> None:
    many = {"matches": [path("/a")] * 65}
    assert "spec.rules[0].matches: has 65 items; at most 64" in str(read(many)[1])
    assert "spec.rules: has 17 items; at most 16" in str(read(*[{}] * 17)[1])
    three = [{"matches": [path("/a")] * 43}] * 3
    assert "spec.rules: have 129 matches in all; at most 128" in str(read(*three)[1])


BROKEN = "so requests of this rule get 500 (gRPC: 14) until that is mended"
MODIFIER = filtered("RequestHeaderModifier", set=[{"name": "a", "value": "b"}])
REDIRECT = filtered("RequestRedirect", hostname="example.org")
REWRITE = filtered("URLRewrite", hostname="example.org")
PREFIX = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x"}


@pytest.mark.parametrize(
    ("said", "what"),
    [
        pytest.param([filtered("ExtensionRef", name="a")], "filters[0].type: ExtensionRef is not built", id="F1"),
        pytest.param([{"type": "Odd"}], "filters[0].type: must be one of RequestHeaderModifier", id="F1-M14"),
        pytest.param([MODIFIER, MODIFIER], "filters[1]: is a second RequestHeaderModifier", id="F2"),
        pytest.param([REDIRECT, REWRITE], "filters[1]: cannot be used together with RequestRedirect", id="F2-both"),
        pytest.param([MODIFIER | REDIRECT], "requestHeaderModifier: cannot be given with type RequestRe", id="F2-type"),
        pytest.param([{"type": "URLRewrite"}], "filters[0].urlRewrite: is required with type URLRewrite", id="F2-none"),
        pytest.param(
            [filtered("RequestHeaderModifier", set=[{"name": "A", "value": "b"}], remove=["a"])],
            "requestHeaderModifier.remove[0]: a is named twice",
            id="F3",
        ),
        pytest.param(
            [filtered("RequestHeaderModifier", add=[{"name": "a", "value": "b\nc: d"}])],
            "add[0].value: holds a control character",
            id="F5",
        ),
        pytest.param(
            [filtered("RequestHeaderModifier", set=[{"name": ":path", "value": "/"}])],
            "set[0].name: must be a name",
            id="F5-pseudo",
        ),
        pytest.param(
            [filtered("RequestHeaderModifier", set=[{"name": "Transfer-Encoding", "value": "chunked"}])],
            "set[0]: transfer-encoding is not a header that may be changed so",
            id="F5-framing",
        ),
        pytest.param([filtered("RequestRedirect", statusCode=300)], "statusCode: must be one of 301, 302", id="F7"),
        pytest.param([filtered("RequestRedirect", scheme="ftp")], "scheme: must be one of http, https", id="F8"),
        pytest.param(
            [filtered("URLRewrite", path={"type": "ReplaceFullPath"})],
            "path.replaceFullPath: is required with type ReplaceFullPath",
            id="F12",
        ),
        pytest.param(
            [filtered("RequestMirror", backendRef=CART, percent=1, fraction={"numerator": 1})],
            "requestMirror.fraction: cannot be used together with percent",
            id="F14",
        ),
        pytest.param(
            [filtered("RequestMirror", backendRef=CART, fraction={"numerator": 3, "denominator": 2})],
            "fraction.numerator: must not be more than the denominator, 2",
            id="F14-more",
        ),
        pytest.param([filtered("ExternalAuth")], "filters[0].type: ExternalAuth is not built", id="F18"),
        pytest.param(
            [filtered("CORS", allowOrigins=["*", "https://a"])], 'allowOrigins: holds "*", which stands for', id="C1"
        ),
        pytest.param(
            [filtered("CORS", allowOrigins=["a.example"])], "allowOrigins[0]: must be an origin", id="C1-form"
        ),
        pytest.param([filtered("CORS", allowMethods=["get"])], "allowMethods[0]: must be one of GET", id="C4"),
    ],
)
def test_a_filter_that_cannot_be_breaks_its_rule_and_no_other(said: list[Object], what: str) -> None:
    good = {"backendRefs": [CART]}
    route, faults, warnings = read(good, {"filters": said}, good)
    assert route is not None and not faults
    assert [each.broken for each in route.rules] == [False, True, False]
    assert len(route.rules[1].matches) == 1, "its requests are its own still"
    assert len(warnings) == 1 and what in warnings[0]
    assert warnings[0].startswith("spec.rules[1].filters") and warnings[0].endswith(BROKEN)


@pytest.mark.parametrize(
    ("said", "what"),
    [
        pytest.param({"filters": [REDIRECT], "backendRefs": [CART]}, "backendRefs: cannot be given beside", id="F2"),
        pytest.param({"backendRefs": [{"name": "cart"}]}, "backendRefs[0].port: is required for a Service", id="B8"),
        pytest.param({"backendRefs": [CART | {"weight": 1_000_001}]}, "weight: must be between 0 and 1000000", id="B1"),
        pytest.param({"backendRefs": [CART] * 17}, "backendRefs: has 17 items; at most 16", id="B1-17"),
        pytest.param(
            {"backendRefs": [CART | {"group": "networking.istio.io", "kind": "Hostname", "namespace": "b"}]},
            "namespace: cannot be given for a Hostname",
            id="B10",
        ),
        pytest.param(
            {"backendRefs": [CART | {"filters": [filtered("CORS")]}]}, "filters[0].type: CORS is not built", id="F17"
        ),
        pytest.param({"timeouts": {"request": "1.5s"}}, "timeouts.request: must be a duration", id="T1"),
        pytest.param(
            {"timeouts": {"request": "1s", "backendRequest": "2s"}}, "backendRequest: must not be longer than", id="T2"
        ),
        pytest.param({"retry": {"codes": [302]}}, "retry.codes[0]: must be between 400 and 599", id="T5"),
        pytest.param({"retry": {"attempts": 0}}, "retry.attempts: must be between 1", id="T5-none"),
        pytest.param(
            {"sessionPersistence": {"cookieConfig": {"lifetimeType": "Permanent"}}},
            "absoluteTimeout: is required with lifetimeType Permanent",
            id="F19",
        ),
        pytest.param(
            {"sessionPersistence": {"type": "Header", "sessionName": "Host"}}, "sessionName: says how", id="F19-host"
        ),
        pytest.param(
            {"filters": [LONG, LONG_ANSWER]}, "filters: put more than 64 header lines, or 16384 bytes", id="F3-much"
        ),
        pytest.param(
            {"filters": [HALF], "backendRefs": [CART | {"filters": [HALF_MORE]}]},
            "backendRefs[0].filters: put more than 64 header lines",
            id="F3-much-together",
        ),
        pytest.param({"backendRef": []}, "backendRef: is not a known field (did you mean", id="unknown"),
    ],
)  # fmt: skip
def test_what_else_cannot_be_breaks_its_rule(said: Object, what: str) -> None:
    route, faults, warnings = read(said)
    assert route is not None and route.rules[0].broken and not faults
    assert len(warnings) == 1 and what in warnings[0] and warnings[0].endswith(BROKEN)


def test_f3_edits_of_headers() -> None:
    said = {"set": [{"name": "X-A", "value": "1"}], "add": [{"name": "X-B", "value": "2"}], "remove": ["X-C"]}
    edits = HeaderEdits(set=(("x-a", "1"),), add=(("x-b", "2"),), remove=("x-c",))
    assert filters(filtered("RequestHeaderModifier", **said)).request == edits
    assert filters(filtered("ResponseHeaderModifier", **said)).response == edits


def test_f5_a_host_that_is_set_is_where_the_request_goes() -> None:
    found = filters(filtered("RequestHeaderModifier", set=[{"name": "Host", "value": "a.example"}]))
    assert found.request.set == () and found.rewrite == Rewrite("a.example")


@pytest.mark.parametrize(
    ("said", "redirect"),
    [
        pytest.param({}, Redirect(302), id="F7"),
        pytest.param({"statusCode": 308, "port": 8443, "scheme": "https"}, Redirect(308, "https", "", 8443), id="F8"),
        pytest.param({"hostname": "example.org"}, Redirect(302, "", "example.org"), id="F9"),
        pytest.param(
            {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"}},
            Redirect(path=PathRewrite(PathOp.FULL, "/new")),
            id="F10",
        ),
        pytest.param({"path": PREFIX}, Redirect(path=PathRewrite(PathOp.PREFIX, "/x", "/foo")), id="F11"),
    ],
)
def test_a_redirect(said: Object, redirect: Redirect) -> None:
    assert filters(filtered("RequestRedirect", **said), matches=[path("/foo/")]).redirect == redirect


@pytest.mark.parametrize(
    ("matches", "right"),
    [
        ([path("/foo")], True),
        ([path("/foo") | {"method": "GET"}], True),
        ([], True),
        ([path("/foo"), path("/bar")], False),
        ([path("/foo", "Exact")], False),
        ([path("/foo", "RegularExpression")], False),
    ],
)
@pytest.mark.parametrize("kind", ["URLRewrite", "RequestRedirect"])
@pytest.mark.parametrize("of_backend", [False, True])
def test_f11_a_prefix_is_replaced_that_the_only_match_of_the_rule_has(
    matches: list[Object], right: bool, kind: str, of_backend: bool
) -> None:
    given = [filtered(kind, path=PREFIX)]
    said = {"backendRefs": [CART | {"filters": given}]} if of_backend else {"filters": given}
    route, faults, warnings = read({"matches": matches, **said})
    assert route is not None and not faults
    assert route.rules[0].broken is not right
    if not right:
        assert "have a ReplacePrefixMatch, for which the rule must have one match" in warnings[0]


@pytest.mark.parametrize(
    ("said", "share"),
    [
        pytest.param({}, (100, 100), id="F14"),
        pytest.param({"percent": 0}, (0, 100), id="F14-percent"),
        pytest.param({"fraction": {"numerator": 1, "denominator": 1000}}, (1, 1000), id="F14-fraction"),
        pytest.param({"fraction": {"numerator": 50}}, (50, 100), id="F14-hundred"),
    ],
)
def test_a_mirror(said: Object, share: tuple[int, int]) -> None:
    first, second = filters(*[filtered("RequestMirror", backendRef=CART, **said)] * 2).mirrors
    for each in (first, second):
        assert (each.to.name, each.numerator, each.denominator) == ("cart", *share)


def test_f17_filters_of_a_backend() -> None:
    given = [MODIFIER, filtered("ResponseHeaderModifier", remove=["x"]), filtered("URLRewrite", path=PREFIX)]
    (backend,) = rule({"matches": [path("/a")], "backendRefs": [CART | {"filters": given}]}).backends
    assert backend.filters.request.set == (("a", "b"),) and backend.filters.response.remove == ("x",)
    assert backend.filters.rewrite == Rewrite("", PathRewrite(PathOp.PREFIX, "/x", "/a"))
    (backend,) = rule({"backendRefs": [CART | {"filters": [REDIRECT]}]}).backends
    assert backend.filters.redirect == Redirect(host="example.org")


@pytest.mark.parametrize(
    ("said", "times"),
    [
        pytest.param({}, (None, None, 2, (), ()), id="T5-default"),
        pytest.param({"timeouts": {"request": "1h2m3s4ms"}}, (3_723_004, None, 2, (), ()), id="T1"),
        pytest.param({"timeouts": {"request": "0s", "backendRequest": "0ms"}}, (None, None, 2, (), ()), id="T1-zero"),
        pytest.param({"timeouts": {"request": "0s", "backendRequest": "1s"}}, (None, 1000, 2, (), ()), id="T2"),
        pytest.param({"timeouts": {"backendRequest": "500ms"}}, (None, 500, 2, (), ()), id="T3"),
        pytest.param({"retry": {"codes": [500, 503]}}, (None, None, 2, (500, 503), True), id="T5"),
        pytest.param({"retry": {"attempts": 5}}, (None, None, 5, (), True), id="T6"),
    ],
)
def test_times_and_retries(said: Object, times: tuple[Any, ...]) -> None:
    found = rule(said).retries
    again = "reset" in found.on if times[4] is True else found.on
    assert (found.timeout_ms, found.attempt_ms, found.attempts, found.codes, again) == times


def test_t7_the_pause_between_tries() -> None:
    found = rule({"retry": {"backoff": "100ms"}}).retries
    assert (found.least_pause_ms, found.pause_ms, found.longest_pause_ms) == (100, 100, 1000)
    assert rule({"retry": {"attempts": 1}}).retries.pause_ms == DEFAULT_RETRIES.pause_ms


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({}, Persistence("waypointd-shop-r-0")),
        ({"type": "Header", "sessionName": "x-s"}, Persistence("x-s", header=True)),
        ({"absoluteTimeout": "1h"}, Persistence("waypointd-shop-r-0", absolute_s=3600)),
        (
            {"absoluteTimeout": "1h", "idleTimeout": "90s", "cookieConfig": {"lifetimeType": "Permanent"}},
            Persistence("waypointd-shop-r-0", lifetime_s=3600, absolute_s=3600, idle_s=90),
        ),
    ],
)
def test_f19_sessions(said: Object, kept: Persistence) -> None:
    route, faults, warnings = read({"sessionPersistence": said})
    assert route is not None and route.rules[0].persistence == kept
    assert not faults and not warnings


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param({"hostnames": ["a.*.example"]}, 'hostnames[0]: must be a host name in lower case', id="H1"),
        pytest.param({"hostnames": ["10.0.0.1"]}, "hostnames[0]: must be a host name", id="H1-address"),
        pytest.param({"hostnames": ["a.example"] * 17}, "hostnames: has 17 items", id="H1-17"),
        pytest.param({"parentRefs": [{"name": "a"}] * 2}, "parentRefs[1]: names the same parent as", id="A7"),
        pytest.param(
            {"parentRefs": [{"name": "a"}, {"name": "a", "port": 80}]},
            "parentRefs[1]: names a parent that is named before",
            id="A7-one",
        ),
        pytest.param({"parentrefs": []}, 'spec.parentrefs: is not a known field (did you mean "parentRefs"?)', id="A1"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_route_as_a_whole(spec: Object, said: str) -> None:
    route, faults, _ = read(**spec)
    assert route is None and said in faults[0]


def test_rules_have_names_of_their_own() -> None:
    assert "spec.rules[1].name: a is given twice" in str(read({"name": "a"}, {"name": "a"})[1])
    route, faults, _ = read({"name": "a"}, {}, {})
    assert route is not None and not faults and [each.name for each in route.rules] == ["a", "", ""]


def test_a_newer_field_of_a_live_object_is_told_and_breaks_nothing() -> None:
    route, faults, (said,) = read({"newer": 1}, stored=True)
    assert route is not None and not route.rules[0].broken and not faults
    assert said == "spec.rules[0].newer: is not known in this version, so it does nothing"


def test_F7_what_does_nothing_beside_a_redirect_is_told() -> None:
    mirror = filtered("RequestMirror", backendRef=CART)
    said = {"filters": [filtered("RequestRedirect", hostname="a.org"), mirror, HALF], "retry": {"attempts": 1}}
    _, faults, warnings = read(said)
    assert not faults
    (told,) = warnings
    assert "has RequestHeaderModifier, RequestMirror, retry beside a RequestRedirect" in told
