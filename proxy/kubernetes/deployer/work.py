"""One look at a Gateway, a class or a route: what there should be is made, what should not be is taken away, and the
status says what has come of it. What is known may be old by a moment; the next change brings the next look."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.resources import Resource
from proxy.kubernetes.deployer import beside_istiod, kinds, overlay, status
from proxy.kubernetes.deployer.attached import attached
from proxy.kubernetes.deployer.certificates import fault_of, permitted_of
from proxy.kubernetes.deployer.children import Site, children_of
from proxy.kubernetes.deployer.known import Known, NotYet, key_of, owner_of
from proxy.kubernetes.deployer.queue import Key, RouteKey, Task
from proxy.kubernetes.deployer.rights import rights_of
from proxy.kubernetes.deployer.route_work import RouteWork
from proxy.kubernetes.deployer.wish import CONTROLLER, GATEWAY_NAME, Reference, Wish, parameters_of, read
from proxy.kubernetes.deployer.writer import Foreign, Writer

Object = dict[str, Any]
logger = logging.getLogger("deployer")
ASKED_S = 10.0
"""How often Secrets, which are not watched, are asked for again."""
FINALIZER = "gateway-exists-finalizer.gateway.networking.k8s.io"
"""On a class while there are Gateways of it (Gateway API, GatewayClass): it cannot be deleted under them."""


class Work:
    """What a leader does with a key of the queue. Raises ApiFault for what is to be tried again, NotLeading."""

    def __init__(self, known: Known, writer: Writer, site: Callable[[], Site], istiods_class: str = "") -> None:
        self._known = known
        self._writer = writer
        self._site = site
        self._routes = RouteWork(known, writer, self._is_ours)
        self._istiods_class = istiods_class
        """The class whose waypoints istiod deploys as waypointd (`beside_istiod`); "" for none."""

    def look_at(self, key: Task) -> float | None:
        """See to it. In how many seconds to look again, if nothing is told before; None: it will be told."""
        if isinstance(key, RouteKey):
            self._routes.look_at(key, _now())
            return None
        if not key.namespace:
            self._see_to_class(key.name)
            return None
        return self._look_at_gateway(key)

    def _look_at_gateway(self, key: Key) -> float | None:
        gateway = self._known.get(kinds.GATEWAYS, *key)
        if gateway is None or not self._is_ours(gateway):
            self._known.follow_parameters(key, None)
            if gateway and self._is_istiods(gateway):
                self._equip(key)
            else:
                self._take_away(key)
        elif not self._is_ending(key.namespace):
            wish = read(gateway)
            self._known.follow_parameters(key, _config_map(wish.parameters))
            self._see_to(wish)
            return ASKED_S if any(each.certificates for each in wish.listeners) else None
        return None

    def everything(self) -> Iterator[Task]:
        """All that there may be something to do about: also what was made for Gateways that are gone."""
        yield from (Key("", each["metadata"]["name"]) for each in self._known.all(kinds.GATEWAY_CLASSES))
        yield from map(key_of, self._known.all(kinds.GATEWAYS))
        for resource in kinds.FOLLOWED:
            yield from filter(None, map(owner_of, self._known.all(resource)))
        yield from self._routes.everything()

    # -- classes ----------------------------------------------------------------------------------------------------

    def _see_to_class(self, name: str) -> None:
        found = self._known.get(kinds.GATEWAY_CLASSES, "", name)
        if found is None or found["spec"]["controllerName"] != CONTROLLER:
            self._known.follow_parameters(Key("", name), None)
            return
        used = any(each["spec"]["gatewayClassName"] == name for each in self._known.all(kinds.GATEWAYS))
        metadata = found["metadata"]
        if used != (FINALIZER in (metadata.get("finalizers") or ())):
            self._hold(name, used)
        with contextlib.suppress(NotYet):  # it will be told, and then there is the next look
            self._say_of_class(found, self._bad_parameters(name))

    def _bad_parameters(self, name: str) -> str:
        """Why those that a class refers to are of no use, "" if they are, or there are none. Raises NotYet."""
        try:
            self._overlay_of_class(name)
        except overlay.BadParameters as fault:
            return str(fault)
        except NotYet as fault:
            if not str(fault):
                raise
            return str(fault)
        return ""

    def _say_of_class(self, found: Object, bad_parameters: str) -> None:
        metadata, before = found["metadata"], found.get("status") or {}
        said = status.of_class(metadata["generation"], bad_parameters, before.get("conditions"), _now())
        if said != {field: before.get(field) for field in said}:
            self._writer.status(kinds.GATEWAY_CLASSES, "", metadata["name"], said)

    def _hold(self, name: str, used: bool) -> None:
        resource = kinds.GATEWAY_CLASSES
        metadata = {"name": name, **({"finalizers": [FINALIZER]} if used else {})}
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        self._writer.send("PATCH", resource, "", name, body)

    # -- Gateways ---------------------------------------------------------------------------------------------------

    def _is_ours(self, gateway: Object) -> bool:
        return self._controller(gateway) == CONTROLLER and "deletionTimestamp" not in gateway["metadata"]

    def _is_istiods(self, gateway: Object) -> bool:
        """Whether istiod deploys it as waypointd."""
        if not self._istiods_class or gateway["spec"]["gatewayClassName"] != self._istiods_class:
            return False
        istiods = self._controller(gateway) == beside_istiod.CONTROLLER and beside_istiod.is_deployed(gateway)
        return istiods and "deletionTimestamp" not in gateway["metadata"]

    def _controller(self, gateway: Object) -> str:
        found = self._known.get(kinds.GATEWAY_CLASSES, "", gateway["spec"]["gatewayClassName"])
        return found["spec"]["controllerName"] if found else ""

    def _is_ending(self, namespace: str) -> bool:
        """Nothing can be made there any more, and all that is there goes."""
        found = self._known.get(kinds.NAMESPACES, "", namespace)
        return found is not None and "deletionTimestamp" in found["metadata"]

    def _see_to(self, wish: Wish) -> None:
        trouble: ApiFault | Foreign | None = None
        bad = ""
        try:
            overlays = self._overlays(wish)
            if not status.refused(wish) and not status.unusable(wish):
                self._make(wish, overlays)
        except NotYet as fault:
            if not (bad := str(fault)):
                return  # it will be told, and then there is the next look
        except overlay.BadParameters as fault:
            bad = str(fault)
        except (ApiFault, Foreign) as fault:
            trouble = fault
        self._say(wish, self._deployed(wish, str(trouble or ""), bad))
        if trouble:
            raise trouble

    def _equip(self, key: Key) -> None:
        """Give a waypoint of istiod's what it needs beside what istiod makes."""
        if self._is_ending(key.namespace):
            return
        there = [each for each in self._known.all(kinds.GATEWAYS) if self._is_istiods(each)]
        wishes = [beside_istiod.wish_of(each) for each in there if key_of(each).namespace == key.namespace]
        wanted = [body for each in wishes if each.name == key.name for body in self._rights(each)]
        self._apply(wanted, key)
        for body in beside_istiod.shared(key.namespace, wishes, self._site()):
            self._writer.apply(body, None)

    def _overlays(self, wish: Wish) -> list[dict[str, Object]]:
        """Of the class, and over it its own. Raises BadParameters, NotYet."""
        return [self._overlay_of_class(wish.class_name), self._overlay(wish.parameters, "parametersRef")]

    def _overlay_of_class(self, name: str) -> dict[str, Object]:
        found = self._known.get(kinds.GATEWAY_CLASSES, "", name)
        named = parameters_of(found) if found else None
        self._known.follow_parameters(Key("", name), _config_map(named))
        return self._overlay(named, f"GatewayClass {name}, parametersRef")

    def _overlay(self, named: Reference | None, whose: str) -> dict[str, Object]:
        if named is None:
            return {}
        if not _config_map(named):
            what = f"{named.kind} of group {named.group!r}" if named.namespace else "what has no namespace"
            raise overlay.BadParameters(f"{whose}: {what} is not known here; use a ConfigMap")
        found = self._known.parameters(named.namespace, named.name)
        if found is None:
            raise overlay.BadParameters(f"{whose}: there is no ConfigMap {named.namespace}/{named.name}")
        return overlay.read(found.get("data") or {})

    def _make(self, wish: Wish, overlays: list[dict[str, Object]]) -> None:
        self._apply([*self._rights(wish), *children_of(wish, self._site(), overlays)], Key(wish.namespace, wish.name))

    def _rights(self, wish: Wish) -> Iterator[Object]:
        certificates = permitted_of(wish, self._known.all(kinds.GRANTS))
        return rights_of(wish, self._known.naming(), self._routes.led_to(wish), certificates)

    def _apply(self, wanted: list[Object], key: Key) -> None:
        """Have these, and nothing else, for a Gateway."""
        for body in wanted:
            self._writer.apply(body, key)
        names = {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in wanted}
        self._prune(key, names)

    def _take_away(self, key: Key) -> None:
        """The Gateway is not there, or is no longer ours. Asked once more, since a watch may be behind."""
        if not any(True for _ in self._made_for(key)):
            return
        found = self._writer.exists(kinds.GATEWAYS, *key)
        if found is not None and self._known.get(kinds.GATEWAY_CLASSES, "", found["spec"]["gatewayClassName"]) is None:
            return  # its class is gone, by mistake perhaps: no reason to end what serves
        if found is None or not (self._is_ours(found) or self._is_istiods(found)):
            self._prune(key, set())
            logger.info("%s/%s: taken away", *key)

    def _prune(self, key: Key, names: set[tuple[str, str, str]]) -> None:
        for resource, child in self._made_for(key):
            metadata = child["metadata"]
            if (resource.kind, metadata.get("namespace", ""), metadata["name"]) not in names:
                self._writer.delete(resource, child)

    def _made_for(self, key: Key) -> Iterator[tuple[Resource, Object]]:
        for resource, child in self._known.made_for(key):
            if "deletionTimestamp" not in child["metadata"]:
                yield resource, child

    # -- what is said -----------------------------------------------------------------------------------------------

    def _deployed(self, wish: Wish, fault: str, bad_parameters: str) -> status.Deployed:
        service = self._child(kinds.SERVICES, wish)
        deployment = self._child(kinds.DEPLOYMENTS, wish)
        addresses = service["spec"].get("clusterIPs") or () if service else ()
        return status.Deployed(
            addresses=tuple(each for each in addresses if each != "None"),
            ready=(deployment.get("status") or {}).get("readyReplicas") or 0 if deployment else 0,
            fault=fault,
            bad_parameters=bad_parameters,
            unresolved=self._unresolved(wish),
        )

    def _unresolved(self, wish: Wish) -> dict[str, tuple[str, str]]:
        grants = self._known.all(kinds.GRANTS)

        def secret(namespace: str, name: str) -> Object | None:
            return self._writer.exists(kinds.SECRETS, namespace, name)

        found = {each.name: fault_of(each, wish, secret, grants) for each in wish.listeners}
        return {name: fault for name, fault in found.items() if fault}

    def _child(self, resource: Resource, wish: Wish) -> Object | None:
        found = self._known.get(resource, wish.namespace, wish.name)
        return found if found and found["metadata"]["labels"].get(GATEWAY_NAME) == wish.name else None

    def _say(self, wish: Wish, deployed: status.Deployed) -> None:
        those = [each for resource in kinds.ROUTES for each in self._known.all(resource)]
        said = status.of_gateway(wish, deployed, attached(wish, those, self._labels()), _now())
        before = {field: wish.status.get(field) or [] for field in said}
        if said != before:
            self._writer.status(kinds.GATEWAYS, wish.namespace, wish.name, said)

    def _labels(self) -> dict[str, dict[str, str]]:
        """Of all namespaces."""
        namespaces = self._known.all(kinds.NAMESPACES)
        return {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in namespaces}


def _config_map(named: Reference | None) -> Reference | None:
    """What is referred to, if it is one."""
    return named if named and (named.group, named.kind) == ("", "ConfigMap") and named.namespace else None


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
