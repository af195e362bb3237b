"""What is said of a route, on a real API server: at once, whatever of what it names has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.kubernetes.deployer import kinds
from tests.cluster.api_rig import Api
from tests.cluster.deployer_rig import PATIENCE_S, Yard, said
from tests.rig import wait_until

pytestmark = pytest.mark.api
ROUTES = kinds.ROUTES[0]
ACCEPTED = ("False", "NotServed")


def put_service(yard: Yard, name: str, port: int = 80, waypoint: str = "") -> None:
    labels = {"istio.io/use-waypoint": waypoint} if waypoint else {}
    yard.api.put(kinds.SERVICES, name, yard.namespace, labels=labels, spec={"ports": [{"name": "http", "port": port}]})


def told(yard: Yard, kind: str) -> tuple[str, ...]:
    """The condition of the one parent of route "r" that we speak for; empty while there is none."""
    found = yard.there(ROUTES, "r")
    for each in (found.get("status") or {}).get("parents") or ():
        return said({"metadata": found["metadata"], "status": each}, kind)[:2]
    return ()


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
        until(yard, "Accepted", *ACCEPTED)
        put_service(yard, "pay")
        until(yard, "Accepted")
        put_service(yard, "pay", waypoint="way")
        until(yard, "Accepted", *ACCEPTED)
        yard.api.delete(kinds.GATEWAYS, "way", yard.namespace)
        until(yard, "Accepted")
        assert " error " not in deployer.log()
