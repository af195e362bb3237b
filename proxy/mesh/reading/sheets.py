"""One document in, the objects that it holds out, each read and checked, with everything that is wrong with them.

Knows only what all objects share: apiVersion, kind, metadata, `List`. Each kind's own reader is handed in.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from proxy.mesh.model import printable
from proxy.mesh.reading.lines import Lines, Path, path_text
from proxy.mesh.reading.manifests import ATTACHED, KINDS, NAMESAKES, Body, Manifest
from proxy.mesh.reading.metadata import (
    ACKNOWLEDGED,
    DEFAULT_NAMESPACE,
    heading,
    is_acknowledged,
    manifest_of,
    metadata_faults,
    named,
    texts_of,
)
from proxy.mesh.reading.remarks import Key, Remark, shown
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.tree import Tree
from proxy.mesh.reading.unknown import unknown_fields

OTHERS = "*"
"""Stands for the kinds that are not understood: what their reader returns, if it is anything, is an object too."""
Reader = Callable[[Manifest, Body, Report], object]
"""Reads one kind: what the rest of the mesh needs of the object, and into the report whatever is wrong with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One object, read and checked. `value`: what its kind's reader made of it; of use only without `faults`."""

    key: Key
    line: int
    value: object
    faults: tuple[Remark, ...] = ()
    warnings: tuple[Remark, ...] = ()
    acknowledged: bool = False


class Name(NamedTuple):
    """What only one object may be called; `line` is where the object that is called so begins."""

    group: str
    key: Key
    line: int


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """What one document holds. `faults` and `warnings` are of how it is written; those of objects are theirs."""

    records: tuple[Record, ...]
    faults: tuple[Remark, ...]
    warnings: tuple[Remark, ...]
    names: tuple[Name, ...]
    unknown_kinds: tuple[str, ...]
    acknowledged: tuple[Key, ...] = ()  # of the objects about which there are warnings here
    broken: bool = False  # there is something wrong with the text itself


def read_sheet(tree: Tree, readers: Mapping[str, Reader]) -> Sheet:
    """Every object of understood kinds, and everything wrong with it. Never raises."""
    writer = _Writer(readers)
    subject = heading(tree.value)
    for problem in tree.problems:
        writer.fault(subject, problem.line, problem.path, problem.text)
    # With a duplicate key the object is still read: its other faults are told at the same time.
    if tree.value is not None:
        writer.take(tree.value, tree.lines, "")
    return writer.sheet(bool(tree.problems))


class _Writer:
    def __init__(self, readers: Mapping[str, Reader]) -> None:
        self._readers = readers
        self._records: list[Record] = []
        self._faults: list[Remark] = []
        self._warnings: list[Remark] = []
        self._names: list[Name] = []
        self._unknown: list[str] = []
        self._acknowledged: list[Key] = []

    def sheet(self, broken: bool) -> Sheet:
        return Sheet(
            records=tuple(self._records),
            faults=tuple(self._faults),
            warnings=tuple(self._warnings),
            names=tuple(self._names),
            unknown_kinds=tuple(self._unknown),
            acknowledged=tuple(self._acknowledged),
            broken=broken,
        )

    def fault(self, key: Key, line: int, field: Path, text: str) -> None:
        self._faults.append(Remark(key, line, path_text(field), text))

    def take(self, body: object, lines: Lines, implied_kind: str) -> None:
        if not isinstance(body, dict):
            text = "a Kubernetes object must be a mapping with apiVersion and kind"
            self.fault(Key("", "", ""), lines.line, (), text)
            return
        kind, api_version = body.get("kind") or implied_kind, body.get("apiVersion")
        if not isinstance(kind, str) or not kind:
            self.fault(Key("", "", ""), lines.line_of(("kind",)), ("kind",), "is missing, or not text")
            return
        if isinstance(body.get("items"), list) and kind.endswith("List"):
            self._list(body, lines, kind)
            return
        if not isinstance(api_version, str) or not api_version:
            if not implied_kind:
                self.fault(heading(body), lines.line_of(("apiVersion",)), ("apiVersion",), "is missing, or not text")
                return
            api_version = ""
        self._named(body, lines, kind, api_version)

    def _list(self, body: Body, lines: Lines, kind: str) -> None:
        items = body["items"]
        assert isinstance(items, list)
        inner = lines.children["items"]
        for index, item in enumerate(items):
            # The items of a `ServiceList`, unlike those of a `List`, may leave out what the list's name says.
            self.take(item, inner.children[index], "" if kind == "List" else kind.removesuffix("List"))

    def _named(self, body: Body, lines: Lines, kind: str, api_version: str) -> None:
        group, _, version = api_version.rpartition("/")
        known = KINDS.get(kind)
        understood = known is not None and (known[0] == group or not api_version)
        key = named(body, kind, understood)
        if known is None or not understood:
            self._not_understood(body, lines, group, key)
            return
        bad = list(metadata_faults(body, kind))
        if api_version and version not in known[1]:
            text = f"{api_version[:100]} is not read by this version; use {f'{group}/v1'.lstrip('/')}"
            bad.append((("apiVersion",), text))
        for where, text in bad:
            self.fault(key, lines.line_of(where), where, text)
        if not bad:
            self._names.append(Name(group, key, lines.line))
        # Read whatever is wrong with it so far, so that the rest of what is wrong is told at the same time.
        self._records.append(self._record(manifest_of(key, body, lines), body))

    def _record(self, manifest: Manifest, body: Body) -> Record:
        report = Report()
        reader = self._readers.get(manifest.kind)
        value = reader(manifest, body, report) if reader else manifest
        unknown_fields(manifest, body, report)
        return _recorded(manifest, body, value, report)

    def _not_understood(self, body: Body, lines: Lines, group: str, key: Key) -> None:
        label = f"{key.kind}.{group}" if group else key.kind
        self._unknown.append(printable(label[:150]))
        if is_acknowledged(body):
            self._acknowledged.append(key)
        if key.kind in KINDS and (group, key.kind) not in NAMESAKES:
            text = f"ignored: the {key.kind} understood here is of {KINDS[key.kind][0] or 'the core group (v1)'}"
            self._warnings.append(Remark(key, lines.line_of(("apiVersion",)), "apiVersion", text))
        elif key.kind not in KINDS and (near := _near(key.kind, group)):
            text = f"ignored: there is no kind {key.kind} (did you mean {near}?)"
            self._warnings.append(Remark(key, lines.line_of(("kind",)), "kind", text))
        if key.name:
            self._names.append(Name(group, key, lines.line))
        if OTHERS in self._readers and key.name and key.kind not in KINDS:
            self._attached(body, lines, group, key)

    def _attached(self, body: Body, lines: Lines, group: str, key: Key) -> None:
        """An object of a kind that is not understood, if it attaches to something."""
        own = key.kind if ATTACHED.get(key.kind) == group else printable(f"{key.kind}.{group}"[:150])
        key = Key(own, key.namespace or DEFAULT_NAMESPACE, key.name)
        report = Report()
        value = self._readers[OTHERS](manifest_of(key, body, lines), body, report)
        if value is not None or report.warnings:
            self._records.append(_recorded(manifest_of(key, body, lines), body, value, report))


def _recorded(manifest: Manifest, body: Body, value: object, report: Report) -> Record:
    given, known = texts_of(body, "annotations").get(ACKNOWLEDGED), is_acknowledged(body)
    if given is not None and not known:
        text = f'must be "true", not {shown(given)}, so the warnings about the object are told all the same'
        report.warn(manifest, ("metadata", "annotations", ACKNOWLEDGED), text)
    return Record(manifest.key, manifest.lines.line, value, tuple(report.faults), tuple(report.warnings), known)


def _near(kind: str, group: str) -> str:
    """The kind of the same group that was probably meant, or "". Kubernetes' own kinds are less alike than this."""
    known = {name.lower(): name for name, (of, _) in KINDS.items() if of == group}
    known |= {name.lower(): name for name, of in ATTACHED.items() if of == group}
    close = difflib.get_close_matches(kind[:100].lower(), known, n=1, cutoff=0.85)
    near = known[close[0]] if close else ""
    return "" if near == kind else near
