"""What HTTPRoutes and GRPCRoutes have in common: what they attach to, their rules, and where these send requests.

Fields are those of gateway.networking.k8s.io (apis/v1 shared_types.go, httproute_types.go, grpcroute_types.go).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.mesh.kinds import patterns
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.manifests import GATEWAY_API, ISTIO_NETWORK, Manifest
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.remarks import Key, Remark, shown
from proxy.mesh.reading.schema import At, few, filled, items, port_number, text
from proxy.mesh.traffic.rate_limit import RateLimit
from proxy.mesh.traffic.retries import DEFAULT_RETRIES, RetryPolicy
from proxy.mesh.traffic.routing import NO_EDITS, Condition, Cors, HeaderEdits, Persistence, Redirect, Rewrite

KINDS = ("HTTPRoute", "GRPCRoute")
KIND_CONFLICT = "RouteKindConflict"
"""The reason why a route is not in force beside an older one of the other kind. Ours: the Gateway API has none."""
HOSTNAME = "Hostname"
"""Istio's kind of a backend that is called by its host name."""
_GROUPS = {"Gateway": GATEWAY_API, "Service": "", "ServiceEntry": ISTIO_NETWORK}
"""What a route may attach to here, each with its group."""
_MOST_PARENTS = 32
_LONGEST_REFERRED = 253
_name = patterns.short(_LONGEST_REFERRED)


@dataclass(frozen=True, slots=True)
class ParentRef:
    """One of `parentRefs`. `section`, `port`: "" and 0 where it does not say."""

    group: str
    kind: str
    namespace: str
    name: str
    section: str
    port: int
    path: Path

    @property
    def key(self) -> Key | None:
        """The object; None: it is of no kind that is served here."""
        return Key(self.kind, self.namespace, self.name) if _GROUPS.get(self.kind) == self.group else None


@dataclass(frozen=True, slots=True)
class Referred:
    """What a backend is. `port` 0: it does not say."""

    group: str
    kind: str
    namespace: str
    name: str
    port: int
    path: Path

    @property
    def key(self) -> Key | None:
        """What it is found by, a host name without a namespace; None: it is of no kind that is known here."""
        if (self.group, self.kind) == (ISTIO_NETWORK, HOSTNAME):
            return Key(HOSTNAME, "", self.name.lower().removesuffix("."))
        return Key("Service", self.namespace, self.name) if (self.group, self.kind) == ("", "Service") else None


@dataclass(frozen=True, slots=True)
class MirrorRef:
    """A copy of `numerator` of `denominator` requests goes there."""

    to: Referred
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True)
class Filters:
    """What is done to requests and answers: a rule's, or a backend's. Not resolved yet: `mirrors`, and the `own_port`
    of `redirect`."""

    request: HeaderEdits = NO_EDITS
    response: HeaderEdits = NO_EDITS
    redirect: Redirect | None = None
    rewrite: Rewrite | None = None
    mirrors: tuple[MirrorRef, ...] = ()
    cors: Cors | None = None


NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class BackendRef:
    """One of a rule's."""

    to: Referred
    weight: int
    filters: Filters


@dataclass(frozen=True, slots=True)
class Ranked:
    """One of a rule's `matches`; what has the lower `rank` is asked before, whatever rule and route it is of."""

    rank: tuple[int, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One of a route's, at its `index`. `broken`: what it asks for cannot be done, so that its requests get 500;
    `remarks`: why, and what else is odd in it, of use only where the route attaches to something."""

    index: int
    name: str
    matches: tuple[Ranked, ...]
    filters: Filters = NO_FILTERS
    backends: tuple[BackendRef, ...] = ()
    retries: RetryPolicy = DEFAULT_RETRIES
    persistence: Persistence | None = None
    broken: bool = False
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """A valid HTTPRoute or GRPCRoute."""

    manifest: Manifest
    parents: tuple[ParentRef, ...]
    hostnames: tuple[str, ...]
    rules: tuple[Rule, ...]
    rate_limits: tuple[RateLimit, ...] = ()

    @property
    def id(self) -> str:
        """For people: "HTTPRoute ns/name"."""
        return f"{self.manifest.kind} {self.manifest.id}"

    @property
    def age(self) -> tuple[str, str, str, str]:
        """Its place beside others that say the same: the oldest is first, then by name, then by kind."""
        return self.manifest.created, self.manifest.namespace, self.manifest.name, self.manifest.kind

    @property
    def attached(self) -> set[Key]:
        """What it attaches to, as it says."""
        return {parent.key for parent in self.parents if parent.key}

    @property
    def referred(self) -> Iterator[Referred]:
        """All that it sends requests to."""
        for rule in self.rules:
            yield from (each.to for each in rule.backends)
            yield from (each.to for each in rule.filters.mirrors)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parent:
    group: str = optional(text, GATEWAY_API)
    kind: str = optional(filled, "Gateway")
    namespace: str = optional(patterns.namespace, "")
    name: str = required(_name)
    section_name: str = optional(patterns.section, "")
    port: int = optional(port_number, 0)


_parent = struct(_Parent)


def _parent_ref(at: At, value: object) -> ParentRef | None:
    found = _parent(at, value)
    if found is None:
        return None
    if found.group == GATEWAY_API and _GROUPS.get(found.kind, GATEWAY_API) != GATEWAY_API:
        at.warn(
            f"kind {found.kind} is not of the group {GATEWAY_API}, which is meant where none is given, so the route "
            f"attaches to nothing by this; write group: {shown(_GROUPS[found.kind])}"
        )
    namespace = found.namespace or at.manifest.namespace
    return ParentRef(found.group, found.kind, namespace, found.name, found.section_name, found.port, at.path)


_parents = few(items(_parent_ref), _MOST_PARENTS)


def parents(at: At, value: object) -> tuple[ParentRef, ...] | None:
    """`parentRefs`: of those to one parent each names another section or port of it."""
    found = _parents(at, value)
    for index, one in enumerate(found or ()):
        same = [each for each in (found or ())[:index] if _object(each) == _object(one)]
        if any((each.section, each.port) == (one.section, one.port) for each in same):
            at.down(index).fault("names the same parent as one before it; give another sectionName or port")
        elif any(not (each.section or each.port) for each in (*same, one)) and same:
            at.down(index).fault("names a parent that is named before; then each must have a sectionName or a port")
    return found


def _object(parent: ParentRef) -> tuple[str, ...]:
    return parent.group, parent.kind, parent.namespace, parent.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferredFields:
    """The fields of a reference to a backend."""

    group: str = optional(text, "")
    kind: str = optional(filled, "Service")
    namespace: str = optional(patterns.namespace, "")
    name: str = required(_name)
    port: int = optional(port_number, 0)


def referred(at: At, found: ReferredFields) -> Referred:
    """What these fields name."""
    namespace = found.namespace or at.manifest.namespace
    return Referred(found.group, found.kind, namespace, found.name, found.port, at.path)


def has_port(at: At, found: ReferredFields) -> None:
    """That the port is said, where it must be."""
    if not found.port and (found.group, found.kind) in (("", "Service"), (ISTIO_NETWORK, HOSTNAME)):
        at.down("port").fault(f"is required for a {found.kind}")
    if found.kind == HOSTNAME and found.namespace:
        at.down("namespace").fault("cannot be given for a Hostname, which is the same everywhere")
