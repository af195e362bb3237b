"""Which rule of HTTPRoutes and VirtualServices a request is for: here, and in Envoy 1.40 with the routes that istiod
makes of them (pilot/pkg/networking/core/route). What Envoy cannot be told here (claims, clients' namespaces, other
ports) the reference alone says.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.hbone.envoy import Json, running
from tests.integration.http_rig import Client
from tests.reference import routing
from tests.reference.asked import Asked
from tests.reference.cases import seeds
from tests.reference.chance import Chance
from tests.reference.drawn_routes import asked, http_routes, virtual
from tests.reference.test_routing import compiled
from tests.rig import free_port
from tests.unit.mesh.mesh_rig import Object

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
SETS = 200
UNTOLD = ("port", "sourceNamespace")


def request(chance: Chance) -> Asked:
    """One that Envoy can be sent."""
    return replace(asked(chance), port=80, identity="", claims=None)


def httproutes(chance: Chance) -> list[Object]:
    """Those of the Service's namespace and all its ports."""
    made = [each for each in http_routes(chance) if each["metadata"]["namespace"] == "shop"]
    for each in made:
        each["spec"]["parentRefs"][0].pop("port", None)
    return made


def virtuals(chance: Chance) -> list[Object]:
    made = virtual(chance)
    for rule in made[0]["spec"]["http"]:
        for match in rule.get("match", ()):
            for name in UNTOLD:
                match.pop(name, None)
            for name in ("headers", "withoutHeaders"):
                match.get(name, {}).pop("@request.auth.claims.g", None)
            match.setdefault("uri", {"prefix": "/"})
    return made


# -- routes as istiod makes them --------------------------------------------------------------------------------------


def text(said: Json, **more: Any) -> Json:
    """A string matcher of a VirtualService."""
    ((kind, value),) = said.items()
    return {"safe_regex": {"regex": value}} if kind == "regex" else {kind: value, **more}


def path(said: Object) -> Json:
    kind, value = said.get("type", "PathPrefix"), said["value"]
    if kind != "PathPrefix":
        return {"path": value} if kind == "Exact" else {"safe_regex": {"regex": value}}
    return {"path_separated_prefix": value.rstrip("/")} if value != "/" else {"prefix": "/"}


def named(said: Object) -> Json:
    how = {"safe_regex": {"regex": said["value"]}} if said.get("type") == "RegularExpression" else None
    return {"name": said["name"], "string_match": how or {"exact": said["value"]}}


def of_route(match: Object) -> Json:
    """A match of an HTTPRoute."""
    method = [{"name": ":method", "string_match": {"exact": match["method"]}}] if "method" in match else []
    return {
        **path(match.get("path", {"value": "/"})),
        "headers": [*method, *map(named, match.get("headers", ()))],
        "query_parameters": [named(each) for each in match.get("queryParams", ())],
    }


def header(name: str, said: Json, without: bool = False) -> Json:
    if not said:
        return {"name": name, "present_match": True, "invert_match": without}
    inverted = {"invert_match": True, "treat_missing_header_as_empty": True} if without else {}
    return {"name": name, "string_match": text(said), **inverted}


def of_virtual(match: Object) -> Json:
    """A match of a VirtualService."""
    ((kind, value),) = match.get("uri", {"prefix": "/"}).items()
    how = {"regex": {"safe_regex": {"regex": value}}, "exact": {"path": value}, "prefix": {"prefix": value}}[kind]
    heads = [header(f":{name}", match[name]) for name in ("method", "authority", "scheme") if name in match]
    heads += [header(name, said) for name, said in match.get("headers", {}).items()]
    heads += [header(name, said, without=True) for name, said in match.get("withoutHeaders", {}).items()]
    asked_for = [{"name": name, "string_match": text(said)} for name, said in match.get("queryParams", {}).items()]
    folded = {"case_sensitive": False} if match.get("ignoreUriCase") and kind != "regex" else {}
    return how | folded | {"headers": heads, "query_parameters": asked_for}


def in_order(objects: list[Object]) -> Iterator[tuple[str, Json]]:
    """Rule and match; of routes by rank, as istiod sorts them."""
    found = []
    for each in objects:
        name = f"{each['kind']} {each['metadata']['namespace']}/{each['metadata']['name']}"
        if each["kind"] == "VirtualService":
            for at, rule in enumerate(each["spec"]["http"]):
                yield from ((f"{name} {at}", of_virtual(match)) for match in rule.get("match", [{}]))
            continue
        for at, rule in enumerate(each["spec"]["rules"]):
            for match in rule.get("matches", [{}]):
                found.append(((*routing.rank(match), *routing.age(each), at), f"{name} {at}", of_route(match)))
    yield from ((name, match) for _, name, match in sorted(found, key=lambda one: one[0]))


def configuration(port: int, sets: list[list[Object]]) -> Json:
    """All sets, told apart by a header; each route says which rule it is."""
    routes = []
    for at, objects in enumerate(sets):
        mine = {"name": "x-set", "string_match": {"exact": str(at)}}
        for name, match in in_order(objects):
            told = [{"header": {"key": "x-rule", "value": name}}]
            match["headers"].append(mine)
            routes.append({"match": match, "direct_response": {"status": 200}, "response_headers_to_add": told})
    manager = {
        "@type": f"{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "routes",
        "normalize_path": True,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{EXTENSIONS}.http.router.v3.Router"}}],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"static_resources": {"listeners": [{"name": "http", "address": address, "filter_chains": [chain]}]}}


def theirs(port: int, at: int, each: Asked) -> str:
    """The rule that Envoy has found."""
    lines = [f"x-set: {at}", *map(": ".join, each.headers)]
    with Client(port) as client:
        head, _ = client.ask(each.host, each.path, *lines, method=each.method)
    assert head.status in (200, 404), (head, each)
    return head["x-rule"] if head.status == 200 else routing.NOBODY


@pytest.mark.parametrize(
    "make",
    [pytest.param(httproutes, id="M2-M15-HTTPRoute"), pytest.param(virtuals, id="V2-V5-VirtualService")],
)
def test_the_same_requests_are_for_the_same_rules(make: Any, tmp_path: Path) -> None:
    cases: list[tuple[list[Object], list[Asked]]] = []
    for seed in seeds(SETS):
        chance = Chance(seed)
        cases.append((make(chance), chance.some(partial(request, chance), 10, 10)))
    cases = [each for each in cases if each[0]]
    port, found = free_port(), set()
    with running(tmp_path, "routes", configuration(port, [objects for objects, _ in cases])):
        for at, (objects, requests) in enumerate(cases):
            made = compiled(objects)[80]
            for each in requests:
                ours = made.rule(each)
                if ours == routing.AMBIGUOUS or each.method == "get" or "%00" in each.path:
                    continue  # Envoy refuses such a method, and such a path whatever the routes are
                assert ours == theirs(port, at, each), (objects, each)
                found.add(ours)
    assert len(cases) > 100 and routing.NOBODY in found and len(found) > 4, (len(cases), found)
