"""The routes of a frontend, put together: whose rules, in which order, and what each of them comes to.

GEP-1294: clients of a namespace that has routes of its own for a Service (consumer routes) are served by these alone,
all others by those of the Service's namespace (producer routes); nothing is merged across. GEP-1731, M2 of the Gateway
API's matching: of all matches of a group the most special is asked first, then the older route's, then by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from proxy.mesh.kinds.routes import KIND_CONFLICT, BackendRef, MirrorRef, ParentRef, Route, Rule
from proxy.mesh.kinds.services import Service, ServicePort
from proxy.mesh.model import Cluster
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving import backends
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.traffic.routing import (
    Backend,
    Condition,
    DirectResponse,
    Mirror,
    Op,
    Part,
    Redirect,
    RouteMatch,
    RouteRule,
    Routing,
)

_UNAVAILABLE, _UNIMPLEMENTED = 14, 12
_FAILED = DirectResponse(500, grpc_status=_UNAVAILABLE)
_OF_GATEWAYS = "are of listeners of Gateways: a route of a Service is for all requests for it, whatever their Host"
_NOT_FOUND = RouteRule("", direct=DirectResponse(404, grpc_status=_UNIMPLEMENTED, details="route_not_found"))


def routed(
    service: Service, clusters: Mapping[int, Cluster], inventory: Inventory, report: Report
) -> Mapping[int, Cluster]:
    """The clusters of a Service that clients ask for, by port, with what routes say of each."""
    attached = inventory.routes.attached(service.manifest.key)
    if not attached:
        return clusters
    ports = [each for each in service.ports if each.number in clusters and clusters[each.number].protocol != "tcp"]
    for route in attached:
        _tell_unfit(route, service, ports, report)
        if route.hostnames and all(each.key and each.key.kind != "Gateway" for each in route.parents):
            report.warn(route.manifest, ("spec", "hostnames"), _OF_GATEWAYS)
    made = dict(clusters)
    for port in ports:
        here = [route for route in attached if any(_fits(each, service, port) for each in route.parents)]
        if here:
            routing = _of_service(service, port, here, inventory, report)
            made[port.number] = replace(clusters[port.number], routing=routing)
    return made


def _of_service(
    service: Service, port: ServicePort, attached: Sequence[Route], inventory: Inventory, report: Report
) -> Routing:
    groups: dict[str, list[Route]] = {}
    for route in attached:
        groups.setdefault(route.manifest.namespace, []).append(route)
    producers = groups.pop(service.manifest.namespace, [])
    table = Table(port.number, inventory, report, service.manifest.namespace)
    for namespace, consumers in sorted(groups.items()):
        theirs = (Condition(Part.NAMESPACE, Op.IS, namespace),)
        table.add(_of_one_kind(consumers, report), theirs)
        table.end(_NOT_FOUND, theirs)
    table.add(_of_one_kind(producers, report))
    if not producers:
        itself = Backend(f"{service.id}:{port.number}")
        table.end(RouteRule("default", backends=(itself,)))
    return table.routing()


def _fits(parent: ParentRef, service: Service, port: ServicePort) -> bool:
    mine = parent.key == service.manifest.key
    return mine and parent.port in (0, port.number) and parent.section in ("", port.name)


def _tell_unfit(route: Route, service: Service, ports: Sequence[ServicePort], report: Report) -> None:
    for parent in route.parents:
        if parent.key == service.manifest.key and not any(_fits(parent, service, port) for port in ports):
            known = ", ".join(f"{port.number} ({port.name})" if port.name else str(port.number) for port in ports)
            text = f"NoMatchingParent: of {service.manifest.kind} {service.id} there is no such port for HTTP here"
            report.warn(route.manifest, parent.path, f"{text}; there is {known or 'none'}")


def _of_one_kind(routes: Iterable[Route], report: Report) -> list[Route]:
    """HTTPRoutes and GRPCRoutes are never merged: the oldest says which of them are in force."""
    ordered = sorted(routes, key=lambda route: route.age)
    for route in ordered:
        first = ordered[0].manifest
        if route.manifest.kind != first.kind:
            text = f"{KIND_CONFLICT}: {first.kind} {first.id} is older and attaches to the same, so it is not in force"
            report.warn(route.manifest, ("spec", "parentRefs"), text)
    return [route for route in ordered if route.manifest.kind == ordered[0].manifest.kind]


class Table:
    """Collects matches and rules of one frontend. `port`, `scheme`: which redirects lead back to. `home`: the namespace
    of the Service that it is, to which all may refer; "": it is the Gateway's, whose backends in other namespaces need
    a ReferenceGrant. Of a Service's it is only said that there is none, unless the Gateway asks for them."""

    def __init__(self, port: int, inventory: Inventory, report: Report, home: str = "", scheme: str = "http") -> None:
        self._port = port
        self._scheme = scheme
        self._inventory = inventory
        self._report = report
        self._home = home
        self._matches: list[RouteMatch] = []
        self._rules: list[RouteRule] = []

    def add(self, routes: Sequence[Route], first: tuple[Condition, ...] = ()) -> None:
        """Routes whose matches are ordered among each other; all of these have the conditions `first` as well."""
        found: list[tuple[tuple[object, ...], RouteMatch]] = []
        for route in routes:
            for rule in route.rules:
                number = self._put(self._rule(route, rule).under(route.rate_limits, route.id))
                found += (
                    ((each.rank, route.age, rule.index), RouteMatch(number, (*first, *each.conditions)))
                    for each in rule.matches
                )
        self._matches += (match for _, match in sorted(found, key=lambda pair: pair[0]))

    def end(self, rule: RouteRule, conditions: tuple[Condition, ...] = ()) -> None:
        """What becomes of all other requests for which these conditions hold."""
        self._matches.append(RouteMatch(self._put(rule), conditions))

    def routing(self) -> Routing:
        """What has come together."""
        return Routing(tuple(self._matches), tuple(self._rules))

    def _put(self, rule: RouteRule) -> int:
        self._rules.append(rule)
        return len(self._rules) - 1

    def _rule(self, route: Route, rule: Rule) -> RouteRule:
        name = f"{route.manifest.kind} {route.manifest.id} rule {rule.name or rule.index}"
        self._report.warnings += rule.remarks
        if rule.broken:
            return RouteRule(name, direct=_FAILED)
        filters = rule.filters
        chosen = tuple(self._backend(route, each) for each in rule.backends if each.weight)
        return RouteRule(
            name,
            backends=chosen,
            redirect=self._redirect(filters.redirect),
            direct=None if chosen or filters.redirect else _FAILED,
            request=filters.request,
            response=filters.response,
            rewrite=filters.rewrite,
            mirrors=tuple(self._mirrors(route, filters.mirrors)),
            cors=filters.cors,
            retries=rule.retries,
            persistence=rule.persistence,
        )

    def _redirect(self, redirect: Redirect | None) -> Redirect | None:
        return redirect and replace(redirect, own_port=self._port, own_scheme=self._scheme)

    def _backend(self, route: Route, ref: BackendRef) -> Backend:
        filters = ref.filters
        return Backend(
            self._cluster(route, ref, "its share of the requests gets 500 (gRPC: 14)"),
            ref.weight,
            request=filters.request,
            response=filters.response,
            rewrite=filters.rewrite,
            redirect=self._redirect(filters.redirect),
        )

    def _mirrors(self, route: Route, refs: Iterable[MirrorRef]) -> Iterator[Mirror]:
        for ref in refs:
            if cluster := self._cluster(route, ref, "nothing is mirrored there"):
                yield Mirror(cluster, ref.numerator, ref.denominator)

    def _cluster(self, route: Route, ref: BackendRef | MirrorRef, else_what: str) -> str:
        """Its name, or "", which is told."""
        cluster, why = backends.found(ref.to, self._inventory)
        if cluster and ref.to.namespace != self._home and not self._inventory.routes.granted(route, ref.to):
            text = f"no ReferenceGrant of namespace {ref.to.namespace} lets {route.manifest.kind}s of "
            text += f"{route.manifest.namespace} refer to it"
            if not self._home or self._inventory.gateway.asks_grants:
                cluster, why = "", f"RefNotPermitted: {text}"
            else:
                text += "; requests go there all the same, as in Istio: routes of Services need none"
                self._report.warn(route.manifest, ref.to.path, text, together=True)
        if why:
            self._report.warn(route.manifest, ref.to.path, f"{why}, so {else_what}")
        return cluster
