"""Making things up, by a seed."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

Kind = TypeVar("Kind")


class Chance:
    """The same seed, the same things."""

    def __init__(self, seed: int) -> None:
        self._source = Random(seed)

    def one(self, *choices: Kind) -> Kind:
        """Of these, which are alike likely."""
        return choices[self._source.randrange(len(choices))]

    def of(self, choices: Sequence[Kind]) -> Kind:
        """One of them."""
        return choices[self._source.randrange(len(choices))]

    def some(self, make: Callable[[], Kind], least: int, most: int) -> list[Kind]:
        """So many, each made by itself."""
        return [make() for _ in range(self._source.randint(least, most))]

    def among(self, choices: Sequence[Kind], least: int, most: int) -> list[Kind]:
        """So many different ones."""
        return self._source.sample(choices, min(self._source.randint(least, most), len(choices)))

    def any_of(self, **fields: Callable[[], Any]) -> dict[str, Any]:
        """Each of these fields, or not."""
        return {name: make() for name, make in fields.items() if self._source.randrange(2)}
