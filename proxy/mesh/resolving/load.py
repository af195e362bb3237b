"""The way in: documents to a snapshot, with everything that is wrong told at once.

Pure: the same documents give the same answer, whatever came before them. On any fault the caller keeps its last good
snapshot.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from proxy.mesh.kinds import (
    attachments,
    destination_rule,
    gateways,
    grpc_route,
    guards,
    http_route,
    namespaces,
    nodes,
    reference_grant,
    secrets,
    service_entries,
    services,
    slices,
    virtual_service,
    workload_entries,
    workloads,
)
from proxy.mesh.kinds.gateways import Gateway
from proxy.mesh.model import Fault, Snapshot
from proxy.mesh.reading.documents import Documents, Placed
from proxy.mesh.reading.manifests import Document, Manifest
from proxy.mesh.reading.objects import Change, Objects
from proxy.mesh.reading.remarks import Key
from proxy.mesh.reading.sheets import OTHERS, Reader
from proxy.mesh.resolving.here import NOBODY, Own
from proxy.mesh.resolving.resolve import Resolver
from proxy.mesh.resolving.telling import in_order, told

__all__ = ["Document", "Loaded", "Loader", "load"]

READERS: Mapping[str, Reader] = {
    "Namespace": namespaces.read,
    "Node": nodes.read,
    "Service": services.read,
    "EndpointSlice": slices.read,
    "Endpoints": slices.read_legacy,
    "Pod": workloads.read,
    "ServiceEntry": service_entries.read,
    "WorkloadEntry": workload_entries.read,
    "Secret": secrets.read,
    "ConfigMap": secrets.read_config_map,
    "Gateway": gateways.read,
    "HTTPRoute": http_route.read,
    "GRPCRoute": grpc_route.read,
    "ReferenceGrant": reference_grant.read,
    "DestinationRule": destination_rule.read,
    "VirtualService": virtual_service.read,
    "AuthorizationPolicy": guards.read_authorization,
    "RequestAuthentication": guards.read_authentication,
    OTHERS: attachments.read,
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A snapshot, or why there is none: `faults`, or without a fault `reason` ("no Gateway")."""

    snapshot: Snapshot | None
    reason: str = ""
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()
    unknown_kinds: dict[str, int] = field(default_factory=dict)
    acknowledged: tuple[str, ...] = ()
    """The warnings about objects whose annotation says that these are known; not among `warnings`."""


def load(documents: Iterable[Document], gateway: str | None = None) -> Loaded:
    """Reads, checks and resolves. `gateway`: "namespace/name"; None for the only Gateway there is. Never raises."""
    return Loader(gateway).load(documents)


class Loader:
    """`load`, again and again: what has not changed is neither read, checked nor resolved another time. `own`: which
    replica asks, since what is near is near to it."""

    def __init__(self, gateway: str | None = None, own: Own = NOBODY) -> None:
        self._wanted = gateway
        self._own = own
        self._documents = Documents(READERS)
        self._objects = Objects()
        self._resolver: Resolver | None = None
        self._gateway: Gateway | None = None
        self._last: Snapshot | None = None
        self._answers: dict[str, tuple[str, ...]] = {}

    def load(self, documents: Iterable[Document]) -> Loaded:
        """These are all documents there are."""
        for path, placed in self._documents.changes(documents):
            self._objects.put(path, placed)
        return self.loaded()

    def put(self, source: Hashable, placed: Sequence[Placed]) -> None:
        """What one source of objects holds now; to be followed by `loaded`."""
        self._objects.put(source, placed)

    def answer(self, name: str, addresses: Sequence[str]) -> None:
        """What DNS says of a host name now, the first first; to be followed by `loaded`."""
        self._answers.pop(name, None)
        if addresses:
            self._answers[name] = tuple(addresses)
        if self._resolver:
            self._resolver.heard(name)

    @property
    def names(self) -> set[str]:
        """The host names among endpoints of what is served: those of `answer`."""
        return self._resolver.names if self._resolver and self._last else set()

    def loaded(self) -> Loaded:
        """What has come of all objects."""
        objects = self._objects
        chosen, reason, open_choice = gateways.choose(objects.sites("Gateway"), self._wanted, self._gateway_called)
        faults, warnings, unknown = objects.faults(), objects.warnings(), objects.unknown_kinds()
        faults += [open_choice] if open_choice else []
        if faults:
            found = in_order(faults)
            many = "1 fault" if len(found) == 1 else f"{len(found)} faults"
            return Loaded(None, f"the configuration has {many}", found, *self._told(warnings, unknown))
        snapshot = self._resolve(chosen)
        if self._resolver:
            warnings += [remark.at(objects.place(remark.key)) for remark in self._resolver.warnings()]
        texts, _, known = self._told(warnings, unknown)
        return Loaded(snapshot and replace(snapshot, warnings=texts), reason, (), texts, unknown, known)

    def gateways(self) -> list[str]:
        """All Gateways there are, as "namespace/name"."""
        return [site.key.id for site in self._objects.sites("Gateway")]

    def valid(self, *kinds: str) -> list[object]:
        """All valid objects of these kinds. May be asked from another thread."""
        records = (record for kind in kinds for record in self._objects.of(kind))
        return [record.value for record in records if record.value is not None and not record.faults]

    def explained(self, has_identity: bool) -> list[str]:
        """What was loaded last, cluster by cluster, for people: `explained.explained`."""
        return self._resolver.explained(self._objects.place, has_identity) if self._resolver and self._last else []

    def _told(
        self, warnings: list[Fault], unknown: dict[str, int]
    ) -> tuple[tuple[str, ...], dict[str, int], tuple[str, ...]]:
        """The warnings that are told, the kinds left alone, and the warnings that are known."""
        known = self._objects.acknowledged()
        open_ones = told(each for each in warnings if (each.kind, each.object) not in known)
        quiet = in_order(each for each in warnings if (each.kind, each.object) in known)
        return open_ones, unknown, tuple(map(str, quiet))

    def _resolve(self, chosen: Key | None) -> Snapshot | None:
        changes = self._objects.take_changes()
        gateway = self._read_gateway(chosen) if chosen else None
        if gateway is None or gateway != self._gateway:
            self._gateway, self._resolver = gateway, self._resolver_of(gateway)
            changes = [Change(record.key, None, record) for record in self._objects.all()] if gateway else []
        if not self._resolver:
            return None
        self._last = self._resolver.update(changes)
        return self._last

    def _resolver_of(self, gateway: Gateway | None) -> Resolver | None:
        return Resolver(gateway, self._last, self._own, self._answers) if gateway else None

    def _gateway_called(self, key: Key) -> object:
        record = self._objects.get(key)
        return record.value if record else None

    def _read_gateway(self, key: Key) -> Gateway | None:
        """The Gateway with what its class says of it."""
        gateway = self._gateway_called(key)
        if not isinstance(gateway, Gateway):
            return None
        found = self._objects.get(Key("GatewayClass", "", gateway.class_name))
        class_labels = found.value.labels if found and isinstance(found.value, Manifest) else {}
        return replace(gateway, traffic=gateway.traffic or class_labels.get(gateways.WAYPOINT_FOR) or "service")
