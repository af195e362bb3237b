"""All objects there are, by kind, namespace and name, each with what was found in checking it.

A source (a file, a single object of an API) gives its sheets and may give them anew; what is asked for afterwards is
the same as if all of it had been given at once, in whichever order. What a change costs grows with the change.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from proxy.mesh.model import Fault
from proxy.mesh.reading.documents import Placed
from proxy.mesh.reading.index import Index
from proxy.mesh.reading.remarks import Key, Place, Remark, Site
from proxy.mesh.reading.sheets import Name, Record, Sheet


class Change(NamedTuple):
    """An object that came (`old` is None), went (`new` is None) or is another now."""

    key: Key
    old: Record | None
    new: Record | None


class Objects:
    """The store. Where an object is given twice, which is a fault, either may be the one that is found."""

    def __init__(self) -> None:
        self._sources: dict[Hashable, tuple[Sheet, ...]] = {}
        self._places: dict[Sheet, Place] = {}
        self._records: Index[Key, tuple[Record, Sheet]] = Index()
        self._by_kind: dict[str, dict[Key, None]] = {}
        self._names: Index[tuple[str, Key], tuple[Name, Sheet]] = Index()
        self._twice: set[tuple[str, Key]] = set()
        self._spoken: dict[Sheet, None] = {}
        """Those with faults or warnings."""
        self._unknown: dict[Sheet, None] = {}
        self._acknowledged: dict[Key, int] = {}
        self._before: dict[Key, Record | None] = {}
        """What stood there when `take_changes` was last called, where that may have changed."""

    def put(self, source: Hashable, placed: Sequence[Placed]) -> None:
        """What the source holds now, instead of what it held."""
        before, now = self._sources.pop(source, ()), {sheet: place for sheet, place in placed}
        for sheet in before:
            if sheet not in now:
                self._remove(sheet)
        for sheet, place in now.items():
            if sheet not in self._places:
                self._add(sheet)
            self._places[sheet] = place
        if now:
            self._sources[source] = tuple(now)

    def get(self, key: Key) -> Record | None:
        """The object of that name."""
        found = self._records.of(key)
        return found[0][0] if found else None

    def all(self) -> Iterator[Record]:
        """All objects."""
        return (record for kind in self._by_kind for record in self.of(kind))

    def of(self, kind: str) -> Iterator[Record]:
        """All objects of a kind. May be asked from another thread than that which puts them here."""
        return (record for key in list(self._by_kind.get(kind, ())) for record, _ in self._records.of(key))

    def take_changes(self) -> list[Change]:
        """What has changed since the last call."""
        changes = (Change(key, before, self.get(key)) for key, before in self._before.items())
        found = [change for change in changes if change.old is not change.new]
        self._before = {}
        return found

    def sites(self, kind: str) -> list[Site]:
        """Where all objects of a kind begin, in order."""
        found = [each for key in self._by_kind.get(kind, ()) for each in self._records.of(key)]
        return sorted(_site(record.key, record.line, self._places[sheet]) for record, sheet in found)

    def place(self, key: Key) -> Place:
        """The place of the document that holds the object."""
        found = self._records.of(key)
        return self._places[found[0][1]] if found else Place("")

    def faults(self) -> list[Fault]:
        """Everything that is wrong: first how things are written, then what is."""
        written = [fault for sheet in self._spoken for fault in self._told(sheet, sheet.faults)]
        checked = [
            fault for sheet in self._spoken for record in sheet.records for fault in self._told(sheet, record.faults)
        ]
        return [*written, *self._given_twice(), *checked]

    def acknowledged(self) -> set[tuple[str, str]]:
        """The objects whose warnings are known to who wrote them, by kind and id, as a fault names them."""
        return {(key.kind, key.id) for key in self._acknowledged}

    def warnings(self) -> list[Fault]:
        """What is odd with objects as such, whatever use is made of them."""
        written = [warning for sheet in self._spoken for warning in self._told(sheet, sheet.warnings)]
        checked = [
            each for sheet in self._spoken for record in sheet.records for each in self._told(sheet, record.warnings)
        ]
        return [*written, *checked]

    def unknown_kinds(self) -> dict[str, int]:
        """How many objects there are of kinds that are not understood."""
        counts: dict[str, int] = {}
        for sheet in self._unknown:
            for kind in sheet.unknown_kinds:
                counts[kind] = counts.get(kind, 0) + 1
        return counts

    def _add(self, sheet: Sheet) -> None:
        self._count_acknowledged(sheet, 1)
        for record in sheet.records:
            self._note(record.key)
            self._records.add(record.key, (record, sheet))
            self._by_kind.setdefault(record.key.kind, {})[record.key] = None
        for name in sheet.names:
            called = name.group, name.key
            if self._names.add(called, (name, sheet)) > 1:
                self._twice.add(called)
        if sheet.faults or sheet.warnings or any(record.faults or record.warnings for record in sheet.records):
            self._spoken[sheet] = None
        if sheet.unknown_kinds:
            self._unknown[sheet] = None

    def _remove(self, sheet: Sheet) -> None:
        self._count_acknowledged(sheet, -1)
        for record in sheet.records:
            self._note(record.key)
            if not self._records.drop(record.key, (record, sheet)):
                del self._by_kind[record.key.kind][record.key]
        for name in sheet.names:
            called = name.group, name.key
            if self._names.drop(called, (name, sheet)) < 2:
                self._twice.discard(called)
        self._spoken.pop(sheet, None)
        self._unknown.pop(sheet, None)
        del self._places[sheet]

    def _count_acknowledged(self, sheet: Sheet, more: int) -> None:
        for key in (*sheet.acknowledged, *(record.key for record in sheet.records if record.acknowledged)):
            if count := self._acknowledged.pop(key, 0) + more:
                self._acknowledged[key] = count

    def _note(self, key: Key) -> None:
        if key not in self._before:
            self._before[key] = self.get(key)

    def _told(self, sheet: Sheet, remarks: Iterable[Remark]) -> Iterator[Fault]:
        return (remark.at(self._places[sheet]) for remark in remarks)

    def _given_twice(self) -> Iterator[Fault]:
        for called in sorted(self._twice):
            named = self._names.of(called)
            first, *others = sorted(_site(name.key, name.line, self._places[sheet]) for name, sheet in named)
            for each in others:
                text = f"given twice (first in {first.path}:{first.line})"
                yield Fault(each.path, each.line, each.key.kind, each.key.id, "", text)


def _site(key: Key, line: int, place: Place) -> Site:
    return Site(place.path, line + place.before, key)
