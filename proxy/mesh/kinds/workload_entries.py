"""WorkloadEntries: what is wrong with one, and the endpoints of a Service port out of them.

A Service selects those of its namespace by their labels, as it selects Pods. Rules of Istio's `validateWorkloadEntry`
and `ConvertWorkloadEntry`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from proxy.mesh.kinds.services import Service, ServicePort, is_ip
from proxy.mesh.kinds.slices import unusable
from proxy.mesh.kinds.workloads import Workload, identity, service_account, speaks_hbone
from proxy.mesh.model import Endpoint
from proxy.mesh.reading.manifests import Manifest
from proxy.mesh.reading.metadata import is_subdomain
from proxy.mesh.reading.report import Report, shown
from proxy.mesh.reading.schema import At, mapping, port_number, struct, text, unenforced, unsigned

# An agent that probes its workload says so in the entry's status; without the annotation nobody probes.
_PROBED = "proxy.istio.io/health-checks-enabled"


@dataclass(frozen=True, slots=True)
class WorkloadEntry:
    """A valid WorkloadEntry with an IP address. `labels` are those that select it."""

    manifest: Manifest
    ip: str
    ports: Mapping[str, int]
    labels: Mapping[str, str]
    workload: Workload
    healthy: bool

    def endpoint(self, port: ServicePort) -> Endpoint | None:
        """Its endpoint of a Service port. None: it has no port of that name."""
        number = self.ports.get(port.target) if isinstance(port.target, str) else self.ports.get(port.name, port.target)
        if number is None:
            return None
        return Endpoint(self.ip, number, self.workload.name, self.workload.hbone, self.workload.identity)


class WorkloadEntries:
    """All of them, with an index: of thousands a Service selects a few."""

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        """`manifests`: those of WorkloadEntries, without faults."""
        self._by_label: dict[tuple[str, str, str], list[WorkloadEntry]] = {}
        found = [entry for entry in map(read, manifests) if entry]
        self._all = sorted(found, key=lambda entry: entry.manifest.id)
        for entry in self._all:
            for label in entry.labels.items():
                self._by_label.setdefault((entry.manifest.namespace, *label), []).append(entry)

    def of(self, service: Service) -> list[WorkloadEntry]:
        """The entries that a Service selects, by name; one without a selector selects nothing."""
        wanted = service.selector.items()
        if not wanted:
            return []
        likely = self._by_label.get((service.manifest.namespace, *next(iter(wanted))), [])
        return [entry for entry in likely if wanted <= entry.labels.items()]

    def idle(self, services: Iterable[Service]) -> list[WorkloadEntry]:
        """Those that none of `services` selects."""
        busy = {entry.manifest.id for service in services for entry in self.of(service)}
        return [entry for entry in self._all if entry.manifest.id not in busy]


def check(manifest: Manifest, report: Report) -> None:
    """Reports everything wrong with the WorkloadEntry."""
    at = At(manifest, report, ("spec",))
    spec = manifest.body.get("spec")
    if spec is None:
        at.fault("is required")
    else:
        _spec(at, spec)


def read(manifest: Manifest) -> WorkloadEntry | None:
    """The entry a manifest without faults holds; None if it has no address that is served (`check` has said so)."""
    spec: dict[str, Any] = manifest.spec
    address = spec.get("address") or ""
    if not is_ip(address):
        return None
    # The object's own labels win over those in its spec.
    labels = {**_texts(spec.get("labels")), **manifest.labels}
    workload = Workload(
        manifest.name,
        speaks_hbone(labels, manifest.annotations),
        identity(manifest.namespace, spec.get("serviceAccount")),
    )
    ports = {name: number for name, number in (spec.get("ports") or {}).items() if number is not None}
    return WorkloadEntry(manifest, ip_address(address).compressed, ports, labels, workload, _healthy(manifest))


def _address(at: At, value: object) -> None:
    if not isinstance(value, str):
        text(at, value)
    elif is_ip(value):
        if wrong := unusable(ip_address(value)):
            at.fault(wrong)
    elif value.startswith("unix://") or (is_subdomain(value.lower()) and not value.replace(".", "").isdecimal()):
        at.warn(f"{shown(value)} is not served by this version, so the entry is left out; give its IP address")
    elif value:
        at.fault(f"must be an IP address, not {shown(value)}")


def _address_given(at: At, spec: dict[str, object]) -> None:
    if spec.get("address"):
        return
    if spec.get("network"):
        at.warn("has no address of its own, which this version does not serve; the entry is left out")
    else:
        at.down("address").fault("is required")


def _ports_named(at: At, spec: dict[str, object]) -> None:
    ports = spec.get("ports")
    if isinstance(ports, dict) and "" in ports:
        at.down("ports").fault("a port must have a name")


_spec = struct(
    {
        "address": _address,
        "ports": mapping(port_number),
        "labels": mapping(text),
        "network": text,
        "locality": text,
        "weight": unenforced(unsigned, unless=(0, 1)),
        "serviceAccount": service_account,
    },
    rules=(_address_given, _ports_named),
)


def _texts(labels: object) -> dict[str, str]:
    return {key: value or "" for key, value in labels.items()} if isinstance(labels, dict) else {}


def _healthy(manifest: Manifest) -> bool:
    if manifest.annotations.get(_PROBED) != "true":
        return True
    status = manifest.body.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    found = [each for each in conditions if isinstance(each, dict)] if isinstance(conditions, list) else []
    return any(each.get("type") == "Healthy" and each.get("status") == "True" for each in found)
