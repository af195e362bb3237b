# cython: annotation_typing=False
"""A path as it is compared and forwarded, in one form. Pure.

Istio normalises before it compares and forwards (pathNormalization BASE, RFC 3986 6.2.2): escapes of what needs none
are decoded, backslashes become slashes, dot segments are resolved. It is never longer, so it is written where it was.
What one reader could still take for another path than the next one is refused: an escaped NUL or backslash, and a
percent sign that would make an escape of what is decoded behind it.
"""

from collections.abc import MutableSequence, Sequence

SLASH, DOT, BACKSLASH, PERCENT, QUESTION, HASH, SEMICOLON = 47, 46, 92, 37, 63, 35, 59
KEPT, AMBIGUOUS = -1, -2


def normalise(path: MutableSequence[int], length: int) -> int:
    """Its new length, the query included; -1: it cannot be told what is meant. What does not begin with a slash (`*`)
    stays."""
    end = end_of_path(path, length)
    if end == 0 or path[0] != SLASH:
        return length
    at, out, segment = 0, 0, 0  # where it is read, where written, and where the segment there begins
    while at < end:
        octet, size = path[at], 1
        if octet == PERCENT:
            octet = decoded(path, at, end, out)
            if octet == AMBIGUOUS:
                return -1
            octet, size = (PERCENT, 1) if octet == KEPT else (octet, 3)
        if octet in (SLASH, BACKSLASH):
            out = segment = behind_segment(path, segment, out, True)
        else:
            path[out] = octet
            out += 1
        at += size
    out = behind_segment(path, segment, out, False)
    while end < length:
        path[out] = path[end]
        out, end = out + 1, end + 1
    return out


def end_of_path(path: Sequence[int], length: int) -> int:
    """Where the query or the fragment begins."""
    at = 0
    while at < length and path[at] not in (QUESTION, HASH):
        at += 1
    return at


def behind_segment(path: MutableSequence[int], segment: int, out: int, slash: bool) -> int:
    """Where what follows the segment is written; `slash`: one ends it, of which a segment of dots is rid. Parameters
    behind the dots are as nothing, since some servers take `/..;x/` for `/../` (Envoy, where no dot is escaped)."""
    dots = 0
    while segment and segment + dots < out and path[segment + dots] == DOT:
        dots += 1
    if 1 <= dots <= 2 and (segment + dots == out or path[segment + dots] == SEMICOLON):
        return segment if dots == 1 else parent(path, segment)
    if slash:
        path[out] = SLASH
        return out + 1
    return out


def parent(path: Sequence[int], segment: int) -> int:
    """Where the segment before it begins; the first one has none."""
    at = segment - 1
    while at > 1 and path[at - 1] != SLASH:
        at -= 1
    return at if at > 1 else 1


def decoded(path: Sequence[int], at: int, end: int, out: int) -> int:
    """The character that is escaped there, if it needs no escape; else KEPT, or AMBIGUOUS."""
    high = digit(path[at + 1]) if at + 2 < end else -1
    low = digit(path[at + 2]) if at + 2 < end else -1
    if high < 0 or low < 0:
        return KEPT
    octet = high * 16 + low
    if octet in (0, BACKSLASH):
        return AMBIGUOUS
    if not unreserved(octet):
        return KEPT
    if digit(octet) >= 0 and (path[out - 1] == PERCENT or (out > 1 and path[out - 2] == PERCENT)):
        return AMBIGUOUS
    return octet


def unreserved(octet: int) -> bool:
    """RFC 3986 2.3."""
    return octet in (45, 46, 95, 126) or 48 <= octet <= 57 or 65 <= octet <= 90 or 97 <= octet <= 122


def digit(octet: int) -> int:
    """The value of a hexadecimal digit; -1 if it is none."""
    if 48 <= octet <= 57:
        return octet - 48
    octet |= 32
    return octet - 87 if 97 <= octet <= 102 else -1
