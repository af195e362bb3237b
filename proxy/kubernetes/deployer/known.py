"""What is known of the cluster: every object that is watched, and which Gateways and routes a change of it concerns.

Watches that are always there (`kinds.watches`), and one more for each ConfigMap that a Gateway or class refers to.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from proxy.kubernetes.api.client import Client
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.reflector import Name
from proxy.kubernetes.api.resources import Resource, Watched
from proxy.kubernetes.api.watches import Watches
from proxy.kubernetes.deployer import bound, kinds
from proxy.kubernetes.deployer.queue import Key, RouteKey, Task
from proxy.kubernetes.deployer.referring import Referring, parents_of
from proxy.kubernetes.deployer.wish import GATEWAY_NAME, GATEWAY_NAMESPACE, Reference
from proxy.kubernetes.source import named

Object = dict[str, Any]
logger = logging.getLogger("known")


class NotYet(Exception):
    """It is not known whether there is such an object; the text says why, "" if it soon will be."""


class Known:
    """The sink of all reflectors. `touch` is called with what a change concerns, from any thread."""

    def __init__(self, client: Client, touch: Callable[[Task], None]) -> None:
        self._touch = touch
        self._lock = threading.RLock()
        self._objects: dict[Resource, dict[Name, Object]] = {}
        self._watches = Watches(client, self, _told)
        self._made: dict[Key, set[tuple[Resource, Name]]] = {}
        self._services: dict[tuple[str, str, str], bound.Service] = {}
        """By kind, namespace and name; ServiceEntries are Services, too."""
        self._referring = Referring()
        self._parameters: dict[Key, Watched] = {}
        """The ConfigMap that a Gateway, or a class, refers to."""

    def start(self) -> None:
        """Begin to watch."""
        for watched in kinds.watches():
            self._watches.begin(watched)

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """One object, which nobody may change."""
        with self._lock:
            return self._objects.get(resource, {}).get((namespace, name))

    def all(self, resource: Resource) -> list[Object]:
        """Every object of a resource."""
        with self._lock:
            return list(self._objects.get(resource, {}).values())

    def service(self, kind: str, namespace: str, name: str) -> bound.Service | None:
        """What is kept of a Service, ours or not, or of a ServiceEntry."""
        with self._lock:
            return self._services.get((kind, namespace, name))

    def routes_to(self, named: Reference) -> list[Object]:
        """The routes that have it as parent or backend."""
        with self._lock:
            keys = self._referring.to(named.kind, named.namespace, named.name)
            return [self._objects[kinds.ROUTE_BY_KIND[each.kind]][each.namespace, each.name] for each in keys]

    def routes_of(self, namespace: str) -> Iterable[RouteKey]:
        """The routes that are in a namespace, or name something there."""
        with self._lock:
            return self._referring.in_namespace(namespace)

    def touch(self, keys: Iterable[Task]) -> None:
        """Have these looked at."""
        self._touch_all(keys)

    def naming(self) -> list[Object]:
        """The DestinationRules that name a Secret or a ConfigMap."""
        return self.all(kinds.RULES)

    def made_for(self, key: Key) -> list[tuple[Resource, Object]]:
        """What has our label and that of this Gateway."""
        with self._lock:
            return [(resource, self._objects[resource][name]) for resource, name in self._made.get(key, ())]

    def follow_parameters(self, key: Key, named: Reference | None) -> None:
        """Watch the ConfigMap that the Gateway, or class, `key` refers to; None: it refers to none (any more)."""
        with self._lock:
            if named is None:
                self._parameters.pop(key, None)
            else:
                self._parameters[key] = kinds.of_parameters(named.namespace, named.name)
            wanted = set(self._parameters.values())
            running = {each for each in self._watches.running if each.resource == kinds.CONFIG_MAPS}
            for watched in running - wanted:
                self._end(watched)
            for watched in wanted - running:
                self._watches.begin(watched)

    def parameters(self, namespace: str, name: str) -> Object | None:
        """The ConfigMap, None if there is none. Raises NotYet."""
        watched = kinds.of_parameters(namespace, name)
        with self._lock:
            if watched in self._watches.unsynced:
                fault = self._watches.troubles.get(watched)
                raise NotYet(_told(watched, fault) if fault else "")
            return self.get(kinds.CONFIG_MAPS, namespace, name)

    @property
    def reason(self) -> str:
        """Why not enough is known to begin, in one line; "" when it is."""
        with self._lock:
            return self._watches.reason(each for each in self._watches.unsynced if each.resource != kinds.CONFIG_MAPS)

    # -- what reflectors tell (api.reflector.Sink) ------------------------------------------------------------------

    def put(self, watched: Watched, namespace: str, name: str, body: Object) -> None:
        with self._lock:
            if watched not in self._watches.running:
                return  # it was ended meanwhile
            if watched.resource == kinds.RULES:
                self._rule((namespace, name), body)
                return
            if watched in kinds.OF_MESH:
                self._service((watched.resource.kind, namespace, name), bound.service_of(body))
                return
            objects = self._objects.setdefault(watched.resource, {})
            before = objects.get((namespace, name))
            objects[namespace, name] = body
            if watched.resource in kinds.FOLLOWED:
                self._mark(watched.resource, (namespace, name), before, body)
            if watched.resource in kinds.ROUTES:
                self._referring.put(RouteKey(namespace, name, watched.resource.kind), body)
                if _is_another(before, body):
                    self._touch_all(self._rivals(watched.resource.kind, body, *([before] if before else [])))
            if watched.resource == kinds.GATEWAYS and _is_another(before, body):
                self._touch_all(self._referring.to_gateway(namespace, name))
            self._concern(watched.resource, body, *([before] if before else []))

    def drop(self, watched: Watched, namespace: str, name: str) -> None:
        with self._lock:
            if watched.resource == kinds.RULES:
                self._rule((namespace, name), {})
                return
            if watched in kinds.OF_MESH:
                self._service((watched.resource.kind, namespace, name), None)
                return
            if watched.resource in kinds.ROUTES:
                self._referring.put(RouteKey(namespace, name, watched.resource.kind), None)
            known = self._objects.get(watched.resource, {}) if watched in self._watches.running else {}
            if before := known.pop((namespace, name), None):
                if watched.resource in kinds.FOLLOWED:
                    self._mark(watched.resource, (namespace, name), before, None)
                if watched.resource == kinds.GATEWAYS:
                    self._touch_all(self._referring.to_gateway(namespace, name))
                if watched.resource in kinds.ROUTES:
                    self._touch_all(self._rivals(watched.resource.kind, before))
                self._concern(watched.resource, before)

    def listed(self, watched: Watched) -> None:
        with self._lock:
            if watched in self._watches.unsynced:
                self._watches.unsynced.discard(watched)
                if watched.resource == kinds.CONFIG_MAPS:  # one that is not there is told by nothing else
                    self._touch_all(self._referring_to(watched.namespace, watched.fields.partition("=")[2]))

    def troubled(self, watched: Watched, fault: ApiFault) -> None:
        with self._lock:
            if str(self._watches.troubles.get(watched)) != str(fault):
                logger.log(logging.INFO if watched.optional else logging.WARNING, "%s", _told(watched, fault))
            self._watches.troubles[watched] = fault
            if watched.optional:
                self._watches.unsynced.discard(watched)

    def well(self, watched: Watched) -> None:
        with self._lock:
            if self._watches.troubles.pop(watched, None):
                logger.info("%s: followed again", watched)

    def _rule(self, name: Name, body: Object) -> None:
        """Of rules only those are kept that name what takes a right to read: others are many, and no matter here."""
        rules = self._objects.setdefault(kinds.RULES, {})
        before = rules.pop(name, {})
        if named.secrets(body) or named.config_maps(body):
            rules[name] = {"metadata": {"namespace": name[0], "name": name[1]}, "spec": body["spec"]}
        if named.secrets(before) != named.secrets(body) or named.config_maps(before) != named.config_maps(body):
            self._touch_all(key_of(each) for each in self.all(kinds.GATEWAYS))

    def _service(self, name: tuple[str, str, str], found: bound.Service | None) -> None:
        if found == self._services.get(name):
            return
        if found:
            self._services[name] = found
        else:
            del self._services[name]
        self._touch_all(self._referring.to(*name))

    def _mark(self, resource: Resource, name: Name, before: Object | None, after: Object | None) -> None:
        """Keep `_made` up with one object."""
        if before and (owner := owner_of(before)):
            made = self._made[owner]
            made.discard((resource, name))
            if not made:
                del self._made[owner]
        if after and (owner := owner_of(after)):
            self._made.setdefault(owner, set()).add((resource, name))

    # -- whom it concerns -------------------------------------------------------------------------------------------

    def _concern(self, resource: Resource, *bodies: Object) -> None:
        for body in bodies:
            self._touch_all(self._concerned(resource, body))

    def _concerned(self, resource: Resource, body: Object) -> Iterator[Task]:
        metadata = body["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        if resource == kinds.GATEWAYS:
            yield Key(namespace, name)
            yield Key("", body["spec"]["gatewayClassName"])
        elif resource == kinds.GATEWAY_CLASSES:
            yield Key("", name)
            for each in self._of_class(name):
                yield each
                yield from self._referring.to_gateway(*each)
        elif resource == kinds.NAMESPACES:
            yield from (key_of(each) for each in self.all(kinds.GATEWAYS) if _selects(each))
            yield from self._referring.in_namespace(name)
        elif resource == kinds.CONFIG_MAPS:
            yield from self._referring_to(namespace, name)
        elif resource == kinds.GRANTS:
            yield from (key_of(each) for each in self.all(kinds.GATEWAYS) if "certificateRefs" in str(each["spec"]))
            yield from self._referring.in_namespace(namespace)
        elif resource in kinds.ROUTES:
            yield RouteKey(namespace, name, resource.kind)
            for parent in body["spec"].get("parentRefs") or ():
                yield Key(parent.get("namespace") or namespace, parent["name"])
        elif owner := owner_of(body):
            yield owner

    def _rivals(self, kind: str, *routes: Object) -> Iterator[RouteKey]:
        """The routes of the other kind that name the same parents: only one of both may be in force."""
        for each in {parent for route in routes for _, parent in parents_of(route)}:
            there = self._referring.to(each.kind, each.namespace, each.name)
            yield from (key for key in there if key.kind != kind)

    def _of_class(self, name: str) -> Iterator[Key]:
        return (key_of(each) for each in self.all(kinds.GATEWAYS) if each["spec"]["gatewayClassName"] == name)

    def _referring_to(self, namespace: str, name: str) -> Iterator[Key]:
        """The Gateways and classes that do; of a class all its Gateways."""
        watched = kinds.of_parameters(namespace, name)
        for key in [key for key, each in self._parameters.items() if each == watched]:
            yield key
            if not key.namespace:
                yield from self._of_class(key.name)

    def _touch_all(self, keys: Iterable[Task]) -> None:
        for key in keys:
            self._touch(key)

    # -- which watches there are ------------------------------------------------------------------------------------

    def _end(self, watched: Watched) -> None:
        self._watches.end(watched)
        self._objects.get(watched.resource, {}).pop((watched.namespace, watched.fields.partition("=")[2]), None)


def key_of(gateway: Object) -> Key:
    """Of a Gateway as the API gives it."""
    return Key(gateway["metadata"]["namespace"], gateway["metadata"]["name"])


def owner_of(child: Object) -> Key | None:
    """The Gateway that something was made for, by its labels; None: it does not say."""
    metadata = child["metadata"]
    labels = metadata.get("labels") or {}
    namespace = labels.get(GATEWAY_NAMESPACE) or metadata.get("namespace")
    name = labels.get(GATEWAY_NAME)
    return Key(namespace, name) if namespace and name else None


def _is_another(before: Object | None, after: Object) -> bool:
    """Whether more has changed than its status, as we write it. Annotations are no matter of its generation."""
    return before is None or any(
        before["metadata"].get(each) != after["metadata"].get(each) for each in ("generation", "annotations")
    )


def _selects(gateway: Object) -> bool:
    """Whether a listener asks for labels of namespaces."""
    listeners = gateway["spec"].get("listeners") or ()
    return any(
        ((each.get("allowedRoutes") or {}).get("namespaces") or {}).get("from") == "Selector" for each in listeners
    )


def _told(watched: Watched, fault: ApiFault) -> str:
    return f"{watched}: {fault}; it takes the rule {watched.rule}" if fault.forbidden else f"{watched}: {fault}"
