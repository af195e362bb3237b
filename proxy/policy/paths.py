# cython: annotation_typing=False
"""A path as it is compared and forwarded, in one form. Pure.

Istio normalises before it compares and forwards (meshConfig.pathNormalization), in one of four ways. BASE (RFC 3986
6.2.2): escapes of what needs none are decoded, backslashes become slashes, dot segments are resolved. MERGE_SLASHES: of
slashes in a row one stays, besides. DECODE_AND_MERGE_SLASHES: escaped slashes and backslashes are slashes, before all.
NONE: nothing is done. It is never longer, so it is written where it was.

What one reader could still take for another path than the next one is refused, but with NONE: an escaped NUL or
backslash, a percent sign that would make an escape of what is decoded behind it, and UTF-8 that is longer than it need
be, which some read as the octet that it hides (RFC 3629 10).
"""

from collections.abc import MutableSequence, Sequence

from proxy.policy.shapes import PATHS_KEPT, PATHS_NORMAL, SLASHES_DECODED

SLASH, DOT, BACKSLASH, PERCENT, QUESTION, HASH, SEMICOLON = 47, 46, 92, 37, 63, 35, 59
KEPT, AMBIGUOUS = -1, -2


def normalise(path: MutableSequence[int], length: int, mode: int) -> int:
    """Its new length, the query included; -1: it cannot be told what is meant. What does not begin with a slash (`*`)
    stays. `mode`: a Normalization."""
    end = end_of_path(path, length)
    if end == 0 or path[0] != SLASH or mode == PATHS_KEPT:
        return length
    at, out, segment = 0, 0, 0  # where it is read, where written, and where the segment there begins
    while at < end:
        octet, size = path[at], 1
        if octet == PERCENT:
            octet = decoded(path, at, end, out, mode)
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
    if mode != PATHS_NORMAL:
        out = merged(path, out)
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


def merged(path: MutableSequence[int], end: int) -> int:
    """Where it ends when of slashes in a row one is left."""
    at, out = 0, 0
    while at < end:
        if path[at] != SLASH or out == 0 or path[out - 1] != SLASH:
            path[out] = path[at]
            out += 1
        at += 1
    return out


def decoded(path: Sequence[int], at: int, end: int, out: int, mode: int) -> int:
    """The character that is escaped there, if it needs no escape; else KEPT, or AMBIGUOUS."""
    octet = escaped(path, at, end)
    if octet < 0:
        return KEPT
    if mode == SLASHES_DECODED and octet in (SLASH, BACKSLASH):
        return SLASH
    if octet in (0, BACKSLASH) or overlong(octet, escaped(path, at + 3, end)):
        return AMBIGUOUS
    if not unreserved(octet):
        return KEPT
    return AMBIGUOUS if digit(octet) >= 0 and makes_escape(path, out) else octet


def escaped(path: Sequence[int], at: int, end: int) -> int:
    """The octet whose escape stands there; -1: none does."""
    if at + 2 >= end or path[at] != PERCENT:
        return -1
    high, low = digit(path[at + 1]), digit(path[at + 2])
    return high * 16 + low if high >= 0 and low >= 0 else -1


def makes_escape(path: Sequence[int], out: int) -> bool:
    """Whether a hexadecimal digit written there would belong to an escape."""
    if path[out - 1] == PERCENT:
        return True
    return out > 1 and path[out - 2] == PERCENT and digit(path[out - 1]) >= 0


def overlong(octet: int, following: int) -> bool:
    """Whether these begin a character in UTF-8 that a shorter form has (RFC 3629 3)."""
    if octet in (0xC0, 0xC1):
        return 0x80 <= following < 0xC0
    return (octet == 0xE0 and 0x80 <= following < 0xA0) or (octet == 0xF0 and 0x80 <= following < 0x90)


def unreserved(octet: int) -> bool:
    """RFC 3986 2.3."""
    return octet in (45, 46, 95, 126) or 48 <= octet <= 57 or 65 <= octet <= 90 or 97 <= octet <= 122


def digit(octet: int) -> int:
    """The value of a hexadecimal digit; -1 if it is none."""
    if 48 <= octet <= 57:
        return octet - 48
    octet |= 32
    return octet - 87 if 97 <= octet <= 102 else -1
