"""Whose requests VirtualServices lead, which of them, and where to: rows V1 to V9, V20 and V21 of what is known of them
at Istio's waypoints.
"""

from __future__ import annotations

from typing import Any

import pytest

from proxy.mesh.traffic.routing import (
    Backend,
    Condition,
    Op,
    Part,
)
from tests.unit.mesh.mesh_rig import (
    Object,
    endpoint_slice,
    external,
    gateway,
    hbone,
    listener,
    member,
    namespace,
    pod,
    rule,
    service,
    shop,
    virtual,
)
from tests.unit.mesh.virtual_rig import (
    ALL,
    CART,
    FULL,
    TWO_PORTS,
    clusters_of,
    conditions_of,
    http,
    routing_of,
    told,
)


@pytest.mark.parametrize(
    ("spec", "ns", "in_force"),
    [
        ({"hosts": ["cart"]}, "shop", True),
        ({"hosts": [FULL]}, "shop", True),
        ({"hosts": ["CART"]}, "shop", True),
        ({"hosts": ["*.shop.svc.cluster.local"]}, "shop", True),
        ({"hosts": ["till", "cart"]}, "shop", True),
        ({"hosts": ["till"]}, "shop", False),
        ({"hosts": [f"*.{FULL}"]}, "shop", False),
        ({"hosts": ["cart"]}, "far", False),
        ({"hosts": [FULL]}, "far", False),
        ({"hosts": ["cart"], "gateways": ["mesh"]}, "shop", True),
        ({"hosts": ["cart"], "gateways": ["shop/door", "mesh"]}, "shop", True),
        ({"hosts": ["cart"], "gateways": ["shop/door"]}, "shop", False),
        ({"hosts": ["cart"], "exportTo": ["."]}, "shop", True),
        ({"hosts": ["cart"], "exportTo": ["far"]}, "shop", False),
        ({"hosts": ["cart"], "exportTo": ["far", "shop"]}, "shop", True),
    ],
)
def test_v1_v21_for_whom_it_is(spec: Object, ns: str, in_force: bool) -> None:
    found = clusters_of(*shop(virtual({**http({"route": [CART]}), **spec}, ns=ns)))["shop/cart:80"].routing
    assert (found is not None) is in_force


def test_v1_it_may_stand_beside_the_waypoint_or_beside_the_service() -> None:
    doors = (namespace(), gateway(listener(**ALL)), namespace("far", {}))
    far = service(ns="far", labels={"istio.io/use-waypoint": "wp", "istio.io/use-waypoint-namespace": "shop"})
    for ns in ("shop", "far"):
        spec = http({"route": [{"destination": {"host": "cart.far.svc.cluster.local"}}]})
        spec["hosts"] = ["cart.far.svc.cluster.local"]
        found = clusters_of(*doors, far, virtual(spec, ns=ns))["far/cart:80"].routing
        assert found and found.rules[0].backends[0].cluster == "far/cart:80"


def test_v1_hosts_of_service_entries() -> None:
    to: Object = {"route": [{"destination": {"host": "api.example.com"}}]}
    objects = shop(external(), virtual(http(to, hosts=("api.example.com",))))
    found = clusters_of(*objects)["shop/api.example.com:80"].routing
    assert found and found.rules[0].backends[0].cluster == "shop/api.example.com:80"


def test_v2_list_order_counts_and_nothing_is_sorted() -> None:
    rules = [{"match": [{"uri": {"prefix": path}}], "route": [CART]} for path in ("/", "/a/b", "/a")]
    first: Object = {"match": [{"uri": {"prefix": "/z"}}, {"uri": {"exact": "/y"}}], "route": [CART]}
    found = routing_of(virtual(http(first, *rules[1:], rules[0])))
    assert [each.conditions[0].text if each.conditions else "" for each in found.matches] == [
        "/z",
        "/y",
        "/a/b",
        "/a",
        "",
    ]
    assert [found.rules[each.rule].name[-1] for each in found.matches] == ["0", "0", "1", "2", "3"]


def test_v2_what_stands_behind_a_rule_for_every_request_is_left_out_and_told() -> None:
    rules: list[Object] = [{"route": [CART]}, {"match": [{"uri": {"prefix": "/a"}}], "route": [CART]}]
    assert len(routing_of(virtual(http(*rules))).matches) == 1
    (said,) = told(*shop(virtual(http(*rules))))
    assert "spec.http[1]: is never reached, nor is what follows: http[0] takes every request" in said


def test_v2_several_stand_one_behind_the_other() -> None:
    def to(path: str) -> Object:
        return http({"match": [{"uri": {"exact": path}}], "route": [CART]})

    old, new = {"creationTimestamp": "2026-01-01T00:00:00Z"}, {"creationTimestamp": "2026-02-01T00:00:00Z"}
    found = routing_of(
        virtual(to("/new"), "a", **new),
        virtual(to("/old"), "b", **old),
        virtual(to("/draft"), "c"),
        virtual({**to("/own"), "exportTo": ["."]}, "d", **new),
    )
    assert [each.conditions[0].text for each in found.matches] == ["/own", "/old", "/new", "/draft"]


def test_v2_a_port_that_no_rule_is_for_is_served_as_without() -> None:
    spec = http({"match": [{"port": 80}], "route": [CART]})
    found = clusters_of(*shop()[:2], service(ports=TWO_PORTS), endpoint_slice(), virtual(spec))
    assert found["shop/cart:80"].routing and not found["shop/cart:8080"].routing


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"uri": {"exact": "/a"}}, [Condition(Part.PATH, Op.IS, "/a")], id="V3 exact"),
        pytest.param({"uri": {"prefix": "/v2"}}, [Condition(Part.PATH, Op.STARTS, "/v2")], id="V3 prefix is a text"),
        pytest.param({"uri": {"regex": "/a.*"}}, [Condition(Part.PATH, Op.LIKE, "/a.*")], id="V3 regex"),
        pytest.param({"uri": {"prefix": "/"}}, [], id="V3 any path"),
        pytest.param(
            {"uri": {"prefix": "/V2"}, "ignoreUriCase": True},
            [Condition(Part.PATH, Op.STARTS, "/V2", fold=True)],
            id="V3 ignoreUriCase",
        ),
        pytest.param(
            {"uri": {"regex": "/V2"}, "ignoreUriCase": True},
            [Condition(Part.PATH, Op.LIKE, "/V2")],
            id="V3 ignoreUriCase, not for regex",
        ),
        pytest.param(
            {"method": {"exact": "GET"}, "authority": {"prefix": "cart"}, "scheme": {"regex": "https?"}},
            [
                Condition(Part.METHOD, Op.IS, "GET"),
                Condition(Part.AUTHORITY, Op.STARTS, "cart"),
                Condition(Part.SCHEME, Op.LIKE, "https?"),
            ],
            id="V4 method, authority, scheme",
        ),
        pytest.param(
            {"headers": {"X-A": {"exact": "1"}, "x-b": {}}},
            [Condition(Part.HEADER, Op.IS, "1", "x-a"), Condition(Part.HEADER, Op.IS_THERE, "", "x-b")],
            id="V4 headers",
        ),
        pytest.param(
            {"headers": {":method": {"exact": "GET"}, "Host": {"exact": "a"}}},
            [Condition(Part.METHOD, Op.IS, "GET"), Condition(Part.AUTHORITY, Op.IS, "a")],
            id="V4 pseudo headers",
        ),
        pytest.param(
            {"queryParams": {"Q": {"exact": "1"}, "r": {}}},
            [Condition(Part.QUERY, Op.IS, "1", "Q"), Condition(Part.QUERY, Op.IS_THERE, "", "r")],
            id="V4 queryParams",
        ),
        pytest.param({"port": 80}, [], id="V4 port"),
        pytest.param(
            {"withoutHeaders": {"x-a": {"exact": "1"}, "x-b": {"regex": "*"}}},
            [
                Condition(Part.HEADER, Op.IS, "1", "x-a", negated=True),
                Condition(Part.HEADER, Op.IS_THERE, "", "x-b", negated=True),
            ],
            id="V5 withoutHeaders",
        ),
        pytest.param({"sourceNamespace": "far"}, [Condition(Part.NAMESPACE, Op.IS, "far")], id="V7 the client's own"),
        pytest.param(
            {"headers": {"@request.auth.claims.group.id": {"exact": "a"}}},
            [Condition(Part.CLAIM, Op.IS, "a", "[group][id]")],
            id="V8 claims with dots",
        ),
        pytest.param(
            {"withoutHeaders": {"@request.auth.claims[group][id]": {"exact": "a"}}},
            [Condition(Part.CLAIM, Op.IS, "a", "[group][id]", negated=True)],
            id="V8 claims with brackets",
        ),
    ],
)
def test_matches(fields: Object, expected: list[Condition]) -> None:
    assert list(conditions_of(**fields)) == expected


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"sourceLabels": {"app": "till"}}, "sourceLabels: is not in force", id="V6"),
        pytest.param(
            {"headers": {":path": {"exact": "/a"}}}, "headers[:path]: is not in force", id="V4 path with query"
        ),
        pytest.param({"gateways": ["shop/door"]}, "", id="V1 of another gateway"),
    ],
)
def test_a_match_that_never_holds_is_left_out(fields: Object, said: str) -> None:
    objects = shop(virtual(http({"match": [fields], "route": [CART]})))
    assert clusters_of(*objects)["shop/cart:80"].routing is None
    assert [each for each in told(*objects) if said in each] if said else not told(*objects)


V1: Object = {"name": "v1", "labels": {"version": "v1"}}
SUBSETS = rule(spec={"subsets": [V1, {"name": "v2", "labels": {"version": "v2"}}]})
VERSIONED = (
    endpoint_slice(member("10.0.0.1", "cart-1"), member("10.0.0.2", "cart-2")),
    pod("cart-1", "10.0.0.1", labels={"version": "v1"}),
    pod("cart-2", "10.0.0.2", labels={"version": "v2"}),
)


def to(*shares: Object) -> Object:
    return virtual(http({"route": list(shares)}))


def share(host: str = "cart", weight: int = 0, **destination: Any) -> Object:
    return {"destination": {"host": host, **destination}, "weight": weight}


def test_v9_subsets_come_into_being_when_a_rule_refers_to_them() -> None:
    objects = (namespace(), gateway(hbone()), service(), *VERSIONED, SUBSETS)
    assert list(clusters_of(*objects)) == ["shop/cart:80"]
    found = clusters_of(*objects, to(share(subset="v1", weight=1), share(weight=2)))
    assert list(found) == ["shop/cart:80", "shop/cart:80/v1"]
    assert [each.ip for each in found["shop/cart:80/v1"].endpoints] == ["10.0.0.1"]
    routing = found["shop/cart:80"].routing
    assert routing and routing.rules[0].backends == (
        Backend("shop/cart:80/v1", 1, status=503),
        Backend("shop/cart:80", 2, status=503),
    )
    said = told(*objects, to(share(subset="v1")))
    assert any("no VirtualService sends requests to v2 of Service shop/cart" in each for each in said)


@pytest.mark.parametrize(
    ("destination", "cluster", "said"),
    [
        ({"host": "cart"}, "shop/cart:80", ""),
        ({"host": FULL, "port": {"number": 80}}, "shop/cart:80", ""),
        ({"host": "till"}, "shop/till:9000", ""),
        ({"host": "two"}, "shop/two:80", ""),
        ({"host": "two", "port": {"number": 8080}}, "shop/two:8080", ""),
        ({"host": "else.far.svc.cluster.local"}, "far/else:80", ""),
        ({"host": "gone"}, "", "there is no host gone.shop.svc.cluster.local, so its requests get 503"),
        ({"host": "two", "port": {"number": 81}}, "", "shop/two has no port 81; it has 80, 8080, so its requests get"),
        ({"host": "cart", "subset": "v3"}, "", "no DestinationRule gives shop/cart a subset v3; it has none"),
    ],
)
def test_v9_destinations(destination: Object, cluster: str, said: str) -> None:
    till = service("till", ports=[{"name": "http", "port": 9000, "targetPort": 8080}])
    others = (till, service("two", ports=TWO_PORTS), namespace("far", {}), service("else", ns="far"))
    objects = shop(*others, to({"destination": destination}))
    found = clusters_of(*objects)
    routing = found["shop/cart:80"].routing
    assert routing and routing.rules[0].backends == (Backend(cluster, status=503),)
    assert not cluster or cluster in found, "there is one, whoever is bound to whom"
    mine = [each for each in told(*objects) if each.startswith("VirtualService")]
    assert [said in each for each in mine] == [True] if said else not mine


@pytest.mark.parametrize(
    ("shares", "weights"),
    [
        ([share(weight=0)], [1]),
        ([share(weight=7)], [7]),
        ([share(weight=0), share(weight=3)], [3]),
        ([share(weight=30), share(weight=50)], [30, 50]),
    ],
)
def test_v9_weights(shares: list[Object], weights: list[int]) -> None:
    assert [each.weight for each in routing_of(to(*shares)).rules[0].backends] == weights


ROOT = {"match": [{"uri": {"prefix": "/a"}}], "delegate": {"name": "basket"}, "timeout": "1s"}


def basket(*rules: Object, **spec: Any) -> Object:
    return virtual({"http": [*rules], **spec}, "basket")


@pytest.mark.parametrize(
    ("leaf", "paths"),
    [
        ([{"uri": {"prefix": "/a/b"}}], ["/a/b"]),
        ([{"uri": {"exact": "/a/b"}}, {"method": {"exact": "GET"}}], ["/a/b", "/a"]),
        ([], ["/a"]),
        ([{"uri": {"prefix": "/b"}}], []),
        ([{"uri": {"regex": "/a/.*"}}], []),
        ([{"uri": {"prefix": "/a/b"}, "ignoreUriCase": True}], []),
    ],
)
def test_v20_each_pair_of_matches_is_merged(leaf: list[Object], paths: list[str]) -> None:
    objects = shop(virtual(http(ROOT)), basket({"match": leaf, "route": [CART]}))
    found = clusters_of(*objects)["shop/cart:80"].routing
    assert [each.conditions[0].text for each in (found.matches if found else ())] == paths
    assert bool(paths) or any(
        "no match of VirtualService shop/virtual rule 0 has room" in each for each in told(*objects)
    )


def test_v20_what_a_delegate_does_not_say_the_root_says() -> None:
    leaf = basket(
        {"name": "own", "route": [CART], "timeout": "2s"}, {"match": [{"uri": {"exact": "/a"}}], "route": [CART]}
    )
    found = routing_of(virtual(http(ROOT)), leaf)
    assert [each.retries.timeout_ms for each in found.rules] == [2000, 1000]
    leaf["spec"]["http"].reverse()
    found = routing_of(virtual(http(ROOT)), leaf)
    assert [(each.name, each.retries.timeout_ms) for each in found.rules] == [
        ("VirtualService shop/virtual rule 0, shop/basket rule 0", 1000),
        ("VirtualService shop/virtual rule 0, shop/basket rule own", 2000),
    ]


@pytest.mark.parametrize(
    ("delegate", "said"),
    [
        ([], "there is no VirtualService shop/basket among what is read here, so the rule is left out"),
        (
            [virtual(http({"route": [CART]}, hosts=("till",)), "basket")],
            "shop/basket has hosts, which a delegate must not",
        ),
        ([basket({"route": [CART]}, exportTo=["far"])], "shop/basket is not exported to namespace shop"),
    ],
)
def test_v20_a_delegate_that_cannot_be_had(delegate: list[Object], said: str) -> None:
    objects = shop(virtual(http(ROOT, {"route": [CART]})), *delegate)
    found = clusters_of(*objects)["shop/cart:80"].routing
    assert found and [each.name for each in found.rules] == ["VirtualService shop/virtual rule 1"]
    assert [each for each in told(*objects) if said in each]


def test_v21_tls_is_named_once() -> None:
    spec: Object = {"hosts": ["cart"], "tcp": [{"route": [CART]}], "tls": [{"match": [{"sniHosts": ["cart"]}]}]}
    objects = shop(virtual(spec))
    assert clusters_of(*objects)["shop/cart:80"].routing is None
    (said,) = told(*objects)
    assert "spec.tls: is not in force in this version (connections go where tcp says, or to the Service itself" in said


def test_routes_of_the_gateway_api_go_first_and_it_is_said() -> None:
    ref = {"group": "", "kind": "Service", "name": "cart", "port": 80}
    route: Object = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "route", "namespace": "shop"},
        "spec": {"parentRefs": [ref], "rules": [{"backendRefs": [{"name": "cart", "port": 80}]}]},
    }
    objects = (*shop()[:2], service(ports=TWO_PORTS), endpoint_slice(), route, virtual(http({"route": [CART]})))
    found = clusters_of(*objects)
    rules = {name: each.routing.rules[0].name if each.routing else "" for name, each in found.items()}
    assert rules == {
        "shop/cart:80": "HTTPRoute shop/route rule 0",
        "shop/cart:8080": "VirtualService shop/virtual rule 0",
    }
    (said,) = [each for each in told(*objects) if each.startswith("VirtualService")]
    assert "spec.hosts: is not in force for port 80 of Service shop/cart: routes of the Gateway API attach" in said


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (virtual(http({"route": [CART]}, hosts=("cartt",))), "there is no Service shop/cartt (did you mean"),
        (
            virtual(http({"route": [CART]}, hosts=(FULL,)), ns="far"),
            "is not in force for Service shop/cart: waypoints take",
        ),
        (
            virtual(http({"route": [CART]}, exportTo=["far"])),
            "is not in force for Service shop/cart: exportTo hides it",
        ),
        (virtual(http({"route": [CART]}, hosts=("quite-another",))), ""),
        (virtual(http({"route": [CART]}, gateways=["far/ingress"])), ""),
        (virtual({"http": [{"route": [CART]}]}), ""),
    ],
)
def test_one_that_leads_nothing_says_so_where_that_is_not_meant(subject: Object, said: str) -> None:
    found = told(*shop(subject))
    assert [said in each for each in found] == [True] if said else not found
