"""AuthorizationPolicies and what is asked under them, as Hypothesis makes them up."""

from typing import Any

from hypothesis import strategies as st

from tests.reference.asked import Asked
from tests.unit.mesh.mesh_rig import Object, thing

_BLOCKS = ("10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "fd00::/8", "::/0", "10.1.2.0/25", "10.1.2.77/25")
_TEXTS = ("*", "foo", "foo*", "*bar", "bar", "a.com", "*oo*")
_PRINCIPALS = ("*", "td/ns/foo/sa/bar", "td/ns/foo*", "*/sa/bar", "cluster.local/ns/foo/sa/bar", "td/x", "*")
_NAMESPACES = ("foo", "f*", "*bar", "*", "f*r")
_ACCOUNTS = ("bar", "foo/bar", "bar/foo", "shop/bar")
_DOMAINS = ("td", "*", "t*", "*d", "cluster.local")
_SUBJECTS = ("*", "foo/bar", "*/bar", "foo/*", "*ar", "fo*", "f*/b*", "foo", "a/b/c")
_PATHS = ("/", "/foo", "/foo*", "*bar", "/foo/{*}", "/foo/{**}", "/{*}/bar", "/foo/{**}/", "*", "/a%2fb", "/foo/../x")
SOURCES = {
    **{"principals": _PRINCIPALS, "namespaces": _NAMESPACES, "trustDomains": _DOMAINS, "ipBlocks": _BLOCKS},
    **{"remoteIpBlocks": _BLOCKS, "requestPrincipals": _SUBJECTS},
}
OPERATIONS = {
    "hosts": ("a.com", "A.com*", "*.com", "*", "a.com:80"),
    "methods": ("GET", "P*", "*", "get"),
    "paths": _PATHS,
    "ports": ("80", "8080"),
}
CONDITIONS = {
    **{"source.principal": _PRINCIPALS, "source.namespace": _NAMESPACES, "source.serviceAccount": _ACCOUNTS},
    **{"source.trustDomain": _DOMAINS, "source.ip": _BLOCKS, "remote.ip": _BLOCKS, "destination.ip": _BLOCKS},
    **{"destination.port": ("80", "8080"), "request.auth.principal": _SUBJECTS, "request.auth.audiences": _TEXTS},
    **{"request.auth.presenter": _TEXTS, "request.headers[x-a]": _TEXTS, "request.headers[X_B]": _TEXTS},
    **{"request.auth.claims[g]": _TEXTS, "request.auth.claims[g][h]": _TEXTS, "request.auth.claims[scope]": _TEXTS},
}


def _some(values: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3)


def _fields(pool: dict[str, tuple[str, ...]]) -> st.SearchStrategy[Object]:
    """Some of them, each as it is or negated."""
    named = {name: values for name, values in pool.items()}
    named |= {f"not{name[0].upper()}{name[1:]}": values for name, values in pool.items()}
    return st.lists(st.sampled_from(sorted(named)), min_size=1, max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: _some(named[name]) for name in names})
    )


_ACCOUNTED = {"serviceAccounts": _ACCOUNTS, "ipBlocks": _BLOCKS}  # not together with identities
ALL = frozenset((*SOURCES, *_ACCOUNTED, *OPERATIONS, *CONDITIONS))
"""What policies may go by."""
_lists = st.sampled_from(("values", "notValues", "both"))


@st.composite
def _conditions(draw: st.DrawFn, by: frozenset[str]) -> Object:
    key, which = draw(st.sampled_from(sorted(by & CONDITIONS.keys()))), draw(_lists)
    names = ("values", "notValues") if which == "both" else (which,)
    return {"key": key, **{name: draw(_some(CONDITIONS[key])) for name in names}}


@st.composite
def _rules(draw: st.DrawFn, by: frozenset[str]) -> Object:
    made: Object = {}
    pools = [{name: each[name] for name in sorted(by & each.keys())} for each in (SOURCES, _ACCOUNTED)]
    if sources := draw(st.lists(st.one_of(*(_fields(each) for each in pools if each)), max_size=2)):
        made["from"] = [{"source": each} for each in sources]
    operated = {name: OPERATIONS[name] for name in sorted(by & OPERATIONS.keys())}
    if operations := draw(st.lists(_fields(operated), max_size=2)):
        made["to"] = [{"operation": each} for each in operations]
    if conditions := draw(st.lists(_conditions(by), max_size=2)):
        made["when"] = conditions
    return made


_CART = {"kind": "Service", "group": "", "name": "cart"}
_WHERE: tuple[tuple[str, list[Object]], ...] = (
    *[("shop", [_CART])] * 6,
    ("shop", [{"kind": "Gateway", "group": "gateway.networking.k8s.io", "name": "wp"}]),
    ("istio-system", [{"kind": "GatewayClass", "group": "gateway.networking.k8s.io", "name": "istio-waypoint"}]),
    ("far", [_CART]),
    ("shop", [_CART | {"name": "till"}]),
    ("shop", []),
)


@st.composite
def policies(draw: st.DrawFn, by: frozenset[str] = ALL) -> list[Object]:
    """One to three, whose rules go by these."""
    return [_policy(draw, number, by) for number in range(draw(st.integers(1, 3)))]


def _policy(draw: st.DrawFn, number: int, by: frozenset[str]) -> Object:
    namespace, targets = draw(st.sampled_from(_WHERE))
    action = draw(st.sampled_from(("ALLOW", "ALLOW", "DENY", "DENY", "AUDIT")))
    spec: Object = {"action": action, **({"targetRefs": targets} if targets else {})}
    spec["rules"] = draw(st.lists(_rules(by), min_size=action == "DENY", max_size=3))
    annotations = {"istio.io/dry-run": "true"} if draw(st.integers(0, 9)) == 0 else {}
    made = thing("AuthorizationPolicy", "security.istio.io/v1", f"p{number}", namespace, spec=spec)
    made["metadata"]["annotations"] = annotations
    return made


_NAMES = ("foo", "foobar", "bar")
_IDENTITIES = ("", *(f"spiffe://{td}/ns/{ns}/sa/bar" for td in ("td", "cluster.local") for ns in (*_NAMES, "shop")))
_SAID: Any = st.sampled_from(("", *_NAMES, "a/b", "foo bar")) | st.lists(st.sampled_from((*_NAMES, 1)), max_size=2)
_CLAIMS = st.none() | st.dictionaries(
    st.sampled_from(("iss", "sub", "aud", "azp", "g", "scope")),
    _SAID | st.dictionaries(st.just("h"), _SAID) | st.integers(),
    max_size=4,
)
PIECES = (
    "/foo",
    "/foo/",
    "/bar",
    "/a/b",
    "/.",
    "/..",
    "/%2e%2e",
    "/%66oo",
    "%2f",
    "\\",
    "/;x",
    "/..;x",
    "/%00",
    "//",
    "/a%2fb",
)
TARGETS = (
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join).map(lambda text: f"/{text.lstrip('/')}")
)
REQUESTS = st.builds(
    Asked,
    method=st.sampled_from(("GET", "POST", "get", "")),
    path=st.sampled_from(("/", "/foo", "/foo/", "/foo/a", "/foo/a/", "/x/bar", "/foo/a/b?c", "/bar")) | TARGETS,
    host=st.sampled_from(("a.com", "A.COM", "a.com:80", "b")),
    headers=st.lists(st.tuples(st.sampled_from(("x-a", "X_b", "x-b")), st.sampled_from(("", *_NAMES))), max_size=3).map(
        tuple
    ),
    identity=st.sampled_from(_IDENTITIES),
    source=st.sampled_from(("", "10.1.2.3", "10.1.2.200", "11.0.0.1", "fd00::1", "2001:db8::1")),
    dialled=st.sampled_from(("10.1.2.3", "fd00::1")),
    port=st.sampled_from((80, 8080)),
    claims=_CLAIMS,
)
