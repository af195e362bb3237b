# cython: annotation_typing=False
"""Whether a path is what it will be taken for. Pure.

Istio normalises before it compares and forwards (pathNormalization BASE): dot segments are resolved, backslashes become
slashes, escapes of what needs none are decoded (RFC 3986 6.2.2). We forward paths as they came, so one that this would
change is known here by what it has in it.
"""

SLASH, DOT, BACKSLASH, PERCENT, QUESTION, HASH = 47, 46, 92, 37, 63, 35


def is_normal(path: bytes, length: int) -> bool:
    """Whether normalising changes nothing in it; its query does not matter."""
    for at in range(length):
        if path[at] in (QUESTION, HASH):
            return path[at] == QUESTION
        if path[at] == BACKSLASH or (path[at] == PERCENT and stands_for_itself(path, length, at)):
            return False
        if path[at] == SLASH and is_dots(path, length, at + 1):
            return False
    return True


def is_dots(path: bytes, length: int, begin: int) -> bool:
    """Whether the segment there is . or .."""
    at = begin
    while at < length and path[at] == DOT:
        at += 1
    return 1 <= at - begin <= 2 and (at == length or path[at] in (SLASH, QUESTION, HASH, BACKSLASH))


def stands_for_itself(path: bytes, length: int, at: int) -> bool:
    """Whether the escape there is of a character that needs none, or of a backslash."""
    if at + 2 >= length:
        return False
    high, low = digit(path[at + 1]), digit(path[at + 2])
    if high < 0 or low < 0:
        return False
    octet = high * 16 + low
    if octet == BACKSLASH or octet in (45, 46, 95, 126):  # - . _ ~
        return True
    return 48 <= octet <= 57 or 65 <= octet <= 90 or 97 <= octet <= 122


def digit(octet: int) -> int:
    """The value of a hexadecimal digit; -1 if it is none."""
    if 48 <= octet <= 57:
        return octet - 48
    octet |= 32
    return octet - 87 if 97 <= octet <= 102 else -1
