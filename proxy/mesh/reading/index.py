"""A dictionary with several values for a key: small, since most keys of thousands have one."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Index(Generic[K, V]):
    """Values by key, each as often as it was added."""

    def __init__(self) -> None:
        self._values: dict[K, tuple[V, ...]] = {}

    def __iter__(self) -> Iterator[K]:
        """The keys that have a value."""
        return iter(self._values)

    def of(self, key: K) -> tuple[V, ...]:
        """All values of the key, in the order in which they came."""
        return self._values.get(key, ())

    def add(self, key: K, value: V) -> int:
        """Another value; how many there are now."""
        values = self._values[key] = (*self._values.get(key, ()), value)
        return len(values)

    def drop(self, key: K, value: V) -> int:
        """One value less, one that was added; how many are left."""
        values = list(self._values[key])
        values.remove(value)
        if values:
            self._values[key] = tuple(values)
        else:
            del self._values[key]
        return len(values)
