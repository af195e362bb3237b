"""Small checks that combine into the shape of an object: the records of `proxy.mesh.kinds` are declared with them.

A check looks at one value, reports what is wrong, and returns what it has understood, None if that is nothing; it never
raises. A null is a field that is not set, as in Kubernetes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from proxy.mesh.reading.duration import milliseconds
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.remarks import shown, suggestion
from proxy.mesh.reading.report import Report

INT32_MAX = 2**31 - 1
UINT32_MAX = 2**32 - 1

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class At:
    """A place in a manifest, and where to report what is wrong there. `muted`: warnings are not wanted. `stored`: an
    API server has seen the object, so that a field which is not known here is of a newer version and no mistake."""

    __slots__ = ("_above", "_step", "manifest", "muted", "report", "stored")

    def __init__(
        self,
        manifest: Manifest,
        report: Report,
        above: At | None = None,
        step: str | int = "",
        muted: bool = False,
        stored: bool = False,
    ) -> None:
        self.manifest = manifest
        self.report = report
        self.muted = muted
        self.stored = stored
        self._above = above
        self._step = step

    @property
    def path(self) -> Path:
        steps: list[str | int] = []
        here = self
        while here._above is not None:
            steps.append(here._step)
            here = here._above
        return tuple(reversed(steps))

    def down(self, *steps: str | int) -> At:
        here = self
        for step in steps:
            here = At(self.manifest, self.report, here, step, self.muted, self.stored)
        return here

    def mute(self) -> At:
        """The same place, for what is not worth a warning here."""
        return At(self.manifest, self.report, self._above, self._step, True, self.stored)

    def apart(self, report: Report) -> At:
        """The same place, of which what is wrong is reported elsewhere."""
        return At(self.manifest, report, self._above, self._step, self.muted, self.stored)

    def fault(self, text: str) -> None:
        self.report.fault(self.manifest, self.path, text)

    def unknown(self, hint: str) -> None:
        """There is no such field."""
        if self.stored:
            self.warn("is not known in this version, so it does nothing")
        else:
            self.fault(f"is not a known field{hint}")

    def warn(self, text: str) -> None:
        if not self.muted:
            self.report.warn(self.manifest, self.path, text)

    @property
    def faults(self) -> int:
        """How many there are so far: more than before a check, and it has found something wrong."""
        return len(self.report.faults)


Check = Callable[[At, object], T | None]
AnyCheck = Callable[[At, object], object]
# A rule over several fields; only called where each of them has been found right.
Given = Mapping[str, object]
Rule = Callable[[At, T], None]


def spec(
    manifest: Manifest, body: Body, report: Report, check: Check[T], required: bool = True, stored: bool = False
) -> T | None:
    """What `check` makes of an object's `spec`. None: it is not there, or there is something wrong with it."""
    at = At(manifest, report, stored=stored).down("spec")
    if body.get("spec") is not None:
        return check(at, body["spec"])
    if required:
        at.fault("is required")
    return None


def anything(at: At, value: object) -> object:
    """No demands: what this version does not read."""
    return value


def absent(at: At, value: object) -> object:
    """A field that this kind has not, though the record has."""
    at.fault("is not a known field")
    return None


def boolean(at: At, value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    at.fault(f"must be true or false, not {shown(value)}")
    return None


def text(at: At, value: object) -> str | None:
    if isinstance(value, str):
        return value
    hint = " (put quotes around it)" if isinstance(value, bool | int | float) else ""
    at.fault(f"must be text, not {shown(value)}{hint}")
    return None


def filled(at: At, value: object) -> str | None:
    """Text that is not empty."""
    if value == "":
        at.fault("must not be empty")
        return None
    return text(at, value)


def duration(at: At, value: object, whole: bool = True) -> int | None:
    """In milliseconds; cut down to them unless it must be `whole`."""
    try:
        return milliseconds(value, whole)
    except ValueError as error:
        at.fault(str(error))
        return None


def duration_or_none(at: At, value: object) -> int | None:
    """A duration, or 0s, which stands for no limit where Istio says so."""
    return 0 if value == "0s" else duration(at, value)


def integer(low: int, high: int) -> Check[int]:
    def check(at: At, value: object) -> int | None:
        if not isinstance(value, int) or isinstance(value, bool):
            quoted = isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]+\s*", value)
            at.fault(f"must be a whole number, not {shown(value)}{' (remove the quotes)' if quoted else ''}")
        elif not low <= value <= high:
            at.fault(f"must be between {low} and {high}, not {shown(value)}")
        else:
            return value
        return None

    return check


def number(low: float, high: float) -> Check[float]:
    def check(at: At, value: object) -> float | None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            at.fault(f"must be a number, not {shown(value)}")
        elif not low <= value <= high:
            at.fault(f"must be between {low:g} and {high:g}, not {shown(value)}")
        else:
            return value
        return None

    return check


port_number = integer(1, 65535)
percent = integer(0, 100)
count = integer(0, INT32_MAX)
unsigned = integer(0, UINT32_MAX)


def one_of(*names: str) -> Check[str]:
    def check(at: At, value: object) -> str | None:
        if isinstance(value, str) and value in names:
            return value
        hint = suggestion(value, names) if isinstance(value, str) else ""
        at.fault(f"must be one of {', '.join(names)}, not {shown(value)}{hint}")
        return None

    return check


def choice(names: type[E]) -> Check[E]:
    """One of an enumeration's names."""
    known = one_of(*names)

    def check(at: At, value: object) -> E | None:
        found = known(at, value)
        return None if found is None else names(found)

    return check


def matching(good: Callable[[str], bool], what: str) -> Check[str]:
    def check(at: At, value: object) -> str | None:
        if not isinstance(value, str):
            return text(at, value)
        if good(value):
            return value
        at.fault(f"must be {what}, not {shown(value)}")
        return None

    return check


def items(check_item: Check[T]) -> Check[tuple[T, ...]]:
    """A list; a null item is a fault."""

    def check(at: At, value: object) -> tuple[T, ...] | None:
        if not isinstance(value, list):
            at.fault(f"must be a list, not {shown(value)}")
            return None
        found = []
        for index, item in enumerate(value):
            if item is None:
                at.down(index).fault("is empty: remove the item or fill it in")
            elif (read := check_item(at.down(index), item)) is not None:
                found.append(read)
        return tuple(found) if len(found) == len(value) else None

    return check


def few(check: Check[tuple[T, ...]], most: int) -> Check[tuple[T, ...]]:
    """A list of at most so many items."""

    def checked(at: At, value: object) -> tuple[T, ...] | None:
        if isinstance(value, list) and len(value) > most:
            at.fault(f"has {len(value)} items; at most {most} are allowed")
            return None
        return check(at, value)

    return checked


def mapping(check_value: Check[T]) -> Check[dict[str, T]]:
    """A mapping with keys of the user's choosing; what is null is left out."""

    def check(at: At, value: object) -> dict[str, T] | None:
        if not isinstance(value, dict):
            at.fault(f"must be a mapping, not {shown(value)}")
            return None
        found, good = {}, True
        for key, inner in value.items():
            if inner is not None:
                read = check_value(at.down(key), inner)
                if read is None:
                    good = False
                else:
                    found[key] = read
        return found if good else None

    return check


def labels(at: At, value: object) -> dict[str, str] | None:
    """A mapping of texts; null is empty text, as everywhere in Kubernetes."""
    found = mapping(text)(at, value)
    if found is None or not isinstance(value, dict):
        return None
    return {key: found.get(key, "") for key in value}


def fields(
    table: Mapping[str, AnyCheck],
    required: Iterable[str] = (),
    rules: tuple[Rule[Given], ...] = (),
    closed: bool = True,
) -> Check[Given]:
    """A mapping with the given fields. Not `closed`: others are let pass, for objects of which only a part is read.

    What comes out has no nulls. Where it is used for more than that it was right, `records.struct` gives it a type.
    """

    def check(at: At, value: object) -> Given | None:
        if not isinstance(value, dict):
            at.fault(f"must be a mapping, not {shown(value)}")
            return None
        before = at.faults
        found: dict[str, object] = {}
        for name, inner in value.items():
            if name not in table:
                if closed:
                    at.down(name).unknown(suggestion(name, table))
            elif inner is not None:
                found[name] = table[name](at.down(name), inner)
        for name in required:
            if value.get(name) is None:
                at.down(name).fault("is required")
        if at.faults != before:
            return None
        for rule in rules:
            rule(at, found)
        return found if at.faults == before else None

    return check


def any_of(*names: str) -> Rule[Given]:
    """At least one of the fields must be set; an empty list is not."""

    def rule(at: At, given: Given) -> None:
        if all(given.get(name, ()) == () for name in names):
            at.fault(f"sets nothing: give at least one of {', '.join(names)}, or remove it")

    return rule


def at_most_one(*names: str) -> Rule[Given]:
    """Fields that exclude each other."""

    def rule(at: At, given: Given) -> None:
        together = [name for name in names if name in given]
        if len(together) > 1:
            at.down(together[1]).fault(f"cannot be used together with {together[0]}")

    return rule
