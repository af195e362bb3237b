"""Who gets in: the compiled decision against the interpreted one, and both against Istio's words, taken literally."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.controller.access_form import access_forms
from proxy.mesh.traffic.access import AccessPolicy, AccessRule, Action, Fact, Term
from proxy.policy.shapes import ALLOWED
from tests.instruments.inspect_access import CompiledAccess
from tests.unit.policy.accesses import Request, access_of, asked_of
from tests.unit.policy.interpreted import interpreted

policy = interpreted("access")

NAMES = ("foo", "foobar", "bar")
STARRED = st.sampled_from(("*", "foo", "foo*", "*bar", "bar", "a.com"))
PRINCIPALS = st.sampled_from(("*", "td/ns/foo/sa/bar", "td/ns/foo*", "*/sa/bar", "cluster.local/ns/foo/sa/bar", "td/x"))
PATHS = st.sampled_from(("/", "/foo", "/foo*", "*bar", "/foo/{*}", "/foo/{**}", "/{*}/bar", "/foo/{**}/", "*"))
BLOCKS = st.sampled_from(("10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "fd00::/8", "::/0", "10.1.2.0/25"))
VALUES = {
    Fact.PRINCIPAL: PRINCIPALS,
    Fact.NAMESPACE: st.sampled_from(("foo", "f*", "*bar", "*")),
    Fact.SERVICE_ACCOUNT: st.sampled_from(("bar", "foo/bar", "bar/foo")),
    Fact.TRUST_DOMAIN: st.sampled_from(("td", "*", "t*", "*d", "cluster.local")),
    Fact.SOURCE_IP: BLOCKS,
    Fact.DESTINATION_IP: BLOCKS,
    Fact.HOST: st.sampled_from(("a.com", "A.com*", "*.com", "*")),
    Fact.METHOD: st.sampled_from(("GET", "P*", "*")),
    Fact.PATH: PATHS,
    Fact.PORT: st.sampled_from(("80", "8080")),
    Fact.HEADER: STARRED,
    Fact.REQUEST_PRINCIPAL: st.sampled_from(("*", "foo/bar", "*/bar", "foo/*", "*ar", "fo*", "f*/b*", "foo", "a/b/c")),
    Fact.AUDIENCES: STARRED,
    Fact.PRESENTER: STARRED,
    Fact.CLAIM: STARRED,
}


@st.composite
def terms(draw: st.DrawFn) -> Term:
    fact = draw(st.sampled_from(list(VALUES)))
    values = tuple(draw(st.lists(VALUES[fact], min_size=1, max_size=3)))
    keys = {Fact.HEADER: ("x-a", "x-b"), Fact.CLAIM: ("[g]", "[g][h]")}
    return Term(fact, values, draw(st.booleans()), draw(st.sampled_from(keys.get(fact, ("",)))))


SOME = st.lists(terms(), min_size=1, max_size=3).map(tuple)
RULES = st.builds(
    AccessRule,
    sources=st.lists(SOME, max_size=2).map(tuple),
    operations=st.lists(SOME, max_size=2).map(tuple),
    conditions=st.lists(terms(), max_size=2).map(tuple),
)
POLICIES = st.lists(
    st.builds(
        AccessPolicy,
        name=st.just("foo/p"),
        action=st.sampled_from((Action.ALLOW, Action.DENY)),
        rules=st.lists(RULES, max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=3,
)
IDENTITIES = ("", *(f"spiffe://{td}/ns/{ns}/sa/bar" for td in ("td", "cluster.local") for ns in NAMES))
SAID = st.sampled_from(("", *NAMES, "a/b")) | st.lists(st.sampled_from((*NAMES, 1)), max_size=2)
CLAIMS = st.none() | st.dictionaries(
    st.sampled_from(("iss", "sub", "aud", "azp", "g")), SAID | st.dictionaries(st.just("h"), SAID) | st.integers()
)
REQUESTS = st.builds(
    Request,
    claims=CLAIMS,
    identity=st.sampled_from(IDENTITIES),
    method=st.sampled_from(("GET", "POST")),
    path=st.sampled_from(("/", "/foo", "/foo/", "/foo/a", "/foo/a/", "/x/bar", "/foo/a/b?c", "/bar")),
    host=st.sampled_from(("a.com", "A.COM", "a.com:80", "b")),
    headers=st.lists(st.tuples(st.sampled_from(("x-a", "X-B")), st.sampled_from(("", *NAMES))), max_size=3),
    source=st.sampled_from(("", "10.1.2.3", "10.1.2.200", "11.0.0.1", "fd00::1", "2001:db8::1")),
    destination=st.sampled_from(("10.1.2.3", "fd00::1")),
    port=st.sampled_from((80, 8080)),
)


@given(POLICIES, REQUESTS)
def test_compiled_interpreted_and_as_istio_says(policies: list[AccessPolicy], request: Request) -> None:
    form, _ = access_forms(policies)
    access, layout = access_of(form)
    asked = asked_of(request, layout)
    ruling = policy.decide(access, asked, [0] * policy.MEMO)
    assert CompiledAccess(form).decide(asked) == ruling
    assert (ruling == ALLOWED) is literally(policies, request)


# -- Istio's words, taken literally -----------------------------------------------------------------------------------


def literally(policies: Sequence[AccessPolicy], request: Request) -> bool:
    """Whether the request gets in."""
    rules = {action: [r for p in policies if p.action is action for r in p.rules] for action in Action}
    if any(matches(rule, request) for rule in rules[Action.DENY]):
        return False
    limited = any(each.action is Action.ALLOW for each in policies)
    return not limited or any(matches(rule, request) for rule in rules[Action.ALLOW])


def matches(rule: AccessRule, request: Request) -> bool:
    sources = not rule.sources or any(all(holds(term, request) for term in terms) for terms in rule.sources)
    operations = not rule.operations or any(all(holds(term, request) for term in terms) for terms in rule.operations)
    return sources and operations and all(holds(term, request) for term in rule.conditions)


def holds(term: Term, request: Request) -> bool:
    return any(has(term, value, request) for value in term.values) is not term.negated


def has(term: Term, value: str, request: Request) -> bool:
    bare = request.identity.removeprefix("spiffe://")
    if term.fact is Fact.PRINCIPAL:
        return bool(bare) and principal(value, bare)
    if term.fact is Fact.NAMESPACE:
        namespace = re.escape(value).replace(r"\*", ".*")
        return bool(re.fullmatch(f".*/ns/{namespace}/.*", request.identity))
    if term.fact is Fact.SERVICE_ACCOUNT:
        where, _, name = value.rpartition("/")
        return bool(re.fullmatch(f"spiffe://.+/ns/{where or 'foo'}/(.+/|)sa/{name}(/.+)?", request.identity))
    if term.fact in (Fact.SOURCE_IP, Fact.DESTINATION_IP):
        return inside(value, request.source if term.fact is Fact.SOURCE_IP else request.destination)
    if term.fact is Fact.PATH and "{" in value:
        pattern = re.escape(value).replace(r"\{\*\*\}", ".*").replace(r"\{\*\}", "[^/]+")
        return bool(re.fullmatch(pattern, request.path.partition("?")[0]))
    if term.fact is Fact.REQUEST_PRINCIPAL:
        return token_principal(value, request.claims or {})
    if term.fact in (Fact.AUDIENCES, Fact.PRESENTER, Fact.CLAIM):
        return any(starred(value, text) for text in said(term, request.claims or {}))
    if term.fact is Fact.HEADER:
        lines = [text for name, text in request.headers if name.lower() == term.key]
        return any(value == "*" or starred(value, text) for text in lines)
    return any(starred(value.lower() if term.fact is Fact.HOST else value, text) for text in texts(term.fact, request))


def texts(fact: Fact, request: Request) -> list[str]:
    domain = request.identity.removeprefix("spiffe://").partition("/")[0]
    known = {
        Fact.TRUST_DOMAIN: domain,
        Fact.HOST: request.host.lower(),
        Fact.METHOD: request.method,
        Fact.PATH: request.path.partition("?")[0],
        Fact.PORT: str(request.port),
    }
    return [known[fact]] if known.get(fact) else []


def principal(value: str, bare: str) -> bool:
    rest = value.removeprefix("cluster.local/")
    if rest != value and value.count("/") == 4:
        return starred(rest, bare.partition("/")[2])
    return starred(value, bare)


def said(term: Term, claims: Mapping[str, Any]) -> list[str]:
    """The texts of a claim."""
    found = claims.get({Fact.AUDIENCES: "aud", Fact.PRESENTER: "azp"}.get(term.fact, "g"))
    if term.key == "[g][h]":
        found = found.get("h") if isinstance(found, dict) else None
    listed = found if isinstance(found, list) else [found]
    return [each for each in listed if isinstance(each, str)]


def token_principal(value: str, claims: Mapping[str, Any]) -> bool:
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not isinstance(issuer, str) or not isinstance(subject, str) or not issuer or not subject:
        return False
    of_issuer, slash, of_subject = value.rpartition("/")
    if slash:
        return starred(of_issuer, issuer) and starred(of_subject, subject)
    if value.startswith("*"):
        return starred(value, subject)
    return value.endswith("*") and starred(value, issuer)


def starred(value: str, text: str) -> bool:
    if value == "*":
        return bool(text)
    if value.startswith("*"):
        return text.endswith(value[1:])
    return text.startswith(value[:-1]) if value.endswith("*") else text == value


def inside(block: str, address: str) -> bool:
    network = ipaddress.ip_network(block)
    return bool(address) and ipaddress.ip_address(address) in network
