"""The way in: documents to a snapshot, with everything that is wrong told at once.

Pure: the same documents give the same answer. On any fault the caller keeps its last good snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from proxy.mesh.kinds import destination_rule, gateways, guards, services, slices, workload_entries, workloads
from proxy.mesh.model import Fault, Snapshot
from proxy.mesh.reading.manifests import Document, Manifest, Trees, read_objects
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving.resolve import resolve

__all__ = ["Document", "Loaded", "Trees", "load"]

_CHECKS: dict[str, Callable[[Manifest, Report], None]] = {
    "Service": services.check,
    "EndpointSlice": slices.check,
    "Pod": workloads.check,
    "WorkloadEntry": workload_entries.check,
    "Gateway": gateways.check,
    "DestinationRule": destination_rule.check,
    "AuthorizationPolicy": guards.check,
    "RequestAuthentication": guards.check,
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A snapshot, or why there is none: `faults`, or without a fault `reason` ("no Gateway")."""

    snapshot: Snapshot | None
    reason: str = ""
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()
    unknown_kinds: dict[str, int] = field(default_factory=dict)


def load(documents: Sequence[Document], gateway: str | None = None, trees: Trees | None = None) -> Loaded:
    """Reads, checks and resolves. `gateway`: "namespace/name"; None for the only Gateway there is. Never raises.

    `trees` spares documents that have not changed since its last use the parsing; the answer is the same without.
    """
    objects = read_objects(documents, trees)
    report = Report()
    for manifest in objects.manifests:
        if check := _CHECKS.get(manifest.kind):
            check(manifest, report)
    chosen, reason, open_choice = gateways.choose(objects.of("Gateway"), gateway)
    faults = [*objects.faults, *report.faults, *([open_choice] if open_choice else [])]
    if faults:
        many = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        warnings = _texts([*objects.warnings, *report.warnings])
        return Loaded(None, f"the configuration has {many}", _sorted(faults), warnings, objects.unknown_kinds)
    snapshot = resolve(objects, chosen, report) if chosen else None
    warnings = _texts([*objects.warnings, *report.warnings])
    if snapshot:
        snapshot = replace(snapshot, warnings=warnings)
    return Loaded(snapshot, reason, (), warnings, objects.unknown_kinds)


def _sorted(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: (fault.path, fault.line)))


def _texts(warnings: Iterable[Fault]) -> tuple[str, ...]:
    return tuple(str(warning) for warning in _sorted(warnings))
