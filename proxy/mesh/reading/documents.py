"""Documents to sheets, file by file. What has not changed since the last time is not parsed again: of thousands of
files one changes, and of a long file one object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from proxy.mesh.reading.manifests import Document
from proxy.mesh.reading.remarks import Place
from proxy.mesh.reading.sheets import Reader, Sheet, read_sheet
from proxy.mesh.reading.tree import MAX_ALIASED, Tree, read

Placed = tuple[Sheet, Place]

_START = "---"
# Line breaks that only YAML knows.
_BREAKS = ("\x85", "\u2028", "\u2029")

# A text, the sheets of its documents, and the values that aliases stand for in them.
_Part = tuple[str, tuple[Sheet, ...], int]


class Documents:
    """The files as they were read last."""

    def __init__(self, readers: Mapping[str, Reader]) -> None:
        self._readers = readers
        self._texts: dict[str, str] = {}
        self._parts: dict[str, list[_Part]] = {}

    def changes(self, documents: Iterable[Document]) -> Iterator[tuple[str, list[Placed]]]:
        """The files that are not as they were, by path, with all their sheets; one that is gone has none."""
        texts = {document.path: document.text for document in documents}
        for path in [path for path in self._texts if path not in texts]:
            del self._texts[path], self._parts[path]
            yield path, []
        for path, text in texts.items():
            if self._texts.get(path) != text:
                self._texts[path] = text
                yield path, list(self._read(path, text))

    def _read(self, path: str, text: str) -> Iterator[Placed]:
        before = self._parts.get(path, [])
        parts = self._parts[path] = self._apart(text, before) or [self._part(text)]
        line = 0
        for part, sheets, _ in parts:
            place = Place(path, line)
            yield from ((sheet, place) for sheet in sheets)
            line += part.count("\n")

    def _apart(self, text: str, before: list[_Part]) -> list[_Part]:
        """The file in parts, one a document; none if it must be read whole: what is wrong is told as of the whole."""
        if _has_directives(text) or _has_odd_breaks(text):
            return []
        known: dict[str, list[_Part]] = {}
        for part in before:
            known.setdefault(part[0], []).append(part)
        parts = []
        for each in _documents(text):
            same = known.get(each)
            part = same.pop() if same else self._part(each)
            if any(sheet.broken for sheet in part[1]):
                return []
            parts.append(part)
        return parts if sum(aliased for _, _, aliased in parts) <= MAX_ALIASED else []

    def _part(self, text: str) -> _Part:
        trees: list[Tree] = list(read(text))
        sheets = tuple(read_sheet(tree, self._readers) for tree in trees)
        return text, sheets, sum(tree.aliased for tree in trees)


def _documents(text: str) -> Iterator[str]:
    """The text from each `---` to the next. (One in the first column begins a document wherever it stands.)"""
    began = 0
    found = text.find(f"\n{_START}")
    while found >= 0:
        after = found + 1 + len(_START)
        if after == len(text) or text[after].isspace():
            yield text[began : found + 1]
            began = found + 1
        found = text.find(f"\n{_START}", after)
    yield text[began:]


def _has_directives(text: str) -> bool:
    return text.startswith("%") or "\n%" in text


def _has_odd_breaks(text: str) -> bool:
    return any(each in text for each in _BREAKS) or text.count("\r") != text.count("\r\n")
