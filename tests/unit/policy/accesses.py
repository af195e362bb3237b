"""Access and what asks for it as Python has them: a form's arrays, laid out as relay/endpoints/gate.pyx does."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.ipc.snapshot import AccessForm, ValueForm
from proxy.policy import shapes
from proxy.policy.shapes import Access, Asked, Line, Part, Term, Text, Value
from proxy.policy.tokens.claims import spaced
from proxy.policy.tokens.claims import texts as claim_texts

FACTS = {
    **{"identity": shapes.OF_IDENTITY, "trust_domain": shapes.OF_TRUST_DOMAIN, "workload": shapes.OF_WORKLOAD},
    **{"host": shapes.OF_HOST, "method": shapes.OF_METHOD, "path": shapes.OF_PATH, "header": shapes.OF_HEADER},
    **{"port": shapes.OF_PORT, "source": shapes.OF_SOURCE, "destination": shapes.OF_DESTINATION},
    "claim": shapes.OF_CLAIM,
}
OPS = {
    **{"is": shapes.TEXT_IS, "starts": shapes.TEXT_STARTS, "ends": shapes.TEXT_ENDS, "like": shapes.TEXT_LIKE},
    **{"has": shapes.TEXT_HAS, "is_there": shapes.TEXT_IS_THERE, "follows": shapes.TEXT_FOLLOWS},
}


@dataclass
class Request:
    """One that asks; without a method it is a connection that carries none."""

    identity: str = ""
    method: str = "GET"
    path: str = "/"
    host: str = "cart"
    headers: Sequence[tuple[str, str]] = ()
    source: str = "10.0.0.9"
    destination: str = "10.1.0.1"
    port: int = 80
    claims: Mapping[str, Any] | None = None


@dataclass
class Layout:
    """The arrays, one kind behind the other."""

    names: list[str]
    header_names: list[str] = field(default_factory=list)
    claim_names: list[str] = field(default_factory=list)


def _parts(lists: Sequence[Sequence[Any]]) -> list[Part]:
    found, first = [], 0
    for each in lists:
        found.append(Part(first, len(each)))
        first += len(each)
    return found


def _value(form: ValueForm, names: Mapping[str, list[str]]) -> Value:
    header = names[form["fact"]].index(form["header"]) if form["header"] else 0
    octets, number = form["text"].encode(), form["number"]
    if form["fact"] in ("source", "destination"):
        block = ipaddress.ip_network(form["text"])
        octets = _octets(str(block.network_address))
        number = block.prefixlen + 128 - block.max_prefixlen
    return Value(FACTS[form["fact"]], header, OPS[form["op"]], octets, len(octets), number)


def access_of(form: AccessForm) -> tuple[Access, Layout]:
    """As a decision goes by it, with the names of its rules and headers."""
    rules = [*form["deny"], *form["allow"]]
    clauses = [each for rule in rules for each in rule["clauses"]]
    alternatives = [each for clause in clauses for each in clause]
    terms = [each for alternative in alternatives for each in alternative]
    values = [each for term in terms for each in term["values"]]
    names = {
        fact: list(dict.fromkeys(each["header"] for each in values if each["fact"] == fact))
        for fact in ("header", "claim")
    }
    of_terms = _parts([each["values"] for each in terms])
    access = Access(
        rules=_parts([each["clauses"] for each in rules]),
        denying=len(form["deny"]),
        rule_count=len(rules),
        limited=form["limited"],
        clauses=_parts(clauses),
        alternatives=_parts(alternatives),
        terms=[Term(each["negated"], part.first, part.count) for each, part in zip(terms, of_terms, strict=True)],
        values=[_value(each, names) for each in values],
    )
    return access, Layout([each["name"] for each in rules], names["header"], names["claim"])


def asked_of(request: Request, layout: Layout) -> Asked:
    """What a decision may know of it."""
    bare = request.identity.removeprefix("spiffe://")
    domain, _, workload = bare.partition("/")
    texts = [bare or None, domain or None, workload or None]
    path = request.path.partition("?")[0].partition("#")[0]
    texts += [request.host, request.method, path] if request.method else [None, None, None]
    known: Mapping[str, int] = {name: number for number, name in enumerate(layout.header_names)}
    lines = [
        Line(known[name.lower()], value.encode(), len(value))
        for name, value in request.headers
        if request.method and name.lower() in known
    ]
    claims = [
        Line(number, value.encode(), len(value.encode()))
        for number, name in enumerate(layout.claim_names)
        for value in claim_texts(spaced(request.claims or {}, ()), name)
    ]
    return Asked(
        texts=[Text((text or "").encode(), -1 if text is None else len(text.encode())) for text in texts],
        lines=lines,
        line_count=len(lines),
        claims=claims,
        claim_count=len(claims),
        source=_octets(request.source),
        destination=_octets(request.destination),
        port=request.port,
    )


def _octets(ip: str) -> bytes:
    address = ipaddress.ip_address(ip) if ip else None
    if address is None:
        return bytes(16)
    return address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
