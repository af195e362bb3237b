"""HTTPRoutes, GRPCRoutes and VirtualServices of Service shop/cart, and what is asked under them, made up."""

from typing import Any

from tests.reference.asked import Asked
from tests.reference.chance import Chance
from tests.reference.drawn_policies import target
from tests.unit.mesh.mesh_rig import Object, thing

_PREFIXES = ("/", "/v2", "/v2/", "/V2", "/v2/x", "/a", "/foo", "/a%20b", "/a.B", "/a.B/C")
_EXACT = ("/", "/v2", "/v2/x", "/a", "/a.B/C")
_EXPRESSIONS = ("/re/[a-z]+", "/v2.*", "/a|/b.*", "/v2/?x?", "/.*")
_VALUES = ("one", "two", "t.o", "1")
_PARENT = {"group": "", "kind": "Service", "name": "cart", "namespace": "shop"}
_AGES = ("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z")


def routes(chance: Chance) -> list[Object]:
    """One to three, of one kind or of both."""
    kinds = chance.one(("HTTPRoute",), ("HTTPRoute",), ("GRPCRoute",), ("HTTPRoute", "HTTPRoute", "GRPCRoute"))
    return [_route(chance, chance.of(kinds), name) for name in chance.among("rst", 1, 3)]


def http_routes(chance: Chance) -> list[Object]:
    """One to three HTTPRoutes."""
    return [_route(chance, "HTTPRoute", name) for name in chance.among("rst", 1, 3)]


def _route(chance: Chance, kind: str, name: str) -> Object:
    match = _http_match if kind == "HTTPRoute" else _grpc_match
    rules = chance.some(lambda: chance.any_of(matches=lambda: chance.some(lambda: match(chance), 1, 3)), 1, 3)
    to = {"backendRefs": [{"name": "cart", "namespace": "shop", "port": 80}]}
    parent = _PARENT | chance.any_of(port=lambda: chance.one(80, 8080))
    spec = {"parentRefs": [parent], "rules": [each | to for each in rules]}
    where = chance.one("shop", "shop", "far")
    return thing(kind, "gateway.networking.k8s.io/v1", name, where, creationTimestamp=chance.of(_AGES), spec=spec)


def _http_match(chance: Chance) -> Object:
    return chance.any_of(
        path=lambda: _path(chance),
        method=lambda: chance.one("GET", "POST"),
        headers=lambda: _named(chance, "x-a", "X-B"),
        queryParams=lambda: _named(chance, "e", "E", "f"),
    )


def _grpc_match(chance: Chance) -> Object:
    return chance.any_of(method=lambda: _method(chance), headers=lambda: _named(chance, "x-a", "X-B"))


def _path(chance: Chance) -> Object:
    kind = chance.one("Exact", "PathPrefix", "RegularExpression")
    if kind == "PathPrefix":
        return {"value": chance.of(_PREFIXES)}
    return {"type": kind, "value": chance.of(_EXACT if kind == "Exact" else _EXPRESSIONS)}


def _method(chance: Chance) -> Object:
    said = {"service": chance.one("a.B", "a", "a.Bc"), "method": chance.one("C", "Cd", "x")}
    if expressions := chance.one(False, False, True):
        said = {"service": chance.one("a..", "a|b", "[a-z]+"), "method": chance.one("C.*", "C|x")}
    kept = chance.among(list(said), 1, 2)
    return {name: said[name] for name in kept} | ({"type": "RegularExpression"} if expressions else {})


def _named(chance: Chance, *names: str) -> list[Object]:
    """Values of different names."""
    kept = {name.lower(): name for name in chance.among(names, 0, 2)}
    kind = {"type": lambda: chance.one("Exact", "RegularExpression")}
    return [{"name": name, "value": chance.of(_VALUES), **chance.any_of(**kind)} for name in kept.values()]


# -- VirtualServices --------------------------------------------------------------------------------------------------

_TO_CART = [{"destination": {"host": "cart", "port": {"number": 80}}}]


def virtual(chance: Chance) -> list[Object]:
    """One, of one to four rules."""
    rules = chance.some(
        lambda: chance.any_of(match=lambda: chance.some(lambda: _virtual_match(chance), 1, 3)) | {"route": _TO_CART},
        *(1, 4),
    )
    return [thing("VirtualService", "networking.istio.io/v1", "v", spec={"hosts": ["cart"], "http": rules})]


def _virtual_match(chance: Chance) -> Object:
    return chance.any_of(
        uri=lambda: _uri(chance),
        ignoreUriCase=lambda: chance.one(True, False),
        headers=lambda: _headers(chance),
        withoutHeaders=lambda: _headers(chance),
        queryParams=lambda: {name: _text(chance) for name in chance.among(("e", "f"), 0, 2)},
        method=lambda: _text(chance),
        authority=lambda: _text(chance),
        scheme=lambda: _text(chance),
        port=lambda: chance.one(80, 8080),
        sourceNamespace=lambda: chance.one("shop", "far"),
    ) or {"method": _text(chance)}


def _uri(chance: Chance) -> Object:
    exact, prefix = chance.one("/", "/v2", "/V2", "/a"), chance.one("/", "/v2", "/V", "/v2/")
    return chance.one({"exact": exact}, {"prefix": prefix}, {"regex": chance.of(_EXPRESSIONS)})


def _text(chance: Chance) -> Object:
    exact, prefix = chance.one("one", "two", "GET", "cart", "http"), chance.one("o", "GE", "c", "http")
    return chance.one({"exact": exact}, {"prefix": prefix}, {"regex": chance.one("t.o", "o.*", "G?E?T?", "[a-z]+")})


def _headers(chance: Chance) -> Object:
    return {
        name: chance.one(_text(chance), _text(chance), {})
        for name in chance.among(("x-a", "x-b", "@request.auth.claims.g"), 0, 2)
    }


# -- what is asked ----------------------------------------------------------------------------------------------------

_QUERIES = ("", "", "?", "?e", "?e=one", "?E=one&e=two", "?e=one&e=two", "?f=two&e=1", "?%65=one", "?e=t%77o")
_PATHS = ("/", "/v2", "/v2/", "/v2/x", "/v2x", "/V2", "/a", "/ab", "/re/abc", "/re/a1", "/v2//x", "/a%20b")
_CALLS = ("/a.B/C", "/a.B/Cd", "/a.B/", "/a.B", "/a/C", "/a.Bc/x", "/a.B/C/x", "/b/x", "//C", "/A.B/C")
_CLAIMS: tuple[Any, ...] = (None, {"g": "one"}, {"g": ["x", "two"]}, {"g": 5}, {"h": "one"}, {"g": ""})


def asked(chance: Chance) -> Asked:
    """A request."""
    path = chance.one(chance.of(_PATHS), chance.of(_CALLS), target(chance))
    lines = chance.some(
        lambda: (chance.one("x-a", "X-A", "x-b", "X_a"), chance.one("", "one", "two", "one,two", "1")), 0, 3
    )
    return Asked(
        method=chance.one("GET", "POST", "HEAD", "get"),
        path=path + chance.of(_QUERIES),
        host=chance.one("cart", "one", "Cart"),
        headers=tuple(lines),
        identity=chance.one("", *(f"spiffe://td/ns/{each}/sa/x" for each in ("shop", "far", "other"))),
        port=chance.one(80, 8080),
        claims=chance.of(_CLAIMS),
    )
