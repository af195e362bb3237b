"""What there is to say about objects, and the words it is said in: which object, which field, which line.

A remark counts lines from the beginning of its document, so that a document which has only moved is not read again;
where the document stands makes a `model.Fault` of it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import NamedTuple

from proxy.mesh.model import Fault

_LONGEST_SHOWN = 60


class Key(NamedTuple):
    """What an object is called; `namespace` is "" where its kind has none."""

    kind: str
    namespace: str
    name: str

    @property
    def id(self) -> str:
        """`namespace/name`, or the name alone for what has no namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Place(NamedTuple):
    """Where a document stands: what messages call its file, and how many lines of that come before."""

    path: str
    before: int = 0


class Site(NamedTuple):
    """Where an object begins."""

    path: str
    line: int
    key: Key


class Remark(NamedTuple):
    """Something to say about the object `key`. `line` counts from 1 in its document (0: no line). `together` is that of
    `Fault`."""

    key: Key
    line: int
    field: str
    text: str
    together: bool = False

    def at(self, place: Place) -> Fault:
        """As it is told to people."""
        line = self.line + place.before if self.line else 0
        return Fault(place.path, line, self.key.kind, self.key.id, self.field, self.text, self.together)


def shown(value: object) -> str:
    """A value as a message quotes it: short, on one line, safe to print."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = json.dumps(value) if isinstance(value, str | int | float) else type(value).__name__
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 4] + '..."'


def suggestion(name: str, known: Iterable[str], closeness: float = 0.6) -> str:
    """` (did you mean "interval"?)`, or "" if nothing known is close to `name`; 1.0 is the same."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name[:100].lower(), by_lower, n=1, cutoff=closeness)
    return f' (did you mean "{by_lower[close[0]]}"?)' if close else ""
