"""AuthorizationPolicies and RequestAuthentications: what they target, and what of them is in force.

This version asks no provider, so what an AuthorizationPolicy with action CUSTOM guards is closed: a policy that
silently lets everybody in is the one outcome its author cannot have meant. The same goes for one that cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.mesh.kinds.access import access_rule, has_rules, provider
from proxy.mesh.kinds.gateways import Gateway
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE
from proxy.mesh.kinds.tokens import jwt_rule
from proxy.mesh.reading.manifests import GATEWAY_API, ISTIO_NETWORK, Body, Manifest
from proxy.mesh.reading.metadata import texts_of
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import (
    At,
    at_most_one,
    choice,
    fields,
    filled,
    items,
    labels,
    one_of,
    spec,
    text,
)
from proxy.mesh.traffic.access import AccessPolicy, AccessRule, Action
from proxy.mesh.traffic.tokens import JwtRule

_GROUPS = {
    "Service": ("", "core"),
    "Gateway": (GATEWAY_API, ""),
    "GatewayClass": (GATEWAY_API, ""),
    "ServiceEntry": (ISTIO_NETWORK, ""),
    "InferencePool": ("inference.networking.k8s.io", ""),
}
"""What a policy may target; the group may be left out."""
KINDS = ("AuthorizationPolicy", "RequestAuthentication")
DRY_RUN = "istio.io/dry-run"
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_MOST_TARGETS = 16
"""The targetRefs of a policy."""
EVERY = "*"
"""In the place of a Service's name, or a ServiceEntry's: every one of the policy's namespace."""
OF_SERVICES = ("Service", "ServiceEntry")
"""The targets that are a Service, or several."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A valid policy and the objects that it guards, as (kind, name)."""

    manifest: Manifest
    targets: frozenset[tuple[str, str]]
    access: AccessPolicy | None = None
    """What an AuthorizationPolicy says."""
    tokens: tuple[JwtRule, ...] = ()
    """What a RequestAuthentication says."""
    selector: Mapping[str, str] = field(default_factory=dict)
    """Of a policy without targets: the labels that Pods of its namespace must have."""
    unread: bool = False
    """Whether nobody knows what it says: then it closes whatever it could be meant for."""

    def unreadable(self) -> Guard:
        """The same, of which nothing can be believed."""
        return Guard(self.manifest, frozenset((kind, EVERY) for kind in OF_SERVICES), unread=True)

    @property
    def closes(self) -> bool:
        """Whether what it guards is closed, for it cannot be kept to."""
        custom = self.access is not None and self.access.action is Action.CUSTOM and not self.access.dry_run
        return self.unread or custom

    @property
    def idle(self) -> bool:
        """Whether it neither closes what it targets nor has a say in who gets in: it logs, or only tries."""
        return not self.closes and not (self.access and self.access.decides) and not self.tokens

    @property
    def tells(self) -> bool:
        """Whether it has no say in who gets in, but is counted and told: it audits, or is tried out. What an external
        provider would say nobody knows."""
        return self.access is not None and not self.access.decides and self.access.action is not Action.CUSTOM

    def guards_all(self, gateway: Gateway) -> bool:
        """Whether it stands before everything that this Gateway serves."""
        namespace = self.manifest.namespace
        if self.unread:
            return namespace in (gateway.manifest.namespace, ROOT_NAMESPACE)
        return (namespace == gateway.manifest.namespace and ("Gateway", gateway.manifest.name) in self.targets) or (
            namespace == ROOT_NAMESPACE and ("GatewayClass", gateway.class_name) in self.targets
        )

    @property
    def reason(self) -> str:
        if self.unread:
            return f"{self.manifest.kind} {self.manifest.id} cannot be read, so what it may guard is closed"
        what = f"{self.manifest.kind} {self.manifest.id} with action CUSTOM"
        return f"{what} is not enforced by this version, so what it guards is closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ref:
    kind: str = required(one_of(*_GROUPS))
    name: str = required(filled)
    namespace: str = optional(text, "")
    group: str = optional(text, "")


def _right_group(at: At, found: _Ref) -> None:
    if found.group not in _GROUPS[found.kind]:
        right = _GROUPS[found.kind][0]
        at.down("group").fault(f"must be {shown(right)} for kind {found.kind}, not {shown(found.group)}")


def _own_namespace(at: At, found: _Ref) -> None:
    if found.namespace not in ("", at.manifest.namespace):
        at.down("namespace").fault("must be the policy's own namespace")


_ref = struct(_Ref, rules=(_right_group, _own_namespace))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Targets:
    target_ref: _Ref | None = optional(_ref, None)
    target_refs: tuple[_Ref, ...] = optional(items(_ref), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Authorization(_Targets):
    action: Action = optional(choice(Action), Action.ALLOW)
    rules: tuple[AccessRule, ...] = optional(items(access_rule), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Authentication(_Targets):
    jwt_rules: tuple[JwtRule, ...] = optional(items(jwt_rule), ())


def _right_rules(at: At, found: _Authorization) -> None:
    has_rules(at, found.action, found.rules)


def _few_targets(at: At, found: _Targets) -> None:
    if len(found.target_refs) > _MOST_TARGETS:
        at.down("targetRefs").fault(f"has {len(found.target_refs)} items; at most {_MOST_TARGETS} are allowed")


_one_way = (at_most_one("selector", "targetRef", "targetRefs"),)
_selector = fields({"matchLabels": labels})
_authorization = struct(
    _Authorization,
    also={"selector": _selector, "provider": provider},
    given=_one_way,
    rules=(_few_targets, _right_rules),
)
_authentication = struct(_Authentication, also={"selector": _selector}, given=_one_way, rules=(_few_targets,))


def read_authorization(manifest: Manifest, body: Body, report: Report) -> Guard:
    """An AuthorizationPolicy."""
    found = spec(manifest, body, report, _authorization, required=False)
    dry_run = _dry_run(manifest, texts_of(body, "annotations"), report)
    if found is None:
        return Guard(manifest, frozenset(), AccessPolicy(manifest.id, dry_run=dry_run))
    access = AccessPolicy(manifest.id, found.action, found.rules, dry_run)
    return Guard(manifest, _targeted(found), access, selector=_selected(body))


def read_authentication(manifest: Manifest, body: Body, report: Report) -> Guard:
    """A RequestAuthentication."""
    found = spec(manifest, body, report, _authentication, required=False)
    if found is None:
        return Guard(manifest, frozenset())
    return Guard(manifest, _targeted(found), tokens=found.jwt_rules, selector=_selected(body))


def _selected(body: Body) -> Mapping[str, str]:
    """Of a valid policy: its matchLabels."""
    found = body["spec"]
    assert isinstance(found, dict)
    return dict((found.get("selector") or {}).get("matchLabels") or {})


def _targeted(found: _Targets) -> frozenset[tuple[str, str]]:
    refs = (*found.target_refs, *((found.target_ref,) if found.target_ref else ()))
    return frozenset((ref.kind, ref.name) for ref in refs)


def _dry_run(manifest: Manifest, annotations: Mapping[str, str], report: Report) -> bool:
    """The annotation; values are those of Go's strconv.ParseBool."""
    said = annotations.get(DRY_RUN, "false")
    if said not in _TRUE | _FALSE:
        At(manifest, report).down("metadata", "annotations", DRY_RUN).fault(f"must be true or false, not {shown(said)}")
    return said in _TRUE
