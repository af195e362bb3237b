"""A dictionary with several values for a key: small, since most keys of thousands have one."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Several(tuple[V, ...]):
    """Of a key that has more than one: a value may be a tuple itself."""

    __slots__ = ()


class Index(Generic[K, V]):
    """Values by key, each as often as it was added."""

    def __init__(self) -> None:
        self._values: dict[K, V | _Several[V]] = {}

    def __iter__(self) -> Iterator[K]:
        """The keys that have a value."""
        return iter(self._values)

    def of(self, key: K) -> tuple[V, ...]:
        """All values of the key, in the order in which they came."""
        if key not in self._values:
            return ()
        found = self._values[key]
        return found if isinstance(found, _Several) else (found,)

    def add(self, key: K, value: V) -> int:
        """Another value; how many there are now."""
        before = self.of(key)
        self._values[key] = _Several((*before, value)) if before else value
        return len(before) + 1

    def drop(self, key: K, value: V) -> int:
        """One value less, one that was added; how many are left."""
        values = list(self.of(key))
        values.remove(value)
        if values:
            self._values[key] = _Several(values) if len(values) > 1 else values[0]
        else:
            del self._values[key]
        return len(values)
