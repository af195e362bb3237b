"""The rules of an AuthorizationPolicy: every field of a source, an operation and a condition, read and checked.

Rules are those of Istio's ValidateAuthorizationPolicy (pkg/config/validation, pkg/config/security). A value that could
not be meant is a fault, and a policy with one is as good as not there: what it guards is closed (guards.py).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import cast

from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import At, Check, Given, fields, filled, items, text
from proxy.mesh.traffic.access import OF_TOKENS, AccessRule, Action, Fact, Term, Terms

_MOST = 16
"""Service accounts of a source."""
_Check = Callable[[At, str], None]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CLAIM = re.compile(r"(\[[^\[\]]+\])+")
_TEMPLATE_PARTS = ("{*}", "{**}")


def _free(at: At, value: str) -> None:
    """Anything."""


def _starred(at: At, value: str) -> None:
    """One `*` stands for anything, at one end, or as the whole."""
    if value.count("*") > 1 or "*" in value[1:-1]:
        at.warn(f"{shown(value)}: one * works, at the beginning or at the end; any other is taken as it stands")


def _request_principal(at: At, value: str) -> None:
    """ISSUER/SUBJECT, each of them with a * at one end or as the whole; or a * at one end of both."""
    issuer, _, subject = value.rpartition("/")
    if any(each.count("*") > 1 or "*" in each[1:-1] for each in (issuer, subject)):
        at.fault(f"must be ISSUER/SUBJECT, each with * at most at one end, not {shown(value)}")


def _trust_domain(at: At, value: str) -> None:
    if "/" in value or value.count("*") > 1 or "*" in value[1:-1]:
        at.fault(f"must be the name of a trust domain, with * at most at one end, not {shown(value)}")


def _service_account(at: At, value: str) -> None:
    namespace, slash, name = value.rpartition("/")
    if "*" in value or "/" in namespace or not name or (slash and not namespace):
        at.fault(f"must be NAME or NAMESPACE/NAME, without *, not {shown(value)}")


def _block(at: At, value: str) -> None:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        at.fault(f"must be an IP address or a CIDR block, not {shown(value)}")


def _port(at: At, value: str) -> None:
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65535):
        at.fault(f"must be a port, from 1 to 65535, not {shown(value)}")


def _path(at: At, value: str) -> None:
    if not ("{*}" in value or "{**}" in value):
        _starred(at, value)
        if "{" in value or "}" in value:
            at.fault(f"may have {{*}} and {{**}} as whole segments, and no other braces, not {shown(value)}")
        return
    segments = value.split("/")
    if any(set(each) & set("*{}") and each not in _TEMPLATE_PARTS for each in segments):
        at.fault(f"must have {{*}} and {{**}} as whole segments, and no other *, {{ or }}, not {shown(value)}")
    elif "{**}" in segments[: -2 if not segments[-1] else -1]:
        at.fault(f"may have {{**}} as the last segment only, not {shown(value)}")


def _values(good: _Check, most: int = 0) -> Check[tuple[str, ...]]:
    """A list of texts that are not empty."""

    def one(at: At, value: object) -> str | None:
        before = at.faults
        found = filled(at, value)
        if found is not None:
            good(at, found)
        return found if at.faults == before else None

    listed = items(one)

    def check(at: At, value: object) -> tuple[str, ...] | None:
        found = listed(at, value)
        if found and most and len(found) > most:
            at.fault(f"has {len(found)} values; at most {most} are allowed")
        return found

    return check


_SOURCE: Mapping[str, tuple[Fact, Check[tuple[str, ...]]]] = {
    "principals": (Fact.PRINCIPAL, _values(_starred)),
    "requestPrincipals": (Fact.REQUEST_PRINCIPAL, _values(_request_principal)),
    "namespaces": (Fact.NAMESPACE, _values(_free)),
    "serviceAccounts": (Fact.SERVICE_ACCOUNT, _values(_service_account, _MOST)),
    "ipBlocks": (Fact.SOURCE_IP, _values(_block)),
    "remoteIpBlocks": (Fact.REMOTE_IP, _values(_block)),
    "trustDomains": (Fact.TRUST_DOMAIN, _values(_trust_domain)),
}
_OPERATION: Mapping[str, tuple[Fact, Check[tuple[str, ...]]]] = {
    "hosts": (Fact.HOST, _values(_starred)),
    "ports": (Fact.PORT, _values(_port)),
    "methods": (Fact.METHOD, _values(_starred)),
    "paths": (Fact.PATH, _values(_path)),
}
_WHEN: Mapping[Fact, _Check] = {
    Fact.PRINCIPAL: _starred,
    Fact.NAMESPACE: _free,
    Fact.SERVICE_ACCOUNT: _service_account,
    Fact.TRUST_DOMAIN: _trust_domain,
    Fact.SOURCE_IP: _block,
    Fact.REMOTE_IP: _block,
    Fact.REQUEST_PRINCIPAL: _request_principal,
    Fact.AUDIENCES: _starred,
    Fact.PRESENTER: _starred,
    Fact.DESTINATION_IP: _block,
    Fact.PORT: _port,
    Fact.SNI: _starred,
}


def _negation(name: str) -> str:
    return f"not{name[0].upper()}{name[1:]}"


def _terms(
    table: Mapping[str, tuple[Fact, Check[tuple[str, ...]]]], what: str, rules: tuple[Callable[[At, Given], None], ...]
) -> Check[Terms]:
    """A source or an operation: all that it says must match."""
    checks = {name: check for name, (_, check) in table.items()}
    shape = fields(checks | {_negation(name): check for name, check in checks.items()}, (), rules)

    def check(at: At, value: object) -> Terms | None:
        found = shape(at, value)
        if found is None:
            return None
        terms = tuple(
            Term(fact, cast("tuple[str, ...]", found[given]), negated)
            for name, (fact, _) in table.items()
            for given, negated in ((name, False), (_negation(name), True))
            if found.get(given)
        )
        if not terms:
            at.fault(f"says nothing: give it a field, or remove the whole {what}")
        return terms or None

    return check


def _alone(at: At, found: Given) -> None:
    """serviceAccounts say both of what these say."""
    for own in ("serviceAccounts", "notServiceAccounts"):
        for other in ("principals", "namespaces", "notPrincipals", "notNamespaces"):
            if own in found and other in found:
                at.down(own).fault(f"cannot be used together with {other}")


def _within(name: str, check: Check[Terms]) -> Check[tuple[Terms, ...]]:
    """A list of mappings with one field."""
    shape = fields({name: check}, (name,))

    def one(at: At, value: object) -> Terms | None:
        found = shape(at, value)
        return None if found is None else cast(Terms, found[name])

    listed = items(one)

    def checked(at: At, value: object) -> tuple[Terms, ...] | None:
        found = listed(at, value)
        if found == ():
            at.fault("is an empty list, which would match nobody: remove it to match everybody")
        return found

    return checked


_condition = fields({"key": filled, "values": items(filled), "notValues": items(filled)}, ("key",))


def _when(at: At, value: object) -> Terms | None:
    """One condition: a term for `values`, one for `notValues`."""
    found = _condition(at, value)
    if found is None:
        return None
    before = at.faults
    named = _named(at, cast(str, found["key"]))
    lists = {name: cast("tuple[str, ...]", found.get(name, ())) for name in ("values", "notValues")}
    if not any(lists.values()):
        at.fault("has neither values nor notValues: give one of them")
    if named is None or at.faults != before:
        return None
    fact, key = named
    for name, values in lists.items():
        for index, each in enumerate(values):
            _WHEN.get(fact, _starred)(at.down(name, index), each)
    terms = (Term(fact, lists["values"], False, key), Term(fact, lists["notValues"], True, key))
    return tuple(each for each in terms if each.values) if at.faults == before else None


def _named(at: At, key: str) -> tuple[Fact, str] | None:
    """What a condition's `key` says it is about."""
    name, bracket, rest = key.partition("[")
    inner = bracket + rest
    if name == Fact.HEADER and inner.endswith("]") and _HEADER_NAME.fullmatch(inner[1:-1]):
        return Fact.HEADER, inner[1:-1].lower()
    if name == Fact.CLAIM and _CLAIM.fullmatch(inner):
        return Fact.CLAIM, inner
    if key in set(_WHEN):
        return Fact(key), ""
    if key.startswith("experimental.envoy.filters."):
        at.down("key").fault("asks for metadata of Envoy's filters, which there are none of here")
    else:
        known = (*_WHEN, "request.headers[NAME]", "request.auth.claims[NAME]")
        at.down("key").fault(f"must be one of {', '.join(known)}, not {shown(key)}")
    return None


_conditions = items(_when)
_rule = fields(
    {
        "from": _within("source", _terms(_SOURCE, "source", (_alone,))),
        "to": _within("operation", _terms(_OPERATION, "operation", ())),
        "when": _conditions,
    }
)


def access_rule(at: At, value: object) -> AccessRule | None:
    """One of `rules`."""
    found = _rule(at, value)
    if found is None:
        return None
    sources = cast("tuple[Terms, ...]", found.get("from", ()))
    operations = cast("tuple[Terms, ...]", found.get("to", ()))
    conditions = cast("tuple[Terms, ...]", found.get("when", ()))
    return AccessRule(sources, operations, tuple(term for each in conditions for term in each))


def has_rules(at: At, action: Action, rules: tuple[AccessRule, ...]) -> None:
    """What an action asks of the rules as a whole."""
    if action in (Action.DENY, Action.CUSTOM) and not rules:
        at.down("rules").fault(f"is required with action {action}: without rules it would never match")
    if action is Action.CUSTOM:
        _nobody(at, rules)


def _nobody(at: At, rules: tuple[AccessRule, ...]) -> None:
    """Who decides is asked before anybody is known."""
    known = OF_TOKENS | {Fact.PRINCIPAL, Fact.NAMESPACE, Fact.SERVICE_ACCOUNT, Fact.TRUST_DOMAIN}
    for index, rule in enumerate(rules):
        if any(term.fact in known for terms in (*rule.sources, rule.conditions) for term in terms):
            at.down("rules", index).fault("goes by an identity, which action CUSTOM does not know")


provider = fields({"name": text})
