"""Gateways: what is wrong with one, which one is ours, and the ports it opens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from proxy.mesh.kinds.listener_tls import (
    NO_TLS,
    CertificateRef,
    GatewayTls,
    ListenerTls,
    gateway_tls,
    listener_tls,
    unserved,
)
from proxy.mesh.model import Fault
from proxy.mesh.reading.manifests import GATEWAY_API, Body, Manifest
from proxy.mesh.reading.metadata import is_label, texts_of
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.remarks import Key, Site, shown
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, filled, items, labels, matching, one_of, port_number, spec, text

HTTP = "HTTP"
HTTPS = "HTTPS"
HBONE = "HBONE"
TLS = "TLS"
CLASSES = frozenset({"istio-waypoint", "waypointd"})
"""The classes of waypoints: Istio's, and the one that our own chart brings."""
_PROXY = "istio.io/PROXY"
OF_HOSTS = frozenset({HTTP, HTTPS})
"""Those of listeners that routes attach to, each for its own hosts."""
SERVED = OF_HOSTS | {HBONE}
"""The protocols of listeners that this version opens."""
OTHERS = frozenset({TLS, "TCP", "UDP", _PROXY})
"""Those that exist, and are no slip of the pen."""
WAYPOINT_FOR = "istio.io/waypoint-for"
TRAFFIC = ("service", "workload", "all", "none")
GRANTS = "waypointd.io/reference-grants"
"""An annotation: which routes need ReferenceGrants for backends in other namespaces."""
_OF_GATEWAYS, _OF_ALL = "gateways", "all"

# One socket can speak one of these, so that none may share a port with another; HTTP, HTTPS and TLS may, by host name.
_ALONE = frozenset({HBONE, _PROXY, "TCP"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One of a selector's `matchExpressions`."""

    key: str = required(filled)
    operator: str = required(one_of("In", "NotIn", "Exists", "DoesNotExist"))
    values: tuple[str, ...] = optional(items(text), ())

    def holds(self, given: Mapping[str, str]) -> bool:
        """Whether it holds for an object with these labels."""
        if self.operator in ("Exists", "DoesNotExist"):
            return (self.key in given) is (self.operator == "Exists")
        # NotIn holds where the label is missing, as in Kubernetes.
        return (given.get(self.key) in self.values) is (self.operator == "In")


def _values_given(at: At, found: Expression) -> None:
    needs = found.operator in ("In", "NotIn")
    if needs != bool(found.values):
        at.down("values").fault(f"must {'' if needs else 'not '}be given with operator {found.operator}")


_expression = struct(Expression, rules=(_values_given,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """What selects objects by their labels."""

    match_labels: Mapping[str, str] = optional(labels, {})
    match_expressions: tuple[Expression, ...] = optional(items(_expression), ())

    def selects(self, given: Mapping[str, str]) -> bool:
        """Whether it selects an object with these labels."""
        if any(given.get(key) != value for key, value in self.match_labels.items()):
            return False
        return all(each.holds(given) for each in self.match_expressions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Which namespaces' Services a listener takes: `allowedRoutes.namespaces`."""

    scope: str = optional(one_of("All", "Same", "Selector", "None"), "Same", "from")
    selector: Selector | None = optional(struct(Selector), None)

    def admits(self, namespace: str, given: Mapping[str, str], gateway_namespace: str) -> bool:
        """Whether a Service of `namespace`, which has the labels `given`, may be served."""
        if self.scope == "Selector" and self.selector:
            # Every Namespace has this label in a cluster, written down or not.
            return self.selector.selects({"kubernetes.io/metadata.name": namespace, **given})
        return self.scope == "All" or (self.scope == "Same" and namespace == gateway_namespace)


def _selector_given(at: At, found: Admission) -> None:
    if found.scope == "Selector" and found.selector is None:
        at.down("selector").fault("is required when from is Selector")


_namespaces = struct(Admission, rules=(_selector_given,), closed=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _RouteKind:
    group: str = optional(text, GATEWAY_API)
    kind: str = required(filled)


@dataclass(frozen=True, slots=True, kw_only=True)
class _AllowedRoutes:
    namespaces: Admission | None = optional(_namespaces, None)
    kinds: tuple[_RouteKind, ...] = optional(items(struct(_RouteKind, closed=False)), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listener:
    name: str = required(matching(is_label, "a name of lower-case letters, digits and -"))
    port: int = required(port_number)
    protocol: str = required(filled)
    hostname: str = optional(text, "")
    allowed_routes: _AllowedRoutes | None = optional(struct(_AllowedRoutes, closed=False), None)
    tls: ListenerTls | None = optional(listener_tls, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    gateway_class_name: str = required(filled)
    listeners: tuple[_Listener, ...] = required(items(struct(_Listener, closed=False)))
    tls: GatewayTls | None = optional(gateway_tls, None)


def _listeners_differ(at: At, found: _Spec) -> None:
    if not found.listeners:
        at.down("listeners").fault("must hold a listener")
    for index, listener in enumerate(found.listeners):
        place = at.down("listeners", index)
        for earlier in found.listeners[:index]:
            if earlier.name == listener.name:
                place.down("name").fault(f"{shown(listener.name)} is given twice")
            if _collide(earlier, listener):
                place.down("port").fault(f"{listener.port} is taken by listener {shown(earlier.name)}")


def _collide(one: _Listener, other: _Listener) -> bool:
    if one.port != other.port or (one.protocol == "UDP") != (other.protocol == "UDP"):
        return False
    protocols = {one.protocol, other.protocol}
    if protocols & _ALONE or one.protocol == "UDP" or (HTTP in protocols and len(protocols) > 1):
        return True
    return one.hostname == other.hostname


_spec = struct(_Spec, rules=(_listeners_differ,), closed=False)


@dataclass(frozen=True, slots=True)
class GatewayListener:
    """`kinds`: the routes that it takes, by group and kind; none: all that its protocol allows. `certificates`: those
    that one of HTTPS names. `unserved`: why it is not opened as it asks for it, or ""."""

    name: str
    port: int
    protocol: str
    hostname: str
    admission: Admission
    index: int
    kinds: frozenset[tuple[str, str]] = frozenset()
    certificates: tuple[CertificateRef, ...] = ()
    unserved: str = ""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A valid Gateway. `traffic` is what `istio.io/waypoint-for` says: "service", "workload", "all" or "none".
    `asks_grants`: whether routes of Services need ReferenceGrants, as its own do."""

    manifest: Manifest
    class_name: str
    listeners: tuple[GatewayListener, ...]
    traffic: str
    asks_grants: bool = False

    @property
    def serves_services(self) -> bool:
        """Whether Services are served under their own addresses and names."""
        return self.traffic in ("service", "all")

    @property
    def looks_like_waypoint(self) -> bool:
        """Whether it is meant to be one, and not an ingress gateway."""
        own_words = WAYPOINT_FOR in self.manifest.labels or any(each.protocol == HBONE for each in self.listeners)
        return self.class_name in CLASSES or own_words


def read(manifest: Manifest, body: Body, report: Report) -> Gateway | None:
    """The Gateway as it stands alone, without its class; None if there is something wrong with it."""
    found = spec(manifest, body, report, _spec)
    if found is None:
        return None
    listeners = tuple(_listener(each, index, found.tls) for index, each in enumerate(found.listeners))
    annotations = texts_of(body, "annotations")
    if (said := annotations.get(GRANTS, _OF_GATEWAYS)) not in (_OF_GATEWAYS, _OF_ALL):
        text = f"must be {_OF_GATEWAYS} or {_OF_ALL}, not {shown(said)}, so all routes need ReferenceGrants"
        report.warn(manifest, ("metadata", "annotations", GRANTS), text)
    traffic = manifest.labels.get(WAYPOINT_FOR) or ""
    return Gateway(manifest, found.gateway_class_name, listeners, traffic, asks_grants(annotations))


def asks_grants(annotations: Mapping[str, str]) -> bool:
    """Whether a Gateway asks for ReferenceGrants of all routes. What is no known word is taken for the stricter one."""
    return annotations.get(GRANTS, _OF_GATEWAYS) != _OF_GATEWAYS


def _listener(found: _Listener, index: int, of_gateway: GatewayTls | None) -> GatewayListener:
    admission = (found.allowed_routes and found.allowed_routes.namespaces) or Admission(scope="Same", selector=None)
    kinds = frozenset((each.group, each.kind) for each in (found.allowed_routes.kinds if found.allowed_routes else ()))
    tls = found.tls or NO_TLS
    validates = tls.frontend_validation is not None or (of_gateway is not None and of_gateway.validates(found.port))
    https = found.protocol == HTTPS
    return GatewayListener(
        *(found.name, found.port, found.protocol, found.hostname.lower(), admission, index, kinds),
        certificates=tls.certificate_refs if https else (),
        unserved=unserved(tls.mode, bool(tls.certificate_refs), validates) if https else "",
    )


def choose(
    gateways: Iterable[Site], wanted: str | None, read_as: Callable[[Key], object]
) -> tuple[Key | None, str, Fault | None]:
    """The Gateway to serve; else the reason why there is none, or the fault that leaves it open.

    Not `wanted`: the only one, or the only one that is no ingress gateway. `read_as`: what was read of a Gateway.
    """
    if wanted is not None:
        namespace, _, name = wanted.partition("/")
        if not (is_label(namespace) and name):
            return None, "", Fault("--gateway", 0, "", "", "", f"must be NAMESPACE/NAME, not {shown(wanted)}")
        found = next((site.key for site in gateways if site.key.id == wanted), None)
        return found, "" if found else f"no Gateway {wanted}", None
    # One that is given twice is a fault already.
    sites: dict[Key, Site] = {}
    for site in gateways:
        sites.setdefault(site.key, site)
    waypoints = {key: site for key, site in sites.items() if _may_be_waypoint(read_as(key))}
    sites = waypoints or sites
    if len(sites) < 2:
        return next(iter(sites), None), "" if sites else "no Gateway", None
    first = next(iter(sites.values()))
    names = ", ".join(f"{site.key.id} ({site.path}:{site.line})" for site in sites.values())
    said = f"there are {len(sites)} Gateways: {names}; choose one with --gateway NAMESPACE/NAME"
    return None, "", Fault(first.path, first.line, first.key.kind, first.key.id, "", said)


def _may_be_waypoint(found: object) -> bool:
    """One that could not be read may be."""
    return not isinstance(found, Gateway) or found.looks_like_waypoint
