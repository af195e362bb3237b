"""EndpointSlices: what is wrong with one, and the endpoints of a Service port out of them.

Order is balancing order: slices by name, then as written. Readiness is kube-proxy's: when no endpoint of a port is
ready, those that still serve while they terminate are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from proxy.mesh.kinds.services import ServicePort
from proxy.mesh.kinds.workloads import Pods, Workload
from proxy.mesh.model import Endpoint
from proxy.mesh.reading.manifests import Manifest
from proxy.mesh.reading.metadata import is_subdomain
from proxy.mesh.reading.report import Report, shown
from proxy.mesh.reading.schema import At, Check, boolean, items, matching, one_of, port_number, struct, text

SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class _Member:
    """An endpoint of a slice, before the port is known."""

    ip: str
    workload: Workload
    ready: bool
    leaving: bool


@dataclass(frozen=True, slots=True)
class Slice:
    """A valid EndpointSlice of one Service. `ports`: name -> number (None: all ports)."""

    manifest: Manifest
    service: str
    ports: Mapping[str, int | None]
    members: tuple[_Member, ...]


def check(manifest: Manifest, report: Report) -> None:
    """Reports everything wrong with the slice."""
    at = At(manifest, report)
    if not manifest.labels.get(SERVICE_LABEL):
        at.down("metadata", "labels").warn(f"has no {SERVICE_LABEL}, so the slice belongs to no Service")
    kind = manifest.body.get("addressType")
    if kind == "FQDN":
        at.down("addressType").warn("FQDN is not served by this version; the slice is ignored")
    _shape(manifest, at)


def read(manifest: Manifest, pods: Pods) -> Slice:
    """The slice a manifest without faults holds. `pods` say how its endpoints are reached, and name the nameless."""
    usable = manifest.body.get("addressType") != "FQDN"
    ports = _dicts(manifest.body.get("ports"))
    return Slice(
        manifest,
        manifest.labels.get(SERVICE_LABEL, ""),
        {port.get("name") or "": port.get("port") for port in ports if (port.get("protocol") or "TCP") == "TCP"},
        tuple(_member(entry, manifest.namespace, pods) for entry in _dicts(manifest.body.get("endpoints")) if usable),
    )


def endpoints(slices: Iterable[Slice], port: ServicePort, more: Iterable[Endpoint] = ()) -> tuple[Endpoint, ...]:
    """The endpoints of a Service port in balancing order; the same `ip:port` twice counts once.

    `more`: ready ones from elsewhere, which come last.
    """
    ready: dict[tuple[str, int], Endpoint] = {}
    leaving: dict[tuple[str, int], Endpoint] = {}
    for slice_ in slices:
        number = target(slice_, port)
        if number is None:
            continue
        for member in slice_.members:
            chosen = ready if member.ready else leaving if member.leaving else None
            if chosen is not None:
                chosen.setdefault((member.ip, number), _endpoint(member, number))
    for endpoint in more:
        ready.setdefault((endpoint.ip, endpoint.port), endpoint)
    return tuple((ready or leaving).values())


def target(slice_: Slice, port: ServicePort) -> int | None:
    """The number behind a Service port: the slice's port of the same name. None: the slice has none."""
    if port.name not in slice_.ports:
        return None
    number = slice_.ports[port.name]
    if number is None:
        return port.target if isinstance(port.target, int) else None
    return number


def unusable(address: IPv4Address | IPv6Address) -> str:
    """Why an IP address cannot be that of an endpoint, or ""."""
    odd = address.is_unspecified or address.is_multicast or address.is_link_local
    return f"{address} cannot be the address of an endpoint" if odd else ""


def _endpoint(member: _Member, port: int) -> Endpoint:
    return Endpoint(member.ip, port, member.workload.name, member.workload.hbone, member.workload.identity)


def _address_of(family: int) -> Check:
    def check_address(at: At, value: object) -> None:
        text(at, value)
        if not isinstance(value, str):
            return
        try:
            address = ip_address(value)
        except ValueError:
            at.fault(f"must be an IPv{family} address, not {shown(value)}")
            return
        if address.version != family or "%" in value:
            at.fault(f"must be an IPv{family} address, not {shown(value)}")
        elif wrong := unusable(address):
            at.fault(wrong)

    return check_address


def _first_only(at: At, entry: dict[str, object]) -> None:
    addresses = entry["addresses"]
    assert isinstance(addresses, list)
    if not addresses:
        at.down("addresses").fault("must hold an address")
    elif len(addresses) > 1:
        # Kubernetes gives further addresses of one endpoint no meaning, and kube-proxy ignores them.
        at.down("addresses", 1).warn("only the first address of an endpoint is used; give each its own endpoint")


def _name_once(at: At, body: dict[str, object]) -> None:
    names = [port.get("name") or "" for port in _dicts(body.get("ports"))]
    for index, name in enumerate(names):
        if name in names[:index]:
            at.down("ports", index, "name").fault(f"{shown(name)} is given twice")


_conditions = struct({"ready": boolean, "serving": boolean, "terminating": boolean}, closed=False)
_target_ref = struct(
    {"kind": text, "name": matching(lambda name: not name or is_subdomain(name), "the name of an object")}, closed=False
)
_port = struct({"name": text, "port": port_number, "protocol": one_of("TCP", "UDP", "SCTP")}, closed=False)


def _shape_of(address: Check) -> Check:
    entry = struct(
        {"addresses": items(address), "conditions": _conditions, "targetRef": _target_ref},
        required=("addresses",),
        rules=(_first_only,),
        closed=False,
    )
    return struct(
        {"addressType": one_of("IPv4", "IPv6", "FQDN"), "endpoints": items(entry), "ports": items(_port)},
        required=("addressType",),
        rules=(_name_once,),
        closed=False,
    )


_SHAPES = {"IPv4": _shape_of(_address_of(4)), "IPv6": _shape_of(_address_of(6))}
_OTHER_SHAPE = _shape_of(text)


def _shape(manifest: Manifest, at: At) -> None:
    kind = manifest.body.get("addressType")
    shape = _SHAPES.get(kind, _OTHER_SHAPE) if isinstance(kind, str) else _OTHER_SHAPE
    shape(at, manifest.body)


def _member(entry: dict[str, Any], namespace: str, pods: Pods) -> _Member:
    ip = ip_address(entry["addresses"][0]).compressed
    conditions, ref = entry.get("conditions") or {}, entry.get("targetRef") or {}
    name = ref.get("name") or ""
    pod = pods.find(namespace, name if (ref.get("kind") or "Pod") == "Pod" else "", ip)
    return _Member(
        ip,
        replace(pod, name=name or pod.name) if pod else Workload(name),
        # Unset means unknown, and unknown counts as ready.
        conditions.get("ready") is not False,
        conditions.get("serving") is True and conditions.get("terminating") is True,
    )


def _dicts(value: object) -> list[dict[str, Any]]:
    return value if isinstance(value, list) else []
