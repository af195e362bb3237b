"""From valid objects to the snapshot of one Gateway: who is served, where, by which endpoints, under which rule.

Pure. The objects have passed their checks, so nothing here can be wrong any more; what is merely odd becomes a warning.
What has come of a Service is remembered until a change concerns it (`inventory`), so work grows with the change. The
next snapshot has the same objects for everything that is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from proxy.mesh.kinds import gateways, guards
from proxy.mesh.kinds.gateways import WAYPOINT_FOR, Gateway, GatewayListener
from proxy.mesh.model import Cluster, Listener, Snapshot, Termination
from proxy.mesh.reading.objects import Change
from proxy.mesh.reading.remarks import Key, Place, Remark, suggestion
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving import advice, terminations, unforced
from proxy.mesh.resolving.explained import explained
from proxy.mesh.resolving.here import NOBODY, Own
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.resolving.outcome import Outcome, outcome
from proxy.mesh.resolving.overruled import overruled
from proxy.mesh.resolving.routes import Table
from proxy.mesh.resolving.served_hosts import Hosts
from proxy.mesh.resolving.unbound import Misnamed, unbound
from proxy.mesh.traffic.security import Credential

OF_ENDPOINTS = frozenset({"EndpointSlice", "Endpoints", "Node", "Pod", "WorkloadEntry"})
"""Kinds that change often, and from which nothing follows but where a Service's endpoints are."""


class Resolver:
    """The snapshot of one Gateway, kept up with the objects. Another Gateway, or a changed one, needs another, which is
    told of the snapshot `before`, for what is the same in its own."""

    def __init__(
        self,
        gateway: Gateway,
        before: Snapshot | None,
        own: Own = NOBODY,
        answers: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        report = Report()
        self._before = before.clusters if before else {}
        self._gateway = gateway
        self._inventory = Inventory(gateway, own, answers)
        self._misnamed = Misnamed(self._inventory)
        _advise_on_traffic(gateway, report)
        self._opened = _by_port(listener for listener in gateway.listeners if _opens(gateway, listener, report))
        known = {(each.name, each.port, each.protocol): each for each in (before.listeners if before else ())}
        facts = [(each.name, each.port, each.protocol) for each in self._opened]
        self._listeners = tuple(known.get(each) or Listener(*each, {}) for each in facts)
        self._tables = [Table(listener.services) for listener in self._listeners]
        self._outcomes: dict[str, Outcome] = {}
        self._clusters: dict[str, Cluster] = {}
        """Those of Services."""
        self._hosts = Hosts(self._inventory, self._before)
        self._of_gateway = report.warnings
        self._of_listeners: list[Remark] = []
        self._terminating: Mapping[str, tuple[Credential, str]] = {}
        self._of_services: dict[str, Outcome] = {}
        """The outcomes that come with warnings."""
        self._of_objects: dict[str, list[Remark]] = {}
        self._of_served: list[Remark] = []

    def update(self, changes: Sequence[Change]) -> Snapshot:
        """The snapshot after these changes, without its warnings."""
        kinds = {change.key.kind for change in changes}
        for change in changes:
            self._inventory.apply(change)
        self._advise(kinds)
        news = {service: self._resolve(service) for service in self._inventory.take_stale()}
        ruled_anew = any(_rules(self._outcomes.get(service)) != _rules(found) for service, found in news.items())
        self._put(news)
        self._misnamed.look_at(self._inventory.services if "Gateway" in kinds else news)
        if ruled_anew or kinds - OF_ENDPOINTS:
            self._of_served = self._advise_on_served()
            self._hosts.look_again()
        for index, table in enumerate(self._tables):
            table.replace({service: found.claims[index] if found else None for service, found in news.items()})
        if kinds & {"Gateway", "ReferenceGrant"}:
            self._look_at_certificates()
        self._listeners = tuple(map(self._renewed, self._listeners, self._tables))
        clusters = self._hosts.beside(self._clusters)
        secrets, terminating = self._inventory.secrets, self._terminating
        return Snapshot(self._gateway.manifest.id, self._listeners, clusters, secrets=secrets, terminating=terminating)

    def heard(self, name: str) -> None:
        """DNS answers otherwise about a host name now; to be followed by `update`."""
        self._inventory.stale.update(id for id, found in self._outcomes.items() if name in found.names)

    @property
    def names(self) -> set[str]:
        """The host names that DNS is to be asked for."""
        return {name for found in self._outcomes.values() for name in found.names}

    def explained(self, place: Callable[[Key], Place], has_identity: bool) -> list[str]:
        """The clusters of the last `update`, for people; `place` is where an object stands."""
        hosts = self._hosts.clusters
        return list(explained(self._inventory, self._hosts.beside(self._clusters), hosts, place, has_identity))

    def warnings(self) -> list[Remark]:
        """What is odd with the snapshot of the last `update`."""
        report = Report()
        gateway = self._gateway.manifest
        if not (self._hosts.clusters or any(found.bound for found in self._outcomes.values())):
            report.warn(gateway, (), unbound(self._inventory))
        report.warnings += self._of_gateway
        report.warnings += self._of_listeners
        for service in sorted(self._of_services):
            report.warnings += self._of_services[service].warnings
        for remarks in self._of_objects.values():
            report.warnings += remarks
        report.warnings += self._of_served
        report.warnings += self._hosts.warnings
        self._misnamed.tell(report)
        for listener, table in zip(self._opened, self._tables, strict=True):
            for text in table.taken():
                report.warn(gateway, ("spec", "listeners", listener.index), f"host {text}")
        return report.warnings

    def _renewed(self, listener: Listener, table: Table) -> Listener:
        services = self._hosts.among(listener.port, table.services, listener.services)
        tls: tuple[Termination, ...] = ()
        if listener.protocol == gateways.HTTPS:
            tls = terminations.terminations(self._gateway, listener.port, self._inventory.routes)
        if listener.services is services and listener.tls == tls:
            return listener
        return Listener(listener.name, listener.port, listener.protocol, services, tls)

    def _look_at_certificates(self) -> None:
        report = Report()
        terminations.tell(self._gateway, self._inventory.routes, report)
        self._of_listeners = report.warnings
        self._terminating = terminations.terminating(self._gateway, self._inventory.routes)

    def _resolve(self, name: str) -> Outcome | None:
        """What comes of a Service now, with what is the same as before in it."""
        service = self._inventory.services.get(name)
        found = outcome(service, self._gateway, self._opened, self._inventory) if service else None
        before = self._outcomes.get(name)
        if found is None or found == before:
            return before if found else None
        known = self._clusters or self._before
        clusters = {
            name: known[name] if known.get(name) == cluster else cluster for name, cluster in found.clusters.items()
        }
        return replace(found, clusters=clusters)

    def _put(self, news: Mapping[str, Outcome | None]) -> None:
        """Remember what has come of these Services."""
        added: dict[str, Cluster] = {}
        same_names = True
        for service, found in news.items():
            before = self._outcomes.pop(service, None)
            self._of_services.pop(service, None)
            if found:
                self._outcomes[service] = found
                added.update(found.clusters)
                if found.warnings:
                    self._of_services[service] = found
            if list(found.clusters if found else ()) != list(before.clusters if before else ()):
                same_names = False
        if not same_names:
            self._clusters = {
                name: cluster for _, each in sorted(self._outcomes.items()) for name, cluster in each.clusters.items()
            }
        elif any(self._clusters[name] is not cluster for name, cluster in added.items()):
            self._clusters = self._clusters | added

    def _advise(self, kinds: set[str]) -> None:
        """Look again at what concerns objects that no Service may have to do with."""
        for about, concerned in (
            (advice.odd_rules, {"DestinationRule", "Service", "ServiceEntry"}),
            (advice.idle_entries, {"WorkloadEntry", "Service", "ServiceEntry"}),
            (advice.twice, {"ServiceEntry", "Service"}),
            (advice.idle_policies, {*guards.KINDS, "Service", "ServiceEntry", "Gateway"}),
        ):
            if kinds & concerned:
                report = Report()
                about(self._inventory, report)
                self._of_objects[about.__name__] = report.warnings

    def _advise_on_served(self) -> list[Remark]:
        """What is meant for a Service that is served, or for the Gateway, and does nothing there."""
        report = Report()
        served = [service for service, found in self._outcomes.items() if found.bound]
        overruled(self._inventory, self._gateway, self._outcomes, report)
        unforced.attached(self._inventory, self._gateway, served, report)
        unforced.misspelt_parents(self._inventory, served, report)
        unforced.audits(self._inventory, self._gateway, served, report)
        unforced.at_pods(self._inventory, served, report)
        unforced.virtuals(self._inventory, served, report)
        return report.warnings


def _rules(found: Outcome | None) -> list[str] | None:
    """The rule that each cluster of a Service got; None if it is not served."""
    return [cluster.destination_rule for cluster in found.clusters.values()] if found else None


def _by_port(listeners: Iterable[GatewayListener]) -> list[GatewayListener]:
    """One for each port: HTTP listeners that share one share its socket, and what is reached through it."""
    found: dict[int, GatewayListener] = {}
    for each in listeners:
        found.setdefault(each.port, each)
    return list(found.values())


def _advise_on_traffic(gateway: Gateway, report: Report) -> None:
    """A warning for what `istio.io/waypoint-for` does not let through."""
    text = ""
    if gateway.traffic not in gateways.TRAFFIC:
        known = ", ".join(gateways.TRAFFIC)
        text = f"must be one of {known}{suggestion(gateway.traffic, gateways.TRAFFIC)}, so nothing is served"
    elif gateway.traffic == "none":
        text = "none leaves everything out, so nothing is served"
    elif gateway.traffic == "workload" and any(listener.protocol == gateways.HTTP for listener in gateway.listeners):
        text = "workload leaves Services out, and HTTP listeners serve nothing else but hosts of routes"
    if not gateway.looks_like_waypoint:
        said = (
            f"{gateway.class_name} is not the class of waypoints; if this is an ingress gateway, leave it out or "
            "choose another with --gateway, else write istio-waypoint"
        )
        report.warn(gateway.manifest, ("spec", "gatewayClassName"), said)
    if text:
        report.warn(gateway.manifest, ("metadata", "labels", WAYPOINT_FOR), text)


def _opens(gateway: Gateway, listener: GatewayListener, report: Report) -> bool:
    where = ("spec", "listeners", listener.index)
    if listener.protocol not in gateways.SERVED:
        hint = "" if listener.protocol in gateways.OTHERS else suggestion(listener.protocol, sorted(gateways.SERVED))
        text = f"{listener.protocol} listeners are not built in this version{hint}; port {listener.port} is not opened"
        report.warn(gateway.manifest, (*where, "protocol"), text)
        return False
    if listener.unserved:
        report.warn(gateway.manifest, (*where, "tls"), f"{listener.unserved}, so nothing is served there")
        return False
    if listener.hostname and listener.protocol == gateways.HBONE:
        text = "does nothing on an HBONE listener: Services are selected by their own names and addresses"
        report.warn(gateway.manifest, (*where, "hostname"), text)
    return True
