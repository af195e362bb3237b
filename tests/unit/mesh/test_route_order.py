"""What is asked first: rows M2 to M4 and G2 of the reference's tables."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.unit.mesh.mesh_rig import Object
from tests.unit.mesh.route_rig import TILL, grpc, http, pairs, routing

TO: Object = {"backendRefs": [TILL]}


def path(value: str, kind: str = "PathPrefix", headers: int = 0, query: int = 0, method: str = "") -> Object:
    """A match with so many headers and query parameters."""
    named = [{"name": f"n{index}", "value": "v"} for index in range(9)]
    more = {"method": method} if method else {}
    return {"path": {"type": kind, "value": value}, "headers": named[:headers], "queryParams": named[:query], **more}


ORDERED = [
    path("/a", "Exact", headers=1),
    path("/a", "Exact"),
    path("/ab/cd"),
    path("/ab", method="GET"),
    path("/ab", headers=2),
    path("/ab", headers=1, query=1),
    path("/ab", headers=1),
    path("/ab", query=1),
    path("/"),
    path("/re/.*", "RegularExpression", method="GET"),
    path("/re/.*", "RegularExpression"),
    path("/r.*", "RegularExpression"),
]


def asked(*objects: Object) -> list[str]:
    found = routing(*objects)
    assert found is not None
    return [each for each, _ in pairs(found)]


def test_m2_m4_the_most_special_match_is_asked_first() -> None:
    want = asked(*(http(f"r{index:02}", {"matches": [each], **TO}) for index, each in enumerate(ORDERED)))
    assert len(want) == len(ORDERED) and want[0].startswith("path=/a header") and want[8] == "path^/"
    turned = [http(f"r{index:02}", {"matches": [each], **TO}) for index, each in enumerate(reversed(ORDERED))]
    assert asked(*turned) == want, "whatever the routes are called"
    assert asked(http("r", *({"matches": [each], **TO} for each in reversed(ORDERED)))) == want, "rules of one route"
    assert asked(http("r", {"matches": ORDERED[::-1], **TO})) == want, "M3: matches of one rule"


def test_m2_then_the_older_route_then_its_name_then_its_rule() -> None:
    one = {"matches": [path("/a")]}
    routes = [
        http("z", one, created="2025-01-01T00:00:00Z"),
        http("a", one, {"name": "second", **one}, created="2026-01-01T00:00:00Z"),
        http("b", one, created="2026-01-01T00:00:00Z"),
    ]
    names = ["shop/z rule 0", "shop/a rule 0", "shop/a rule second", "shop/b rule 0"]
    for order in permutations(routes):
        found = routing(*order)
        assert found and [found.rules[each.rule].name.removeprefix("HTTPRoute ") for each in found.matches] == names


def test_m3_a_rule_with_two_matches_has_two_places() -> None:
    both = {"matches": [path("/a"), path("/a/b/c")], **TO}
    assert asked(http("r", both), http("s", {"matches": [path("/a/b")], **TO})) == [
        "path^/a/b/c",
        "path^/a/b",
        "path^/a",
    ]


@pytest.mark.parametrize("turn", [1, -1])
def test_g2_the_most_special_call_is_asked_first(turn: int) -> None:
    calls: list[Object] = [
        {"method": {"service": "long.Service"}},
        {"method": {"service": "a.B", "method": "Longer"}},
        {"method": {"service": "a.B", "method": "C"}, "headers": [{"name": "h", "value": "v"}]},
        {"method": {"service": "a.B", "method": "C"}},
        {"method": {"method": "Longest"}},
        {"headers": [{"name": "h", "value": "v"}]},
        {},
    ]
    assert asked(grpc("g", *({"matches": [each], **TO} for each in calls[::turn]))) == [
        "path^/long.Service/",
        "path=/a.B/Longer",
        "path=/a.B/C header.h=v",
        "path=/a.B/C",
        "path~/[^/]+/Longest",
        "header.h=v",
        "",
    ]
