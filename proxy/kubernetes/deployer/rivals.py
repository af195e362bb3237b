"""HTTPRoutes and GRPCRoutes for the same requests, which are never merged: the older one is in force, and the other is
not at all (Gateway API, GRPCRoute). Pure; `mesh.resolving` decides in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from proxy.mesh.kinds.routes import KIND_CONFLICT

Object = Mapping[str, Any]
Fault = tuple[str, str]
"""Reason and message."""


def in_force(routes: Iterable[Object], meet: Callable[[Object, Object], bool]) -> list[Object]:
    """Of routes of both kinds those that are; `meet`: whether two may be for the same request."""
    ordered = sorted(routes, key=_age)
    if len({each["kind"] for each in ordered}) < 2:
        return ordered
    found: list[Object] = []
    for route in ordered:
        if not rival(route, found, meet):
            found.append(route)
    return found


def rival(route: Object, those: Iterable[Object], meet: Callable[[Object, Object], bool]) -> Object | None:
    """Which of those in force it stands back for; None: it is one of them."""
    others = (each for each in those if each["kind"] != route["kind"])
    return next((each for each in others if meet(each, route)), None)


def conflict(with_: Object) -> Fault:
    """What is said of a route that stands back for another."""
    metadata = with_["metadata"]
    older = f"{with_['kind']} {metadata['namespace']}/{metadata['name']}"
    return KIND_CONFLICT, f"{older} is older and for the same requests; kinds of routes are never merged"


def _age(route: Object) -> tuple[str, str, str, str]:
    metadata = route["metadata"]
    return metadata.get("creationTimestamp") or "", metadata["namespace"], metadata["name"], route["kind"]
