"""EndpointSlices: what is wrong with one, and what it says of the endpoints of a Service. Endpoints are not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from sys import intern

from proxy.mesh.kinds.addresses import unusable
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import is_subdomain
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, Check, boolean, items, matching, one_of, port_number, text

SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Member:
    """An endpoint of a slice, before the port is known. `pod` is the name of its Pod, `node` of the Node that it runs
    on, `zone` that Node's, as far as the slice tells."""

    ip: str
    name: str
    pod: str
    ready: bool
    leaving: bool
    node: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """A valid EndpointSlice of one Service ("": of none). `ports`: name -> number (None: all ports)."""

    name: str
    service: str
    ports: Mapping[str, int | None]
    members: tuple[Member, ...]


def read(manifest: Manifest, body: Body, report: Report) -> Slice | None:
    """The slice; None if there is something wrong with it."""
    at = At(manifest, report)
    service = manifest.labels.get(SERVICE_LABEL, "")
    if not service:
        at.down("metadata", "labels").warn(f"has no {SERVICE_LABEL}, so the slice belongs to no Service")
    family = body.get("addressType")
    if family == "FQDN":
        at.down("addressType").warn("FQDN is not served by this version; the slice is ignored")
    shape = _SHAPES.get(family, _OTHER_SHAPE) if isinstance(family, str) else _OTHER_SHAPE
    found = shape(at, body)
    if found is None:
        return None
    ports = {port.name: port.port for port in found.ports if port.protocol == "TCP"}
    members = tuple(map(_member, found.endpoints)) if family != "FQDN" else ()
    return Slice(manifest.name, service, ports, members)


def read_legacy(manifest: Manifest, body: Body, report: Report) -> str:
    """Of Endpoints, which EndpointSlices have taken the place of: that there are some, which is their name."""
    return manifest.name


def _address_of(family: int) -> Check[str]:
    def check_address(at: At, value: object) -> str | None:
        if not isinstance(value, str):
            return text(at, value)
        try:
            address = ip_address(value)
        except ValueError:
            at.fault(f"must be an IPv{family} address, not {shown(value)}")
            return None
        if address.version != family or "%" in value:
            at.fault(f"must be an IPv{family} address, not {shown(value)}")
        elif wrong := unusable(address):
            at.fault(wrong)
        else:
            return address.compressed
        return None

    return check_address


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conditions:
    # Unset means unknown, and unknown counts as ready.
    ready: bool = optional(boolean, True)
    serving: bool = optional(boolean, False)
    terminating: bool = optional(boolean, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _TargetRef:
    kind: str = optional(text, "")
    name: str = optional(matching(lambda name: not name or is_subdomain(name), "the name of an object"), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Port:
    name: str = optional(text, "")
    port: int | None = optional(port_number, None)
    protocol: str = optional(one_of("TCP", "UDP", "SCTP"), "TCP")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    addresses: tuple[str, ...] = required(items(text))
    conditions: _Conditions | None = optional(struct(_Conditions, closed=False), None)
    target_ref: _TargetRef | None = optional(struct(_TargetRef, closed=False), None)
    node_name: str = optional(text, "")
    zone: str = optional(text, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    address_type: str = required(one_of("IPv4", "IPv6", "FQDN"))
    endpoints: tuple[_Endpoint, ...] = optional(items(struct(_Endpoint, closed=False)), ())
    ports: tuple[_Port, ...] = optional(items(struct(_Port, closed=False)), ())


def _first_only(at: At, found: _Endpoint) -> None:
    if not found.addresses:
        at.down("addresses").fault("must hold an address")
    elif len(found.addresses) > 1:
        # Kubernetes gives further addresses of one endpoint no meaning, and kube-proxy ignores them.
        at.down("addresses", 1).warn("only the first address of an endpoint is used; give each its own endpoint")


def _name_once(at: At, found: _Shape) -> None:
    names = [port.name for port in found.ports]
    for index, name in enumerate(names):
        if name in names[:index]:
            at.down("ports", index, "name").fault(f"{shown(name)} is given twice")


def _shape_of(address: Check[str]) -> Check[_Shape]:
    endpoint = struct(_Endpoint, also={"addresses": items(address)}, rules=(_first_only,), closed=False)
    return struct(_Shape, also={"endpoints": items(endpoint)}, rules=(_name_once,), closed=False)


_SHAPES = {"IPv4": _shape_of(_address_of(4)), "IPv6": _shape_of(_address_of(6))}
_OTHER_SHAPE = _shape_of(text)
_UNKNOWN = _Conditions(ready=True, serving=False, terminating=False)
_NOTHING = _TargetRef(kind="", name="")


def _member(found: _Endpoint) -> Member:
    conditions, target = found.conditions or _UNKNOWN, found.target_ref or _NOTHING
    return Member(
        found.addresses[0],
        target.name,
        target.name if target.kind in ("", "Pod") else "",
        conditions.ready,
        conditions.serving and conditions.terminating,
        intern(found.node_name),
        intern(found.zone),
    )
