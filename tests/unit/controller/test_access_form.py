"""AuthorizationPolicies from their text to a decision: the reference's worked examples (l7-policy.md 3.6, E) and rows
(3.1 to 3.3, Z), each named in the id of its test."""

from typing import Any

import pytest

from proxy.controller.access_form import access_forms
from proxy.policy.shapes import ALLOWED
from tests.unit.mesh.mesh_rig import clusters, shop, thing
from tests.unit.policy.accesses import Request, access_of, asked_of
from tests.unit.policy.interpreted import interpreted

REFS: dict[str, Any] = {"targetRefs": [{"kind": "Service", "group": "", "name": "cart"}]}
BAR = "spiffe://cluster.local/ns/foo/sa/bar"
BAR2 = "spiffe://cluster.local/ns/foo/sa/bar2"
ELSEWHERE = "spiffe://other/ns/foo/sa/bar"
X = "spiffe://cluster.local/ns/x/sa/bar"

policy = interpreted("access")


def source(**said: Any) -> dict[str, Any]:
    return {"from": [{"source": said}]}


def operation(**said: Any) -> dict[str, Any]:
    return {"to": [{"operation": said}]}


def when(key: str, **said: Any) -> dict[str, Any]:
    return {"when": [{"key": key, **said}]}


def allow(*rules: Any) -> dict[str, Any]:
    return {"rules": list(rules)} if rules else {}


def deny(*rules: Any) -> dict[str, Any]:
    return {"action": "DENY", "rules": list(rules)}


def dry(spec: dict[str, Any]) -> dict[str, Any]:
    return spec | {"dry": True}


def judged(specs: list[dict[str, Any]], request: Request) -> str:
    """`allow`, or the details of a denial."""
    objects = []
    for number, given in enumerate(specs):
        spec = dict(given)
        annotations = {"istio.io/dry-run": "true"} if spec.pop("dry", False) else {}
        made = thing("AuthorizationPolicy", "security.istio.io/v1", f"p{number}", "shop", spec=REFS | spec)
        made["metadata"]["annotations"] = annotations
        objects.append(made)
    found = clusters(*shop(*objects))["shop/cart:80"]
    assert not found.closed
    if not found.access:
        return "allow"
    requests, connections = access_forms(found.access)
    access, layout = access_of(requests if request.method else connections)
    ruling = policy.decide(access, asked_of(request, layout), [0] * policy.MEMO)
    return "allow" if ruling == ALLOWED else layout.names[ruling] if ruling >= 0 else "none"


def by(identity: str = BAR, method: str = "GET", path: str = "/", **more: Any) -> Request:
    return Request(identity=identity, method=method, path=path, **more)


def headers(*lines: tuple[str, str]) -> Request:
    return by(headers=lines)


NO, ONLY = "none", "allow"
ALICE = {"iss": "https://iss/x", "sub": "alice"}
FIRST = "ns[shop]-policy[p0]-rule[0]"
SECOND = "ns[shop]-policy[p1]-rule[0]"
NS_FOO = source(namespaces=["foo"])
ADMIN = operation(paths=["/admin*"])

CASES: dict[str, tuple[list[dict[str, Any]], list[tuple[Request, str]]]] = {
    "E1": ([], [(by(), ONLY)]),
    "E2,Z6": ([allow()], [(by(), NO)]),
    "E3,Z6": ([allow({})], [(by(""), ONLY)]),
    "E4,Z21": (
        [allow(source(principals=["cluster.local/ns/foo/sa/bar"]))],
        [(by(), ONLY), (by(BAR2), NO), (by(""), NO)],
    ),
    "Z21-suffix": ([allow(source(principals=["*/sa/bar"]))], [(by(), ONLY), (by(X), ONLY), (by(BAR2), NO)]),
    "Z25": ([deny(source(principals=["cluster.local/ns/foo/sa/bar"]))], [(by(ELSEWHERE), FIRST), (by(X), ONLY)]),
    "E5,Z22": (
        [allow(NS_FOO)],
        [(by(), ONLY), (by("spiffe://cluster.local/ns/foobar/sa/bar"), NO), (by(ELSEWHERE), ONLY)],
    ),
    "Z22-glob": (
        [allow(source(namespaces=["f*r"]))],
        [(by("spiffe://td/ns/foobar/sa/x"), ONLY), (by(), NO)],
    ),
    "E6": ([deny(source(notNamespaces=["foo"]))], [(by(), ONLY), (by(X), FIRST), (by(""), FIRST)]),
    "E7": ([deny(NS_FOO)], [(by(""), ONLY), (by(), FIRST)]),
    "E8": ([deny(source(notPrincipals=["*"]))], [(by(""), FIRST), (by(), ONLY)]),
    "E9,Z5": (
        [allow(NS_FOO), deny(ADMIN)],
        [(by(path="/admin/x"), SECOND), (by(), ONLY), (by(path="/ADMIN"), ONLY), (by(X), NO)],
    ),
    "E10,Z33": (
        [allow(operation(methods=["GET"]))],
        [(by(), ONLY), (by(method="HEAD"), NO), (by(method="POST"), NO), (by(method="get"), NO)],
    ),
    "E11,Z32": (
        [allow(operation(hosts=["a.com"]))],
        [(by(host="A.com"), ONLY), (by(host="a.com:8080"), NO)],
    ),
    "Z32-upper": ([allow(operation(hosts=["A.com*"]))], [(by(host="a.com:80"), ONLY), (by(host="b.com"), NO)]),
    "E12": ([deny(operation(hosts=["internal.a.com"]))], [(by(host="internal.a.com:80"), ONLY)]),
    "E13,Z34": (
        [allow(operation(paths=["/public"]))],
        [(by(path="/public"), ONLY), (by(path="/public/"), NO), (by(path="/public?x"), ONLY)],
    ),
    "E14": (
        [deny(operation(paths=["/admin"]))],
        [(by(path="/admin/"), ONLY), (by(path="//admin"), ONLY), (by(path="/admin;x"), ONLY)],
    ),
    "E15": (
        [allow(operation(paths=["*.css"]))],
        [(by(path="/a.css?x=1"), ONLY), (by(path="/admin/x.css"), ONLY), (by(path="/a.csss"), NO)],
    ),
    "E16": ([deny(operation(notPaths=["/public*"]))], [(by(path="/publicx"), ONLY), (by(path="/x"), FIRST)]),
    "E17,Z31": (
        [allow(when("request.headers[X-A]", values=["v1"]))],
        [(headers(("x-a", "v1"), ("X-A", "v2")), ONLY), (headers(("x-a", "v1,v2")), NO), (headers(), NO)],
    ),
    "E18,Z31": (
        [deny(when("request.headers[x-a]", notValues=["v1"]))],
        [(headers(), FIRST), (headers(("x-a", "v1")), ONLY), (headers(("x-a", "v2"), ("x-a", "v1")), ONLY)],
    ),
    "Z20-present": (
        [allow(when("request.headers[x-a]", values=["*"]))],
        [(headers(("x-a", "")), ONLY), (headers(), NO)],
    ),
    "Z20-literal": (
        [allow(operation(paths=["*foo*"]))],
        [(by(path="/foo*"), ONLY), (by(path="/a/foo/b"), NO)],
    ),
    "Z26": (
        [allow(source(ipBlocks=["10.1.2.0/24", "fd00::/8"]))],
        [(by(source="10.1.2.3"), ONLY), (by(source="10.1.3.3"), NO), (by(source="fd01::1"), ONLY), (by(source=""), NO)],
    ),
    "Z26-one": ([allow(source(ipBlocks=["10.1.2.3"]))], [(by(source="10.1.2.3"), ONLY), (by(source="10.1.2.4"), NO)]),
    "Z26-all": ([allow(source(ipBlocks=["0.0.0.0/0"]))], [(by(), ONLY), (by(source="fd01::1"), NO)]),
    "Z27,E19": (
        [allow(source(remoteIpBlocks=["10.1.2.0/24"]))],
        [(by(headers=[("x-forwarded-for", "10.1.2.3")]), NO), (by(source="10.1.2.9"), ONLY)],
    ),
    "E21,E26,Z28": (
        [allow(source(requestPrincipals=["*"]))],
        [(by(), NO), (by(claims=ALICE), ONLY), (by(claims={"iss": "a"}), NO), (by(claims=ALICE | {"sub": ""}), NO)],
    ),
    "E22": ([deny(source(notRequestPrincipals=["*"]))], [(by(), FIRST), (by(claims=ALICE), ONLY)]),
    "E23,Z28": (
        [allow(source(requestPrincipals=["https://iss/x/alice"]))],
        [(by(claims=ALICE), ONLY), (by(claims=ALICE | {"sub": "bob"}), NO), (by(claims={"sub": "x/alice"}), NO)],
    ),
    "Z28-last-slash": (
        [allow(source(requestPrincipals=["https://iss/x/a/b"]))],
        [(by(claims=ALICE | {"sub": "a/b"}), NO), (by(claims={"iss": "https://iss/x/a", "sub": "b"}), ONLY)],
    ),
    "Z28-any-issuer": (
        [allow(source(requestPrincipals=["*/alice"]))],
        [(by(claims=ALICE), ONLY), (by(claims=ALICE | {"iss": "b"}), ONLY), (by(claims=ALICE | {"sub": "alic"}), NO)],
    ),
    "Z28-any-subject": (
        [allow(source(requestPrincipals=["https://iss/x/*"]))],
        [(by(claims=ALICE), ONLY), (by(claims=ALICE | {"iss": "https://iss/xy"}), NO)],
    ),
    "Z28-suffix": (
        [allow(source(requestPrincipals=["*ce"]))],
        [(by(claims=ALICE), ONLY), (by(claims=ALICE | {"sub": "bob"}), NO), (by(claims=ALICE | {"sub": "e"}), NO)],
    ),
    "Z28-prefix": (
        [allow(source(requestPrincipals=["htt*"]))],
        [(by(claims=ALICE), ONLY), (by(claims=ALICE | {"iss": "x"}), NO)],
    ),
    "Z28-both-ends": (
        [allow(source(requestPrincipals=["htt*/al*"]))],
        [(by(claims=ALICE), ONLY), (by(claims=ALICE | {"sub": "bob"}), NO), (by(claims=ALICE | {"iss": "x"}), NO)],
    ),
    "Z28-no-slash": ([allow(source(requestPrincipals=["alice"]))], [(by(claims=ALICE), NO)]),
    "Z28-nul": ([allow(source(requestPrincipals=["*/b"]))], [(by(claims={"iss": "a\0", "sub": "a\0b"}), NO)]),
    "E24,Z30": (
        [allow(when("request.auth.claims[groups]", values=["admin"]))],
        [
            (by(claims={"groups": ["u", "admin"]}), ONLY),
            (by(claims={"groups": "admin"}), ONLY),
            (by(claims={"groups": "u admin"}), NO),
            (by(claims={}), NO),
        ],
    ),
    "E25,Z30": (
        [allow(when("request.auth.claims[n]", values=["5"]))],
        [(by(claims={"n": 5}), NO), (by(claims={"n": "5"}), ONLY), (by(claims={"n": [5]}), NO)],
    ),
    "E25,Z30-not": (
        [deny(when("request.auth.claims[n]", notValues=["5"]))],
        [(by(), FIRST), (by(claims={"n": True}), FIRST), (by(claims={"n": "5"}), ONLY)],
    ),
    "Z30-nested": (
        [allow(when("request.auth.claims[a][b]", values=["*"]))],
        [(by(claims={"a": {"b": "x"}}), ONLY), (by(claims={"a": {"b": ""}}), NO), (by(claims={"a.b": "x"}), NO)],
    ),
    "Z30-dotted": (
        [allow(when("request.auth.claims[a.b]", values=["x"]))],
        [(by(claims={"a.b": "x"}), ONLY), (by(claims={"a": {"b": "x"}}), NO)],
    ),
    "Z30-scope": (
        [allow(when("request.auth.claims[scope]", values=["read"]))],
        [(by(claims={"scope": "write read"}), ONLY), (by(claims={"scope": "reads"}), NO)],
    ),
    "Z29": (
        [allow(when("request.auth.audiences", values=["a*"]) | source(namespaces=["foo"]))],
        [(by(claims={"aud": ["b", "ab"]}), ONLY), (by(claims={"aud": "a"}), ONLY), (by(claims={"aud": "b"}), NO)],
    ),
    "Z29-presenter": (
        [allow(when("request.auth.presenter", values=["app"]))],
        [(by(claims={"azp": "app"}), ONLY), (by(claims={"azp": "ap"}), NO), (by(claims={}), NO)],
    ),
    "Z50-claims": ([allow(source(requestPrincipals=["*"]))], [(by(method="", claims=ALICE), NO)]),
    "E27,Z50": ([allow(operation(methods=["GET"]))], [(by(method=""), NO)]),
    "E28,Z51": ([deny(operation(methods=["POST"]))], [(by(method=""), FIRST)]),
    "E29,Z51": (
        [deny(operation(methods=["POST"], ports=["8080"]))],
        [(by(method="", port=9000), ONLY), (by(method="", port=8080), FIRST)],
    ),
    "Z50-kept": ([allow(operation(methods=["GET"]), NS_FOO)], [(by(method=""), ONLY), (by(X, method=""), NO)]),
    "E30,Z10": ([dry(allow(source(namespaces=["x"])))], [(by(), ONLY)]),
    "E31,Z10": ([dry(deny({})), allow(NS_FOO)], [(by(), ONLY), (by(X), NO)]),
    "E32,Z4": ([allow(NS_FOO), allow(source(namespaces=["x"]))], [(by(), ONLY), (by(X), ONLY), (by(""), NO)]),
    "E33,Z23": (
        [allow(source(serviceAccounts=["bar", "x/baz"]))],
        [
            (by("spiffe://td/ns/shop/sa/bar"), ONLY),
            (by(X), NO),
            (by("spiffe://td/ns/x/sa/baz"), ONLY),
            (by("spiffe://td/ns/shop/sa/barr"), NO),
        ],
    ),
    "Z24": (
        [allow(source(trustDomains=["*.corp"]))],
        [(by("spiffe://a.corp/ns/x/sa/y"), ONLY), (by("spiffe://td/ns/a.corp/sa/y"), NO)],
    ),
    "E34,Z35": (
        [allow(operation(paths=["/foo/{*}"]))],
        [
            (by(path="/foo/a"), ONLY),
            (by(path="/foo/a/b"), NO),
            (by(path="/foo/"), NO),
            (by(path="/foo/a%2fb"), ONLY),
        ],
    ),
    "Z35-rest": (
        [allow(operation(paths=["/foo/{**}"]))],
        [(by(path="/foo/"), ONLY), (by(path="/foo"), NO), (by(path="/foo/a/b"), ONLY)],
    ),
    "Z35-slash": (
        [allow(operation(paths=["/foo/{**}/"]))],
        [(by(path="/foo/bar/"), ONLY), (by(path="/foo/bar/baz.txt"), NO), (by(path="/foo/"), NO)],
    ),
    "Z35-middle": (
        [allow(operation(paths=["/{*}/b/{*}"]))],
        [(by(path="/a/b/c"), ONLY), (by(path="/a/c/c"), NO), (by(path="//b/c"), NO)],
    ),
    "Z36": ([allow(operation(ports=["80"]))], [(by(), ONLY), (by(port=8080), NO)]),
    "Z37": ([allow(when("destination.ip", values=["10.1.0.1"]))], [(by(), ONLY), (by(destination="10.1.0.2"), NO)]),
    "Z7-all": (
        [allow(NS_FOO | operation(methods=["GET"], paths=["/a", "/b"]) | when("request.headers[v]", values=["1"]))],
        [
            (by(path="/b", headers=[("v", "1")]), ONLY),
            (by(path="/c", headers=[("v", "1")]), NO),
            (by(path="/a"), NO),
            (by(X, path="/a", headers=[("v", "1")]), NO),
        ],
    ),
    "Z7-or": (
        [allow({"from": [{"source": {"namespaces": ["foo"]}}, {"source": {"ipBlocks": ["10.9.9.9"]}}]})],
        [(by(), ONLY), (by(X, source="10.9.9.9"), ONLY), (by(X), NO)],
    ),
    "Z28-of-no-form": (
        [deny(source(namespaces=["*"], notRequestPrincipals=["foo"], notTrustDomains=["other"]))],
        [(by(), "ns[shop]-policy[p0]-rule[0]"), (by(ELSEWHERE), ONLY)],
    ),
    "Z9-second": ([deny(ADMIN, operation(paths=["/x"]))], [(by(path="/x"), "ns[shop]-policy[p0]-rule[1]")]),
}


@pytest.mark.parametrize("name", CASES)
def test_examples(name: str) -> None:
    specs, expected = CASES[name]
    assert [(request, judged(specs, request)) for request, _ in expected] == expected
