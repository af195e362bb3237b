"""One VirtualService: what is wrong with it, and the rules of its `http` and `tcp` parts.

Faults are what Istio's webhook (`ValidateVirtualService`) or the CRD's schema would refuse, with one exception: routing
by the claims of a token, which the webhook takes for gateways only. Which requests the rules are for is decided in
`resolving.virtual`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.mesh.kinds import names, virtual_in_force
from proxy.mesh.kinds.addresses import is_ip
from proxy.mesh.kinds.destination_rule import EVERYWHERE, expanded
from proxy.mesh.kinds.edited import TOO_MUCH, is_too_much
from proxy.mesh.kinds.header_edits import Headers, headers
from proxy.mesh.kinds.rate_limits import rate_limits
from proxy.mesh.kinds.virtual_cors import cors
from proxy.mesh.kinds.virtual_faults import fault_injection, percent, percentage
from proxy.mesh.kinds.virtual_match import MESH, Match, gateways, match
from proxy.mesh.kinds.virtual_route import (
    Delegate,
    Destination,
    MirrorPolicy,
    Redirecting,
    Retrying,
    Rewriting,
    Share,
    direct_response,
    redirecting,
    retrying,
    rewriting,
)
from proxy.mesh.kinds.virtual_tcp import Tcp, tcp
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import is_stored
from proxy.mesh.reading.records import optional, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import UINT32_MAX, At, anything, duration, items, matching, spec, text
from proxy.mesh.traffic.rate_limit import RateLimit
from proxy.mesh.traffic.routing import Cors, DirectResponse, FaultInjection


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """One of `http`: the first of which a `match` fits counts; without any, it fits all. Times in ms."""

    name: str = optional(text, "")
    match: tuple[Match, ...] = optional(items(match), ())
    route: tuple[Share, ...] | None = optional(items(struct(Share)), None)
    redirect: Redirecting | None = optional(redirecting, None)
    direct_response: DirectResponse | None = optional(direct_response, None)
    delegate: Delegate | None = optional(struct(Delegate), None)
    rewrite: Rewriting | None = optional(rewriting, None)
    timeout: int | None = optional(duration, None)
    retries: Retrying | None = optional(retrying, None)
    fault: FaultInjection | None = optional(fault_injection, None)
    mirror: Destination | None = optional(struct(Destination), None)
    mirrors: tuple[MirrorPolicy, ...] | None = optional(items(struct(MirrorPolicy)), None)
    mirror_percent: float | None = optional(percent, None)
    mirror_percentage: float | None = optional(percentage, None)
    cors_policy: Cors | None = optional(cors, None)
    headers: Headers | None = optional(headers, None)

    @property
    def is_last(self) -> bool:
        """Whether no request comes past it, whatever its port."""
        return not self.match or any(each.is_any and not each.port and each.for_mesh for each in self.match)


@dataclass(frozen=True, slots=True)
class VirtualService:
    """A valid one. `hosts` are expanded and in lower case; without any it is another's delegate. `export_to` holds
    namespaces, or only "*". `for_mesh`: it is not for ingress gateways alone."""

    manifest: Manifest
    hosts: tuple[str, ...]
    for_mesh: bool
    export_to: frozenset[str]
    http: tuple[Http, ...]
    rate_limits: tuple[RateLimit, ...] = ()
    tcp: tuple[Tcp, ...] = ()

    def visible_in(self, namespace: str) -> bool:
        """Whether it is exported to it."""
        return EVERYWHERE in self.export_to or namespace in self.export_to


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    hosts: tuple[str, ...] = optional(items(text), ())
    gateways: tuple[str, ...] = optional(gateways, ())
    http: tuple[Http, ...] = optional(items(struct(Http)), ())
    tcp: tuple[Tcp, ...] = optional(items(tcp), ())
    tls: tuple[object, ...] = optional(items(anything), ())
    export_to: tuple[str, ...] = optional(
        items(matching(lambda scope: scope in (".", EVERYWHERE) or names.is_label(scope), 'a namespace, "." or "*"')),
        (),
    )


def _for_mesh(found: _Spec) -> bool:
    return not found.gateways or MESH in found.gateways


def _hosts(at: At, found: _Spec) -> None:
    """For ingress gateways Istio takes more, and nobody here asks for it."""
    if not _for_mesh(found):
        return
    before = at.faults
    for index, host in enumerate(found.hosts):
        if host == "*":
            at.down("hosts", index).fault("must not be every host for the mesh; write *.example.com")
        elif not names.is_host(host) and not is_ip(host):
            at.down("hosts", index).fault(f'must be a host name ("*" only at its beginning), not {shown(host)}')
    for index, host in enumerate(found.hosts if at.faults == before else ()):
        if double := next((each for each in found.hosts[:index] if _overlap(each, host)), ""):
            at.down("hosts", index).fault(f"is given twice: {double} is the same, or covers it")


def _overlap(one: str, other: str) -> bool:
    if "*" in one and "*" in other:
        return one[1:].endswith(other[1:]) or other[1:].endswith(one[1:])
    wild, whole = (one, other) if "*" in one else (other, one)
    return one == other or ("*" in wild and whole.endswith(wild[1:]))


def _delegated(at: At, found: _Spec) -> None:
    """What rules may not have that stand in others' place."""
    if not found.hosts:
        for name in ("gateways", "tls", "tcp"):
            if getattr(found, name):
                at.down(name).fault("must not be given without hosts, which makes it another's delegate")
        for index, rule in enumerate(found.http):
            if rule.delegate:
                at.down("http", index, "delegate").fault("must not be given in what is a delegate itself (no hosts)")


def _rules(at: At, found: _Spec) -> None:
    if not (found.http or found.tcp or found.tls):
        at.fault("says nothing: give http, tcp or tls")
    for index, rule in enumerate(found.http):
        here = at.down("http", index)
        for name, said in _conflicts(rule, delegate=not found.hosts):
            here.down(name).fault(said)
        _authority(here, rule)
        _weights(here, rule)
        _prefixes(here, rule)
        _heads(here, rule)
    last = next((index for index, rule in enumerate(found.http) if rule.is_last), len(found.http))
    if last + 1 < len(found.http):
        at.down("http", last + 1).warn(f"is never reached, nor is what follows: http[{last}] takes every request")


def _conflicts(rule: Http, delegate: bool) -> Iterator[tuple[str, str]]:
    """Fields that exclude each other: where, and the text."""
    if rule.delegate and not delegate:
        for name in ("redirect", "route"):
            if getattr(rule, name) is not None:
                yield name, "cannot be used together with delegate"
        return
    first = next((name for name in ("redirect", "direct_response") if getattr(rule, name)), "")
    if first:
        shown_as = "directResponse" if first == "direct_response" else first
        others = [name for name in ("route", "fault", "rewrite", "direct_response") if name != first]
        for name in others:
            if getattr(rule, name):
                said = f"cannot be used together with {shown_as}"
                yield "directResponse" if name == "direct_response" else name, said
    elif not rule.route:
        yield "route", "is required, or redirect or directResponse"
    if rule.mirror and rule.mirrors:
        yield "mirrors", "cannot be used together with mirror"


def _authority(at: At, rule: Http) -> None:
    if rule.rewrite and rule.rewrite.authority and rule.headers and rule.headers.host:
        at.down("headers", "request").fault("gives the authority, which rewrite.authority gives too")


def _weights(at: At, rule: Http) -> None:
    weights = [each.weight for each in rule.route or ()]
    if len(weights) > 1 and not any(weights):
        at.down("route").fault("has no weight: the sum of all is 0")
    if sum(weights) > UINT32_MAX:
        at.down("route").fault(f"has more weight than {UINT32_MAX} in all")


def _prefixes(at: At, rule: Http) -> None:
    if rule.redirect and rule.redirect.prefix_rewrite and any(each.needs_whole_path for each in rule.match):
        at.down("redirect", "prefixRewrite").fault("needs match.uri.prefix in every match that has a uri")


def _heads(at: At, rule: Http) -> None:
    """That heads have room for what the rule puts in, and after it each of its destinations."""
    whole, own = rule.headers or Headers(), [each.headers or Headers() for each in rule.route or ()]
    host = rule.rewrite.authority if rule.rewrite and rule.rewrite.authority else whole.host
    for each in (Headers(), *own):
        requests = is_too_much((whole.request, each.request), host or each.host)
        if requests or is_too_much((whole.response, each.response)):
            at.down("headers").warn(f"{TOO_MUCH}, so requests of this rule get 500 (gRPC: 14)")
            return


def _export_rules(at: At, found: _Spec) -> None:
    meant = [at.manifest.namespace if scope == "." else scope for scope in found.export_to]
    for index, scope in enumerate(meant):
        if scope in meant[:index]:
            at.down("exportTo", index).fault(f"{shown(found.export_to[index])} is given twice")
    if EVERYWHERE in meant and len(set(meant)) > 1:
        at.down("exportTo").fault('"*" means all namespaces and must stand alone')


_spec = struct(_Spec, rules=(_hosts, _delegated, _rules, _export_rules))


def read(manifest: Manifest, body: Body, report: Report) -> VirtualService | None:
    """The VirtualService; None if there is something wrong with it."""
    found = spec(manifest, body, report, _spec, stored=is_stored(body))
    if found is None:
        return None
    if _for_mesh(found):
        written = body["spec"]
        assert isinstance(written, dict)
        virtual_in_force.tell(At(manifest, report).down("spec"), written)
    namespace = manifest.namespace
    return VirtualService(
        manifest=manifest,
        hosts=tuple(expanded(host, namespace) for host in found.hosts),
        for_mesh=_for_mesh(found),
        export_to=frozenset(namespace if each == "." else each for each in found.export_to) or frozenset({EVERYWHERE}),
        http=found.http,
        rate_limits=rate_limits(manifest, body, report),
        tcp=found.tcp,
    )
