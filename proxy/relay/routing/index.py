"""Where the matches of many routes are found by the path of a request; why is told in proxy/policy/matching.py."""

from collections.abc import Sequence
from typing import NamedTuple

from proxy.policy.shapes import HASH_BEGIN, HASH_PRIME


class Index(NamedTuple):
    """`buckets`: key, first of its members and how many each has, by place in the hash table, whose size is a power of
    two. `members`: numbers of matches, `anywhere` of which, the first, fit no bucket."""

    buckets: list[tuple[int, int, int]]
    members: list[int]
    anywhere: int


def key_of(text: bytes) -> int:
    """FNV-1a, as proxy/policy/matching.py has it."""
    key = HASH_BEGIN
    for octet in text:
        key = ((key ^ octet) * HASH_PRIME) & 0xFFFFFFFF
    return key


def beginning(op: str, text: bytes) -> bytes | None:
    """What every path that fits has as a whole or in front of one of its slashes; None: nothing that is known. `text`:
    as a condition has it, of a regular expression how its matches begin."""
    if op in ("is", "segments"):
        return text
    at = text.rfind(b"/") if op in ("starts", "like") else -1
    return text[:at] if at >= 0 else None


def indexed(beginnings: Sequence[bytes | None]) -> Index:
    """Of matches by what their paths begin with, in the order of their precedence."""
    found: dict[int, list[int]] = {}
    for number, text in enumerate(beginnings):
        if text is not None:
            found.setdefault(key_of(text), []).append(number)
    members = [number for number, text in enumerate(beginnings) if text is None]
    anywhere = len(members)
    buckets = [(0, 0, 0)] * (1 << (2 * len(found)).bit_length())
    for key, numbers in found.items():
        at = key % len(buckets)
        while buckets[at][2]:
            at = (at + 1) % len(buckets)
        buckets[at] = (key, len(members), len(numbers))
        members += numbers
    return Index(buckets, members, anywhere)
