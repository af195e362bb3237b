"""Small checks that combine into the shape of an object: the tables in this package are written with them.

A check looks at one value and reports; it never raises and changes nothing. A null is a field that is not set, as in
Kubernetes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from proxy.mesh.reading.duration import milliseconds
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.manifests import Manifest
from proxy.mesh.reading.report import Report, shown, suggestion

INT32_MAX = 2**31 - 1
UINT32_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class At:
    """A place in a manifest, and where to report what is wrong there. `muted`: warnings are not wanted."""

    manifest: Manifest
    report: Report
    path: Path = ()
    muted: bool = False

    def down(self, *steps: str | int) -> At:
        return At(self.manifest, self.report, self.path + steps, self.muted)

    def fault(self, text: str) -> None:
        self.report.fault(self.manifest, self.path, text)

    def warn(self, text: str) -> None:
        if not self.muted:
            self.report.warn(self.manifest, self.path, text)


Check = Callable[[At, object], None]
# A rule over several fields; only called where each of them has been found right.
Rule = Callable[[At, dict[str, object]], None]


def anything(at: At, value: object) -> None:
    """No demands: what this version does not read."""


def boolean(at: At, value: object) -> None:
    if not isinstance(value, bool):
        at.fault(f"must be true or false, not {shown(value)}")


def text(at: At, value: object) -> None:
    if not isinstance(value, str):
        hint = " (put quotes around it)" if isinstance(value, bool | int | float) else ""
        at.fault(f"must be text, not {shown(value)}{hint}")


def filled(at: At, value: object) -> None:
    """Text that is not empty."""
    text(at, value)
    if value == "":
        at.fault("must not be empty")


def duration(at: At, value: object) -> None:
    try:
        milliseconds(value)
    except ValueError as error:
        at.fault(str(error))


def integer(low: int, high: int) -> Check:
    def check(at: At, value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            quoted = isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]+\s*", value)
            at.fault(f"must be a whole number, not {shown(value)}{' (remove the quotes)' if quoted else ''}")
        elif not low <= value <= high:
            at.fault(f"must be between {low} and {high}, not {shown(value)}")

    return check


def number(low: float, high: float) -> Check:
    def check(at: At, value: object) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            at.fault(f"must be a number, not {shown(value)}")
        elif not low <= value <= high:
            at.fault(f"must be between {low:g} and {high:g}, not {shown(value)}")

    return check


port_number = integer(1, 65535)
percent = integer(0, 100)
count = integer(0, INT32_MAX)
unsigned = integer(0, UINT32_MAX)


def one_of(*names: str) -> Check:
    def check(at: At, value: object) -> None:
        if value not in names or not isinstance(value, str):
            hint = suggestion(value, names) if isinstance(value, str) else ""
            at.fault(f"must be one of {', '.join(names)}, not {shown(value)}{hint}")

    return check


def matching(good: Callable[[str], bool], what: str) -> Check:
    def check(at: At, value: object) -> None:
        if not isinstance(value, str):
            text(at, value)
        elif not good(value):
            at.fault(f"must be {what}, not {shown(value)}")

    return check


def items(check_item: Check) -> Check:
    """A list; a null item is a fault."""

    def check(at: At, value: object) -> None:
        if not isinstance(value, list):
            at.fault(f"must be a list, not {shown(value)}")
            return
        for index, item in enumerate(value):
            if item is None:
                at.down(index).fault("is empty: remove the item or fill it in")
            else:
                check_item(at.down(index), item)

    return check


def mapping(check_value: Check) -> Check:
    """A mapping with keys of the user's choosing."""

    def check(at: At, value: object) -> None:
        if not isinstance(value, dict):
            at.fault(f"must be a mapping, not {shown(value)}")
            return
        for key, inner in value.items():
            if inner is not None:
                check_value(at.down(key), inner)

    return check


def struct(
    fields: Mapping[str, Check], required: tuple[str, ...] = (), rules: tuple[Rule, ...] = (), closed: bool = True
) -> Check:
    """A mapping with the given fields. Not `closed`: others are let pass, for objects of which only a part is read."""

    def check(at: At, value: object) -> None:
        if not isinstance(value, dict):
            at.fault(f"must be a mapping, not {shown(value)}")
            return
        before = len(at.report.faults)
        for name, inner in value.items():
            if name not in fields:
                if closed:
                    at.down(name).fault(f"is not a known field{suggestion(name, fields)}")
            elif inner is not None:
                fields[name](at.down(name), inner)
        for name in required:
            if value.get(name) is None:
                at.down(name).fault("is required")
        if len(at.report.faults) == before:
            for rule in rules:
                rule(at, value)

    return check


def unenforced(check_value: Check, instead: str = "", unless: tuple[object, ...] = ()) -> Check:
    """A field that is checked and accepted, with a warning that it does nothing; `unless` it asks for what is done."""

    def check(at: At, value: object) -> None:
        before = len(at.report.faults)
        check_value(replace(at, muted=True), value)
        if value not in unless and len(at.report.faults) == before:
            at.warn("is not enforced by this version" + (f"; {instead}" if instead else ""))

    return check


def any_of(*names: str) -> Rule:
    """At least one of the fields must be set."""

    def rule(at: At, value: dict[str, object]) -> None:
        if all(value.get(name) is None for name in names):
            at.fault(f"sets nothing: give at least one of {', '.join(names)}, or remove it")

    return rule


def at_most_one(*names: str) -> Rule:
    """Fields that exclude each other."""

    def rule(at: At, value: dict[str, object]) -> None:
        given = [name for name in names if value.get(name) is not None]
        if len(given) > 1:
            at.down(given[1]).fault(f"cannot be used together with {given[0]}")

    return rule
