"""AuthorizationPolicies by the letter: rows Z of the reference, over the objects as people write them.

Everything is a regular expression or a loop, as in Istio's own words (pkg/security/authz); nothing of the product is
used, so that what both say is not said twice by one.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tests.reference.asked import Asked
from tests.reference.paths import normal

Object = Mapping[str, Any]
ALLOW, DENY, AMBIGUOUS = "allow", "deny", "400"
_TARGETS = (("Service", "cart", "shop"), ("Gateway", "wp", "shop"), ("GatewayClass", "istio-waypoint", "istio-system"))


def decision(policies: Sequence[Object], asked: Asked) -> str:
    """Of Service shop/cart behind Gateway shop/wp."""
    return judged([each for each in policies if attached(each) and decides(each)], asked)


def judged(deciding: Sequence[Object], asked: Asked) -> str:
    """What these policies say of it."""
    if asked.method and any("aths'" in str(each["spec"]) for each in deciding):
        path = normal(asked.path, asked.mode)
        if path is None:
            return AMBIGUOUS
        asked = asked.of(path)
    actions = [(each["spec"].get("action", "ALLOW"), each) for each in deciding]
    if any(_matches(each, rule, asked) for action, each in actions if action == "DENY" for rule in _rules(each)):
        return DENY
    allowing = [each for action, each in actions if action == "ALLOW"]
    if not allowing or any(_matches(each, rule, asked) for each in allowing for rule in _rules(each)):
        return ALLOW
    return DENY


def attached(policy: Object) -> bool:
    """Z1, Z2."""
    namespace = policy["metadata"]["namespace"]
    refs = policy["spec"].get("targetRefs", ())
    return any((each["kind"], each["name"], namespace) in _TARGETS for each in refs)


def decides(policy: Object) -> bool:
    dry = policy["metadata"].get("annotations", {}).get("istio.io/dry-run") == "true"
    return not dry and policy["spec"].get("action", "ALLOW") in ("ALLOW", "DENY")


def _rules(policy: Object) -> Sequence[Object]:
    found: Sequence[Object] = policy["spec"].get("rules", ())
    return found


def _matches(policy: Object, rule: Object, asked: Asked) -> bool:
    """Z7; Z50 and Z51 for a connection."""
    if not asked.method:
        if policy["spec"].get("action", "ALLOW") == "ALLOW" and any(map(_needs_http, names(rule))):
            return False
        rule = _without_http(rule)
    namespace = policy["metadata"]["namespace"]
    sources = [each["source"] for each in rule.get("from", ())]
    operations = [each["operation"] for each in rule.get("to", ())]
    return (
        (not sources or any(_holds(each, asked, namespace) for each in sources))
        and (not operations or any(_holds(each, asked, namespace) for each in operations))
        and all(_condition_holds(each, asked, namespace) for each in rule.get("when", ()))
    )


def names(rule: Object) -> list[str]:
    fields = [name for kind in ("from", "to") for each in rule.get(kind, ()) for one in each.values() for name in one]
    return [*map(positive, fields), *(each["key"] for each in rule.get("when", ()))]


def positive(field: str) -> str:
    return field[3].lower() + field[4:] if field.startswith("not") else field


def _needs_http(name: str) -> bool:
    return name.startswith("request.") or name in ("hosts", "methods", "paths", "requestPrincipals")


def _without_http(rule: Object) -> Object:
    made: dict[str, Any] = {"when": [each for each in rule.get("when", ()) if not _needs_http(each["key"])]}
    for kind in ("from", "to"):
        made[kind] = [
            {inner: {name: values for name, values in one.items() if not _needs_http(positive(name))}}
            for each in rule.get(kind, ())
            for inner, one in each.items()
        ]
    return made


def _holds(fields: Object, asked: Asked, namespace: str) -> bool:
    return all(
        any(FIELDS[positive(name)](value, asked, namespace) for value in values) is not name.startswith("not")
        for name, values in fields.items()
    )


def _condition_holds(condition: Object, asked: Asked, namespace: str) -> bool:
    name, _, rest = condition["key"].partition("[")
    field = WHEN.get(name) or _by_key(name, rest.removesuffix("]"))
    return ("values" not in condition or any(field(each, asked, namespace) for each in condition["values"])) and not (
        "notValues" in condition and any(field(each, asked, namespace) for each in condition["notValues"])
    )


# -- fields -----------------------------------------------------------------------------------------------------------

Field = Callable[[str, Asked, str], bool]


def like(value: str, texts: Iterable[str], present: str = ".+") -> bool:
    """Z20: whether one of the texts is."""
    if value == "*":
        pattern = present
    elif value.startswith("*"):
        pattern = ".*" + re.escape(value[1:])
    elif value.endswith("*"):
        pattern = re.escape(value[:-1]) + ".*"
    else:
        pattern = re.escape(value)
    return any(re.fullmatch(pattern, text, re.DOTALL) for text in texts)


def _principal(value: str, asked: Asked, _: str) -> bool:
    bare = asked.identity.removeprefix("spiffe://")
    if not bare:
        return False
    if value.startswith("cluster.local/") and value.count("/") == 4:  # Z25: every trust domain that is let in
        return like(value.removeprefix("cluster.local/"), [bare.partition("/")[2]])
    return like(value, [bare])


def _namespace(value: str, asked: Asked, _: str) -> bool:
    name = re.escape(value).replace(r"\*", ".*")
    return re.fullmatch(f".*/ns/{name}/.*", asked.identity) is not None


def _service_account(value: str, asked: Asked, namespace: str) -> bool:
    where, slash, name = value.rpartition("/")
    where = re.escape(where if slash else namespace)
    return re.fullmatch(f"spiffe://.+/ns/{where}/(.+/|)sa/{re.escape(name)}(/.+)?", asked.identity) is not None


def _trust_domain(value: str, asked: Asked, _: str) -> bool:
    domain = asked.identity.removeprefix("spiffe://").partition("/")[0]
    return bool(domain) and like(value, [domain])


def _inside(value: str, address: str) -> bool:
    return bool(address) and ipaddress.ip_address(address) in ipaddress.ip_network(value, strict=False)


def _request_principal(value: str, asked: Asked, _: str) -> bool:
    """Z28."""
    claims = asked.claims or {}
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not (isinstance(issuer, str) and isinstance(subject, str) and issuer and subject):
        return False
    of_issuer, slash, of_subject = value.rpartition("/")
    if slash:
        return like(of_issuer, [issuer]) and like(of_subject, [subject])
    if value.startswith("*"):
        return like(value, [subject])
    return value.endswith("*") and like(value, [issuer])


def _path(value: str, asked: Asked, _: str) -> bool:
    """Z34, Z35."""
    path = asked.path.partition("?")[0]
    if "{" not in value:
        return like(value, [path])
    pattern = re.escape(value).replace(r"\{\*\*\}", ".*").replace(r"\{\*\}", "[^/]+")
    return re.fullmatch(pattern, path) is not None


def _of_claim(claims: object, path: Sequence[str]) -> list[str]:
    """Z30: texts alone."""
    for name in path:
        claims = claims.get(name) if isinstance(claims, dict) else None
    if isinstance(claims, str):
        return claims.split(" ") if list(path) in (["scope"], ["permission"]) else [claims]
    return [each for each in claims if isinstance(each, str)] if isinstance(claims, list) else []


def _claim(*path: str) -> Field:
    return lambda value, asked, _: like(value, _of_claim(asked.claims or {}, path))


def _by_key(name: str, key: str) -> Field:
    if name == "request.headers":
        return lambda value, asked, _: like(value, asked.values(key), ".*")
    return _claim(*key.split("]["))


FIELDS: Mapping[str, Field] = {
    "principals": _principal,
    "namespaces": _namespace,
    "serviceAccounts": _service_account,
    "trustDomains": _trust_domain,
    "requestPrincipals": _request_principal,
    "ipBlocks": lambda value, asked, _: _inside(value, asked.source),
    "remoteIpBlocks": lambda value, asked, _: _inside(value, asked.source),
    "hosts": lambda value, asked, _: like(value.lower(), [asked.host.lower()]),
    "ports": lambda value, asked, _: value == str(asked.port),
    "methods": lambda value, asked, _: like(value, [asked.method]),
    "paths": _path,
}
WHEN: Mapping[str, Field] = {
    "source.principal": _principal,
    "source.namespace": _namespace,
    "source.serviceAccount": _service_account,
    "source.trustDomain": _trust_domain,
    "source.ip": FIELDS["ipBlocks"],
    "remote.ip": FIELDS["remoteIpBlocks"],
    "destination.ip": lambda value, asked, _: _inside(value, asked.dialled),
    "destination.port": FIELDS["ports"],
    "request.auth.principal": _request_principal,
    "request.auth.audiences": _claim("aud"),
    "request.auth.presenter": _claim("azp"),
}
