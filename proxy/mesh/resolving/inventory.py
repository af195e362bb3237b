"""All objects of the mesh as one Gateway's Services need them, and which Services a change concerns.

What concerns a Service, or a host of a ServiceEntry, which counts as one: itself, its Namespace's labels, its
EndpointSlices, the Pods these name or whose addresses they have, WorkloadEntries and Pods that it selects, Pods at its
endpoints' addresses, DestinationRules for its host, policies that target it or the whole Gateway, what DNS answered,
routes that attach to it, the Services these send requests to; and whether a route that is in force sends any to it.
`stale` must hold every Service for which one of these has changed; tests compare with a fresh inventory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from proxy.mesh.kinds.attachments import Attachment
from proxy.mesh.kinds.destination_rule import DestinationRule
from proxy.mesh.kinds.gateways import Gateway
from proxy.mesh.kinds.guards import EVERY, OF_SERVICES, Guard
from proxy.mesh.kinds.namespaces import Namespace
from proxy.mesh.kinds.reference_grant import ReferenceGrant
from proxy.mesh.kinds.routes import HOSTNAME, Route
from proxy.mesh.kinds.secrets import CONFIG_MAP, Secret
from proxy.mesh.kinds.service_entries import Host, ServiceEntry
from proxy.mesh.kinds.services import Service
from proxy.mesh.kinds.slices import Slice
from proxy.mesh.kinds.virtual_service import VirtualService
from proxy.mesh.kinds.workload_entries import WorkloadEntry
from proxy.mesh.kinds.workloads import Pod
from proxy.mesh.model import NOWHERE, Locality
from proxy.mesh.reading.index import Index
from proxy.mesh.reading.objects import Change
from proxy.mesh.reading.remarks import Key
from proxy.mesh.resolving.binding import waypoints_of
from proxy.mesh.resolving.endpoints import Entries, Pods, Slices
from proxy.mesh.resolving.here import NOBODY, Own, here
from proxy.mesh.resolving.host_index import HostIndex
from proxy.mesh.resolving.route_index import RouteIndex
from proxy.mesh.resolving.rules import Rules, covers, service_called
from proxy.mesh.resolving.virtual_index import VirtualIndex

Answers = Mapping[str, tuple[str, ...]]
"""By host name, the addresses that DNS has given for it."""


class Guards:
    """The policies that close what they target or decide who gets in, as one Gateway sees them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._by_target: Index[tuple[str, str, str], Guard] = Index()
        self._of_all: dict[Key, Guard] = {}

    def replace(self, key: Key, old: Guard | None, new: Guard | None) -> None:
        """A policy is another now, has come (`old` is None) or gone."""
        self._of_all.pop(key, None)
        old, new = (None if guard and guard.idle and not guard.tells else guard for guard in (old, new))
        if new and new.guards_all(self._gateway):
            self._of_all[key] = new
        for guard, change in ((old, self._by_target.drop), (new, self._by_target.add)):
            for kind, name in guard.targets if guard else ():
                if kind in OF_SERVICES:
                    assert guard
                    change((guard.manifest.namespace, kind, name), guard)

    def of(self, service: Service) -> list[Guard]:
        """Those that stand before a Service, by kind and name."""
        kind, namespace, name = service.manifest.key
        own = (*self._by_target.of((namespace, kind, name)), *self._by_target.of((namespace, kind, EVERY)))
        found = (*own, *self._of_all.values())
        return sorted({guard.manifest.key: guard for guard in found}.values(), key=lambda guard: guard.manifest.key)


class Inventory:
    """The objects, looked up by what they have to do with each other."""

    def __init__(self, gateway: Gateway, own: Own = NOBODY, answers: Answers | None = None) -> None:
        self.gateway = gateway
        self._own = own
        self.here = here(own, None, {})
        """Where the replica is that asks."""
        self.nodes: dict[str, Locality] = {}
        self.answers: Answers = {} if answers is None else answers
        """The addresses that DNS has given for host names, kept up by whoever asks it."""
        self.services: dict[str, Service] = {}
        """By "namespace/name"; hosts of ServiceEntries by "namespace/host"."""
        self.namespaces: dict[str, Namespace] = {}
        self.rules = Rules(gateway.manifest.namespace)
        self.governing: dict[Key, DestinationRule] = {}
        """All rules, those that are for sidecars too."""
        self.guards = Guards(gateway)
        self.slices = Slices()
        self.legacy_endpoints: set[str] = set()
        """The Services that Endpoints are for, by "namespace/name"."""
        self.pods = Pods(self.nodes)
        self.entries = Entries()
        self.workload_entries: dict[Key, WorkloadEntry] = {}
        self.service_entries: dict[Key, ServiceEntry] = {}
        self.policies: dict[Key, Guard] = {}
        """All of them, those that close nothing too."""
        self.gateways: dict[str, Gateway] = {}
        """All of them, by "namespace/name"."""
        self.attachments: dict[Key, Attachment] = {}
        self.routes = RouteIndex()
        self.virtuals = VirtualIndex(gateway.manifest.namespace, self.services, self._matching)
        self.secrets: Mapping[str, Mapping[str, bytes]] = {}
        """What a `credentialName` may mean: Secrets beside the Gateway, ConfigMaps as `configmap://namespace/name`; and
        all Secrets as "namespace/name", for certificates of listeners."""
        self.stale: set[str] = set()
        """The Services that a change since the last `take_stale` concerns; some of these may not exist."""
        self._hosts = HostIndex(gateway.manifest.namespace)
        self._selecting: Index[tuple[str, str, str], Service] = Index()
        self._apply = self._handlers()

    def _handlers(self) -> Mapping[str, Callable[[Key, Any, Any], None]]:
        """What is done when an object of a kind changes."""
        return {
            "Service": self._service,
            "Namespace": self._namespace,
            "Gateway": self._other_gateway,
            "Node": self._node,
            "EndpointSlice": self._slice,
            "Endpoints": self._legacy,
            "Pod": self._pod,
            "WorkloadEntry": self._entry,
            "DestinationRule": self._rule,
            "AuthorizationPolicy": self._guard,
            "RequestAuthentication": self._guard,
            "HTTPRoute": self._route,
            "GRPCRoute": self._route,
            "ReferenceGrant": self._grant,
            "VirtualService": self._virtual,
            "ServiceEntry": self._service_entry,
            "Secret": self._secret,
            "ConfigMap": self._secret,
        }

    def apply(self, change: Change) -> None:
        """One object has changed."""
        old, new = change.old and change.old.value, change.new and change.new.value
        if isinstance(old, Attachment) or isinstance(new, Attachment):
            self.attachments.pop(change.key, None)
            if isinstance(new, Attachment):
                self.attachments[change.key] = new
        elif handle := self._apply.get(change.key.kind):
            handle(change.key, old, new)

    def take_stale(self) -> set[str]:
        """`stale`, which is empty afterwards."""
        stale, self.stale = self.stale, set()
        return stale

    def selecting(self, entry: WorkloadEntry) -> list[Service]:
        """The Services that select an entry."""
        likely = (
            service
            for label in entry.labels.items()
            for service in self._selecting.of((entry.manifest.namespace, *label))
        )
        return [service for service in likely if entry.selected_by(service)]

    def labels_of(self, namespace: str) -> Mapping[str, str]:
        """The labels of a Namespace; none if there is no such object."""
        found = self.namespaces.get(namespace)
        return found.labels if found else {}

    def binds(self, service: Service) -> bool:
        """Whether a Service names the Gateway as its waypoint or its canary."""
        waypoints = waypoints_of(service, self.labels_of(service.manifest.namespace))
        return self.gateway.manifest.id in waypoints.values()

    def distribution_of(self, service: Service) -> str:
        """Its trafficDistribution, else that of its Namespace; "" where neither says any."""
        found = self.namespaces.get(service.manifest.namespace)
        return service.distribution or (found.distribution if found else "")

    def called(self, host: str) -> set[str]:
        """Who has that full name, by the names of `services`; some of these may not exist."""
        return {service_called(host), *(each.id for each in self._hosts.called(host))}

    def shadow(self, host: Host) -> str:
        """The Service, not of a ServiceEntry, that has a host's name as one of its own; or ""."""
        name = self._hosts.meant(host)
        found = self.services.get(name)
        return name if found and not isinstance(found, Host) else ""

    def _service(self, key: Key, old: Service | None, new: Service | None) -> None:
        self._claim(key.id, old, new)
        for service, change in ((old, self._selecting.drop), (new, self._selecting.add)):
            if service:
                self._note_selector(service, change)
        self.stale.update(each.id for each in self._hosts.shadowed_by(key.id))

    def _claim(self, id: str, old: Service | None, new: Service | None) -> None:
        """One that is called so is another now, has come or gone."""
        self.services.pop(id, None)
        if found := self._hosts.claim(id, old, new):
            self.services[id] = found
        self.stale.add(id)
        for service in (old, new):
            if service:
                self._stale_by_routes(service)

    def _note_selector(self, service: Service, change: Callable[[tuple[str, str, str], Service], int]) -> None:
        for label in service.selector.items():
            change((service.manifest.namespace, *label), service)
            break  # one label finds it

    def _namespace(self, key: Key, old: Namespace | None, new: Namespace | None) -> None:
        self.namespaces.pop(key.name, None)
        if new:
            self.namespaces[key.name] = new
        if (old or Namespace({})) != (new or Namespace({})):
            for id in [id for id, each in self.services.items() if each.manifest.namespace == key.name]:
                self.stale.add(id)
                self._stale_by_routes(self.services[id])

    def _other_gateway(self, key: Key, old: Gateway | None, new: Gateway | None) -> None:
        self.gateways.pop(key.id, None)
        if new:
            self.gateways[key.id] = new

    def _node(self, key: Key, old: Locality | None, new: Locality | None) -> None:
        self.nodes.pop(key.name, None)
        if new:
            self.nodes[key.name] = new
        if (old or NOWHERE) != (new or NOWHERE):
            self.stale.update(self.slices.on(key.name))
            for namespace, pod in self.pods.on(key.name):
                self._stale_by(namespace, pod)
            self._look_where_we_are()

    def _look_where_we_are(self) -> None:
        found = here(self._own, self.pods.called(self._own.namespace, self._own.pod), self.nodes)
        if found != self.here:
            self.here = found
            self.stale.update(self.services)

    def _slice(self, key: Key, old: Slice | None, new: Slice | None) -> None:
        self.slices.replace(key.namespace, old, new)
        self.stale.update(f"{key.namespace}/{each.service}" for each in (old, new) if each)

    def _legacy(self, key: Key, old: str | None, new: str | None) -> None:
        self.legacy_endpoints.discard(key.id)
        if new:
            self.legacy_endpoints.add(key.id)
        if (old is None) != (new is None):
            self.stale.add(key.id)

    def _pod(self, key: Key, old: Pod | None, new: Pod | None) -> None:
        if old == new:
            return
        self.pods.replace(key.namespace, old, new)
        if (key.namespace, key.name) == (self._own.namespace, self._own.pod):
            self._look_where_we_are()
        for pod in (old, new):
            if pod:
                self._stale_by(key.namespace, pod)

    def _stale_by(self, namespace: str, pod: Pod) -> None:
        """Whatever a Pod may be an endpoint of."""
        self.stale.update(f"{namespace}/{name}" for name in self.slices.services_of(namespace, pod))
        self.stale.update(each.id for each in self._hosts.of_pod(namespace, pod))

    def _entry(self, key: Key, old: WorkloadEntry | None, new: WorkloadEntry | None) -> None:
        self.entries.replace(old, new)
        self.workload_entries.pop(key, None)
        if new:
            self.workload_entries[key] = new
        for entry in (old, new):
            if entry:
                self.stale.update(service.id for service in self.selecting(entry))

    def _rule(self, key: Key, old: DestinationRule | None, new: DestinationRule | None) -> None:
        self.rules.replace(old, new)
        self.governing.pop(key, None)
        if new:
            self.governing[key] = new
        for host in {rule.host for rule in (old, new) if rule}:
            ruled = self.called(host)
            if "*" in host:
                ruled |= {id for id, each in self.services.items() if covers(host, each.host)}
            self.stale.update(ruled)
            for service in (self.services[id] for id in ruled if id in self.services):
                self.stale.update(self.virtuals.leading_to(service))

    def _guard(self, key: Key, old: Guard | None, new: Guard | None) -> None:
        self.guards.replace(key, old, new)
        self.policies.pop(key, None)
        if new:
            self.policies[key] = new
        for guard in (old, new):
            if guard:
                self.stale.update(f"{key.namespace}/{name}" for kind, name in guard.targets if kind == "Service")
                entries = (Key(kind, key.namespace, name) for kind, name in guard.targets if kind == "ServiceEntry")
                found = (self.service_entries[each] for each in entries if each in self.service_entries)
                self.stale.update(host.id for entry in found for host in entry.hosts)
                if guard.unread:
                    self.stale.update(id for id in self.services if id.startswith(f"{key.namespace}/"))
                if guard.guards_all(self.gateway):
                    self.stale.update(self.services)

    def _secret(self, key: Key, old: Secret | None, new: Secret | None) -> None:
        names = {key.id} if key.kind == "Secret" else {f"{CONFIG_MAP}{key.id}"}
        if key.kind == "Secret" and key.namespace == self.gateway.manifest.namespace:
            names.add(key.name)
        others = {each: data for each, data in self.secrets.items() if each not in names}
        self.secrets = others | (dict.fromkeys(names, new.data) if new else {})

    def _route(self, key: Key, old: Route | None, new: Route | None) -> None:
        self.routes.replace(key, old, new)
        for route in (old, new):
            if route:
                self.stale.update(self._parents(route), self._backends(route))

    def _virtual(self, key: Key, old: VirtualService | None, new: VirtualService | None) -> None:
        self.stale.update(self.virtuals.replace(key, old, new))

    def _matching(self, host: str) -> set[str]:
        """Who has that full name, or a wildcard for it."""
        return self.called(host) | {each.id for each in self._hosts.covering(host)}

    def _grant(self, key: Key, old: ReferenceGrant | None, new: ReferenceGrant | None) -> None:
        self.routes.replace_grant(old, new)
        for namespace in {asker for grant in (old, new) if grant for _, _, asker in grant.askers}:
            for route in self.routes.all.values():
                if route.manifest.namespace == namespace:
                    self.stale.update(self._parents(route))

    def _stale_by_routes(self, service: Service) -> None:
        """Whom routes send its requests to, and whose requests they send to it."""
        self.stale.update(self.virtuals.concerned_by(service))
        for route in self.routes.attached(service.manifest.key):
            self.stale.update(self._backends(route))
        for route in self.routes.referring(service):
            self.stale.update(self._parents(route))

    def _parents(self, route: Route) -> Iterator[str]:
        """What a route attaches to, as `services` call it; some of these may not exist."""
        for kind, namespace, name in route.attached:
            if kind == "Service":
                yield f"{namespace}/{name}"
            elif found := self.service_entries.get(Key(kind, namespace, name)):
                yield from (host.id for host in found.hosts)

    def _backends(self, route: Route) -> Iterator[str]:
        """The same of where it sends requests."""
        for each in route.referred:
            if each.key:
                yield from self.called(each.key.name) if each.key.kind == HOSTNAME else (each.key.id,)

    def _service_entry(self, key: Key, old: ServiceEntry | None, new: ServiceEntry | None) -> None:
        self.service_entries.pop(key, None)
        if new:
            self.service_entries[key] = new
        for host in old.hosts if old else ():
            self._hosts.drop(host)
            self._note_selector(host, self._selecting.drop)
            self._claim(host.id, host, None)
        for host in new.hosts if new else ():
            self._hosts.add(host)
            self._note_selector(host, self._selecting.add)
            self._claim(host.id, None, host)
