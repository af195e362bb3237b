"""HTTPRoutes and GRPCRoutes for the same requests: which is accepted, which is counted, which is looked at again."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.kubernetes.deployer.attached import attached
from proxy.kubernetes.deployer.routes import parents
from tests.unit.kubernetes.deployer.test_routes import YES, accepted, around, of_service, route
from tests.unit.kubernetes.deployer.wishes import MESH, WEB, wish

Object = dict[str, Any]
NO = "False RouteKindConflict"
SECOND = WEB | {"name": "second", "port": 8080}


def made(kind: str, name: str, created: str, *parents: Object, **more: Any) -> Object:
    """A route of a kind with an age, for shop/way if nothing else is said."""
    given = route(*(parents or ({"name": "way", "namespace": "shop"},)), **more)
    given["metadata"] |= {"name": name, "creationTimestamp": f"2026-01-01T00:00:{created}Z"}
    return given | {"kind": kind}


def standing(*routes: Object, listeners: tuple[Object, ...] = (WEB,)) -> list[str]:
    """What is said of each of them."""
    everybody = {"allowedRoutes": {"namespaces": {"from": "All"}}}
    beside = around(*(each | everybody for each in listeners), routes=routes)
    return [accepted(each, beside) for each in routes]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        pytest.param("01", "02", [YES, NO], id="A15-the-older"),
        pytest.param("02", "01", [NO, YES], id="A15-the-other-way-round"),
        pytest.param("01", "01", [YES, NO], id="A15-by-name"),
    ],
)
def test_of_two_kinds_at_a_listener_one_is_accepted(first: str, second: str, said: list[str]) -> None:
    routes = made("HTTPRoute", "a", first), made("GRPCRoute", "b", second)
    assert standing(*routes) == said
    assert attached(wish(WEB), routes, {}) == {"web": 1}


@pytest.mark.parametrize(
    ("one", "other", "listener", "both"),
    [
        pytest.param(["a.example"], ["b.example"], "", True, id="A15-other-hosts"),
        pytest.param(["a.example"], ["b.example", "a.example"], "", False, id="A15-one-in-common"),
        pytest.param(["*.example"], ["a.example"], "", False, id="A15-H2-a-wildcard"),
        pytest.param(["a.example"], [], "", False, id="A15-any-host"),
        pytest.param([], [], "a.example", False, id="A15-H3-the-listeners"),
        pytest.param(["*.example"], ["*.example"], "a.example", False, id="A15-H3-narrowed-to-the-same"),
        pytest.param(
            ["a.example", "x.test"], ["b.example", "x.test"], "*.example", True, id="A15-H3-not-in-common-here"
        ),
    ],
)
def test_only_where_they_have_a_host_in_common(one: list[str], other: list[str], listener: str, both: bool) -> None:
    web = WEB | ({"hostname": listener} if listener else {})
    routes = made("HTTPRoute", "a", "01", hostnames=one), made("GRPCRoute", "b", "02", hostnames=other)
    assert standing(*routes, listeners=(web,)) == [YES, YES if both else NO]
    assert attached(wish(web), routes, {}) == {"web": 2 if both else 1}


def test_who_is_not_accepted_stands_in_nobodys_way() -> None:
    routes = (
        made("HTTPRoute", "a", "01", hostnames=["a.example"]),
        made("GRPCRoute", "b", "02", hostnames=["a.example", "b.example"]),
        made("HTTPRoute", "c", "03", hostnames=["b.example"]),
    )
    assert standing(*routes) == [YES, NO, YES]
    assert standing(routes[1], routes[2]) == [YES, NO]


def test_a_listener_that_has_no_other_is_enough() -> None:
    """A15 is by listener; a reference to both is accepted if one takes the route."""
    both = {"name": "way", "namespace": "shop"}
    routes = made("HTTPRoute", "a", "01", both | {"sectionName": "web"}), made("GRPCRoute", "b", "02", both)
    assert standing(*routes, listeners=(WEB, SECOND)) == [YES, YES]
    assert attached(wish(WEB, SECOND), routes, {}) == {"web": 1, "second": 1}
    there = made("GRPCRoute", "c", "02", both | {"sectionName": "web"})
    assert standing(routes[0], there, listeners=(WEB, SECOND)) == [YES, NO]


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        pytest.param({}, {}, [YES, NO], id="A15-all-ports"),
        pytest.param({"port": 80}, {"port": 8080}, [YES, YES], id="A15-A5-other-ports"),
        pytest.param({"port": 80}, {}, [YES, YES], id="A15-A5-one-port-is-left"),
        pytest.param({}, {"sectionName": "http"}, [YES, NO], id="A15-A6-none-is-left"),
    ],
)
def test_of_two_kinds_at_a_service_one_is_accepted(one: Object, other: Object, said: list[str]) -> None:
    routes = (
        made("HTTPRoute", "a", "01", of_service("pay", **one)),
        made("GRPCRoute", "b", "02", of_service("pay", **other)),
    )
    assert standing(*routes, listeners=(MESH,)) == said


def test_routes_of_other_clients_are_in_nobodys_way() -> None:
    """GEP-1294: nothing is merged across namespaces. Nor is a route that only sends requests to the Service."""
    parent = of_service("pay", namespace="shop")
    routes = made("HTTPRoute", "a", "01", parent), made("GRPCRoute", "b", "02", parent, namespace="elsewhere")
    assert standing(*routes, listeners=(MESH,)) == [YES, YES]
    leading = made("HTTPRoute", "a", "01", of_service("moving"), backend={"name": "pay", "port": 80})
    assert standing(leading, made("GRPCRoute", "b", "02", of_service("pay")), listeners=(MESH,)) == [YES, YES]


def test_which_route_it_is_is_said() -> None:
    routes = made("HTTPRoute", "a", "01"), made("GRPCRoute", "b", "02")
    (entry,) = parents(routes[1], around(WEB, routes=routes), "2026-11-30T12:00:00Z")
    assert entry["conditions"][0]["message"].startswith("HTTPRoute shop/a is older")
