"""What a token would be worth that nobody has sent: the rules of a cluster's RequestAuthentications over it, one after
the other, as workers ask them (proxy/relay/endpoints/tokens.pyx).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from proxy.mesh.traffic.tokens import JwtRule
from proxy.policy.tokens import token as policy
from proxy.policy.tokens.claims import spaced

if TYPE_CHECKING:
    from proxy.policy.tokens.keys import Key

Keys = Callable[[str], str]
"""The set of keys of a source, "" if it is not known."""


class Asked(NamedTuple):
    """What one rule says."""

    issuer: str
    keys: str
    takes: bool
    why: str


class Worth(NamedTuple):
    """`refusal`: what the client would be told, with its status, ""; the request goes on. `claims` of a good token."""

    refusal: str
    claims: Mapping[str, Any]
    rules: tuple[Asked, ...]


def worth(rules: Sequence[JwtRule], text: str, keys: Keys, now: float) -> Worth:
    """`text`: the token, or its claims alone as JSON, whose signature nobody looks at; "": there is none."""
    if not text:
        missing = any(each.required for each in rules)
        return Worth(f"{policy.UNAUTHORIZED}: {policy.MISSING}" if missing else "", {}, ())
    asked: list[Asked] = []
    refusal: policy.Refused | None = None
    for rule in rules:
        try:
            claims = _verified(rule, text, keys, now)
        except policy.Refused as fault:
            asked.append(Asked(rule.issuer, rule.keys.name, False, fault.text))
            refusal = fault if refusal is None or refusal.text == policy.ISSUER_UNKNOWN else refusal
        else:
            return Worth("", claims, (*asked, Asked(rule.issuer, rule.keys.name, True, "it is good")))
    return Worth(f"{refusal.status}: {refusal.text}" if refusal else "", {}, tuple(asked))


def _verified(rule: JwtRule, text: str, keys: Keys, now: float) -> Mapping[str, Any]:
    bare = text.lstrip().startswith("{")
    token = _bare(text) if bare else policy.read(text.encode())
    expected = policy.Expected(rule.issuer, frozenset(map(policy.plain_audience, rule.audiences)))
    try:
        policy.verify(token, expected, () if bare else _read_keys(keys(rule.keys.name)), now)
    except policy.Refused as fault:
        if not (bare and fault.text == policy.NO_KEYS):
            raise
    return spaced(token.claims, rule.space_delimited_claims)


def _bare(text: str) -> policy.Token:
    claims = json.loads(text)
    policy.check_types(claims)
    return policy.Token("", None, claims, b"", b"", b"")


def _read_keys(text: str) -> Sequence[Key]:
    # Ten MiB, which only who asks about a token needs.
    from proxy.policy.tokens.keys import Unusable, read_keys

    try:
        return read_keys(text)[0] if text else ()
    except Unusable:
        return ()
