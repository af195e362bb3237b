"""Who would get in: the policies of a cluster over a request that nobody has sent, rule by rule, in plain Python. What
workers do is proxy/policy/access.py, compiled; tests hold one against the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from proxy.controller.trial import Trial
from proxy.ipc.snapshot import AccessForm, AccessRuleForm, TermForm, ValueForm
from proxy.policy.tokens.claims import texts as texts_of_claim

_WORDS = {
    "is": 'is "{}"',
    "starts": 'begins with "{}"',
    "ends": 'ends with "{}"',
    "like": 'is like "{}"',
    "follows": 'is like "{}"',
    "has": "is there",
    "is_there": "is there",
}
_ADDRESSES = ("source", "destination")


class Ruled(NamedTuple):
    """A rule, whether it denies or allows, whether it matches, and what of it does not."""

    rule: str
    action: str
    matches: bool
    why: str


class Verdict(NamedTuple):
    """Whether the request gets in, why, and each rule that was looked at."""

    allowed: bool
    why: str
    rules: tuple[Ruled, ...]


def verdict(form: AccessForm, trial: Trial) -> Verdict:
    """Rules that deny go first; then, if there are any to allow, one of these must match."""
    looked = [_ruled(rule, "DENY", trial) for rule in form["deny"]]
    if denying := next((each for each in looked if each.matches), None):
        return Verdict(False, f"{denying.rule} denies it", tuple(looked))
    if not form["limited"]:
        return Verdict(True, "no rule denies it" if looked else "there is no policy", tuple(looked))
    looked += [_ruled(rule, "ALLOW", trial) for rule in form["allow"]]
    allowing = next((each for each in looked if each.action == "ALLOW" and each.matches), None)
    said = (
        f"{allowing.rule} allows it" if allowing else "there are policies that allow, and none of their rules matches"
    )
    return Verdict(allowing is not None, said, tuple(looked))


def _ruled(rule: AccessRuleForm, action: str, trial: Trial) -> Ruled:
    missing = next((clause for clause in rule["clauses"] if not any(_all(each, trial) for each in clause)), None)
    why = "" if missing is None else f"it needs: {' or '.join(map(_worded, missing))}"
    return Ruled(rule["name"], action, missing is None, why)


def _all(terms: Sequence[TermForm], trial: Trial) -> bool:
    return all(any(_has(value, trial) for value in term["values"]) is not term["negated"] for term in terms)


def _has(value: ValueForm, trial: Trial) -> bool:
    """Addresses are not known, and in no block."""
    if value["fact"] == "port":
        return value["number"] == trial.port
    if value["fact"] in _ADDRESSES:
        return _lies_in(_address(value["fact"], trial), value["text"])
    return any(_compares(value, each) for each in _texts(value, trial))


def _address(fact: str, trial: Trial) -> str:
    """The client's, or the one that is dialled, as far as that is known."""
    dialled = trial.asked[0] if trial.asked else ""
    return trial.address if fact == "source" else dialled.rpartition(":")[0].strip("[]")


def _lies_in(address: str, block: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found) in ip_network(block)


def _texts(value: ValueForm, trial: Trial) -> Iterator[str]:
    if value["fact"] == "header":
        yield from (text for name, text in trial.headers if name == value["header"])
        return
    if value["fact"] == "claim":
        yield from texts_of_claim(trial.claims, value["header"])
        return
    domain, _, workload = trial.bare_identity.partition("/")
    found = {
        "identity": trial.bare_identity,
        "trust_domain": domain,
        "workload": workload,
        "host": trial.authority.lower(),
        "method": trial.method,
        "path": trial.path,
    }.get(value["fact"], "")
    if found:
        yield found


def _compares(value: ValueForm, given: str) -> bool:
    op, text = value["op"], value["text"]
    if op == "follows":
        return _template(text).fullmatch(given) is not None
    return {
        "has": True,
        "is_there": bool(given),
        "is": given == text,
        "starts": given.startswith(text),
        "ends": given.endswith(text),
        "like": re.fullmatch(".*".join(map(re.escape, text.split("*"))), given, re.DOTALL) is not None,
    }[op]


def _template(text: str) -> re.Pattern[str]:
    """{*} is a segment, {**} anything, before a / at the end if one is said."""
    parts = (
        {"{*}": "[^/]+", "{**}": ".*"}.get(each, re.escape(each))
        for each in re.split(r"(\{\*\*\}|\{\*\})", text)
        if each
    )
    return re.compile("".join(parts), re.DOTALL)


def _worded(terms: Sequence[TermForm]) -> str:
    return " and ".join(
        f"{'not ' if each['negated'] else ''}({' or '.join(map(_said, each['values']))})" for each in terms
    )


def _said(value: ValueForm) -> str:
    fact = f"header {value['header']}" if value["fact"] == "header" else value["fact"].replace("_", " ")
    if fact == "port":
        return f"port {value['number']}"
    return f"{fact} in {value['text']}" if fact in _ADDRESSES else f"{fact} {_WORDS[value['op']].format(value['text'])}"
