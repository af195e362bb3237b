"""WorkloadEntries: what is wrong with one, and the endpoints of a Service port out of them.

Rules of Istio's `validateWorkloadEntry` and `ConvertWorkloadEntry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from proxy.mesh.kinds import names
from proxy.mesh.kinds.addresses import is_ip, unusable
from proxy.mesh.kinds.conditions import Condition, condition, milliseconds
from proxy.mesh.kinds.nodes import LOCALITY_LABEL, written
from proxy.mesh.kinds.profiles import profile
from proxy.mesh.kinds.services import Service, ServicePort
from proxy.mesh.kinds.workloads import Workload, identity, service_account, speaks_hbone
from proxy.mesh.model import NOWHERE, Endpoint, Locality
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import is_stored, texts_of
from proxy.mesh.reading.records import optional, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, mapping, port_number, spec, text, unsigned

# An agent that probes its workload says so in the entry's status; without the annotation nobody probes.
_PROBED = "proxy.istio.io/health-checks-enabled"
UNIX = "unix://"
_LONGEST_PORT_NAME = 63


@dataclass(frozen=True, slots=True)
class WorkloadEntry:
    """A valid WorkloadEntry, or an endpoint of a ServiceEntry. `ip` is "" if it has no address that is served, or a
    `hostname` instead, which ServiceEntries resolve that say so. `labels` are those that select it."""

    manifest: Manifest
    ip: str
    ports: Mapping[str, int]
    labels: Mapping[str, str]
    workload: Workload
    healthy: bool
    weight: int = 1
    locality: Locality = NOWHERE
    joined_ms: int = 0
    hostname: str = ""

    def selected_by(self, service: Service) -> bool:
        """Whether it is the Service's: as Pods are, by its labels."""
        usable = self.ip or (self.hostname and service.resolves)
        return bool(usable) and service.selects(self.manifest.namespace, self.labels.items())

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
    found = spec(manifest, body, report, entry_spec, stored=is_stored(body))
    if found is None:
        return None
    annotations = texts_of(body, "annotations")
    # The object's own labels win over those in its spec.
    own = {**dict(found.labels), **manifest.labels}
    workload = Workload(
        *(manifest.name, speaks_hbone(own, annotations), identity(manifest.namespace, found.service_account)),
        profile(manifest, own, body),
    )
    healthy = condition(body, "Healthy") or Condition(False, 0)
    if annotations.get(_PROBED) != "true":
        healthy = Condition(True, milliseconds(manifest.created))
    return made(manifest, found, workload, own, healthy)


def _address(at: At, value: object) -> str | None:
    if not isinstance(value, str):
        return text(at, value)
    if value.startswith(UNIX):
        _check_socket(at, value.removeprefix(UNIX))
    elif is_ip(value):
        if wrong := unusable(ip_address(value)):
            at.fault(wrong)
    elif value and not names.is_host(value, wildcard=False):
        at.fault(f"must be an IP address or a host name, not {shown(value)}")
    return value


def _check_socket(at: At, path: str) -> None:
    if not path.startswith(("/", "@")) or path.endswith("/"):
        at.fault("must be the absolute path of a socket, or begin with @")
    else:
        at.warn("a Unix socket is not served by this version, so the entry is left out; give its IP address")


def _ports(at: At, value: object) -> Mapping[str, int] | None:
    found = mapping(port_number)(at, value)
    for name in found or ():
        if not name:
            at.fault("a port must have a name")
        elif not (names.is_label(name) and len(name) < _LONGEST_PORT_NAME):
            at.down(name).fault("must be a port's name: letters, digits and -")
    return found


def _network(at: At, value: object) -> str | None:
    if value:
        at.warn("is not in force in this version: the address is connected to as if it were of our own network")
    return text(at, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySpec:
    """What a WorkloadEntry says, or an endpoint of a ServiceEntry."""

    address: str = optional(_address, "")
    ports: Mapping[str, int] = optional(_ports, {})
    labels: tuple[tuple[str, str], ...] = optional(names.labels, ())
    network: str = optional(_network, "")
    service_account: str = optional(service_account, "")
    weight: int = optional(unsigned, 0)
    locality: str = optional(text, "")


def made(
    manifest: Manifest, found: EntrySpec, workload: Workload, labels: Mapping[str, str], healthy: Condition
) -> WorkloadEntry:
    """The entry that it describes, with `labels` that are its workload's."""
    ip = ip_address(found.address).compressed if is_ip(found.address) else ""
    hostname = "" if ip or found.address.startswith(UNIX) else found.address.lower().removesuffix(".")
    where = written(found.locality or labels.get(LOCALITY_LABEL, ""))
    facts = (healthy.is_true, found.weight or 1, where, healthy.since_ms, hostname)
    return WorkloadEntry(manifest, ip, found.ports, labels, workload, *facts)


def _address_given(at: At, found: EntrySpec) -> None:
    if found.address:
        return
    if found.network:
        at.warn("has no address of its own, which this version does not serve; the entry is left out")
    else:
        at.down("address").fault("is required")


def _socket_alone(at: At, found: EntrySpec) -> None:
    if found.address.startswith(UNIX) and found.ports:
        at.down("ports").fault("must not be given for a Unix socket")


entry_spec = struct(EntrySpec, rules=(_address_given, _socket_alone))
