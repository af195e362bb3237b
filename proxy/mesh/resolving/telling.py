"""Faults and warnings as they are told: in the order of the files, each once, and what is the same of many objects in
one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from proxy.mesh.model import Fault, printable

MOST_NAMED = 10
"""Other objects that one line names."""
_INDEX = re.compile(r"\[[0-9]+\]")


def in_order(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """By file and line, each once."""
    return tuple(sorted(dict.fromkeys(faults), key=lambda fault: (fault.path, fault.line)))


def told(warnings: Iterable[Fault]) -> tuple[str, ...]:
    """A line for each warning, but one for all objects of which the same is to be said `together`."""
    groups: dict[object, list[Fault]] = {}
    for each in in_order(warnings):
        alike = (each.kind, _INDEX.sub("", each.field), each.text)
        groups.setdefault(alike if each.together else each, []).append(each)
    return tuple(printable(f"{first}{_others(first, rest)}") for first, *rest in groups.values())


def _others(first: Fault, rest: Iterable[Fault]) -> str:
    names = [name for name in dict.fromkeys(each.object for each in rest) if name != first.object]
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"; the same: {', '.join(names[:MOST_NAMED])}{more}"
