"""WorkloadEntries: what is wrong with one, and the endpoints of a Service port out of them.

Rules of Istio's `validateWorkloadEntry` and `ConvertWorkloadEntry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from proxy.mesh.kinds.addresses import is_ip, unusable
from proxy.mesh.kinds.conditions import Condition, condition, milliseconds
from proxy.mesh.kinds.nodes import LOCALITY_LABEL, written
from proxy.mesh.kinds.profiles import profile
from proxy.mesh.kinds.services import Service, ServicePort
from proxy.mesh.kinds.workloads import Workload, identity, service_account, speaks_hbone
from proxy.mesh.model import NOWHERE, Endpoint, Locality
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import is_subdomain, texts_of
from proxy.mesh.reading.records import optional, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, labels, mapping, port_number, spec, text, unsigned

# An agent that probes its workload says so in the entry's status; without the annotation nobody probes.
_PROBED = "proxy.istio.io/health-checks-enabled"


@dataclass(frozen=True, slots=True)
class WorkloadEntry:
    """A valid WorkloadEntry. `ip` is "" if it has no address that is served. `labels` are those that select it."""

    manifest: Manifest
    ip: str
    ports: Mapping[str, int]
    labels: Mapping[str, str]
    workload: Workload
    healthy: bool
    weight: int = 1
    locality: Locality = NOWHERE
    joined_ms: int = 0

    def selected_by(self, service: Service) -> bool:
        """Whether it is the Service's: as Pods are, by its labels; a Service without a selector selects nothing."""
        same = service.manifest.namespace == self.manifest.namespace and bool(self.ip and service.selector)
        return same and service.selector.items() <= self.labels.items()

    def endpoint(self, port: ServicePort) -> Endpoint | None:
        """Its endpoint of a Service port. None: it has no port of that name."""
        number = self.ports.get(port.target) if isinstance(port.target, str) else self.ports.get(port.name, port.target)
        if number is None:
            return None
        known = self.workload
        return Endpoint(
            *(self.ip, number, known.name, known.hbone, known.identity, known.profile, self.weight),
            *(self.locality, self.joined_ms),
        )


def read(manifest: Manifest, body: Body, report: Report) -> WorkloadEntry | None:
    """The entry; None if there is something wrong with it."""
    found = spec(manifest, body, report, _spec)
    if found is None:
        return None
    annotations = texts_of(body, "annotations")
    # The object's own labels win over those in its spec.
    own = {**found.labels, **manifest.labels}
    account = identity(manifest.namespace, found.service_account)
    workload = Workload(manifest.name, speaks_hbone(own, annotations), account, profile(manifest, own, body))
    ip = ip_address(found.address).compressed if is_ip(found.address) else ""
    probed = annotations.get(_PROBED) == "true"
    healthy = condition(body, "Healthy") or Condition(False, 0)
    where = written(found.locality or own.get(LOCALITY_LABEL, ""))
    if not probed:
        healthy = Condition(True, milliseconds(manifest.created))
    facts = (healthy.is_true, found.weight or 1, where, healthy.since_ms)
    return WorkloadEntry(manifest, ip, found.ports, own, workload, *facts)


def _address(at: At, value: object) -> str | None:
    if not isinstance(value, str):
        return text(at, value)
    if is_ip(value):
        if wrong := unusable(ip_address(value)):
            at.fault(wrong)
    elif value.startswith("unix://") or (is_subdomain(value.lower()) and not value.replace(".", "").isdecimal()):
        at.warn(f"{shown(value)} is not served by this version, so the entry is left out; give its IP address")
    elif value:
        at.fault(f"must be an IP address, not {shown(value)}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    address: str = optional(_address, "")
    ports: Mapping[str, int] = optional(mapping(port_number), {})
    labels: Mapping[str, str] = optional(labels, {})
    network: str = optional(text, "")
    service_account: str = optional(service_account, "")
    weight: int = optional(unsigned, 0)
    locality: str = optional(text, "")


def _address_given(at: At, found: _Spec) -> None:
    if found.address:
        return
    if found.network:
        at.warn("has no address of its own, which this version does not serve; the entry is left out")
    else:
        at.down("address").fault("is required")


def _ports_named(at: At, found: _Spec) -> None:
    if "" in found.ports:
        at.down("ports").fault("a port must have a name")


_spec = struct(_Spec, rules=(_address_given, _ports_named))
