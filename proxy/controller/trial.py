"""A request that nobody has sent, and which rule of a frontend's routes it would be for: condition by condition, in
plain Python. What workers do is proxy/policy/matching.py, compiled; tests hold one against the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import re2

from proxy.mesh.traffic.routing import Condition, Op, Part, RouteMatch, Routing
from proxy.policy.tokens.claims import texts as texts_of_claim

_SPIFFE = "spiffe://"
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_WORDS = {
    Op.IS: 'is "{}"',
    Op.STARTS: 'begins with "{}"',
    Op.SEGMENTS: 'begins with the segments "{}"',
    Op.LIKE: "matches {}",
    Op.IS_THERE: "is there",
}
_NAMED = {Part.HEADER: "header", Part.QUERY: "query parameter", Part.CLAIM: "claim"}


@dataclass(frozen=True, slots=True)
class Trial:
    """The request. `authority`: its Host; `path`: without the query. `headers`: names in lower case, line by line.
    `identity`: the client's, spiffe://..., or ""; `address`: its, or "". `claims`: of its token, if that is good.
    `asked`: whom, by the names that the tables of listeners may have for it, in the order in which they are looked for;
    `port`: which of the Service's."""

    method: str
    scheme: str
    authority: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    identity: str
    port: int
    asked: tuple[str, ...]
    address: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bare_identity(self) -> str:
        """TRUST-DOMAIN/ns/NAMESPACE/sa/NAME, or ""."""
        return self.identity.removeprefix(_SPIFFE)

    @property
    def namespace(self) -> str:
        """The client's, as its identity says, or ""."""
        parts = self.bare_identity.split("/")
        return parts[2] if len(parts) > 2 and parts[1] == "ns" else ""


class Looked(NamedTuple):
    """A condition as people read it, whether it holds, and what the request has of it."""

    condition: str
    holds: bool
    has: str


def fitting(routing: Routing, trial: Trial) -> int:
    """The index of the first match that fits; -1: none."""
    fits = (
        index for index, match in enumerate(routing.matches) if all(holds(each, trial) for each in match.conditions)
    )
    return next(fits, -1)


def looked_at(match: RouteMatch, trial: Trial) -> Iterator[Looked]:
    """Each condition of a match."""
    for each in match.conditions:
        yield Looked(worded(each), holds(each, trial), _shown(_texts(each, trial)))


def holds(condition: Condition, trial: Trial) -> bool:
    """Whether a condition does. Of the lines of a header one is enough."""
    texts = _texts(condition, trial)
    if not texts and condition.negated and condition.op is not Op.IS_THERE:
        texts = [""]
    return any(_compares(condition, each) for each in texts) is not condition.negated


def _texts(condition: Condition, trial: Trial) -> Sequence[str]:
    """What the request has of what the condition is about."""
    part = condition.part
    if part is Part.HEADER:
        return [value for name, value in trial.headers if name == condition.name]
    if part is Part.QUERY:
        return _parameter(condition.name, trial.query)
    if part is Part.NAMESPACE:
        return [trial.namespace] if trial.namespace else []
    if part is Part.CLAIM:
        return texts_of_claim(trial.claims, condition.name)
    found = {
        Part.PATH: trial.path,
        Part.METHOD: trial.method,
        Part.AUTHORITY: trial.authority,
        Part.SCHEME: trial.scheme,
    }
    return [found[part]] if part in found else []


def _parameter(name: str, query: str) -> Sequence[str]:
    """The first value, as it came."""
    for each in query.split("&") if query else ():
        found, _, value = each.partition("=")
        if found == name:
            return [value]
    return []


def _compares(condition: Condition, given: str) -> bool:
    text = condition.text
    if condition.fold:
        given, text = given.lower(), text.lower()
    if condition.op is Op.LIKE:
        return re2.compile(condition.text, _OPTIONS).fullmatch(given) is not None
    if condition.op is Op.SEGMENTS:
        return given == text or given.startswith(f"{text.removesuffix('/')}/")
    return {Op.IS: given == text, Op.STARTS: given.startswith(text), Op.IS_THERE: True}[condition.op]


def worded(condition: Condition) -> str:
    """header version is "two"."""
    kind = _NAMED.get(condition.part, "")
    subject = f"{kind} {condition.name}" if kind else condition.part.value
    said = f"{subject} {_WORDS[condition.op].format(condition.text)}"
    folded = ", upper and lower case alike" if condition.fold else ""
    return f"not: {said}{folded}" if condition.negated else f"{said}{folded}"


def _shown(texts: Sequence[str]) -> str:
    return " and ".join(f'"{each}"' for each in texts) if texts else "none"
