"""How many routes attach to each listener."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.kubernetes.deployer.attached import attached
from tests.unit.kubernetes.deployer.wishes import MESH, WEB, wish

LABELS = {"shop": {}, "other": {"team": "red"}}


def route(namespace: str = "shop", kind: str = "HTTPRoute", hostnames: Any = (), **parent: Any) -> dict[str, Any]:
    spec = {"parentRefs": [{"name": "way", **parent}], "hostnames": list(hostnames)}
    return {"kind": kind, "metadata": {"name": "r", "namespace": namespace}, "spec": spec}


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (route(), 1),
        (route(kind="GRPCRoute"), 1),
        (route(kind="TCPRoute"), 0),
        (route(sectionName="web"), 1),
        (route(sectionName="mesh"), 0),
        (route(port=80), 1),
        (route(port=81), 0),
        (route(group=""), 0),
        (route("other"), 0),  # its parent is other/way
    ],
)
def test_which_routes_name_it(given: dict[str, Any], count: int) -> None:
    assert attached(wish(MESH, WEB), [given], LABELS) == {"mesh": 0, "web": count}


@pytest.mark.parametrize(
    ("listener", "hostnames", "count"),
    [
        ("", ["a.example.com"], 1),
        ("a.example.com", [], 1),
        ("a.example.com", ["a.example.com"], 1),
        ("a.example.com", ["b.example.com"], 0),
        ("*.example.com", ["a.b.example.com"], 1),
        ("*.example.com", ["example.com"], 0),
        ("a.example.com", ["*.example.com"], 1),
        ("*.example.com", ["*.b.example.com"], 1),
    ],
)
def test_hostnames_that_meet(listener: str, hostnames: list[str], count: int) -> None:
    web = WEB | ({"hostname": listener} if listener else {})
    assert attached(wish(web), [route(hostnames=hostnames)], LABELS) == {"web": count}


@pytest.mark.parametrize(
    ("namespaces", "count"),
    [
        ({"from": "Same"}, 0),
        ({"from": "All"}, 1),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "red"}}}, 1),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "blue"}}}, 0),
        ({"from": "Selector", "selector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}}, 1),
        ({"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, 1),
    ],
)
def test_namespaces_that_may(namespaces: dict[str, Any], count: int) -> None:
    web = WEB | {"allowedRoutes": {"namespaces": namespaces}}
    spec = {"parentRefs": [{"name": "way", "namespace": "shop"}]}
    given = {"kind": "HTTPRoute", "metadata": {"name": "r", "namespace": "other"}, "spec": spec}
    assert attached(wish(web), [given], LABELS) == {"web": count}
