"""One look at a route: what its status should say of the parents that are ours, and says then; and which namespaces its
waypoints have to read for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from proxy.kubernetes.deployer import kinds, routes
from proxy.kubernetes.deployer.known import Known
from proxy.kubernetes.deployer.queue import Key, RouteKey
from proxy.kubernetes.deployer.wish import Wish, read
from proxy.kubernetes.deployer.writer import Writer

Object = dict[str, Any]


class RouteWork:
    """`is_ours`: of a Gateway as the API gives it."""

    def __init__(self, known: Known, writer: Writer, is_ours: Callable[[Object], bool]) -> None:
        self._known = known
        self._writer = writer
        self._is_ours = is_ours

    def look_at(self, key: RouteKey, now: str) -> None:
        """See to it. Raises ApiFault for what is to be tried again, NotLeading."""
        resource = kinds.ROUTE_BY_KIND[key.kind]
        route = self._known.get(resource, key.namespace, key.name)
        if route is None:
            return
        around = self._around()
        self._known.touch({Key(wish.namespace, wish.name) for wish, _ in routes.led_to(route, around)})
        said = routes.parents(route, around, now)
        if said != ((route.get("status") or {}).get("parents") or []):
            self._writer.merge_status(resource, route, {"parents": said})

    def led_to(self, wish: Wish) -> set[str]:
        """The other namespaces that routes send a Gateway's requests to. None for one that takes Services from other
        namespaces, and may read all of them anyway."""
        found: set[str] = set()
        for key in () if wish.reaches_out else self._known.routes_of(wish.namespace):
            if route := self._known.get(kinds.ROUTE_BY_KIND[key.kind], key.namespace, key.name):
                ours = routes.led_to(route, self._around())
                found |= {namespace for each, namespace in ours if each.id == wish.id}
        return found

    def _around(self) -> routes.Around:
        grants = self._known.all(kinds.GRANTS)
        return routes.Around(self._gateway, self._known.service, self._labels, grants, self._known.routes_to)

    def everything(self) -> Iterator[RouteKey]:
        """All of them."""
        for resource in kinds.ROUTES:
            for each in self._known.all(resource):
                yield RouteKey(each["metadata"]["namespace"], each["metadata"]["name"], resource.kind)

    def _gateway(self, namespace: str, name: str) -> Wish | None:
        found = self._known.get(kinds.GATEWAYS, namespace, name)
        return read(found) if found and self._is_ours(found) else None

    def _labels(self, namespace: str) -> Mapping[str, str]:
        found = self._known.get(kinds.NAMESPACES, "", namespace)
        return (found["metadata"].get("labels") or {}) if found else {}
