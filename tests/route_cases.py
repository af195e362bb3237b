"""HTTPRoutes and GRPCRoutes that an API server takes or refuses (the CRDs of the Gateway API, with their CEL).

What it refuses is told here too, when a file has it; what it takes is in force, but where `ours` says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Spec = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """`rule` is the second of a route. `stored`: the API server takes it. `ours`: what is told of it all the same."""

    id: str
    rule: Spec
    stored: bool = False
    ours: str = ""
    kind: str = "HTTPRoute"
    spec: Spec = field(default_factory=dict)

    @property
    def whole(self) -> Spec:
        """`spec` of the route."""
        to = {"group": "", "kind": "Service", "name": "cart"}
        return {"parentRefs": [to], "rules": [{"backendRefs": [CART]}, self.rule], **self.spec}


CART = {"name": "cart", "port": 80}


def path(value: str, kind: str = "PathPrefix") -> Spec:
    return {"matches": [{"path": {"type": kind, "value": value}}]}


def header(**said: str) -> Spec:
    return {"matches": [{"headers": [{"name": "a", "value": "b", **said}]}]}


def filtered(*filters: Spec, **rule: Any) -> Spec:
    return {"filters": list(filters), **rule}


def edits(**said: Any) -> Spec:
    return {"type": "RequestHeaderModifier", "requestHeaderModifier": said}


def redirect(**said: Any) -> Spec:
    return {"type": "RequestRedirect", "requestRedirect": said}


def rewrite(**said: Any) -> Spec:
    return {"type": "URLRewrite", "urlRewrite": said}


def mirror(**said: Any) -> Spec:
    return {"type": "RequestMirror", "requestMirror": {"backendRef": CART, **said}}


def cors(**said: Any) -> Spec:
    return {"type": "CORS", "cors": said}


SET = {"name": "a", "value": "b"}
PREFIX = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x"}
FULL = {"type": "ReplaceFullPath", "replaceFullPath": "/x"}
ONE = [{"path": {"value": "/a"}}]

NAMED = [{"name": "a", "sectionName": each} for each in ("b", "c")]
BAD_PATHS = ("a", "/a//b", "/./a", "/../a", "/a/.", "/a/..", "/%2f", "/a#", "/a b")
GOOD_PATHS = ("/a/", "/a..b", "/%41", "/a;b=c,d", "/.a", "/a:b@c")

CASES = [
    Case("M1", {}, stored=True),
    Case("M1-65", {"matches": [{"path": {"value": "/a"}}] * 65}),
    *(Case(f"M7-{each}", path(each)) for each in BAD_PATHS),
    *(Case(f"M7-{each}", path(each), stored=True) for each in GOOD_PATHS),
    Case("M7-long", path("/" + "a" * 1024)),
    Case("M8", path("/re/[a-z]+", "RegularExpression"), stored=True),
    Case("M8-RE2", path("(?=a)", "RegularExpression"), stored=True, ours="must be a regular expression"),
    Case("M9", {"matches": [{"method": "get"}]}),
    Case("M10", header(name="A", value="x"), stored=True),
    Case("M10-empty", header(value="")),
    Case("M10-name", header(name="a b")),
    Case("M14", path("/", "Glob")),
    Case("unknown", {"backendRef": []}),
    Case("F1", filtered({"type": "Odd"})),
    Case("F1-extension", filtered({"type": "ExtensionRef", "extensionRef": {"group": "a", "kind": "B", "name": "c"}}),
         stored=True, ours="ExtensionRef is not built"),
    Case("F2", filtered(edits(set=[SET]), edits(set=[SET]))),
    Case("F2-both", filtered(redirect(), rewrite())),
    Case("F2-backend", filtered(redirect(), backendRefs=[CART])),
    Case("F2-none", filtered({"type": "URLRewrite"})),
    Case("F2-mirrors", filtered(mirror(), mirror(), backendRefs=[CART]), stored=True),
    Case("F3", filtered(edits(set=[SET], add=[{**SET, "name": "c"}], remove=["d"])), stored=True),
    Case("F3-empty", filtered(edits(set=[{**SET, "value": ""}]))),
    Case("F5", filtered(edits(set=[{**SET, "name": ":path"}]))),
    Case("F5-host", filtered(edits(set=[{"name": "Host", "value": "a"}])), stored=True),
    Case("F5-framing", filtered(edits(set=[{"name": "Upgrade", "value": "a"}])), stored=True, ours="not a header"),
    Case("F7", filtered(redirect(statusCode=300))),
    Case("F8", filtered(redirect(scheme="ftp"))),
    Case("F9", filtered(redirect(hostname="*.a"))),
    Case("F11", filtered(rewrite(path=PREFIX), matches=ONE), stored=True),
    Case("F11-two", filtered(rewrite(path=PREFIX), matches=ONE * 2)),
    Case("F11-exact", filtered(redirect(path=PREFIX), **path("/a", "Exact"))),
    Case("F11-none", filtered(redirect(path=PREFIX)), stored=True),
    Case("F12", filtered(rewrite(path=FULL)), stored=True),
    Case("F12-both", filtered(rewrite(path={**FULL, **PREFIX}), matches=ONE)),
    Case("F14", filtered(mirror(percent=1, fraction={"numerator": 1}))),
    Case("F14-more", filtered(mirror(fraction={"numerator": 101}))),
    Case("C1", filtered(cors(allowOrigins=["*", "https://a"]))),
    Case("C1-form", filtered(cors(allowOrigins=["a.example"]))),
    Case("C1-star", filtered(cors(allowOrigins=["https://*.a.example:8443", "http://b"])), stored=True),
    Case("C4", filtered(cors(allowMethods=["get"]))),
    Case("B1", {"backendRefs": [{**CART, "weight": 1_000_001}]}),
    Case("B8", {"backendRefs": [{"name": "cart"}]}),
    Case("F17", {"backendRefs": [{**CART, "filters": [rewrite(path=PREFIX)]}], "matches": ONE}, stored=True),
    Case("F17-two", {"backendRefs": [{**CART, "filters": [rewrite(path=PREFIX)]}], "matches": ONE * 2}),
    Case("T1", {"timeouts": {"request": "1.5s"}}),
    Case("T1-zero", {"timeouts": {"request": "0s", "backendRequest": "1h2m3s4ms"}}, stored=True),
    Case("T2", {"timeouts": {"request": "1s", "backendRequest": "2s"}}),
    Case("H1", {}, spec={"hostnames": ["a.*"]}),
    Case("H1-case", {}, spec={"hostnames": ["A.example"]}),
    Case("H2", {}, stored=True, spec={"hostnames": ["*.example", "a-b.c"]}),
    Case("A7", {}, spec={"parentRefs": [{"name": "a"}, {"name": "a"}]}),
    Case("A7-one", {}, spec={"parentRefs": [{"name": "a"}, {"name": "a", "sectionName": "b"}]}),
    Case("A7-both", {}, stored=True, spec={"parentRefs": NAMED}),
    Case("G1", {"matches": [{"method": {"service": "a.B", "method": "C"}}]}, stored=True, kind="GRPCRoute"),
    Case("G1-slash", {"matches": [{"method": {"service": "a/B"}}]}, kind="GRPCRoute"),
    Case("G1-none", {"matches": [{"method": {}}]}, kind="GRPCRoute"),
    Case("G3", filtered(redirect()), kind="GRPCRoute"),
]  # fmt: skip
