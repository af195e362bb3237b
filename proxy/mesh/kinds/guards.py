"""AuthorizationPolicies and RequestAuthentications: what they target.

This version enforces neither, so whatever one guards is closed: a policy that silently lets everybody in is the one
outcome its author cannot have meant. Only a policy that does nothing but log (AUDIT) closes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.mesh.kinds.gateways import Gateway
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE
from proxy.mesh.kinds.services import Service
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, filled, items, one_of, spec, text

KINDS = ("AuthorizationPolicy", "RequestAuthentication")


@dataclass(frozen=True, slots=True)
class Guard:
    """A valid policy and the objects that it closes, as (kind, name)."""

    manifest: Manifest
    targets: frozenset[tuple[str, str]]

    def closes(self, service: Service, gateway: Gateway) -> bool:
        """Whether the policy stands before `service` as this Gateway serves it."""
        same = self.manifest.namespace == service.manifest.namespace
        return (same and ("Service", service.manifest.name) in self.targets) or self.closes_all(gateway)

    def closes_all(self, gateway: Gateway) -> bool:
        """Whether it stands before everything that this Gateway serves."""
        namespace = self.manifest.namespace
        return (namespace == gateway.manifest.namespace and ("Gateway", gateway.manifest.name) in self.targets) or (
            namespace == ROOT_NAMESPACE and ("GatewayClass", gateway.class_name) in self.targets
        )

    @property
    def reason(self) -> str:
        return f"{self.manifest.kind} {self.manifest.id} is not enforced by this version, so what it guards is closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ref:
    kind: str = required(filled)
    name: str = required(filled)
    namespace: str = optional(text, "")


def _own_namespace(at: At, found: _Ref) -> None:
    if found.namespace not in ("", at.manifest.namespace):
        at.down("namespace").fault("must be the policy's own namespace")


_ref = struct(_Ref, also={"group": text}, rules=(_own_namespace,))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    target_ref: _Ref | None = optional(_ref, None)
    target_refs: tuple[_Ref, ...] = optional(items(_ref), ())
    action: str = optional(one_of("ALLOW", "DENY", "AUDIT", "CUSTOM"), "ALLOW")


_spec = struct(_Spec, closed=False)


def read(manifest: Manifest, body: Body, report: Report) -> Guard:
    """The policy, of what is read here; its rules are not."""
    found = spec(manifest, body, report, _spec, required=False)
    if found is None or found.action == "AUDIT":
        return Guard(manifest, frozenset())
    refs = (*found.target_refs, *((found.target_ref,) if found.target_ref else ()))
    return Guard(manifest, frozenset((ref.kind, ref.name) for ref in refs))
