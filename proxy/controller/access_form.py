"""From AuthorizationPolicies to the form that workers read: what a value stands for is decided here. Pure.

Istio's generators (pilot/pkg/security/authz/model): what a principal, a namespace or a service account of a rule says
about the peer's SPIFFE ID, and what is left of a rule where there is no HTTP.
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from proxy.ipc.snapshot import AccessForm, AccessRuleForm, ShadowForm, ShadowsForm, TermForm, ValueForm
from proxy.mesh.traffic.access import HTTP_ONLY, AccessPolicy, AccessRule, Action, Fact, Term, Terms
from proxy.policy.tokens.claims import BETWEEN

CLUSTER_LOCAL = "cluster.local"
"""As the trust domain of a principal it stands for every one of the mesh."""
_PARTS = 5


def access_forms(policies: Sequence[AccessPolicy]) -> tuple[AccessForm, AccessForm]:
    """For requests, and for connections that carry none."""
    return _form(policies, lambda policy, rule: rule), _form(policies, _without_http)


def shadows_form(policies: Sequence[AccessPolicy]) -> ShadowsForm:
    """Of policies that have no say: those with action AUDIT as rules to deny, those that are tried out as they are."""
    audit = [replace(each, action=Action.DENY) for each in policies if each.action is Action.AUDIT]
    tried = [each for each in policies if each.action is not Action.AUDIT]
    http, tcp = ShadowForm(), ShadowForm()
    if audit:
        http["audit"], tcp["audit"] = access_forms(audit)
    if tried:
        http["dry_run"], tcp["dry_run"] = access_forms(tried)
    return ShadowsForm(http=http, tcp=tcp)


def _form(
    policies: Sequence[AccessPolicy], left: Callable[[AccessPolicy, AccessRule], AccessRule | None]
) -> AccessForm:
    rules: dict[Action, list[AccessRuleForm]] = {Action.DENY: [], Action.ALLOW: []}
    for policy in policies:
        for index, rule in enumerate(policy.rules):
            if (kept := left(policy, rule)) is not None:
                rules[policy.action].append(_rule(policy, index, kept))
    limited = any(policy.action is Action.ALLOW for policy in policies)
    return AccessForm(deny=rules[Action.DENY], allow=rules[Action.ALLOW], limited=limited)


def _without_http(policy: AccessPolicy, rule: AccessRule) -> AccessRule | None:
    """What is left of a rule on a connection: one that allows and asks for HTTP allows nothing; of one that denies only
    what asks for HTTP is left out, so that it denies more."""
    said = [*rule.sources, *rule.operations, rule.conditions]
    if policy.action is Action.ALLOW:
        return None if any(term.fact in HTTP_ONLY for terms in said for term in terms) else rule
    sources, operations = (tuple(map(_cut, each)) for each in (rule.sources, rule.operations))
    return AccessRule(sources, operations, _cut(rule.conditions))


def _cut(terms: Terms) -> Terms:
    return tuple(term for term in terms if term.fact not in HTTP_ONLY)


def _rule(policy: AccessPolicy, index: int, rule: AccessRule) -> AccessRuleForm:
    namespace, _, name = policy.name.partition("/")
    clauses = [each for each in (rule.sources, rule.operations) if each]
    clauses += [((term,),) for term in rule.conditions]
    return AccessRuleForm(
        name=f"ns[{namespace}]-policy[{name}]-rule[{index}]",
        clauses=[[[_term(term, namespace) for term in terms] for terms in clause] for clause in clauses],
    )


def _term(term: Term, namespace: str) -> TermForm:
    values = [form for value in term.values for form in _VALUES[term.fact](term, value, namespace)]
    return TermForm(negated=term.negated, values=values)


def _value(fact: str, op: str = "is", text: str = "", number: int = 0, header: str = "") -> ValueForm:
    return ValueForm(fact=fact, op=op, text=text, number=number, header=header)


def _pattern(fact: str, value: str, header: str = "", presence: str = "is_there") -> ValueForm:
    """Text with a * at one of its ends, or without."""
    if value == "*":
        return _value(fact, presence, header=header)
    if value.startswith("*"):
        return _value(fact, "ends", value[1:], header=header)
    if value.endswith("*"):
        return _value(fact, "starts", value[:-1], header=header)
    return _value(fact, "is", value, header=header)


def _text(fact: str) -> Callable[[Term, str, str], Iterator[ValueForm]]:
    def values(term: Term, value: str, namespace: str) -> Iterator[ValueForm]:
        yield _pattern(fact, value)

    return values


def _principal(term: Term, value: str, namespace: str) -> Iterator[ValueForm]:
    domain, _, rest = value.partition("/")
    if domain == CLUSTER_LOCAL and value.count("/") == _PARTS - 1:
        yield _pattern("workload", rest)
    else:
        yield _pattern("identity", value)


def _namespace(term: Term, value: str, namespace: str) -> Iterator[ValueForm]:
    yield _value("identity", "like", f"*/ns/{value}/*")


def _service_account(term: Term, value: str, namespace: str) -> Iterator[ValueForm]:
    where, _, name = value.rpartition("/")
    for between in ("", "/*"):
        for behind in ("", "/*"):
            yield _value("identity", "like", f"*/ns/{where or namespace}{between}/sa/{name}{behind}")


def _host(term: Term, value: str, namespace: str) -> Iterator[ValueForm]:
    yield _pattern("host", value.lower())


def _path(term: Term, value: str, namespace: str) -> Iterator[ValueForm]:
    yield _value("path", "follows", value) if "{" in value else _pattern("path", value)


def _header(term: Term, value: str, namespace: str) -> Iterator[ValueForm]:
    yield _pattern("header", value, term.key, "has")


def _claim(fact: Fact) -> Callable[[Term, str, str], Iterator[ValueForm]]:
    def values(term: Term, value: str, namespace: str) -> Iterator[ValueForm]:
        yield _pattern("claim", value, fact.value)

    return values


def _nested_claim(term: Term, value: str, namespace: str) -> Iterator[ValueForm]:
    yield _pattern("claim", value, term.key)


def _request_principal(term: Term, value: str, namespace: str) -> Iterator[ValueForm]:
    """Istio's requestPrincipalGenerator: issuer and subject are each like their part of the value."""
    issuer, slash, subject = value.rpartition("/")
    if not slash:  # of one * at an end the rest is the other's end
        issuer, subject = ("*", value) if value.startswith("*") else (value, "*") if value.endswith("*") else ("", "")
    fact, of = Fact.REQUEST_PRINCIPAL.value, f"{issuer}{BETWEEN}{subject}"
    if issuer == "*" and subject == "*":
        yield _value("claim", "has", header=fact)
    elif not issuer or not subject:
        return
    elif "*" not in of:
        yield _value("claim", "is", of, header=fact)
    elif of.count("*") == 1 and (of.startswith("*") or of.endswith("*")):
        yield _pattern("claim", of, fact)
    else:
        yield _value("claim", "like", of, header=fact)


def _port(term: Term, value: str, namespace: str) -> Iterator[ValueForm]:
    yield _value("port", number=int(value))


def _block(fact: str) -> Callable[[Term, str, str], Iterator[ValueForm]]:
    def values(term: Term, value: str, namespace: str) -> Iterator[ValueForm]:
        yield _value(fact, text=str(ipaddress.ip_network(value, strict=False)))

    return values


def _never(term: Term, value: str, namespace: str) -> Iterable[ValueForm]:
    """No TLS of the client's is let through."""
    return ()


_VALUES: Mapping[Fact, Callable[[Term, str, str], Iterable[ValueForm]]] = {
    Fact.PRINCIPAL: _principal,
    Fact.NAMESPACE: _namespace,
    Fact.SERVICE_ACCOUNT: _service_account,
    Fact.TRUST_DOMAIN: _text("trust_domain"),
    Fact.SOURCE_IP: _block("source"),
    Fact.REMOTE_IP: _block("source"),
    Fact.DESTINATION_IP: _block("destination"),
    Fact.HOST: _host,
    Fact.METHOD: _text("method"),
    Fact.PATH: _path,
    Fact.PORT: _port,
    Fact.HEADER: _header,
    Fact.REQUEST_PRINCIPAL: _request_principal,
    Fact.AUDIENCES: _claim(Fact.AUDIENCES),
    Fact.PRESENTER: _claim(Fact.PRESENTER),
    Fact.CLAIM: _nested_claim,
    Fact.SNI: _never,
}
