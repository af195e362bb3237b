"""HTTPRoutes and VirtualServices of Service shop/cart and what is asked under them, as Hypothesis makes them up."""

from typing import Any

from hypothesis import strategies as st

from tests.reference.asked import Asked
from tests.reference.drawn_policies import TARGETS
from tests.unit.mesh.mesh_rig import Object, thing

_PREFIXES = ("/", "/v2", "/v2/", "/V2", "/v2/x", "/a", "/foo", "/a%20b")
_EXPRESSIONS = ("/re/[a-z]+", "/v2.*", "/a|/b.*", "/v2/?x?", "/.*")
_VALUES = ("one", "two", "t.o", "1")


def _one_of(*choices: Any) -> Any:
    return st.sampled_from(choices)


def _strategy(**fields: Any) -> st.SearchStrategy[Object]:
    """Any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


_paths = st.one_of(
    st.builds(lambda value: {"value": value}, _one_of(*_PREFIXES)),
    st.builds(lambda value: {"type": "Exact", "value": value}, _one_of("/", "/v2", "/v2/x", "/a")),
    st.builds(lambda value: {"type": "RegularExpression", "value": value}, _one_of(*_EXPRESSIONS)),
)


def _named(*names: str) -> st.SearchStrategy[list[Object]]:
    """Values of different names."""
    one = st.fixed_dictionaries(
        {"name": _one_of(*names), "value": _one_of(*_VALUES)}, optional={"type": _one_of("Exact", "RegularExpression")}
    )
    return st.lists(one, max_size=2, unique_by=lambda each: each["name"].lower())


_matches = _strategy(
    path=_paths, method=_one_of("GET", "POST"), headers=_named("x-a", "X-B"), queryParams=_named("e", "E", "f")
)
_rules = st.fixed_dictionaries({}, optional={"matches": st.lists(_matches, min_size=1, max_size=3)})
_PARENT = {"group": "", "kind": "Service", "name": "cart", "namespace": "shop"}


@st.composite
def routes(draw: st.DrawFn) -> list[Object]:
    """One to three HTTPRoutes."""
    return [_route(draw, name) for name in draw(st.permutations("rst"))[: draw(st.integers(1, 3))]]


def _route(draw: st.DrawFn, name: str) -> Object:
    parent = _PARENT | draw(_strategy(port=_one_of(80, 8080)))
    made = thing(
        *("HTTPRoute", "gateway.networking.k8s.io/v1", name, draw(_one_of("shop", "shop", "far"))),
        creationTimestamp=draw(_one_of("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z")),
        spec={"parentRefs": [parent], "rules": draw(st.lists(_rules, min_size=1, max_size=3))},
    )
    for rule in made["spec"]["rules"]:
        rule["backendRefs"] = [{"name": "cart", "namespace": "shop", "port": 80}]
    return made


_texts = st.one_of(
    st.builds(lambda value: {"exact": value}, _one_of("one", "two", "GET", "cart", "http")),
    st.builds(lambda value: {"prefix": value}, _one_of("o", "GE", "c", "http")),
    st.builds(lambda value: {"regex": value}, _one_of("t.o", "o.*", "G?E?T?", "[a-z]+")),
)
_uris = st.one_of(
    st.builds(lambda value: {"exact": value}, _one_of("/", "/v2", "/V2", "/a")),
    st.builds(lambda value: {"prefix": value}, _one_of("/", "/v2", "/V", "/v2/")),
    st.builds(lambda value: {"regex": value}, _one_of(*_EXPRESSIONS)),
)
_present: st.SearchStrategy[Object] = st.just({})
_headers = st.dictionaries(_one_of("x-a", "x-b", "@request.auth.claims.g"), _texts | _present, max_size=2)
_virtual_matches = _strategy(
    uri=_uris,
    ignoreUriCase=st.booleans(),
    headers=_headers,
    withoutHeaders=_headers,
    queryParams=st.dictionaries(_one_of("e", "f"), _texts, max_size=2),
    method=_texts,
    authority=_texts,
    scheme=_texts,
    port=_one_of(80, 8080),
    sourceNamespace=_one_of("shop", "far"),
).filter(bool)
_TO_CART = [{"destination": {"host": "cart", "port": {"number": 80}}}]
_virtual_rules = st.builds(
    lambda said: said | {"route": _TO_CART}, _strategy(match=st.lists(_virtual_matches, min_size=1, max_size=3))
)
virtuals = st.builds(
    lambda rules: thing(
        "VirtualService", "networking.istio.io/v1", "v", "shop", spec={"hosts": ["cart"], "http": rules}
    ),
    st.lists(_virtual_rules, min_size=1, max_size=4),
)
_QUERIES = _one_of("", "", "?", "?e", "?e=one", "?E=one&e=two", "?e=one&e=two", "?f=two&e=1", "?%65=one", "?e=t%77o")
_PATHS = _one_of("/", "/v2", "/v2/", "/v2/x", "/v2x", "/V2", "/a", "/ab", "/re/abc", "/re/a1", "/v2//x", "/a%20b")
REQUESTS = st.builds(
    Asked,
    method=_one_of("GET", "POST", "HEAD", "get"),
    path=st.builds(str.__add__, _PATHS | TARGETS, _QUERIES),
    host=_one_of("cart", "one", "Cart"),
    headers=st.lists(
        st.tuples(_one_of("x-a", "X-A", "x-b", "X_a"), _one_of("", "one", "two", "one,two", "1")), max_size=3
    ).map(tuple),
    identity=_one_of("", "spiffe://td/ns/shop/sa/x", "spiffe://td/ns/far/sa/x", "spiffe://td/ns/other/sa/x"),
    port=_one_of(80, 8080),
    claims=_one_of(None, {"g": "one"}, {"g": ["x", "two"]}, {"g": 5}, {"h": "one"}, {"g": ""}),
)
