"""ServiceEntries: the hosts of one, each of which is to a waypoint what a Service is.

What an entry comes to is that of Istio's `convertServices` (pilot/pkg/serviceregistry/serviceentry/conversion.go).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any

from proxy.mesh.kinds import workload_entries
from proxy.mesh.kinds.addresses import is_ip
from proxy.mesh.kinds.conditions import Condition, milliseconds
from proxy.mesh.kinds.profiles import profile
from proxy.mesh.kinds.protocol import declared
from proxy.mesh.kinds.rate_limits import rate_limits
from proxy.mesh.kinds.service_entry_spec import BY_NAME, EVERYWHERE, Port, Resolution, Said, said
from proxy.mesh.kinds.services import Service, ServicePort, annotated_distribution
from proxy.mesh.kinds.workload_entries import EntrySpec, WorkloadEntry
from proxy.mesh.kinds.workloads import Workload, identity, speaks_hbone
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import is_stored, texts_of
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, spec

ALLOCATES = "networking.istio.io/enable-autoallocate-ip"
_ALL = frozenset({EVERYWHERE})


@dataclass(frozen=True, slots=True)
class Host(Service):
    """One of an entry's hosts. `full_name` is in lower case and may be a wildcard; `index`: at which place it stands.

    `endpoints` are those of the entry; None: they are selected. `export_to` holds namespaces, "*" or "~".
    """

    full_name: str = ""
    index: int = 0
    resolution: Resolution = Resolution.NONE
    endpoints: tuple[WorkloadEntry, ...] | None = ()
    export_to: frozenset[str] = _ALL
    subject_alt_names: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.manifest.namespace}/{self.full_name}"

    @property
    def host(self) -> str:
        return self.full_name

    @property
    def is_wildcard(self) -> bool:
        return self.full_name.startswith("*")

    @property
    def resolves(self) -> bool:
        return self.resolution in BY_NAME

    @property
    def selecting(self) -> bool:
        """Whether its endpoints are what its `workloadSelector` selects."""
        return self.endpoints is None

    def selects(self, namespace: str, labels: Set[tuple[str, str]]) -> bool:
        # As in Services, no labels select nothing: so it is in istiod's ambient index.
        return self.selecting and Service.selects(self, namespace, labels)


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """A valid ServiceEntry."""

    manifest: Manifest
    hosts: tuple[Host, ...]


def read(manifest: Manifest, body: Body, report: Report) -> ServiceEntry | None:
    """The entry; None if there is something wrong with it."""
    found = spec(manifest, body, report, said, stored=is_stored(body))
    if found is None:
        return None
    at = At(manifest, report).down("spec")
    _advise(at, found)
    called = profile(manifest, manifest.labels, {})
    workload = Workload(manifest.name, speaks_hbone(manifest.labels, texts_of(body, "annotations")), "", called)
    own = _single(found.addresses)
    any_host = Host(
        manifest=manifest,
        ports=tuple(map(_service_port, found.ports, range(len(found.ports)))),
        addresses=own,
        external=False,
        selector=found.workload_selector.labels if found.workload_selector else {},
        distribution=annotated_distribution(manifest, body, report),
        rate_limits=rate_limits(manifest, body, report),
        resolution=found.resolution,
        endpoints=_endpoints(manifest, found, workload, own),
        export_to=frozenset(manifest.namespace if each == "." else each for each in found.export_to) or _ALL,
        subject_alt_names=found.subject_alt_names,
    )
    allocated = _allocated(body) if _allocates(manifest, found) else {}
    hosts: dict[str, int] = {}
    for index, host in enumerate(found.hosts):
        hosts.setdefault(host.lower().removesuffix("."), index)
    return ServiceEntry(
        manifest, tuple(_host(any_host, host, index, allocated, workload) for host, index in hosts.items())
    )


def _host(entry: Host, name: str, index: int, allocated: Mapping[str, tuple[str, ...]], workload: Workload) -> Host:
    """One of them: with addresses that were allocated for it, and itself for an endpoint where DNS is to say."""
    addresses = entry.addresses or (() if name.startswith("*") else allocated.get(name, ()))
    endpoints = entry.endpoints
    if entry.resolves and endpoints == ():
        endpoints = (_outside(entry.manifest, name, workload),)
    return replace(entry, full_name=name, index=index, addresses=addresses, endpoints=endpoints)


def _advise(at: At, found: Said) -> None:
    """What is valid and not done, whoever serves the entry."""
    for index, address in enumerate(found.addresses):
        if "/" in address and not _single((address,)):
            at.down("addresses", index).warn("a range is not served by this version; give single addresses")
    if found.workload_selector is not None and not found.workload_selector.labels:
        at.down("workloadSelector").warn("has no labels, so it selects nothing")


def _single(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are one address each, compressed; 192.0.2.1/32 is one."""
    found = (ip_network(each, strict=False) for each in addresses)
    return tuple(dict.fromkeys(each.network_address.compressed for each in found if each.num_addresses == 1))


def _allocates(manifest: Manifest, found: Said) -> bool:
    """Istio's ShouldV2AutoAllocateIP."""
    return (
        not found.addresses
        and found.resolution is not Resolution.NONE
        and manifest.labels.get(ALLOCATES, "").lower() != "false"
    )


def _allocated(body: Body) -> Mapping[str, tuple[str, ...]]:
    """By host, what istiod has allocated. The cluster wrote this, not the user: what is odd in it is left out."""
    status: Any = body.get("status")
    given = status.get("addresses") if isinstance(status, dict) else None
    found: dict[str, tuple[str, ...]] = {}
    for each in given if isinstance(given, list) else ():
        host, value = (each.get("host"), each.get("value")) if isinstance(each, dict) else (None, None)
        if isinstance(host, str) and isinstance(value, str) and is_ip(value):
            called = host.lower().removesuffix(".")
            found[called] = (*found.get(called, ()), ip_address(value).compressed)
    return found


def _endpoints(
    manifest: Manifest, found: Said, workload: Workload, own: tuple[str, ...]
) -> tuple[WorkloadEntry, ...] | None:
    """Those that are written down. With NONE a connection goes where it was going: to the entry's address."""
    if found.resolution is Resolution.NONE:
        return tuple(WorkloadEntry(manifest, ip, {}, {}, workload, True) for ip in own)
    if found.workload_selector is not None:
        return None
    since = Condition(True, milliseconds(manifest.created))
    return tuple(
        workload_entries.made(manifest, each, _workload(workload, each), dict(each.labels), since)
        for each in found.endpoints
    )


def _outside(manifest: Manifest, host: str, workload: Workload) -> WorkloadEntry:
    """What DNS says of a host: that is outside, whatever the entry is labelled."""
    return WorkloadEntry(manifest, "", {}, {}, replace(workload, hbone=False), True, hostname=host)


def _workload(entry: Workload, found: EntrySpec) -> Workload:
    """Who is behind an endpoint, of the entry's own."""
    assert entry.profile
    hbone = entry.hbone or speaks_hbone(dict(found.labels), {})
    return replace(entry, hbone=hbone, identity=identity(entry.profile.namespace, found.service_account))


def _service_port(port: Port, index: int) -> ServicePort:
    speaks = declared(port.protocol)
    assert speaks
    return ServicePort(port.number, port.name, port.target_port or port.number, speaks, index)
