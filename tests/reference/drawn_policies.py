"""AuthorizationPolicies and what is asked under them, made up."""

from collections.abc import Mapping
from typing import Any

from tests.reference.asked import Asked
from tests.reference.chance import Chance
from tests.reference.paths import MODES
from tests.unit.mesh.mesh_rig import Object, thing

Pool = Mapping[str, tuple[str, ...]]
_BLOCKS = ("10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "fd00::/8", "::/0", "10.1.2.0/25", "10.1.2.77/25")
_TEXTS = ("*", "foo", "foo*", "*bar", "bar", "a.com", "*oo*")
_PRINCIPALS = ("*", "td/ns/foo/sa/bar", "td/ns/foo*", "*/sa/bar", "cluster.local/ns/foo/sa/bar", "td/x", "*")
_NAMESPACES = ("foo", "f*", "*bar", "*", "f*r")
_ACCOUNTS = ("bar", "foo/bar", "bar/foo", "shop/bar")
_DOMAINS = ("td", "*", "t*", "*d", "cluster.local")
_SUBJECTS = ("*", "foo/bar", "*/bar", "foo/*", "*ar", "fo*", "f*/b*", "foo", "a/b/c")
_PATHS = ("/", "/foo", "/foo*", "*bar", "/foo/{*}", "/foo/{**}", "/{*}/bar", "/foo/{**}/", "*", "/a%2fb", "/foo/../x")
SOURCES: Pool = {
    **{"principals": _PRINCIPALS, "namespaces": _NAMESPACES, "trustDomains": _DOMAINS, "ipBlocks": _BLOCKS},
    **{"remoteIpBlocks": _BLOCKS, "requestPrincipals": _SUBJECTS},
}
OPERATIONS: Pool = {
    "hosts": ("a.com", "A.com*", "*.com", "*", "a.com:80"),
    "methods": ("GET", "P*", "*", "get"),
    "paths": _PATHS,
    "ports": ("80", "8080"),
}
CONDITIONS: Pool = {
    **{"source.principal": _PRINCIPALS, "source.namespace": _NAMESPACES, "source.serviceAccount": _ACCOUNTS},
    **{"source.trustDomain": _DOMAINS, "source.ip": _BLOCKS, "remote.ip": _BLOCKS, "destination.ip": _BLOCKS},
    **{"destination.port": ("80", "8080"), "request.auth.principal": _SUBJECTS, "request.auth.audiences": _TEXTS},
    **{"request.auth.presenter": _TEXTS, "request.headers[x-a]": _TEXTS, "request.headers[X_B]": _TEXTS},
    **{"request.auth.claims[g]": _TEXTS, "request.auth.claims[g][h]": _TEXTS, "request.auth.claims[scope]": _TEXTS},
}
_ACCOUNTED: Pool = {"serviceAccounts": _ACCOUNTS, "ipBlocks": _BLOCKS}  # not together with identities
ALL = frozenset((*SOURCES, *_ACCOUNTED, *OPERATIONS, *CONDITIONS))
"""What policies may go by."""
_CART = {"kind": "Service", "group": "", "name": "cart"}
_WHERE: tuple[tuple[str, list[Object]], ...] = (
    *[("shop", [_CART])] * 6,
    ("shop", [{"kind": "Gateway", "group": "gateway.networking.k8s.io", "name": "wp"}]),
    ("istio-system", [{"kind": "GatewayClass", "group": "gateway.networking.k8s.io", "name": "istio-waypoint"}]),
    ("far", [_CART]),
    ("shop", [_CART | {"name": "till"}]),
    ("shop", []),
)


def policies(chance: Chance, by: frozenset[str] = ALL) -> list[Object]:
    """One to three, whose rules go by these."""
    return [_policy(chance, number, by) for number in range(chance.one(1, 2, 3))]


def _policy(chance: Chance, number: int, by: frozenset[str]) -> Object:
    namespace, targets = chance.of(_WHERE)
    action = chance.one("ALLOW", "ALLOW", "DENY", "DENY", "AUDIT")
    spec: Object = {"action": action, **({"targetRefs": targets} if targets else {})}
    spec["rules"] = chance.some(lambda: _rule(chance, by), action == "DENY", 3)
    annotations = {"istio.io/dry-run": "true"} if chance.of(range(10)) == 0 else {}
    made = thing("AuthorizationPolicy", "security.istio.io/v1", f"p{number}", namespace, spec=spec)
    made["metadata"]["annotations"] = annotations
    return made


def _rule(chance: Chance, by: frozenset[str]) -> Object:
    made: Object = {}
    pools = [pool for pool in (_only(SOURCES, by), _only(_ACCOUNTED, by)) if pool]
    operated, keys = _only(OPERATIONS, by), sorted(by & CONDITIONS.keys())
    if sources := chance.some(lambda: _fields(chance, chance.of(pools)), 0, 2):
        made["from"] = [{"source": each} for each in sources]
    if operations := chance.some(lambda: _fields(chance, operated), 0, 2):
        made["to"] = [{"operation": each} for each in operations]
    if conditions := chance.some(lambda: _condition(chance, chance.of(keys)), 0, 2):
        made["when"] = conditions
    return made


def _only(pool: Pool, by: frozenset[str]) -> Pool:
    return {name: values for name, values in pool.items() if name in by}


def _fields(chance: Chance, pool: Pool) -> Object:
    """One or two of them, each as it is or negated."""
    named = {name: values for name, values in pool.items()}
    named |= {f"not{name[0].upper()}{name[1:]}": values for name, values in pool.items()}
    return {name: _values(chance, named[name]) for name in chance.among(list(named), 1, 2)}


def _condition(chance: Chance, key: str) -> Object:
    names = chance.one(("values",), ("notValues",), ("values", "notValues"))
    return {"key": key, **{name: _values(chance, CONDITIONS[key]) for name in names}}


def _values(chance: Chance, pool: tuple[str, ...]) -> list[str]:
    return chance.some(lambda: chance.of(pool), 1, 3)


# -- what is asked ----------------------------------------------------------------------------------------------------

_NAMES = ("foo", "foobar", "bar")
_IDENTITIES = ("", *(f"spiffe://{td}/ns/{ns}/sa/bar" for td in ("td", "cluster.local") for ns in (*_NAMES, "shop")))
_PIECES = (
    *("/foo", "/foo/", "/bar", "/a/b", "/.", "/..", "/%2e%2e", "/%66oo", "%2f", "\\", "/;x", "/..;x", "/%00", "//"),
    "/a%2fb",
)
_PLAIN = ("/", "/foo", "/foo/", "/foo/a", "/foo/a/", "/x/bar", "/foo/a/b?c", "/bar")


def target(chance: Chance) -> str:
    """A path that has to be normalised."""
    return "/" + "".join(chance.some(lambda: chance.of(_PIECES), 1, 3)).lstrip("/")


def asked(chance: Chance) -> Asked:
    """A request, or a connection."""
    return Asked(
        method=chance.one("GET", "POST", "get", ""),
        path=chance.one(chance.of(_PLAIN), target(chance)),
        host=chance.one("a.com", "A.COM", "a.com:80", "b"),
        headers=tuple(chance.some(lambda: (chance.one("x-a", "X_b", "x-b"), chance.one("", *_NAMES)), 0, 3)),
        identity=chance.of(_IDENTITIES),
        source=chance.one("", "10.1.2.3", "10.1.2.200", "11.0.0.1", "fd00::1", "2001:db8::1"),
        dialled=chance.one("10.1.2.3", "fd00::1"),
        port=chance.one(80, 8080),
        claims=chance.one(None, _claims(chance)),
        mode=chance.of(MODES),
    )


def _claims(chance: Chance) -> Object:
    names = chance.among(("iss", "sub", "aud", "azp", "g", "scope"), 0, 4)
    return {name: chance.one(_said(chance), {"h": _said(chance)}, {}, 5) for name in names}


def _said(chance: Chance) -> Any:
    text = chance.one("", *_NAMES, "a/b", "foo bar")
    return chance.one(text, text, chance.some(lambda: chance.one(*_NAMES, 1), 0, 2))
