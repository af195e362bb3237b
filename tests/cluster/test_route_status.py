"""What is said of a route, on a real API server: at once, whatever of what it names has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.kubernetes.deployer import kinds
from proxy.kubernetes.deployer.wish import CONTROLLER
from tests.cluster.api_rig import Api
from tests.cluster.deployer_rig import PATIENCE_S, Yard, said
from tests.rig import wait_until

pytestmark = pytest.mark.api
ROUTES = kinds.ROUTES[0]


def put_service(yard: Yard, name: str, port: int = 80, waypoint: str = "") -> None:
    labels = {"istio.io/use-waypoint": waypoint} if waypoint else {}
    yard.api.put(kinds.SERVICES, name, yard.namespace, labels=labels, spec={"ports": [{"name": "http", "port": port}]})


def told(yard: Yard, kind: str) -> tuple[str, ...]:
    """The condition of the one parent of route "r" that we speak for; empty while there is none: then istiod does."""
    found = yard.there(ROUTES, "r")
    parents = (found.get("status") or {}).get("parents") or ()
    ours = [each for each in parents if each["controllerName"] == CONTROLLER]
    return said({"metadata": found["metadata"], "status": ours[0]}, kind)[:2] if ours else ()


def until(yard: Yard, kind: str, *expected: str) -> None:
    wait_until(lambda: told(yard, kind) == expected, PATIENCE_S, f"{kind} {expected}")


def test_a_route_is_told_what_becomes_of_it(api: Api, tmp_path: Path) -> None:
    """Its parent is a Service, whose waypoint is ours for a while; its backend comes, and the port it names."""
    with Yard.made(api) as yard, yard.deployer(tmp_path) as deployer:
        yard.put_gateway()
        put_service(yard, "pay", waypoint="way")
        parent = {"group": "", "kind": "Service", "name": "pay"}
        rules = [{"backendRefs": [{"name": "next", "port": 80}]}]
        yard.api.put(ROUTES, "r", yard.namespace, spec={"parentRefs": [parent], "rules": rules})
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
