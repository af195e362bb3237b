"""YAML (and JSON, a subset of it) as plain values that remember their line.

Reads text only. It may not trust the text: nesting and alias expansion are bounded, no tag builds an object, and keys
given twice are reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from proxy.mesh.reading.lines import Lines, Path
from proxy.mesh.reading.scalars import TAG, converted

MAX_DEPTH = 64
_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
MAX_ALIASED = 100_000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with the text itself; `path` is where in the document it was found."""

    line: int
    path: Path
    text: str


@dataclass(slots=True)
class Tree:
    """One document of a file. With `problems`, `value` holds what could be read.

    `aliased`: how many of its values are aliases for others.
    """

    value: object
    lines: Lines
    problems: list[Problem] = field(default_factory=list)
    aliased: int = 0


def read(text: str) -> Iterator[Tree]:
    """The documents of `text`. A syntax error ends the walk with a Tree that holds only the problem; nothing raises."""
    builder: _Builder | None = None
    try:
        builder = _Builder(text)
        yield from builder.documents()
    except _UnreadableError as error:
        yield _broken(error.line, error.text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.problem, error.context) if part)
        if mark and _begins_with_tab(text, mark.line):
            said = "a tab: YAML is indented with blanks only"
        deep = "nesting depth" in said  # newer libyaml stops by itself, before we see how deep it is
        yield _broken(mark.line + 1 if mark else 0, _TOO_DEEP if deep else f"not valid YAML: {said}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 0
        yield _broken(line, f"not valid YAML: {error.reason}")
    except UnicodeError:
        yield _broken(0, "not valid YAML: the text holds characters that are not Unicode")
    finally:
        if builder is not None:
            builder.close()


def _begins_with_tab(text: str, line: int) -> bool:
    """Whether there is a tab before what the line says."""
    lines = text.split("\n", line + 1)
    return len(lines) > line and "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]


def _broken(line: int, text: str) -> Tree:
    return Tree(None, Lines(line), [Problem(line, (), text)])


class _UnreadableError(Exception):
    """A bound was exceeded: the rest of the file is not read."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


class _Builder:
    """Builds values from parser events: unlike `compose`, that leaves depth and aliases in our hands."""

    def __init__(self, text: str) -> None:
        self._loader = yaml.CSafeLoader(text)
        self._resolve: Callable[..., object] = self._loader.resolve
        # Never None: the walk ends at StreamEndEvent.
        self._next = cast(Callable[[], Event], self._loader.get_event)
        self._plain: dict[str, object] = {}
        # None: still being built, so that an alias to it is a circle.
        self._anchors: dict[str, tuple[object, Lines, int] | None] = {}
        self._problems: list[Problem] = []
        self._path: list[str | int] = []
        self._size = 0
        self._aliased = 0

    def close(self) -> None:
        self._loader.dispose()

    def documents(self) -> Iterator[Tree]:
        while not isinstance(event := self._next(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                self._anchors, self._problems, self._path = {}, [], []
                before = self._aliased
                value, lines = self._node(self._next())
                yield Tree(value, lines, self._problems, self._aliased - before)

    def _node(self, event: Event) -> tuple[object, Lines]:
        if isinstance(event, AliasEvent):
            return self._alias(event)
        before = self._size
        self._size += 1
        line = _line(event)
        anchor: str | None = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = None
        value: object
        if isinstance(event, ScalarEvent):
            value, lines = self._scalar(event, line), Lines(line)
        else:
            lines = Lines(line, {})
            if len(self._path) >= MAX_DEPTH:
                raise _UnreadableError(line, _TOO_DEEP)
            tag: str | None = getattr(event, "tag", None)
            if tag not in (None, "!", TAG + "map", TAG + "seq"):
                self._problem(line, f"the tag {tag} is not supported")
            value = self._mapping(lines) if isinstance(event, MappingStartEvent) else self._sequence(lines)
        if anchor is not None:
            self._anchors[anchor] = (value, lines, self._size - before)
        return value, lines

    def _alias(self, event: AliasEvent) -> tuple[object, Lines]:
        line = _line(event)
        if event.anchor not in self._anchors:
            raise _UnreadableError(line, f"the alias *{event.anchor} has no anchor before it")
        target = self._anchors[event.anchor]
        if target is None:
            raise _UnreadableError(line, f"the alias *{event.anchor} is inside what it stands for")
        value, lines, size = target
        self._size += size
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            raise _UnreadableError(line, f"aliases stand for more than {MAX_ALIASED} values in all")
        return value, lines

    def _sequence(self, lines: Lines) -> list[object]:
        values: list[object] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            self._path.append(len(values))
            value, lines.children[len(values)] = self._node(event)
            self._path.pop()
            values.append(value)
        return values

    def _mapping(self, lines: Lines) -> dict[str, object]:
        values: dict[str, object] = {}
        merges: list[tuple[object, Lines]] = []
        while not isinstance(event := self._next(), MappingEndEvent):
            key, line = self._key(event), _line(event)
            self._path.append(key)
            value, inner = self._node(self._next())
            if key == "<<":
                merges.append((value, inner))
            elif key in values:
                self._problem(line, f"given twice (first in line {lines.children[key].line})")
            else:
                # The key's own line: a value that is a block starts a line below what the reader looks for.
                values[key] = value
                lines.children[key] = _at_line(inner, line)
            self._path.pop()
        for value, inner in merges:
            self._merge(values, lines, value, inner)
        return values

    def _key(self, event: Event) -> str:
        if isinstance(event, ScalarEvent):
            if event.anchor is not None:
                self._anchors[event.anchor] = (event.value, Lines(_line(event)), 1)
            return str(event.value)
        line = _line(event)
        # A step of its own, so that keys inside keys are counted as depth too.
        self._path.append("?")
        value, _ = self._node(event)
        self._path.pop()
        if not isinstance(value, str):
            self._problem(line, "a key must be text")
            return f"(key in line {line})"
        return value

    def _merge(self, values: dict[str, object], lines: Lines, value: object, inner: Lines) -> None:
        if isinstance(value, list):
            for index, item in enumerate(value):
                self._merge(values, lines, item, inner.children[index])
        elif isinstance(value, dict):
            for key, merged in value.items():
                if key not in values:
                    values[key] = merged
                    lines.children[key] = inner.children[key]
        else:
            self._problem(inner.line, "<< must be given a mapping, or a list of mappings")

    def _scalar(self, event: ScalarEvent, line: int) -> object:
        tag = event.tag
        # Of the same few words, most of them.
        is_plain = tag is None and event.implicit[0]
        if is_plain and event.value in self._plain:
            return self._plain[event.value]
        if tag is None or tag == "!":
            tag = cast(str, self._resolve(yaml.ScalarNode, event.value, event.implicit))
        try:
            value = converted(tag, event.value, event.implicit[0])
            if is_plain:
                self._plain[event.value] = value
            return value
        except ValueError:
            self._problem(line, f"not a value of {tag.removeprefix(TAG)}")
        except LookupError:
            self._problem(line, f"the tag {tag} is not supported")
        return None

    def _problem(self, line: int, text: str) -> None:
        self._problems.append(Problem(line, tuple(self._path), text))


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _at_line(lines: Lines, line: int) -> Lines:
    if lines.line == line:
        return lines
    return Lines(line, lines.children)
