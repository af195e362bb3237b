"""Builders for the tests of routes: HTTPRoutes and GRPCRoutes, what is read of one, and what a frontend has of them."""

from __future__ import annotations

from typing import Any

from proxy.mesh.kinds import grpc_route, http_route
from proxy.mesh.kinds.routes import Route
from proxy.mesh.model import Cluster
from proxy.mesh.reading.lines import Lines
from proxy.mesh.reading.metadata import manifest_of
from proxy.mesh.reading.remarks import Key
from proxy.mesh.reading.report import Report
from proxy.mesh.traffic.routing import Condition, Op, RouteRule, Routing
from tests.unit.mesh.mesh_rig import Object, clusters, gateway, hbone, namespace, service, thing

API = "gateway.networking.k8s.io"
TO_CART: Object = {"group": "", "kind": "Service", "name": "cart"}
TO_GATEWAY: Object = {"name": "wp"}
CART: Object = {"name": "cart", "port": 80}
TILL: Object = {"name": "till", "port": 80}
_READERS = {"HTTPRoute": http_route.read, "GRPCRoute": grpc_route.read}


def http(name: str = "r", *rules: Object, ns: str = "shop", parents: Any = (TO_CART,), **fields: Any) -> Object:
    """An HTTPRoute, of Service cart if nothing else is said; `created`: its creationTimestamp."""
    return _route("HTTPRoute", name, ns, list(parents), list(rules), fields)


def grpc(name: str = "g", *rules: Object, ns: str = "shop", parents: Any = (TO_CART,), **fields: Any) -> Object:
    """A GRPCRoute."""
    return _route("GRPCRoute", name, ns, list(parents), list(rules), fields)


def _route(kind: str, name: str, ns: str, parents: list[Object], rules: list[Object], fields: Object) -> Object:
    created = {"creationTimestamp": fields.pop("created")} if "created" in fields else {}
    spec = {"parentRefs": parents, **({"rules": rules} if rules else {}), **fields}
    return thing(kind, f"{API}/v1", name, ns, spec=spec, **created)


def grant(asker: str, ns: str, kind: str = "HTTPRoute", **to: Any) -> Object:
    """A ReferenceGrant of namespace `ns` for routes of `asker`."""
    spec = {
        "from": [{"group": API, "kind": kind, "namespace": asker}],
        "to": [{"group": "", "kind": "Service", **to}],
    }
    return thing("ReferenceGrant", f"{API}/v1beta1", "grant", ns, spec=spec)


def filtered(kind: str, **said: Any) -> Object:
    """A filter of that type."""
    name = {"URLRewrite": "urlRewrite", "CORS": "cors"}.get(kind, kind[0].lower() + kind[1:])
    return {"type": kind, name: said}


def read(
    *rules: Object, kind: str = "HTTPRoute", stored: bool = False, **spec: Any
) -> tuple[Route | None, list[str], list[str]]:
    """What is read of a route with these rules: it, the faults, the warnings, each with its field. `stored`: an API
    server has seen it."""
    body: Object = {
        "metadata": {"uid": "1"} if stored else {},
        "spec": {"parentRefs": [TO_CART], "rules": list(rules), **spec},
    }
    report = Report()
    route = _READERS[kind](manifest_of(Key(kind, "shop", "r"), body, Lines(0)), body, report)
    report.warnings += [each for rule in (route.rules if route else ()) for each in rule.remarks]
    faults, warnings = ([f"{each.field}: {each.text}" for each in said] for said in (report.faults, report.warnings))
    return route, faults, warnings


def around(*more: Object, ports: Any = None) -> tuple[Object, ...]:
    """A shop with the Services cart, which the waypoint serves, and till in namespace far, which it does not."""
    mine = (namespace(), gateway(hbone()), service(ports=ports), service("till"))
    return (*mine, namespace("far", {}), service("till", "far"), *more)


def routing(*more: Object, name: str = "shop/cart:80", ports: Any = None) -> Routing | None:
    """Of one frontend."""
    return clusters(*around(*more, ports=ports))[name].routing


def answers(cluster: Cluster | None) -> list[tuple[str, str]]:
    """Of a frontend, match by match: the conditions, and the rule's backends or the status it answers."""
    assert cluster is not None and cluster.routing is not None
    return pairs(cluster.routing)


def pairs(routing: Routing) -> list[tuple[str, str]]:
    return [(_asked(each.conditions), _done(routing.rules[each.rule])) for each in routing.matches]


def _asked(conditions: tuple[Condition, ...]) -> str:
    signs = {Op.IS: "=", Op.SEGMENTS: "^", Op.STARTS: "^", Op.LIKE: "~"}
    return " ".join(
        f"{each.part.value}{each.name and '.'}{each.name}{signs[each.op]}{each.text}" for each in conditions
    )


def _done(rule: RouteRule) -> str:
    if rule.redirect:
        return f"redirect {rule.redirect.status}"
    if rule.direct:
        return str(rule.direct.status)
    return " ".join(f"{each.cluster or each.status}*{each.weight}" for each in rule.backends)
