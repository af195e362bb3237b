"""What is said of a route in its status: whether it attaches, why not, what it does not find. By rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from proxy.kubernetes.deployer.bound import Port, Service, service_of
from proxy.kubernetes.deployer.routes import Around, led_to, parents, unresolved
from proxy.kubernetes.deployer.wish import CONTROLLER, Wish
from tests.unit.kubernetes.deployer.wishes import MESH, WEB, wish

Object = dict[str, Any]
NOW, LATER = "2026-11-30T12:00:00Z", "2026-11-30T12:00:09Z"
API, ISTIO = "gateway.networking.k8s.io", "networking.istio.io"
LABELS: dict[str, dict[str, str]] = {
    "shop": {},
    "bound": {"istio.io/use-waypoint": "way", "istio.io/use-waypoint-namespace": "shop"},
}


def service(**labels: str) -> Service:
    """With two ports."""
    ports = [{"name": "http", "port": 80}, {"name": "other", "port": 8080}]
    full = {f"istio.io/{name.replace('_', '-')}": value for name, value in labels.items()}
    return service_of({"metadata": {"labels": full}, "spec": {"ports": ports}})


SERVICES = {
    ("Service", "shop", "cart"): service(),
    ("Service", "other", "cart"): service(),
    ("Service", "shop", "pay"): service(use_waypoint="way"),
    ("Service", "shop", "istios"): service(use_waypoint="theirs"),
    ("Service", "shop", "moving"): service(use_waypoint="theirs", use_waypoint_canary="way"),
    ("Service", "bound", "pay"): service(),
    ("Service", "bound", "out"): service(use_waypoint="none"),
    ("ServiceEntry", "shop", "api"): service(use_waypoint="way"),
    ("Service", "far", "pay"): service(use_waypoint="way", use_waypoint_namespace="shop"),
}


def around(
    *listeners: Object, grants: Sequence[Object] = (), ours: bool = True, routes: Sequence[Object] = (), **said: str
) -> Around:
    """Gateway shop/way, if it is ours, with these listeners and annotations; LABELS; SERVICES; all `routes`."""
    given = wish(
        *listeners, annotations={f"waypointd.io/{name.replace('_', '-')}": text for name, text in said.items()}
    )

    def gateway(namespace: str, name: str) -> Wish | None:
        return given if ours and f"{namespace}/{name}" == given.id else None

    return Around(
        gateway, lambda *name: SERVICES.get(name), lambda name: LABELS.get(name, {}), grants, lambda _: routes
    )


def route(*refs: Object, namespace: str = "shop", status: Any = None, backend: Any = None, **spec: Any) -> Object:
    rules = [{"backendRefs": [backend]}] if backend else [{}]
    metadata = {"name": "r", "namespace": namespace, "generation": 4}
    return {
        "kind": "HTTPRoute",
        "metadata": metadata,
        "spec": {"parentRefs": list(refs), "rules": rules, **spec},
        "status": {"parents": status or []},
    }


def of_service(name: str, **more: Any) -> Object:
    return {"group": "", "kind": "Service", "name": name, **more}


def reasons(entry: Mapping[str, Any]) -> dict[str, str]:
    return {each["type"]: f"{each['status']} {each['reason']}" for each in entry["conditions"]}


def accepted(given: Object, beside: Around) -> str:
    """What is said of the one parent; "" if nothing is."""
    return "".join(reasons(each)["Accepted"] for each in parents(given, beside, NOW))


YES = "True Accepted"


@pytest.mark.parametrize(
    ("parent", "spec", "said"),
    [
        pytest.param({"name": "way"}, {}, YES, id="A2-S1-by-default-a-Gateway"),
        pytest.param({"name": "way", "group": API, "kind": "Gateway"}, {}, YES, id="A14-the-Gateway"),
        pytest.param({"name": "way", "sectionName": "web"}, {}, YES, id="A14-its-section"),
        pytest.param({"name": "way", "sectionName": "web", "port": 80}, {}, YES, id="A14-its-section-and-port"),
        pytest.param({"name": "way", "sectionName": "nowhere"}, {}, "False NoMatchingParent", id="S2-no-such-section"),
        pytest.param({"name": "way", "port": 81}, {}, "False NoMatchingParent", id="S2-no-such-port"),
        pytest.param(
            {"name": "way", "sectionName": "web", "port": 15008},
            {},
            "False NoMatchingParent",
            id="S2-section-of-another-port",
        ),
        pytest.param(
            {"name": "way", "sectionName": "mesh"}, {}, "False NotAllowedByListeners", id="S2-takes-no-routes"
        ),
        pytest.param({"name": "other"}, {}, "", id="A14-a-Gateway-of-others"),
        pytest.param({"name": "way", "kind": "ListenerSet"}, {}, "", id="A1-no-kind-of-ours"),
    ],
)
def test_a_gateway_as_parent(parent: Object, spec: Object, said: str) -> None:
    assert accepted(route(parent, **spec), around(MESH, WEB)) == said


@pytest.mark.parametrize(
    ("listener", "hostnames", "said"),
    [
        pytest.param("a.example", ["b.example"], "False NoMatchingListenerHostname", id="H3-none-left"),
        pytest.param("a.example", ["b.example", "a.example"], YES, id="H3-one-left"),
        pytest.param("*.wildcard.io", ["foo.wildcard.io"], YES, id="H3-of-a-wildcard"),
        pytest.param("very.specific.com", ["*.specific.com"], YES, id="H3-narrowed"),
        pytest.param("*.example.com", ["a.b.example.com"], YES, id="H2-any-number-of-labels"),
        pytest.param("*.example.com", ["example.com"], "False NoMatchingListenerHostname", id="H2-not-itself"),
        pytest.param("", ["a.example"], YES, id="H3-a-listener-without"),
        pytest.param("a.example", [], YES, id="H3-a-route-without"),
    ],
)
def test_hostnames_that_meet(listener: str, hostnames: list[str], said: str) -> None:
    given = WEB | ({"hostname": listener} if listener else {})
    assert accepted(route({"name": "way"}, hostnames=hostnames), around(given)) == said


def test_a_listener_takes_kinds_and_namespaces() -> None:
    """A14, HTTPRouteInvalidCrossNamespaceParentRef, HTTPRouteDisallowedKind."""
    far = route({"name": "way", "namespace": "shop"}, namespace="far")
    assert accepted(far, around(WEB)) == "False NotAllowedByListeners"
    everybody = {"namespaces": {"from": "All"}}
    assert accepted(far, around(WEB | {"allowedRoutes": everybody})) == YES
    grpc = {"kinds": [{"kind": "GRPCRoute"}]}
    assert accepted(route({"name": "way"}), around(WEB | {"allowedRoutes": grpc})) == "False NotAllowedByListeners"


@pytest.mark.parametrize(
    ("parent", "said"),
    [
        pytest.param(of_service("pay"), YES, id="A13-its-own-label"),
        pytest.param(of_service("pay", namespace="bound"), YES, id="A13-its-namespaces"),
        pytest.param(of_service("pay", namespace="far"), YES, id="A13-a-waypoint-elsewhere"),
        pytest.param(of_service("moving"), YES, id="A13-its-canary"),
        pytest.param(of_service("istios"), "", id="A13-of-others"),
        pytest.param(of_service("cart"), "", id="A12-no-waypoint"),
        pytest.param(of_service("out", namespace="bound"), "", id="A12-opted-out"),
        pytest.param(of_service("pay", port=80), YES, id="A5-a-port"),
        pytest.param(of_service("pay", port=81), "False NoMatchingParent", id="A5-no-such-port"),
        pytest.param(of_service("pay", sectionName="http"), YES, id="A6-by-its-name"),
        pytest.param(of_service("pay", sectionName="http", port=80), YES, id="A6-both"),
        pytest.param(of_service("pay", sectionName="http", port=8080), "False NoMatchingParent", id="A6-both-must-fit"),
        pytest.param(of_service("gone", namespace="bound"), "False NoMatchingParent", id="A11-is-missing"),
        pytest.param(of_service("gone"), "", id="A11-is-missing-and-nobodys"),
        pytest.param({**of_service("pay"), "group": "example.com"}, "", id="A1-another-group"),
    ],
)
def test_a_service_as_parent(parent: Object, said: str) -> None:
    """A3 and A4: a route may be in any namespace; A8: hostnames are no matter."""
    everybody = MESH | {"allowedRoutes": {"namespaces": {"from": "All"}}}
    for namespace in ("shop", "elsewhere"):
        named = {"namespace": "shop", **parent}
        assert accepted(route(named, namespace=namespace, hostnames=["x.example"]), around(everybody)) == said


def test_a_service_entry_as_parent() -> None:
    """A1, A5, A6: with all that is said of Services."""
    parent = {"group": ISTIO, "kind": "ServiceEntry", "name": "api"}
    assert accepted(route(parent), around(MESH)) == YES
    assert accepted(route(parent), around(MESH, ours=False)) == ""
    assert accepted(route(parent | {"port": 8080, "sectionName": "other"}), around(MESH)) == YES
    assert accepted(route(parent | {"port": 81}), around(MESH)) == "False NoMatchingParent"
    assert accepted(route(parent | {"namespace": "bound"}), around(MESH)) == "False NoMatchingParent", "is missing"
    assert accepted(route(of_service("api")), around(MESH)) == "", "a Service of that name is none"
    found = {(each.id, namespace) for each, namespace in led_to(route(parent, backend=FAR), around(MESH))}
    assert found == {("shop/way", "other")}


def test_ports_of_a_service_entry_have_a_number() -> None:
    ports = [{"name": "tls", "number": 443, "targetPort": 8443}]
    assert service_of({"metadata": {}, "spec": {"ports": ports}}).ports == (Port("tls", 443),)


def test_a_service_whose_waypoint_does_not_take_it() -> None:
    given = route(of_service("pay", namespace="bound"))
    assert accepted(given, around(MESH)) == "False NotAllowedByListeners"
    assert accepted(given, around(MESH, ours=False)) == ""


def test_S5_each_parent_has_an_entry_with_its_generation() -> None:
    """S5, A7: per parentRef, as it stands there."""
    refs: list[Object] = [
        {"name": "way", "sectionName": "web"},
        {"name": "way", "port": 81},
        of_service("pay"),
        {"name": "other"},
    ]
    said = parents(route(*refs), around(MESH, WEB), NOW)
    assert [each["parentRef"] for each in said] == refs[:3]
    assert {each["controllerName"] for each in said} == {CONTROLLER}
    assert {one["observedGeneration"] for each in said for one in each["conditions"]} == {4}


def test_what_others_say_stays_and_the_same_again_changes_nothing() -> None:
    """S5. Also in which order they stand: two who put them in order would never end."""
    other = {"parentRef": {"name": "way"}, "controllerName": "example.com/other", "conditions": []}
    refs = ({"name": "way"}, of_service("pay"))
    first = parents(route(*refs, status=[other]), around(WEB), NOW)
    assert first[0] == other and len(first) == 3
    turned = list(first[::-1])
    assert parents(route(*refs, status=turned), around(WEB), LATER) == turned


def test_what_was_said_goes_with_the_gateway_or_with_the_reference() -> None:
    """S5."""
    there = parents(route({"name": "way"}), around(WEB), NOW)
    assert parents(route({"name": "way"}, status=there), around(WEB, ours=False), NOW) == []
    assert parents(route({"name": "elsewhere"}, status=there), around(WEB), NOW) == []


GRANT = {
    "metadata": {"namespace": "other"},
    "spec": {
        "from": [{"group": API, "kind": "HTTPRoute", "namespace": "shop"}],
        "to": [{"group": "", "kind": "Service"}],
    },
}
FAR: Object = {"name": "cart", "namespace": "other", "port": 80}


@pytest.mark.parametrize(
    ("backend", "grants", "reason"),
    [
        pytest.param(None, [], None, id="S3-none"),
        pytest.param({"name": "cart", "port": 80}, [], None, id="S3-a-Service"),
        pytest.param({"name": "gone", "port": 80}, [], "BackendNotFound", id="S3-B5-gone"),
        pytest.param({"name": "cart", "port": 81}, [], "BackendNotFound", id="S3-B5-no-such-port"),
        pytest.param({"name": "cart", "kind": "Bucket", "group": "a.b"}, [], "InvalidKind", id="S3-B5-unknown-kind"),
        pytest.param({"name": "x", "port": 80, "kind": "Hostname", "group": ISTIO}, [], None, id="B10-Hostname"),
        pytest.param(FAR, [], "RefNotPermitted", id="S3-B11-no-grant"),
        pytest.param(FAR, [GRANT], None, id="S3-B11-a-grant"),
        pytest.param(FAR | {"name": "gone"}, [GRANT], "BackendNotFound", id="S3-B11-a-grant-for-nothing"),
    ],
)
def test_backends_that_it_does_not_find(backend: Object | None, grants: list[Object], reason: str | None) -> None:
    """S6: it is accepted all the same."""
    (entry,) = parents(route({"name": "way"}, backend=backend), around(WEB, grants=grants), NOW)
    refs = f"False {reason}" if reason else "True ResolvedRefs"
    assert reasons(entry) == {"Accepted": YES, "ResolvedRefs": refs}


def test_at_a_service_no_grant_is_asked_for() -> None:
    """B11, as at Istio's waypoints."""
    (entry,) = parents(route(of_service("pay"), backend=FAR), around(MESH), NOW)
    assert reasons(entry)["ResolvedRefs"] == "True ResolvedRefs"


def test_at_a_service_grants_are_asked_for_where_the_gateway_says_so() -> None:
    """B11: but not for what is beside the Service, which is where its clients' routes lead."""
    asking = around(MESH, reference_grants="all")
    given = route(of_service("pay"), backend=FAR)
    assert reasons(parents(given, asking, NOW)[0])["ResolvedRefs"] == "False RefNotPermitted"
    assert not list(led_to(given, asking))
    granted = around(MESH, reference_grants="all", grants=[GRANT])
    assert reasons(parents(given, granted, NOW)[0])["ResolvedRefs"] == "True ResolvedRefs"
    assert [namespace for _, namespace in led_to(given, granted)] == ["other"]
    consumer = route(of_service("pay", namespace="shop"), namespace="elsewhere", backend=FAR | {"namespace": "shop"})
    assert reasons(parents(consumer, asking, NOW)[0])["ResolvedRefs"] == "True ResolvedRefs"
    default = around(MESH, reference_grants="gateways")
    assert reasons(parents(given, default, NOW)[0])["ResolvedRefs"] == "True ResolvedRefs"


def test_namespaces_that_a_waypoint_has_to_read_for_its_routes() -> None:
    """B11: of a Gateway those that a ReferenceGrant opens, of a Service all."""

    def found(parent: Object, *grants: Object) -> set[tuple[str, str]]:
        given = route(parent, backend=FAR)
        return {(each.id, namespace) for each, namespace in led_to(given, around(WEB, grants=grants))}

    assert found({"name": "way"}) == set()
    assert found({"name": "way"}, GRANT) == {("shop/way", "other")}
    assert found(of_service("pay")) == {("shop/way", "other")}
    assert found(of_service("istios")) == found({"name": "other"}, GRANT) == set()


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        pytest.param([{"requestMirror": {"backendRef": {"name": "gone"}}}], "BackendNotFound", id="F14-a-mirror"),
        pytest.param(
            [{"extensionRef": {"group": "a.b", "kind": "C", "name": "d"}}], "InvalidKind", id="F1-an-extension"
        ),
        pytest.param([{"requestHeaderModifier": {}}], None, id="F3-names-nothing"),
    ],
)
def test_filters_name_things_too(filters: list[Object], reason: str | None) -> None:
    backend = {"name": "cart", "filters": filters}
    for given in (route(rules=[{"filters": filters}]), route(backend=backend)):
        found = unresolved(given, around(WEB), freely=lambda _: False)
        assert (found and found[0]) == reason


REDIRECT = {"type": "RequestRedirect", "requestRedirect": {"statusCode": 301}}
UNKNOWN = {"type": "ExtensionRef", "extensionRef": {"group": "a.b", "kind": "C", "name": "d"}}
REWRITE = {"type": "URLRewrite", "urlRewrite": {"hostname": "a.example"}}
WHOLE, HALF, BOTH, ODD = (
    {"filters": [REDIRECT]},
    {"filters": [UNKNOWN]},
    {"filters": [REDIRECT, REWRITE]},
    {"matches": [{"path": {"type": "Odd", "value": "/"}}]},
)


@pytest.mark.parametrize(
    ("rules", "said", "dropped"),
    [
        pytest.param([WHOLE, WHOLE], YES, "", id="S1-all-rules"),
        pytest.param([WHOLE, HALF], YES, "Dropped Rule 1: spec.rules[1].filters", id="S4-F1-one-of-them"),
        pytest.param([HALF], "False UnsupportedValue", "", id="S2-F1-none-of-them"),
        pytest.param([WHOLE, BOTH], YES, "Dropped Rule 1: spec.rules[1].filters", id="S4-F2-one-of-them"),
        pytest.param([BOTH], "False IncompatibleFilters", "", id="S2-F2-none-of-them"),
        pytest.param([WHOLE, ODD], "False UnsupportedValue", "", id="S2-M14-unknown-value"),
    ],
)
def test_rules_that_cannot_be_in_force(rules: list[Object], said: str, dropped: str) -> None:
    """A condition PartiallyInvalid is there only where it holds."""
    (entry,) = parents(route({"name": "way"}, rules=rules), around(WEB), NOW)
    assert reasons(entry)["Accepted"] == said
    found = [each for each in entry["conditions"] if each["type"] == "PartiallyInvalid"]
    assert [(each["status"], each["reason"]) for each in found] == [("True", "UnsupportedValue")] * bool(dropped)
    assert all(each["message"].startswith(dropped) for each in found)
