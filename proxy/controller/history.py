"""Parts of a snapshot by key, each with the number of the snapshot that changed or removed it last. Pure.

To say what is new since a number costs as much as there is new: the parts lie in the order in which they changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Generic, TypeVar

Form = TypeVar("Form")


class History(Generic[Form]):
    """`begun` is the number before which nothing is known: who has an older snapshot is to be told everything."""

    def __init__(self, begun: int) -> None:
        self.begun = begun
        self._forms: dict[str, Form] = {}
        self._changed: dict[str, int] = {}  # key -> number; the newest last
        self._removed: dict[str, int] = {}

    @property
    def forms(self) -> Mapping[str, Form]:
        """What there is now."""
        return self._forms

    def put(self, key: str, form: Form, number: int) -> None:
        """New, or changed."""
        self._forms[key] = form
        self._removed.pop(key, None)
        self._changed.pop(key, None)
        self._changed[key] = number

    def drop(self, key: str, number: int) -> None:
        """No longer there."""
        del self._forms[key], self._changed[key]
        self._removed[key] = number

    def changed_since(self, number: int) -> Iterator[tuple[str, Form]]:
        """What has come or changed after `number`."""
        return ((key, self._forms[key]) for key in _newer(self._changed, number))

    def removed_since(self, number: int) -> Iterator[str]:
        """What has gone after `number` and has not come back."""
        return _newer(self._removed, number)

    def forget(self, number: int) -> None:
        """Everybody has the snapshot `number`: nobody asks what was removed before it."""
        for key in [*takewhile(lambda key: self._removed[key] <= number, self._removed)]:
            del self._removed[key]

    def missing(self, keys: Mapping[str, object], fresh: int) -> Sequence[str]:
        """What is here and not among `keys`, `fresh` of which are not here: mostly nothing, which costs nothing."""
        gone = len(self._forms) + fresh - len(keys)
        return [key for key in self._forms if key not in keys] if gone else ()


def _newer(numbers: dict[str, int], number: int) -> Iterator[str]:
    return takewhile(lambda key: numbers[key] > number, reversed(numbers))
