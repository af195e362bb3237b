"""What is said of a route, on a real API server: at once, whatever of what it names has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.kubernetes.deployer import kinds
from proxy.kubernetes.deployer.wish import CONTROLLER
from proxy.kubernetes.source.kinds import SERVICE_ENTRIES
from tests.cluster.api_rig import Api
from tests.cluster.deployer_rig import PATIENCE_S, Yard, said
from tests.rig import wait_until

pytestmark = pytest.mark.api
HTTP, GRPC = kinds.ROUTES


def put_service(yard: Yard, name: str, port: int = 80, waypoint: str = "") -> None:
    labels = {"istio.io/use-waypoint": waypoint} if waypoint else {}
    yard.api.put(kinds.SERVICES, name, yard.namespace, labels=labels, spec={"ports": [{"name": "http", "port": port}]})


def told(yard: Yard, kind: str, route: str) -> tuple[str, ...]:
    """The condition of the one parent of a route that we speak for; empty while there is none: then istiod does."""
    found = yard.there(GRPC if route == "grpc" else HTTP, route)
    parents = (found.get("status") or {}).get("parents") or ()
    ours = [each for each in parents if each["controllerName"] == CONTROLLER]
    return said({"metadata": found["metadata"], "status": ours[0]}, kind)[:2] if ours else ()


def until(yard: Yard, kind: str, *expected: str, route: str = "r") -> None:
    wait_until(lambda: told(yard, kind, route) == expected, PATIENCE_S, f"{route} {kind} {expected}")


def test_a_route_is_told_what_becomes_of_it(api: Api, tmp_path: Path) -> None:
    """Its parent is a Service, whose waypoint is ours for a while; its backend comes, and the port it names."""
    with Yard.made(api) as yard, yard.deployer(tmp_path) as deployer:
        yard.put_gateway()
        put_service(yard, "pay", waypoint="way")
        parent = {"group": "", "kind": "Service", "name": "pay"}
        rules = [{"backendRefs": [{"name": "next", "port": 80}]}]
        yard.api.put(HTTP, "r", yard.namespace, spec={"parentRefs": [parent], "rules": rules})
        until(yard, "ResolvedRefs", "False", "BackendNotFound")
        put_service(yard, "next", 81)
        put_service(yard, "next", 80)
        until(yard, "ResolvedRefs", "True", "ResolvedRefs")
        until(yard, "Accepted", "True", "Accepted")
        put_service(yard, "pay")
        until(yard, "Accepted")
        put_service(yard, "pay", waypoint="way")
        until(yard, "Accepted", "True", "Accepted")
        yard.api.delete(kinds.GATEWAYS, "way", yard.namespace)
        until(yard, "Accepted")
        assert " error " not in deployer.log()


def test_of_two_kinds_of_routes_for_a_service_entry_one_is_accepted(api: Api, tmp_path: Path) -> None:
    """A1, A15: the older, or else the first by name; the other one as soon as that is gone."""
    with Yard.made(api) as yard, yard.deployer(tmp_path) as deployer:
        yard.put_gateway()
        ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
        spec = {"hosts": ["api.example.com"], "ports": ports, "resolution": "DNS"}
        labels = {"istio.io/use-waypoint": "way"}
        parent = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "api"}
        yard.api.put(HTTP, "first", yard.namespace, spec={"parentRefs": [parent]})
        yard.api.put(SERVICE_ENTRIES, "api", yard.namespace, labels=labels, spec=spec)
        until(yard, "Accepted", "True", "Accepted", route="first")
        yard.api.put(GRPC, "grpc", yard.namespace, spec={"parentRefs": [parent]})
        until(yard, "Accepted", "False", "RouteKindConflict", route="grpc")
        assert told(yard, "Accepted", "first") == ("True", "Accepted")
        yard.api.delete(HTTP, "first", yard.namespace)
        until(yard, "Accepted", "True", "Accepted", route="grpc")
        assert " error " not in deployer.log()
