"""Requests under objects, all made up from a seed; the least of what is answered otherwise than the reference says."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import getrandbits
from typing import Any

from tests.fuzz.mutants import DEEP
from tests.reference.asked import Asked
from tests.reference.chance import Chance
from tests.unit.mesh.mesh_rig import Object

EACH = 50
"""Requests under one set of objects: a case is one of them."""
MANY = int(os.environ.get("WAYPOINT_CASES", "100000")) // EACH
FEW = 8
FIRST = getrandbits(40) if DEEP else 0
"""The first seed."""
_KEPT = ("apiVersion", "kind", "metadata", "parentRefs", "targetRefs", "hosts", "backendRefs", "route", "action")


def seeds(count: int) -> range:
    """So many."""
    return range(FIRST, FIRST + count)


@dataclass(frozen=True)
class Question:
    """`differs`: what is told of requests under objects of which the answers are not what the reference says."""

    objects: Callable[[Chance], list[Object]]
    asked: Callable[[Chance], Asked]
    differs: Callable[[Sequence[Object], Sequence[Asked]], Asked | None]

    def ask(self, seed: int) -> None:
        """One set of objects, and its requests."""
        chance = Chance(seed)
        objects, requests = self.objects(chance), chance.some(lambda: self.asked(chance), EACH, EACH)
        if (found := self.differs(objects, requests)) is not None:
            raise AssertionError(f"seed {seed}: {found} under {self._least(objects, found)}")

    def _least(self, objects: list[Object], asked: Asked) -> list[Object]:
        """What is left when nothing more can be left out without the answers being the same."""
        return next((self._least(each, asked) for each in _less(objects) if self._fails(each, asked)), objects)

    def _fails(self, objects: list[Object], asked: Asked) -> bool:
        try:
            return self.differs(objects, [asked]) is not None
        except (AssertionError, LookupError, TypeError):  # no objects that can be
            return False


def _less(value: Any) -> Iterator[Any]:
    """It without one of its parts, at whatever depth; an object of Kubernetes keeps what it is and is for."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name not in _KEPT:
                yield {key: each for key, each in value.items() if key != name}
                yield from ({**value, name: each} for each in _less(part))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            if len(value) > 1:
                yield value[:at] + value[at + 1 :]
            yield from ([*value[:at], each, *value[at + 1 :]] for each in _less(part))
