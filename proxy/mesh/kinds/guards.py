"""AuthorizationPolicies and RequestAuthentications: what they target.

This version enforces neither, so whatever one guards is closed: a policy that silently lets everybody in is the one
outcome its author cannot have meant. Only a policy that does nothing but log (AUDIT) closes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.mesh.kinds.gateways import Gateway
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE
from proxy.mesh.kinds.services import Service
from proxy.mesh.reading.manifests import GATEWAY_API, ISTIO_NETWORK, Body, Manifest
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import (
    At,
    absent,
    at_most_one,
    boolean,
    fields,
    filled,
    items,
    labels,
    one_of,
    spec,
    text,
)

_GROUPS = {
    "Service": ("", "core"),
    "Gateway": (GATEWAY_API, ""),
    "GatewayClass": (GATEWAY_API, ""),
    "ServiceEntry": (ISTIO_NETWORK, ""),
    "InferencePool": ("inference.networking.k8s.io", ""),
}
"""What a policy may target; the group may be left out."""
KINDS = ("AuthorizationPolicy", "RequestAuthentication")
EVERY = "*"
"""In the place of a Service's name: every one of the policy's namespace."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A valid policy and the objects that it closes, as (kind, name)."""

    manifest: Manifest
    targets: frozenset[tuple[str, str]]
    audits: bool = False
    """Whether it does nothing but log, so that it closes nothing."""
    unread: bool = False
    """Whether nobody knows what it says: then it closes whatever it could be meant for."""

    def unreadable(self) -> Guard:
        """The same, of which nothing can be believed."""
        return Guard(self.manifest, frozenset({("Service", EVERY)}), unread=True)

    def closes(self, service: Service, gateway: Gateway) -> bool:
        """Whether the policy stands before `service` as this Gateway serves it."""
        same = self.manifest.namespace == service.manifest.namespace
        names = (service.manifest.name, EVERY)
        return (same and any(("Service", each) in self.targets for each in names)) or self.closes_all(gateway)

    def closes_all(self, gateway: Gateway) -> bool:
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
        return f"{self.manifest.kind} {self.manifest.id} is not enforced by this version, so what it guards is closed"


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
class _Spec:
    target_ref: _Ref | None = optional(_ref, None)
    target_refs: tuple[_Ref, ...] = optional(items(_ref), ())
    action: str = optional(one_of("ALLOW", "DENY", "AUDIT", "CUSTOM"), "ALLOW")


_one_way = (at_most_one("selector", "targetRef", "targetRefs"),)
_selector = fields({"matchLabels": labels})
_texts = items(text)
_SOURCES = (
    *("principals", "requestPrincipals", "namespaces", "serviceAccounts", "ipBlocks", "remoteIpBlocks", "trustDomains"),
    *("notPrincipals", "notRequestPrincipals", "notNamespaces", "notServiceAccounts", "notIpBlocks"),
    *("notRemoteIpBlocks", "notTrustDomains"),
)
_OPERATIONS = ("hosts", "ports", "methods", "paths", "notHosts", "notPorts", "notMethods", "notPaths")
_rule = fields(
    {
        "from": items(fields({"source": fields(dict.fromkeys(_SOURCES, _texts))})),
        "to": items(fields({"operation": fields(dict.fromkeys(_OPERATIONS, _texts))})),
        "when": items(fields({"key": filled, "values": _texts, "notValues": _texts}, ("key",))),
    }
)
_jwt_rule = fields(
    {
        **dict.fromkeys(("issuer", "jwksUri", "jwks_uri", "jwks", "outputPayloadToHeader", "timeout"), text),
        **dict.fromkeys(("audiences", "fromParams", "fromCookies", "spaceDelimitedClaims"), _texts),
        "fromHeaders": items(fields({"name": filled, "prefix": text}, ("name",))),
        "outputClaimToHeaders": items(fields({"header": filled, "claim": filled})),
        "forwardOriginalToken": boolean,
        "presence": one_of("OPTIONAL", "REQUIRED"),
    }
)
# Rules are not enforced yet, but what is in them is checked: a misspelt field would make a policy mean something else.
_SPECS = {
    "AuthorizationPolicy": struct(
        _Spec,
        also={"selector": _selector, "rules": items(_rule), "provider": fields({"name": text})},
        given=_one_way,
    ),
    "RequestAuthentication": struct(
        _Spec, also={"selector": _selector, "jwtRules": items(_jwt_rule), "action": absent}, given=_one_way
    ),
}


def read(manifest: Manifest, body: Body, report: Report) -> Guard:
    """The policy, of what is read here; its rules are not."""
    found = spec(manifest, body, report, _SPECS[manifest.kind], required=False)
    if found is None:
        return Guard(manifest, frozenset())
    refs = (*found.target_refs, *((found.target_ref,) if found.target_ref else ()))
    return Guard(manifest, frozenset((ref.kind, ref.name) for ref in refs), found.action == "AUDIT")
