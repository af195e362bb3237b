# cython: annotation_typing=False
# ruff: noqa: SIM110  any() and all() of a generator would be an object for each request
"""Which rule of a frontend's routes a request is for: HTTPRoute, GRPCRoute and VirtualService in one shape. Pure.

Matches stand in the order of their precedence, and the first one that fits counts. What is quickly looked at comes
first: `candidate` finds the next match whose path and the like fit, and only then need the caller look for headers, and
ask whether `rest_holds`. A regular expression holds here if the text begins as it must; the rest is the caller's.

Of many matches only some are looked at. Each whose path is known up to some slash, or as a whole, stands in a bucket
by the hash of that; `begin` hashes a path once, looks at each slash which bucket there is, and `candidate` goes through
these few side by side, in the order that they have among all. A bucket says only which need not be looked at.

A header may come on several lines: the condition holds if it does of one of them (Envoy's match_headers_individually).
Of a query parameter the first value counts, as it came, without decoding (Envoy).
"""

from collections.abc import Sequence

from proxy.policy import shapes
from proxy.policy.shapes import (
    ABOUT_CLAIM,
    ABOUT_HEADER,
    ABOUT_PATH,
    ABOUT_QUERY,
    COMPARE_IS,
    COMPARE_IS_THERE,
    COMPARE_LIKE,
    COMPARE_SEGMENTS,
    FEW_MATCHES,
    HASH_BEGIN,
    HASH_PRIME,
    MOST_RANGES,
    WHOLE_QUERY,
)

SLASH, AMPERSAND, EQUALS = 47, 38, 61
UPPER_A, UPPER_Z, TO_LOWER = 65, 90, 32
HASH_BITS = 0xFFFFFFFF


def begin(routing: shapes.Routing, asked: shapes.Presented, walk: shapes.Walk) -> None:
    """Which matches may fit."""
    walk.at[0], walk.end[0] = 0, routing.anywhere
    if routing.count <= FEW_MATCHES:
        walk.count = -1
        return
    walk.count = 1
    key = HASH_BEGIN
    for at in range(asked.texts[ABOUT_PATH].length):
        if asked.texts[ABOUT_PATH].at[at] == SLASH:
            enter(routing, walk, key)
        key = hashed(key, asked.texts[ABOUT_PATH].at[at])
    enter(routing, walk, key)


def hashed(key: int, octet: int) -> int:
    """FNV-1a: the hash of what had this one, and an octet behind it."""
    return ((key ^ octet) * HASH_PRIME) & HASH_BITS


def enter(routing: shapes.Routing, walk: shapes.Walk, key: int) -> None:
    """The bucket of that hash is gone through, too. Too many at once: then all matches are."""
    at = key & routing.mask
    while routing.buckets[at].count > 0 and routing.buckets[at].key != key:
        at = (at + 1) & routing.mask
    if routing.buckets[at].count == 0 or walk.count < 0:
        return
    if walk.count == MOST_RANGES:
        walk.count, walk.at[0] = -1, 0
        return
    walk.at[walk.count] = routing.buckets[at].first
    walk.end[walk.count] = routing.buckets[at].first + routing.buckets[at].count
    walk.count += 1


def candidate(routing: shapes.Routing, asked: shapes.Presented, walk: shapes.Walk) -> int:
    """The next match whose early conditions hold; -1: there is none."""
    while True:
        at = following(routing, walk)
        if at < 0 or hold(routing, asked, routing.matches[at].first, routing.matches[at].early):
            return at


def following(routing: shapes.Routing, walk: shapes.Walk) -> int:
    """The next match that is looked at, of all ranges the first; -1: there is none."""
    if walk.count < 0:
        walk.at[0] += 1
        return walk.at[0] - 1 if walk.at[0] <= routing.count else -1
    best = -1
    for each in range(walk.count):
        if walk.at[each] < walk.end[each] and (
            best < 0 or routing.members[walk.at[each]] < routing.members[walk.at[best]]
        ):
            best = each
    if best < 0:
        return -1
    walk.at[best] += 1
    return routing.members[walk.at[best] - 1]


def rest_holds(routing: shapes.Routing, asked: shapes.Presented, match: int) -> bool:
    """Whether the other conditions of such a match hold."""
    early = routing.matches[match].early
    return hold(routing, asked, routing.matches[match].first + early, routing.matches[match].count - early)


def hold(routing: shapes.Routing, asked: shapes.Presented, first: int, count: int) -> bool:
    """Whether all these conditions do."""
    for at in range(first, first + count):
        if met(routing, asked, at) == routing.conditions[at].negated:
            return False
    return True


def met(routing: shapes.Routing, asked: shapes.Presented, condition: int) -> bool:
    """Whether it would hold, were it not negated."""
    about, begin, length = routing.conditions[condition].about, 0, 0
    if about == ABOUT_HEADER:
        return met_by_line(routing, condition, asked.lines, asked.line_count)
    if about == ABOUT_CLAIM:
        return met_by_line(routing, condition, asked.claims, asked.claim_count)
    if about == ABOUT_QUERY:
        begin = parameter(routing, condition, asked.texts[WHOLE_QUERY].at, asked.texts[WHOLE_QUERY].length)
        if begin < 0:
            return met_by_nothing(routing, condition)
        length = end_of(asked.texts[WHOLE_QUERY].at, begin, asked.texts[WHOLE_QUERY].length) - begin
        return fits(routing, condition, asked.texts[WHOLE_QUERY].at, begin, length)
    if asked.texts[about].length < 0:
        return met_by_nothing(routing, condition)
    return fits(routing, condition, asked.texts[about].at, 0, asked.texts[about].length)


def met_by_line(routing: shapes.Routing, condition: int, lines: Sequence[shapes.Line], count: int) -> bool:
    """Whether one line of the header, or one value of the claim, does it."""
    header, there = routing.conditions[condition].header, False
    for at in range(count):
        if lines[at].header == header:
            there = True
            if fits(routing, condition, lines[at].at, 0, lines[at].length):
                return True
    return not there and met_by_nothing(routing, condition)


def met_by_nothing(routing: shapes.Routing, condition: int) -> bool:
    """What is missing counts as empty where the condition is negated, unless it asks whether it is there."""
    if not routing.conditions[condition].negated or routing.conditions[condition].compare == COMPARE_IS_THERE:
        return False
    return fits(routing, condition, routing.conditions[condition].text, 0, 0)


def fits(routing: shapes.Routing, condition: int, text: bytes, begin: int, length: int) -> bool:
    """Whether text[begin:begin + length] is as the condition says. A negated regular expression is left to others."""
    compare, size = routing.conditions[condition].compare, routing.conditions[condition].length
    if compare == COMPARE_IS_THERE:
        return True
    if compare == COMPARE_LIKE and routing.conditions[condition].negated:
        return False
    if length < size or (compare == COMPARE_IS and length != size):
        return False
    if not equal(routing, condition, text, begin):
        return False
    return compare != COMPARE_SEGMENTS or length == size or text[begin + size] == SLASH


def equal(routing: shapes.Routing, condition: int, text: bytes, begin: int) -> bool:
    """Whether the condition's octets stand there. From the last one on: paths often begin alike."""
    fold, at = routing.conditions[condition].fold, routing.conditions[condition].length
    while at > 0:
        at -= 1
        octet = text[begin + at]
        if fold and UPPER_A <= octet <= UPPER_Z:
            octet += TO_LOWER
        if octet != routing.conditions[condition].text[at]:
            return False
    return True


def parameter(routing: shapes.Routing, condition: int, query: bytes, length: int) -> int:
    """Where the value of the condition's parameter begins; -1: there is no such parameter."""
    size, at = routing.conditions[condition].name_length, 0
    while at < length:
        same = 0
        while same < size and at + same < length and query[at + same] == routing.conditions[condition].name[same]:
            same += 1
        if same == size and (at + same == length or query[at + same] == AMPERSAND):
            return at + same
        if same == size and query[at + same] == EQUALS:
            return at + same + 1
        at = end_of(query, at, length) + 1
    return -1


def end_of(query: bytes, begin: int, length: int) -> int:
    """Where what is there ends."""
    at = begin
    while at < length and query[at] != AMPERSAND:
        at += 1
    return at
