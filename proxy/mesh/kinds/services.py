"""Services: what is wrong with one, and what a waypoint needs to know of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from proxy.mesh.kinds.destination_rule import CLUSTER_DOMAIN
from proxy.mesh.kinds.protocol import HTTP_FAMILY, Speaks, spoken
from proxy.mesh.reading.manifests import Manifest
from proxy.mesh.reading.report import Report, shown
from proxy.mesh.reading.schema import At, boolean, items, mapping, matching, one_of, port_number, struct, text

_PORT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port. `target`: a number, or the name of a container port; `app_protocol` as declared."""

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

    @property
    def host(self) -> str:
        """The full name: `in-ambient.httpbin.svc.cluster.local`."""
        return f"{self.manifest.name}.{self.manifest.namespace}.{CLUSTER_DOMAIN}"


def check(manifest: Manifest, report: Report) -> None:
    """Reports everything wrong with the Service, of what is read here."""
    at = At(manifest, report, ("spec",))
    spec = manifest.body.get("spec")
    if spec is None:
        at.fault("is required")
    else:
        _spec(at, spec)


def read(manifest: Manifest) -> Service:
    """The Service a manifest without faults holds."""
    spec = manifest.spec
    ports = spec.get("ports")
    return Service(
        manifest,
        tuple(_port(port, index) for index, port in enumerate(ports if isinstance(ports, list) else [])),
        _addresses(manifest),
        spec.get("type") == "ExternalName",
        _selector(spec),
    )


def is_ip(address: str) -> bool:
    """Whether `address` is an IP address without a scope."""
    try:
        ip_address(address)
    except ValueError:
        return False
    return "%" not in address


def _target_port(at: At, value: object) -> None:
    if isinstance(value, str):
        if not _PORT_NAME.fullmatch(value):
            at.fault(f"must be a port number or the name of one, not {shown(value)}")
    else:
        port_number(at, value)


def _ports_differ(at: At, spec: dict[str, object]) -> None:
    ports = spec.get("ports")
    names: list[str] = []
    numbers: list[tuple[int, str]] = []
    for index, port in enumerate(ports if isinstance(ports, list) else []):
        name, number = port.get("name") or "", (port["port"], port.get("protocol") or "TCP")
        if name in names:
            where = at.down("ports", index, "name")
            where.fault(f"{shown(name)} is given twice" if name else "is required when there are several ports")
        if number in numbers:
            at.down("ports", index, "port").fault(f"{number[0]} is given twice")
        names.append(name)
        numbers.append(number)
    if len(names) > 1 and names[0] == "" and "" not in names[1:]:
        at.down("ports", 0, "name").fault("is required when there are several ports")


_ip = matching(is_ip, "an IP address")
_cluster_ip = matching(lambda address: address in ("", "None") or is_ip(address), 'an IP address or "None"')

_spec = struct(
    {
        "type": one_of("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
        "clusterIP": _cluster_ip,
        "clusterIPs": items(_cluster_ip),
        "externalIPs": items(_ip),
        "publishNotReadyAddresses": boolean,
        "selector": mapping(text),
        "ports": items(
            struct(
                {
                    "name": matching(lambda name: not name or _PORT_NAME.fullmatch(name) is not None, "a port's name"),
                    "port": port_number,
                    "targetPort": _target_port,
                    "protocol": one_of("TCP", "UDP", "SCTP"),
                    "appProtocol": text,
                },
                required=("port",),
                closed=False,
            )
        ),
    },
    rules=(_ports_differ,),
    closed=False,
)


def _port(port: dict[str, Any], index: int) -> ServicePort:
    number, name = port["port"], port.get("name") or ""
    speaks = spoken(number, name, port.get("protocol") or "TCP", port.get("appProtocol") or "")
    return ServicePort(number, name, port.get("targetPort") or number, speaks, index)


def _selector(spec: dict[str, object]) -> Mapping[str, str]:
    selector = spec.get("selector") or {}
    assert isinstance(selector, dict)
    return {key: value or "" for key, value in selector.items()}


def _addresses(manifest: Manifest) -> tuple[str, ...]:
    spec = manifest.spec
    cluster, external = spec.get("clusterIPs") or [spec.get("clusterIP")], spec.get("externalIPs") or []
    assert isinstance(cluster, list)
    assert isinstance(external, list)
    texts = [address for address in (*cluster, *external) if address not in (None, "", "None")]
    texts += _balancer_addresses(manifest)
    return tuple(dict.fromkeys(ip_address(address).compressed for address in texts))


def _balancer_addresses(manifest: Manifest) -> list[str]:
    """What a load balancer gave the Service. The cluster wrote this, not the user: what is odd in it is left out."""
    found: Any = manifest.body.get("status")
    for step in ("loadBalancer", "ingress"):
        found = found.get(step) if isinstance(found, dict) else None
    entries = found if isinstance(found, list) else []
    ips = [entry.get("ip") for entry in entries if isinstance(entry, dict)]
    return [ip for ip in ips if isinstance(ip, str) and is_ip(ip)]
