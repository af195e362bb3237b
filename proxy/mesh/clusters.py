"""One cluster out of a Service port: its endpoints, the rule in force, and whether it is closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from proxy.mesh import slices
from proxy.mesh.destination_rule import DestinationRule
from proxy.mesh.gateways import Gateway
from proxy.mesh.guards import Guard
from proxy.mesh.lines import Path
from proxy.mesh.model import Cluster
from proxy.mesh.protocol import Speaks
from proxy.mesh.report import Report
from proxy.mesh.rules import Rules
from proxy.mesh.services import Service, ServicePort
from proxy.mesh.slices import Slice


class Clusters:
    """Builds clusters for one Gateway, and reports what a user should know about each."""

    def __init__(
        self, gateway: Gateway, rules: Rules, guards: Sequence[Guard], members: Sequence[Slice], report: Report
    ) -> None:
        self._gateway = gateway
        self._rules = rules
        self._guards = guards
        self._report = report
        self._slices: dict[tuple[str, str], list[Slice]] = {}
        for each in sorted(members, key=lambda each: each.manifest.name):
            self._slices.setdefault((each.manifest.namespace, each.service), []).append(each)

    def of(self, service: Service) -> dict[int, Cluster]:
        """The clusters of a Service's HTTP ports by port number, in the Service's order."""
        rule = self._rules.select(service.host, service.manifest.namespace)
        closed = self._closed(service)
        members = self._slices.get((service.manifest.namespace, service.manifest.name), [])
        if not members:
            self._warn(service, (), "has no EndpointSlice, so it has no endpoints")
        found = {}
        for port in service.ports:
            if self._served(service, port):
                found[port.number] = self._cluster(service, port, members, rule, closed)
        if not found:
            self._warn(service, ("spec", "ports"), "has no HTTP port, so an HTTP listener does not serve it")
        return found

    def _cluster(
        self, service: Service, port: ServicePort, members: list[Slice], rule: DestinationRule | None, closed: str
    ) -> Cluster:
        if members and all(slices.target(each, port) is None for each in members):
            text = f'no EndpointSlice of it has a port named "{port.name}", so the port has no endpoints'
            self._warn(service, ("spec", "ports", port.index, "name"), text)
        name = f"{service.manifest.id}:{port.number}"
        endpoints = slices.endpoints(members, port)
        cluster = Cluster(
            name=name,
            envoy_name=f"inbound-vip|{port.number}|http|{service.host}",
            authority=f"{service.host}:{port.number}",
            endpoints=endpoints,
            closed=closed,
        )
        return cluster if rule is None else self._governed(cluster, rule, port.number)

    def _governed(self, cluster: Cluster, rule: DestinationRule, port: int) -> Cluster:
        policy = rule.policy_for(port)
        share = policy.outlier.max_ejection_percent if policy.outlier else 100
        size = len(cluster.endpoints)
        if size and share * size < 100:
            text = (
                f"never ejects: {share} % of {_counted(size)} of {cluster.name} is 0; "
                f"set maxEjectionPercent to at least {-(-100 // size)}"
            )
            self._report.warn(rule.manifest, (*policy.path, "outlierDetection", "maxEjectionPercent"), text)
        return replace(
            cluster,
            connect_timeout_ms=policy.connect_timeout_ms,
            abandoned_ms=rule.abandoned_ms,
            outlier=policy.outlier,
            destination_rule=rule.manifest.id,
        )

    def _served(self, service: Service, port: ServicePort) -> bool:
        where: Path = ("spec", "ports", port.index)
        if port.speaks is Speaks.HTTP2:
            self._warn(service, where, f"port {port.number} is declared HTTP/2; this version speaks HTTP/1.1 to it")
        elif port.speaks is Speaks.TCP:
            self._warn(service, where, f"port {port.number} is declared TCP; an HTTP listener does not serve it")
        return port.http

    def _closed(self, service: Service) -> str:
        guards = [guard for guard in self._guards if guard.closes(service, self._gateway)]
        for guard in guards:
            text = f"is not enforced by this version; Service {service.manifest.id} is closed (403) until it is"
            self._report.warn(guard.manifest, ("spec",), text)
        return guards[0].reason if guards else ""

    def _warn(self, service: Service, path: Path, text: str) -> None:
        self._report.warn(service.manifest, path, text)


def _counted(size: int) -> str:
    return "1 endpoint" if size == 1 else f"{size} endpoints"
