"""Services that no waypoint among the manifests serves, as it seems against somebody's will."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

from proxy.mesh.kinds.services import Service
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving.binding import USE_WAYPOINT, waypoints_of
from proxy.mesh.resolving.inventory import Inventory

_MOST_NAMED = 3
_CLOSE = 0.8


def unbound(inventory: Inventory) -> str:
    """Why the Gateway serves no Service: what to do, and what was found instead."""
    name = inventory.gateway.manifest.name
    text = f"no Service is bound to this Gateway: label a Service, or its Namespace, {USE_WAYPOINT}: {name}"
    return "; ".join([text, *_instead(inventory)])


class Misnamed:
    """Services whose waypoint is not among the manifests, and is called almost as this one: kept up with changes."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._found: dict[str, tuple[Service, str, str]] = {}
        """The Service, the waypoint, and the label that names it."""

    def look_at(self, names: Iterable[str]) -> None:
        """These Services, by "namespace/name", have changed, have come or gone, or what their Namespaces say."""
        for name in names:
            self._found.pop(name, None)
            if service := self._inventory.services.get(name):
                self._look_at(service)

    def tell(self, report: Report) -> None:
        """A warning for each."""
        for _, (service, waypoint, label) in sorted(self._found.items()):
            own = self._inventory.gateway.manifest.id
            where = ("metadata", "labels", label) if label in service.manifest.labels else ()
            kind = service.manifest.kind
            text = f"waypoint {waypoint} is not among the manifests (did you mean {own}?), so the {kind} is not served"
            report.warn(service.manifest, where, text, together=True)

    def _look_at(self, service: Service) -> None:
        for label, waypoint in _waypoints(service, self._inventory).items():
            if self._is_almost(waypoint):
                self._found[service.id] = service, waypoint, label

    def _is_almost(self, waypoint: str) -> bool:
        """Whether it seems to mean this one."""
        own, (namespace, _, name) = self._inventory.gateway.manifest, waypoint.partition("/")
        if waypoint == own.id or namespace != own.namespace or waypoint in self._inventory.gateways:
            return False
        return bool(difflib.get_close_matches(name, [own.name], 1, _CLOSE))


def _waypoints(service: Service, inventory: Inventory) -> Mapping[str, str]:
    return waypoints_of(service, inventory.labels_of(service.manifest.namespace))


def _instead(inventory: Inventory) -> Iterator[str]:
    if not inventory.services:
        yield "there is no Service among the manifests"
        return
    others = {name: found for name, each in inventory.services.items() if (found := _waypoints(each, inventory))}
    if others:
        yield _some(
            [
                f"{inventory.services[name].manifest.kind} {name} names waypoint {found[USE_WAYPOINT]}"
                for name, found in sorted(others.items())
            ]
        )
    unlabelled = {each.manifest.namespace for name, each in inventory.services.items() if name not in others}
    if missing := sorted(unlabelled - inventory.namespaces.keys()):
        yield f"{_some([f'Namespace {name}' for name in missing])} not among the manifests, so its labels are not known"


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
