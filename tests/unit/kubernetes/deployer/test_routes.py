"""What is said of a route in its status: why it does not attach, and what it does not find."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from proxy.kubernetes.deployer.routes import backends, parents, told
from proxy.kubernetes.deployer.wish import CONTROLLER
from tests.unit.kubernetes.deployer.wishes import MESH, WEB, wish

Object = dict[str, Any]
NOW, LATER = "2026-11-30T12:00:00Z", "2026-11-30T12:00:09Z"
LABELS: dict[str, dict[str, str]] = {"shop": {}, "other": {}}


def route(*refs: Object, namespace: str = "shop", status: Any = None, backend: Any = None, **spec: Any) -> Object:
    rules = [{"backendRefs": [backend]}] if backend else [{}]
    metadata = {"name": "r", "namespace": namespace, "generation": 4}
    return {
        "kind": "HTTPRoute",
        "metadata": metadata,
        "spec": {"parentRefs": list(refs), "rules": rules, **spec},
        "status": {"parents": status or []},
    }


def reasons(entry: Mapping[str, Any]) -> dict[str, str]:
    return {each["type"]: f"{each['status']} {each['reason']}" for each in entry["conditions"]}


@pytest.mark.parametrize(
    ("parent", "spec", "reason"),
    [
        ({"name": "way"}, {}, "NotServed"),
        ({"name": "way", "sectionName": "web"}, {}, "NotServed"),
        ({"name": "way", "sectionName": "nowhere"}, {}, "NoMatchingParent"),
        ({"name": "way", "port": 81}, {}, "NoMatchingParent"),
        ({"name": "way", "sectionName": "mesh"}, {}, "NotAllowedByListeners"),
        ({"name": "way"}, {"hostnames": ["b.example"]}, "NoMatchingListenerHostname"),
    ],
)
def test_it_is_never_accepted_and_says_why(parent: Object, spec: Object, reason: str) -> None:
    given = wish(MESH, WEB | {"hostname": "a.example"})
    (entry,) = parents(route(parent, **spec), "shop/way", given, LABELS, None, NOW)
    assert (entry["parentRef"], entry["controllerName"]) == (parent, CONTROLLER)
    assert reasons(entry) == {"Accepted": f"False {reason}", "ResolvedRefs": "True ResolvedRefs"}
    assert {each["observedGeneration"] for each in entry["conditions"]} == {4}


def test_what_others_say_stays_and_the_same_again_changes_nothing() -> None:
    """Also in which order they stand: two who put them in order would never end."""
    other = {"parentRef": {"name": "way"}, "controllerName": "example.com/other", "conditions": []}
    given = route({"name": "way"}, {"name": "elsewhere"}, status=[other])
    first = parents(given, "shop/way", wish(WEB), LABELS, None, NOW)
    assert first[0] == other and len(first) == 2
    again = route({"name": "way"}, {"name": "elsewhere"}, status=first[::-1])
    assert parents(again, "shop/way", wish(WEB), LABELS, None, LATER) == first[::-1]
    assert list(told(again)) == [("shop", "way")]


def test_what_was_said_goes_with_the_gateway_or_with_the_reference() -> None:
    there = parents(route({"name": "way"}), "shop/way", wish(WEB), LABELS, None, NOW)
    assert parents(route({"name": "way"}, status=there), "shop/way", None, LABELS, None, NOW) == []
    assert parents(route({"name": "elsewhere"}, status=there), "shop/way", wish(WEB), LABELS, None, NOW) == []


GRANT = {
    "metadata": {"namespace": "other"},
    "spec": {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "shop"}],
        "to": [{"group": "", "kind": "Service"}],
    },
}


@pytest.mark.parametrize(
    ("backend", "grants", "reason"),
    [
        (None, [], None),
        ({"name": "cart"}, [], None),
        ({"name": "gone"}, [], "BackendNotFound"),
        ({"name": "cart", "kind": "Bucket", "group": "example.com"}, [], "InvalidKind"),
        ({"name": "cart", "namespace": "other"}, [], "RefNotPermitted"),
        ({"name": "cart", "namespace": "other"}, [GRANT], None),
        ({"name": "gone", "namespace": "other"}, [GRANT], "BackendNotFound"),
    ],
)
def test_backends_that_it_does_not_find(backend: Object | None, grants: list[Object], reason: str | None) -> None:
    found = backends(route(backend=backend), lambda namespace, name: name == "cart", grants)
    assert (found and found[0]) == reason
    (entry,) = parents(route({"name": "way"}), "shop/way", wish(WEB), LABELS, found, NOW)
    assert reasons(entry)["ResolvedRefs"] == (f"False {reason}" if reason else "True ResolvedRefs")
