"""Services: what is wrong with one, and what a waypoint needs to know of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, cast

from proxy.mesh.kinds.addresses import CLUSTER_DOMAIN, is_ip
from proxy.mesh.kinds.distribution import ANNOTATION, distribution
from proxy.mesh.kinds.protocol import HTTP_FAMILY, Speaks, spoken
from proxy.mesh.kinds.rate_limits import rate_limits
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import texts_of
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, boolean, items, labels, matching, one_of, port_number, spec, text
from proxy.mesh.traffic.rate_limit import RateLimit

_PORT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port. `target`: a number, or the name of a container port."""

    number: int
    name: str
    target: int | str
    speaks: Speaks
    index: int

    @property
    def http(self) -> bool:
        """Whether an HTTP listener serves it."""
        return self.speaks in HTTP_FAMILY


@dataclass(frozen=True, slots=True)
class Service:
    """A valid Service. `addresses` are its own IPs, compressed, cluster IPs first."""

    manifest: Manifest
    ports: tuple[ServicePort, ...]
    addresses: tuple[str, ...]
    external: bool
    selector: Mapping[str, str]
    unaddressed: bool = False
    """Whether it has no cluster IP, not even "None": a Service as it is written, before a cluster has it."""
    distribution: str = ""
    """Its trafficDistribution, "" where it says none."""
    rate_limits: tuple[RateLimit, ...] = ()
    """How many requests each of its ports takes."""

    @property
    def id(self) -> str:
        """What tells it apart from all others: "namespace/name"."""
        return self.manifest.id

    @property
    def host(self) -> str:
        """The full name: `in-ambient.httpbin.svc.cluster.local`."""
        return f"{self.manifest.name}.{self.manifest.namespace}.{CLUSTER_DOMAIN}"

    @property
    def resolves(self) -> bool:
        """Whether DNS is asked for the host names among its endpoints."""
        return False

    def selects(self, namespace: str, labels: Set[tuple[str, str]]) -> bool:
        """Whether a workload of `namespace` with these labels is its; a Service without a selector selects nothing."""
        return bool(self.selector) and self.manifest.namespace == namespace and self.selector.items() <= labels


def read(manifest: Manifest, body: Body, report: Report) -> Service | None:
    """The Service; None if there is something wrong with it."""
    found = spec(manifest, body, report, _spec)
    if found is None:
        return None
    own = (*(found.cluster_ips or (found.cluster_ip,)), *found.external_ips, *_balancer_addresses(body))
    return Service(
        manifest,
        tuple(_service_port(port, index) for index, port in enumerate(found.ports)),
        tuple(dict.fromkeys(ip_address(address).compressed for address in own if address not in ("", "None"))),
        found.type == "ExternalName",
        found.selector,
        not (found.type == "ExternalName" or found.cluster_ip or found.cluster_ips),
        found.traffic_distribution or annotated_distribution(manifest, body, report),
        rate_limits(manifest, body, report),
    )


def annotated_distribution(manifest: Manifest, body: Body, report: Report) -> str:
    """The trafficDistribution that an annotation asks for, "" without."""
    at = At(manifest, report).down("metadata", "annotations", ANNOTATION)
    return distribution(at, texts_of(body, "annotations").get(ANNOTATION, "")) or ""


def _target_port(at: At, value: object) -> int | str | None:
    if not isinstance(value, str):
        return port_number(at, value)
    if _PORT_NAME.fullmatch(value):
        return value
    at.fault(f"must be a port number or the name of one, not {shown(value)}")
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Port:
    port: int = required(port_number)
    name: str = optional(matching(lambda name: not name or _PORT_NAME.fullmatch(name) is not None, "a port's name"), "")
    protocol: str = optional(one_of("TCP", "UDP", "SCTP"), "TCP")
    target_port: int | str = cast("int | str", optional(_target_port, 0))  # a union is beyond mypy here
    app_protocol: str = optional(text, "")


_ip = matching(is_ip, "an IP address")
_cluster_ip = matching(lambda address: address in ("", "None") or is_ip(address), 'an IP address or "None"')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    type: str = optional(one_of("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"), "ClusterIP")
    cluster_ip: str = optional(_cluster_ip, "", "clusterIP")
    cluster_ips: tuple[str, ...] = optional(items(_cluster_ip), (), "clusterIPs")
    external_ips: tuple[str, ...] = optional(items(_ip), (), "externalIPs")
    selector: Mapping[str, str] = optional(labels, {})
    traffic_distribution: str = optional(distribution, "")
    ports: tuple[_Port, ...] = optional(items(struct(_Port, closed=False)), ())


def _ports_differ(at: At, found: _Spec) -> None:
    names: list[str] = []
    numbers: list[tuple[int, str]] = []
    for index, port in enumerate(found.ports):
        if port.name in names:
            where = at.down("ports", index, "name")
            where.fault(
                f"{shown(port.name)} is given twice" if port.name else "is required when there are several ports"
            )
        if (port.port, port.protocol) in numbers:
            at.down("ports", index, "port").fault(f"{port.port} is given twice")
        names.append(port.name)
        numbers.append((port.port, port.protocol))
    if len(names) > 1 and names[0] == "" and "" not in names[1:]:
        at.down("ports", 0, "name").fault("is required when there are several ports")


_spec = struct(_Spec, also={"publishNotReadyAddresses": boolean}, rules=(_ports_differ,), closed=False)


def _service_port(port: _Port, index: int) -> ServicePort:
    speaks = spoken(port.port, port.name, port.protocol, port.app_protocol)
    return ServicePort(port.port, port.name, port.target_port or port.port, speaks, index)


def _balancer_addresses(body: Body) -> Iterable[str]:
    """What a load balancer gave the Service. The cluster wrote this, not the user: what is odd in it is left out."""
    found: Any = body.get("status")
    for step in ("loadBalancer", "ingress"):
        found = found.get(step) if isinstance(found, dict) else None
    entries = found if isinstance(found, list) else []
    ips = [entry.get("ip") for entry in entries if isinstance(entry, dict)]
    return [ip for ip in ips if isinstance(ip, str) and is_ip(ip)]
