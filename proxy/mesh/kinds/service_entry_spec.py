"""What a ServiceEntry may say, and what is wrong with one.

Rules of Istio's `ValidateServiceEntry` and of the CRD's schema; fields of networking/v1alpha3/service_entry.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_network

from proxy.mesh.kinds import names, workload_entries
from proxy.mesh.kinds.addresses import is_ip
from proxy.mesh.kinds.protocol import Speaks, declared
from proxy.mesh.kinds.workload_entries import UNIX, EntrySpec
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import At, Given, at_most_one, choice, items, mapping, matching, port_number, text

EVERYWHERE, NOWHERE = "*", "~"
_TLS = frozenset({"https", "tls"})


class Resolution(StrEnum):
    """`resolution`: where the addresses of endpoints come from."""

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


class Location(StrEnum):
    """`location`; what a waypoint does is the same for both."""

    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


BY_NAME = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN})
"""Those of which DNS is asked, before anybody asks for them."""


def _subnet(at: At, value: object) -> str | None:
    if isinstance(value, str) and not is_ip(value) and not _is_range(value):
        at.fault(f"must be an IP address, or a range of them as 192.0.2.0/24, not {shown(value)}")
    return text(at, value)


def _is_range(address: str) -> bool:
    _, slash, bits = address.partition("/")
    try:
        ip_network(address, strict=False)
    except ValueError:
        return False
    return bool(slash) and bits.isdecimal() and bits == str(int(bits))


def _protocol(at: At, value: object) -> str | None:
    if isinstance(value, str) and declared(value) is None:
        at.fault(f"is not a protocol of Istio: HTTP, HTTP2, GRPC, TLS, TCP, ..., not {shown(value)}")
    return text(at, value)


def _selector(at: At, value: object) -> Mapping[str, str] | None:
    found = mapping(text)(at, value)
    for key, each in (found or {}).items():
        if not key or "*" in key + each:
            at.down(key).fault('must be a label and its value, without "*"')
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One of `ports`."""

    number: int = required(port_number)
    name: str = required(matching(names.is_label, "a port's name: letters, digits and -"))
    protocol: str = optional(_protocol, "")
    target_port: int = optional(port_number, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _WorkloadSelector:
    labels: Mapping[str, str] = optional(_selector, {})


_scope = matching(
    lambda scope: scope in (".", EVERYWHERE, NOWHERE) or names.is_label(scope), 'a namespace, ".", "*" or "~"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """`spec`."""

    hosts: tuple[str, ...] = required(items(names.host))
    addresses: tuple[str, ...] = optional(items(_subnet), ())
    ports: tuple[Port, ...] = optional(items(struct(Port)), ())
    location: Location = optional(choice(Location), Location.MESH_EXTERNAL)
    resolution: Resolution = optional(choice(Resolution), Resolution.NONE)
    endpoints: tuple[EntrySpec, ...] = optional(items(workload_entries.entry_spec), ())
    workload_selector: _WorkloadSelector | None = optional(struct(_WorkloadSelector), None)
    export_to: tuple[str, ...] = optional(items(_scope), ())
    subject_alt_names: tuple[str, ...] = optional(items(text), ())


def _not_with_none(at: At, given: Given) -> None:
    if given.get("resolution", Resolution.NONE) is Resolution.NONE and "endpoints" in given:
        at.down("endpoints").fault("must not be given with resolution NONE (the default)")


def _hosts_fit(at: At, found: Said) -> None:
    if not found.hosts:
        at.down("hosts").fault("must name a host")
    whole = found.resolution in BY_NAME and not found.endpoints
    for index, host in enumerate(found.hosts):
        where = at.down("hosts", index)
        if host == "*":
            where.fault("must not be every host; write *.example.com")
        elif "*" in host and whole:
            where.fault(f"must be a whole name with resolution {found.resolution} and without endpoints")
        elif "*" not in host and found.resolution is Resolution.DYNAMIC_DNS:
            where.fault("must be a wildcard with resolution DYNAMIC_DNS")
        elif "*" in host and not host.startswith("*."):
            where.warn("a wildcard for a part of a label matches nothing, in Istio too; write *.example.com")


def _told_apart(at: At, found: Said) -> None:
    """Several hosts need a protocol that names the one that is meant."""
    if len(found.hosts) > 1 and found.resolution is not Resolution.NONE:
        for index, port in enumerate(found.ports):
            if declared(port.protocol) not in (Speaks.HTTP, Speaks.HTTP2) and port.protocol.lower() not in _TLS:
                said = "must be HTTP or TLS where there are several hosts: nothing else tells one from the other"
                at.down("ports", index, "protocol").fault(said)
                return


def _addresses_fit(at: At, found: Said) -> None:
    if found.resolution in BY_NAME:
        for index, address in enumerate(found.addresses):
            if "/" in address:
                at.down("addresses", index).fault("must be a single address with resolution DNS")


def _ports_differ(at: At, found: Said) -> None:
    numbers, called = [port.number for port in found.ports], [port.name for port in found.ports]
    for index in range(len(found.ports)):
        if numbers[index] in numbers[:index]:
            at.down("ports", index, "number").fault(f"{numbers[index]} is given twice")
        if called[index] in called[:index]:
            at.down("ports", index, "name").fault(f"{shown(called[index])} is given twice")


def _endpoints_fit(at: At, found: Said) -> None:
    known = [port.name for port in found.ports]
    if found.resolution is Resolution.DNS_ROUND_ROBIN and len(found.endpoints) > 1:
        at.down("endpoints", 1).fault("must be the only one with resolution DNS_ROUND_ROBIN")
    for index, each in enumerate(found.endpoints):
        where = at.down("endpoints", index)
        if text := _misplaced(each.address, found.resolution):
            where.down("address").fault(text)
        if each.address.startswith(UNIX) and len(known) != 1:
            where.down("address").fault("must be that of an entry with one port, being a Unix socket")
        for name in each.ports:
            if name not in known:
                where.down("ports", name).fault(f"is not a port of the entry; it has {', '.join(known) or 'none'}")


def _misplaced(address: str, resolution: Resolution) -> str:
    """What is wrong with an endpoint's address for that resolution."""
    if resolution is Resolution.STATIC and address and not is_ip(address) and not address.startswith(UNIX):
        return f"must be an IP address with resolution STATIC, not {shown(address)}; write resolution DNS"
    if resolution in BY_NAME and (not address or address.startswith(UNIX)):
        return f"must be an IP address or a host name with resolution {resolution}"
    return ""


def _dynamic(at: At, found: Said) -> None:
    """What DYNAMIC_DNS does not go together with."""
    if found.resolution is not Resolution.DYNAMIC_DNS:
        return
    for name in ("addresses", "endpoints"):
        if getattr(found, name):
            at.down(name).fault("must not be given with resolution DYNAMIC_DNS")
    for index, port in enumerate(found.ports):
        if port.protocol.lower() not in ("http", "tls", "grpc", "http2"):
            at.down("ports", index, "protocol").fault("must be HTTP, TLS, GRPC or HTTP2 with resolution DYNAMIC_DNS")
    bound = at.manifest.labels.get("istio.io/use-waypoint", "none")
    if found.location is Location.MESH_INTERNAL and bound.lower() not in ("", "none"):
        at.down("location").fault("must not be MESH_INTERNAL with resolution DYNAMIC_DNS at a waypoint")


def _export_rules(at: At, found: Said) -> None:
    meant = [at.manifest.namespace if scope == "." else scope for scope in found.export_to]
    for index, scope in enumerate(meant):
        if scope in meant[:index]:
            at.down("exportTo", index).fault(f"{shown(found.export_to[index])} is given twice")
        elif scope in (EVERYWHERE, NOWHERE) and len(meant) > 1:
            at.down("exportTo", index).fault(f"{shown(scope)} must stand alone")


said = struct(
    Said,
    given=(at_most_one("workloadSelector", "endpoints"), _not_with_none),
    rules=(_hosts_fit, _told_apart, _addresses_fit, _ports_differ, _endpoints_fit, _dynamic, _export_rules),
)
