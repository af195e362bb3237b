"""ReferenceGrants: who may refer to objects of a namespace from another one (GEP-709)."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.mesh.kinds import patterns
from proxy.mesh.reading.manifests import GATEWAY_API, Body, Manifest
from proxy.mesh.reading.metadata import is_stored
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, few, filled, items, spec, text

_MOST = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _From:
    group: str = required(text)
    kind: str = required(filled)
    namespace: str = required(patterns.namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class _To:
    group: str = required(text)
    kind: str = required(filled)
    name: str = optional(text, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    from_: tuple[_From, ...] = required(few(items(struct(_From)), _MOST), "from")
    to: tuple[_To, ...] = required(few(items(struct(_To)), _MOST))


def _somebody(at: At, found: _Spec) -> None:
    for name, given in (("from", found.from_), ("to", found.to)):
        if not given:
            at.down(name).fault("is empty, so nothing is granted")


_spec = struct(_Spec, rules=(_somebody,))


@dataclass(frozen=True, slots=True)
class ReferenceGrant:
    """A valid one: each of `askers`, (group, kind, namespace), may refer to each of `given`, (group, kind, name)."""

    manifest: Manifest
    askers: frozenset[tuple[str, str, str]]
    given: frozenset[tuple[str, str, str]]

    def allows(self, asker: Manifest, group: str, kind: str, name: str) -> bool:
        """Whether an object of the Gateway API may refer to one of this namespace."""
        asks = (GATEWAY_API, asker.kind, asker.namespace)
        return asks in self.askers and bool({(group, kind, name), (group, kind, "")} & self.given)


def read(manifest: Manifest, body: Body, report: Report) -> ReferenceGrant | None:
    """The grant; None if there is something wrong with it."""
    found = spec(manifest, body, report, _spec, stored=is_stored(body))
    if found is None:
        return None
    return ReferenceGrant(
        manifest,
        frozenset((each.group, each.kind, each.namespace) for each in found.from_),
        frozenset((each.group, each.kind, each.name) for each in found.to),
    )
