"""AuthorizationPolicies and RequestAuthentications: what they target.

This version enforces neither, so whatever one guards is closed: a policy that silently lets everybody in is the one
outcome its author cannot have meant. Only a policy that does nothing but log (AUDIT) closes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from proxy.mesh.kinds.gateways import Gateway
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE
from proxy.mesh.kinds.services import Service
from proxy.mesh.reading.manifests import Manifest
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, filled, items, one_of, struct, text

KINDS = ("AuthorizationPolicy", "RequestAuthentication")


@dataclass(frozen=True, slots=True)
class Guard:
    """A valid policy and the objects it targets, as (kind, name)."""

    manifest: Manifest
    targets: frozenset[tuple[str, str]]

    def closes(self, service: Service, gateway: Gateway) -> bool:
        """Whether the policy stands before `service` as this Gateway serves it."""
        namespace = self.manifest.namespace
        return (
            (namespace == service.manifest.namespace and ("Service", service.manifest.name) in self.targets)
            or (namespace == gateway.manifest.namespace and ("Gateway", gateway.manifest.name) in self.targets)
            or (namespace == ROOT_NAMESPACE and ("GatewayClass", gateway.class_name) in self.targets)
        )

    @property
    def reason(self) -> str:
        return f"{self.manifest.kind} {self.manifest.id} is not enforced by this version, so what it guards is closed"


def check(manifest: Manifest, report: Report) -> None:
    """Reports what is wrong with the policy's targets; its rules are not read."""
    at = At(manifest, report, ("spec",))
    spec = manifest.body.get("spec")
    if spec is not None:
        _spec(at, spec)


def read(manifests: Iterable[Manifest]) -> list[Guard]:
    """The policies, out of manifests without faults, that close what they target."""
    guards = [Guard(manifest, _targets(manifest.spec)) for manifest in manifests if manifest.kind in KINDS]
    return [guard for guard in guards if guard.targets and guard.manifest.spec.get("action") != "AUDIT"]


def _own_namespace(at: At, ref: dict[str, Any]) -> None:
    if ref.get("namespace") not in (None, "", at.manifest.namespace):
        at.down("namespace").fault("must be the policy's own namespace")


_ref = struct(
    {"group": text, "kind": filled, "name": filled, "namespace": text},
    required=("kind", "name"),
    rules=(_own_namespace,),
)
_spec = struct(
    {"targetRef": _ref, "targetRefs": items(_ref), "action": one_of("ALLOW", "DENY", "AUDIT", "CUSTOM")}, closed=False
)


def _targets(spec: dict[str, Any]) -> frozenset[tuple[str, str]]:
    refs = [*(spec.get("targetRefs") or []), *([spec["targetRef"]] if spec.get("targetRef") else [])]
    return frozenset((ref["kind"], ref["name"]) for ref in refs)
