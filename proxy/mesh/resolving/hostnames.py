"""Host names of listeners and routes: which cover which. "" covers all, "*.example.com" any labels before its dot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

ANY = "*"
"""What the host name of a frontend for all others is called."""


def covers(pattern: str, name: str) -> bool:
    """Whether requests for `name`, which may be a wildcard, are all meant by `pattern`."""
    if pattern in ("", ANY) or pattern == name:
        return True
    return pattern.startswith("*.") and name.endswith(pattern[1:])


def intersection(listener: str, route: Sequence[str]) -> tuple[str, ...]:
    """The host names of a route on a listener; () if it has some and none fits."""
    if not route:
        return (listener or ANY,)
    found = (each if covers(listener, each) else listener if covers(each, listener) else "" for each in route)
    return tuple(dict.fromkeys(each for each in found if each))


def most_special(name: str, patterns: Iterable[str]) -> str:
    """Of the patterns that cover a name the one with the most characters, a whole name before any wildcard."""
    return max((each for each in patterns if covers(each, name)), key=lambda each: (each == name, len(each)))


def intersect(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether there are requests that both mean."""
    others = tuple(other)
    return any(covers(mine, theirs) or covers(theirs, mine) for mine in one for theirs in others)
