"""Objects that attach to what a waypoint serves and are not in force in this version: routes, filters, telemetry.

Of these only what they attach to is read. Any kind that says `parentRefs` or `targetRefs`, as the Gateway API has it,
is one of them, whoever made it. Nothing in them is a fault: they have nothing to do with how requests are served.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.manifests import GATEWAY_API, ISTIO_NETWORK, Body, Manifest
from proxy.mesh.reading.metadata import DEFAULT_NAMESPACE
from proxy.mesh.reading.remarks import suggestion
from proxy.mesh.reading.report import Report

_REFS = ("parentRefs", "parentRef", "targetRefs", "targetRef")
_ROUTES = frozenset({"TCPRoute", "TLSRoute", "UDPRoute"})
_SELECTORS = ("selector", "workloadSelector")
# Without a target or a selector these are for all of their namespace, waypoints too (those of the root namespace: for
# the whole mesh). The group is not asked: the kind of another group is called differently (`sheets`).
_WIDE = frozenset({"Telemetry", "WasmPlugin", "EnvoyFilter", "TrafficExtension"})
_GROUPS: Mapping[str, tuple[str | None, ...]] = {
    "Service": ("", "core", None),
    "ServiceEntry": (ISTIO_NETWORK,),
    **dict.fromkeys(("Gateway", "GatewayClass"), (GATEWAY_API, "", None)),
}
"""What may be attached to, each with its group; None: that is left out."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an object attaches to, as it says. `index`: at which field."""

    kind: str
    namespace: str
    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Attachment:
    """An object that is not in force. `wide`: it is for everything in its namespace."""

    manifest: Manifest
    targets: tuple[Target, ...] = ()
    wide: bool = False


def read(manifest: Manifest, body: Body, report: Report) -> Attachment | None:
    """What the object attaches to; None: it is of a kind that does not say."""
    spec = body.get("spec")
    if not isinstance(spec, dict):
        spec = {}
    targets = tuple(_targets(manifest, spec))
    if not targets and manifest.kind in _ROUTES:
        near = next((hint for name in spec if name not in _REFS and (hint := suggestion(name, _REFS[:1]))), "")
        report.warn(manifest, ("spec",), f"has no parentRefs, so it attaches to nothing{near}")
    wide = manifest.kind in _WIDE and not targets and not any(spec.get(each) for each in _SELECTORS)
    return Attachment(manifest, targets, wide=wide) if targets or wide else None


def _targets(manifest: Manifest, spec: Mapping[str, object]) -> Iterator[Target]:
    for field in _REFS:
        given = spec.get(field)
        listed = isinstance(given, list)
        for index, ref in enumerate(given if isinstance(given, list) else (given,)):
            if found := _target(manifest, ref, ("spec", field, index) if listed else ("spec", field)):
                yield found


def _target(manifest: Manifest, ref: object, path: Path) -> Target | None:
    """What one reference names, if that is of a kind that is served here."""
    if not isinstance(ref, dict):
        return None
    # A parent without a kind is a Gateway; targets must say.
    kind, name = ref.get("kind") or ("Gateway" if str(path[1]).startswith("parentRef") else ""), ref.get("name")
    group = ref.get("group")
    right = _GROUPS.get(kind) if isinstance(kind, str) else None
    if right is None or group not in right or not isinstance(name, str) or not isinstance(kind, str):
        return None
    namespace = ref.get("namespace") or manifest.namespace or DEFAULT_NAMESPACE
    return Target(kind, namespace, name, path) if isinstance(namespace, str) else None
