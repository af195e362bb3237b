# cython: annotation_typing=False
# ruff: noqa: SIM110  any() and all() of a generator would be an object for each request
"""Who gets in: AuthorizationPolicies of one cluster over one request. Pure.

Envoy's RBAC filters as Istio's waypoint has them (pilot/pkg/security/authz/builder): a request that any rule to deny
matches is refused; if there are rules to allow, or policies that have none, one of them must match.

    rule          all its clauses match
    clause        one of its alternatives does (`from`: its sources; `to`: its operations; each condition of `when`)
    alternative   all its terms do
    term          the fact has one of its values; negated: none of them. A fact that is absent has none

A header may come on several lines: it has a value if one of the lines has it. A claim of a token may be a list.

Rules ask the same again and again, who the client is above all: terms that say the same have the same values, in the
same place, and what has been found out about one is remembered in a memo, by that place, for as long as one decision.
"""

from collections.abc import MutableSequence, Sequence

from proxy.policy import shapes
from proxy.policy.shapes import (
    ALLOWED,
    DENIED_BY_NONE,
    OF_DESTINATION,
    OF_HEADER,
    OF_HOST,
    OF_PORT,
    OF_SOURCE,
    TEXT_ENDS,
    TEXT_HAS,
    TEXT_IS,
    TEXT_IS_THERE,
    TEXT_LIKE,
    TEXT_STARTS,
    TEXTS,
)

SLASH, STAR, OPENING = 47, 42, 123
UPPER_A, UPPER_Z, TO_LOWER = 65, 90, 32
ADDRESS = 16  # octets of an address, IPv4 as IPv6 has it
OF_V4 = 96  # bits that say that it is IPv4's
MEMO = 64  # places of a memo, a power of two


def decide(access: shapes.Access, asked: shapes.Asked, memo: MutableSequence[int]) -> int:
    """ALLOWED, DENIED_BY_NONE of the rules to allow, or the number of the rule that denies. `memo`: MEMO zeros."""
    for at in range(access.denying):
        if rule_matches(access, at, asked, memo):
            return at
    if not access.limited:
        return ALLOWED
    for at in range(access.denying, access.rule_count):
        if rule_matches(access, at, asked, memo):
            return ALLOWED
    return DENIED_BY_NONE


def rule_matches(access: shapes.Access, rule: int, asked: shapes.Asked, memo: MutableSequence[int]) -> bool:
    """Whether all clauses do."""
    first = access.rules[rule].first
    for at in range(first, first + access.rules[rule].count):
        if not clause_matches(access, at, asked, memo):
            return False
    return True


def clause_matches(access: shapes.Access, clause: int, asked: shapes.Asked, memo: MutableSequence[int]) -> bool:
    """Whether one of its alternatives does."""
    first = access.clauses[clause].first
    for at in range(first, first + access.clauses[clause].count):
        if alternative_matches(access, at, asked, memo):
            return True
    return False


def alternative_matches(
    access: shapes.Access, alternative: int, asked: shapes.Asked, memo: MutableSequence[int]
) -> bool:
    """Whether all its terms do."""
    first = access.alternatives[alternative].first
    for at in range(first, first + access.alternatives[alternative].count):
        if known(access, at, asked, memo) == access.terms[at].negated:
            return False
    return True


def known(access: shapes.Access, term: int, asked: shapes.Asked, memo: MutableSequence[int]) -> bool:
    """Whether the fact has one of the term's values, as it may have been found before: in a place of the memo stands
    whose values it is about, and, as the last bit, the answer. What has no values begins where another's begin."""
    if access.terms[term].count == 0:
        return False
    mark = 2 * access.terms[term].first + 2
    place = access.terms[term].first & (MEMO - 1)
    if memo[place] >> 1 != mark >> 1:
        memo[place] = mark + 1 if has_one(access, term, asked) else mark
    return memo[place] != mark


def has_one(access: shapes.Access, term: int, asked: shapes.Asked) -> bool:
    """Whether the fact has one of the term's values."""
    first = access.terms[term].first
    for at in range(first, first + access.terms[term].count):
        if has_value(access, at, asked):
            return True
    return False


def has_value(access: shapes.Access, value: int, asked: shapes.Asked) -> bool:
    """Whether the fact has this value."""
    fact = access.values[value].fact
    if fact < TEXTS:
        return text_matches(access, value, asked.texts[fact].at, asked.texts[fact].length, fact == OF_HOST)
    if fact == OF_PORT:
        return access.values[value].number == asked.port
    if fact in (OF_SOURCE, OF_DESTINATION):
        return in_block(access, value, asked.source if fact == OF_SOURCE else asked.destination)
    if fact == OF_HEADER:
        return in_lines(access, value, asked.lines, asked.line_count)
    return in_lines(access, value, asked.claims, asked.claim_count)


def in_lines(access: shapes.Access, value: int, lines: Sequence[shapes.Line], count: int) -> bool:
    """Whether one of those of the header, or claim, that the value is of is as it says."""
    for at in range(count):
        if lines[at].header == access.values[value].header and text_matches(
            access, value, lines[at].at, lines[at].length, False
        ):
            return True
    return False


def in_block(access: shapes.Access, value: int, address: bytes) -> bool:
    """Whether an address begins with the value's bits. One that is not known is all zeros, and in no block; one of IPv4
    is in no block of IPv6, however large (Envoy)."""
    bits, known = access.values[value].number, False
    if bits < OF_V4 and is_v4(address):
        return False
    for at in range(ADDRESS):
        known = known or address[at] != 0
        more = bits - 8 * at
        if more > 0:
            kept = 8 - more if more < 8 else 0
            if address[at] >> kept != access.values[value].text[at] >> kept:
                return False
    return known


def is_v4(address: bytes) -> bool:
    """Whether it is an address of IPv4, as IPv6 has it."""
    for at in range(ADDRESS - 6):
        if address[at] != 0:
            return False
    return address[10] == 255 and address[11] == 255


def text_matches(access: shapes.Access, value: int, text: bytes, length: int, folded: bool) -> bool:
    """Whether a text, of which there is none if `length` is negative, is as the value says; `folded`: in lower case."""
    op, size = access.values[value].op, access.values[value].length
    if length < 0:
        return False
    if op == TEXT_IS:
        return length == size and equal(access, value, text, 0, folded)
    if op == TEXT_STARTS:
        return length >= size and equal(access, value, text, 0, folded)
    if op == TEXT_ENDS:
        return length >= size and equal(access, value, text, length - size, folded)
    if op == TEXT_HAS:
        return True
    if op == TEXT_IS_THERE:
        return length > 0
    if op == TEXT_LIKE:
        return like(access, value, text, length)
    return follows(access, value, text, length)


def equal(access: shapes.Access, value: int, text: bytes, begin: int, folded: bool) -> bool:
    """Whether the value's octets stand there. From the last one on: paths and identities often begin alike."""
    at = access.values[value].length
    while at > 0:
        at -= 1
        octet = text[begin + at]
        if folded and UPPER_A <= octet <= UPPER_Z:
            octet += TO_LOWER
        if octet != access.values[value].text[at]:
            return False
    return True


def like(access: shapes.Access, value: int, text: bytes, length: int) -> bool:
    """Whether the whole text is the value, in which each * stands for anything."""
    size, at, place, star, resume = access.values[value].length, 0, 0, -1, 0
    while at < length:
        if place < size and access.values[value].text[place] == STAR:
            star, resume = place, at
            place += 1
        elif place < size and access.values[value].text[place] == text[at]:
            place += 1
            at += 1
        elif star >= 0:
            resume += 1
            place, at = star + 1, resume
        else:
            return False
    while place < size and access.values[value].text[place] == STAR:
        place += 1
    return place == size


def follows(access: shapes.Access, value: int, text: bytes, length: int) -> bool:
    """Whether a path is as a template says (Envoy's uri_template): {*} is a segment, not empty, {**} anything."""
    size, at, place = access.values[value].length, 0, 0
    while place < size:
        if access.values[value].text[place] != OPENING:
            if at >= length or text[at] != access.values[value].text[place]:
                return False
            place, at = place + 1, at + 1
            continue
        if access.values[value].text[place + 2] == STAR:  # {**}: what stands behind it is nothing, or a slash
            return place + 4 == size or (length > at and text[length - 1] == SLASH)
        begin = at
        while at < length and text[at] != SLASH:
            at += 1
        if at == begin:
            return False
        place += 3
    return at == length
