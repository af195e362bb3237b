"""Requests that nobody sends: read, matched, let in or not, and what would come of them. What is decided is held
against what the compiled decisions say.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.controller import trial_request
from proxy.controller.access_form import access_forms
from proxy.controller.trial import Trial, fitting
from proxy.controller.trial_access import verdict
from proxy.controller.trial_effects import location, rewritten
from proxy.mesh.traffic.access import AccessPolicy
from proxy.mesh.traffic.routing import (
    Condition,
    Op,
    Part,
    PathOp,
    PathRewrite,
    Redirect,
    RouteMatch,
    RouteRule,
    Routing,
)
from proxy.policy.shapes import ALLOWED
from proxy.policy.tokens.claims import spaced
from tests.instruments.inspect_access import CompiledAccess, normalised
from tests.unit.policy.accesses import Request, access_of, asked_of
from tests.unit.policy.routings import Request as Asking
from tests.unit.policy.test_access import POLICIES, REQUESTS
from tests.unit.policy.test_matching import CONDITIONS, LETTERS, rule
from tests.unit.policy.test_matching import REQUESTS as ASKING


def trial(url: str = "http://cart.shop/", *headers: tuple[str, str], identity: str = "", method: str = "GET") -> Trial:
    asked = {"url": url, "method": method, "from": identity, "headers": json.dumps(headers)}
    return trial_request.read(asked)


def test_a_request_is_read() -> None:
    found = trial("http://Cart.shop:81/a/./b?x=1", ("X-A", " 1 "), ("Host", "else"), identity="spiffe://td/ns/a/sa/b")
    assert (found.path, found.query, found.authority, found.port) == ("/a/b", "x=1", "else", 81)
    assert (found.headers, found.namespace, found.bare_identity) == ((("x-a", "1"),), "a", "td/ns/a/sa/b")
    assert found.asked == ("cart.shop:81", "cart.shop:*", "*.shop", "*")
    assert trial("http://[fd00::7]/").asked[:2] == ("[fd00::7]:80", "[fd00::7]")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"url": "cart"}, "give a URL such as"),
        ({"url": "ftp://cart/"}, "give a URL such as"),
        ({"url": "http://cart:no/"}, "is no URL"),
        ({"url": "http://cart/", "method": "G T"}, "is no method"),
        ({"url": "http://cart/", "from": "td/ns/a"}, "give the client as spiffe://"),
        ({"url": "http://cart/", "headers": '[["x y", "1"]]'}, "is not the name of a header"),
        ({"url": "http://cart/", "headers": "{}"}, "must be a JSON list"),
        ({"url": "http://cart/a%00"}, "can be understood in two ways"),
    ],
)
def test_what_is_no_request_says_why(asked: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        trial_request.read(asked)


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/a/../b", "/b"),
        ("/../a", "/a"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a//b", "/a//b"),
        ("/%61%2fb", "/a%2fb"),
        ("/a\\b", "/a/b"),
        ("/%2e%2e/a", "/a"),
        ("/...", "/..."),
    ],
)
def test_paths_are_normalised_as_workers_do(path: str, normal: str) -> None:
    assert trial_request.normal(path) == normal


@given(st.text("/.%\\\\;2eE5cC60a1", max_size=14))
def test_paths_are_normalised_as_the_compiled_code_does(path: str) -> None:
    found = normalised(f"/{path}".encode())
    if found is None:
        with pytest.raises(ValueError, match="two ways"):
            trial_request.normal(f"/{path}")
    else:
        assert trial_request.normal(f"/{path}") == found.decode()


@given(POLICIES, REQUESTS)
def test_who_gets_in_is_what_the_compiled_decision_says(policies: list[AccessPolicy], request: Request) -> None:
    form, _ = access_forms(policies)
    _, layout = access_of(form)
    compiled = CompiledAccess(form).decide(asked_of(request, layout))
    path, _, query = request.path.partition("?")
    asked = Trial(
        request.method,
        "http",
        request.host,
        path,
        query,
        tuple((name.lower(), value) for name, value in request.headers),
        request.identity,
        request.port,
        (f"{request.destination}:80",),
        request.source,
        spaced(request.claims or {}, ()),
    )
    found = verdict(form, asked)
    assert found.allowed is (compiled == ALLOWED)
    denied = [each.rule for each in found.rules if each.action == "DENY" and each.matches]
    assert not denied or layout.names[compiled] == denied[0]


LIKE_ONES = st.builds(
    Condition,
    part=st.sampled_from((Part.PATH, Part.HEADER, Part.QUERY)),
    op=st.just(Op.LIKE),
    text=st.sampled_from(("/v[0-9]", "o.*", "/.*", "", "one|two")),
    name=st.sampled_from(("x-a", "e")),
    negated=st.booleans(),
)


@given(st.lists(st.lists(CONDITIONS | LIKE_ONES, max_size=3), max_size=4), ASKING)
def test_which_rule_is_what_the_compiled_decision_says(matches: list[list[Condition]], request: Asking) -> None:
    rules = tuple(RouteRule(LETTERS[at]) for at in range(len(matches)))
    routing = Routing(tuple(RouteMatch(at, tuple(each)) for at, each in enumerate(matches)), rules)
    path, _, query = request.path.partition("?")
    headers = tuple(request.headers)
    asked = Trial(request.method, "http", request.host, path, query, headers, request.identity, 80, ())
    at = fitting(routing, asked)
    assert rule(request, *matches) == ("" if at < 0 else rules[routing.matches[at].rule].name)


PREFIX, STRING, FULL, LIKE = PathOp.PREFIX, PathOp.STRING, PathOp.FULL, PathOp.LIKE


@pytest.mark.parametrize(
    ("rewrite", "path", "expected"),
    [
        pytest.param(PathRewrite(PREFIX, "/xyz", "/foo"), "/foo/bar", "/xyz/bar", id="P1"),
        pytest.param(PathRewrite(PREFIX, "/xyz/", "/foo"), "/foo/bar", "/xyz/bar", id="P2"),
        pytest.param(PathRewrite(PREFIX, "/xyz", "/foo/"), "/foo/bar", "/xyz/bar", id="P3"),
        pytest.param(PathRewrite(PREFIX, "/xyz", "/foo"), "/foo", "/xyz", id="P4"),
        pytest.param(PathRewrite(PREFIX, "/xyz", "/foo"), "/foo/", "/xyz/", id="P5"),
        pytest.param(PathRewrite(PREFIX, "", "/foo"), "/foo/bar", "/bar", id="P6"),
        pytest.param(PathRewrite(PREFIX, "/", "/foo"), "/foo", "/", id="P7"),
        pytest.param(PathRewrite(PREFIX, "/xyz", "/foo"), "/foo//bar", "/xyz//bar", id="P9"),
        pytest.param(PathRewrite(PREFIX, "/xyz", "/"), "/a", "/xyz/a", id="of all"),
        pytest.param(PathRewrite(FULL, "/new"), "/old/path", "/new", id="F12"),
        pytest.param(PathRewrite(STRING, "/v2", "/v1"), "/v1example", "/v2example", id="V12 text"),
        pytest.param(PathRewrite(STRING, "/", "/v1/"), "/v1/x", "/x", id="V12 cut"),
        pytest.param(PathRewrite(STRING, "", "/v1"), "/v1x", "/x", id="V12 without its slash"),
        pytest.param(PathRewrite(LIKE, "/t/\\1\\2", "/s/([^/]+)(/.*)"), "/s/one/x", "/t/one/x", id="V12 regex"),
        pytest.param(PathRewrite(LIKE, "b\\0", "a"), "/a/a", "/ba/ba", id="V12 all of them"),
        pytest.param(PathRewrite(LIKE, "y", "q+"), "/x", "/x", id="V12 none"),
    ],
)
def test_paths_that_are_rewritten(rewrite: PathRewrite, path: str, expected: str) -> None:
    assert rewritten(rewrite, path) == expected


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        (Redirect(own_port=80), "http://cart.shop/a?x=1"),
        (Redirect(own_port=8080), "http://cart.shop:8080/a?x=1"),
        (Redirect(scheme="https", own_port=8080), "https://cart.shop/a?x=1"),
        (Redirect(scheme="https", port=8443, host="b"), "https://b:8443/a?x=1"),
        (Redirect(port=80, own_port=8080), "http://cart.shop/a?x=1"),
        (Redirect(own_port=80, path=PathRewrite(FULL, "/b")), "http://cart.shop/b?x=1"),
    ],
)
def test_where_a_redirect_leads(redirect: Redirect, expected: str) -> None:
    assert location(redirect, trial("http://cart.shop:80/a?x=1")) == expected
