"""Records: what a mapping in a manifest is read into, its fields declared once, each with its check.

@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    kind: str = required(filled)
    target_port: int = optional(port_number, 80)    # targetPort

ref = struct(Ref)                                   # a Check[Ref]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from proxy.mesh.reading.schema import AnyCheck, At, Check, Given, Rule, fields
from proxy.mesh.traffic.fields import NAME, api_name

T = TypeVar("T")
D = TypeVar("D")

_CHECK = "check"
_DEFAULT = "default"


def required(check: Check[T], name: str = "") -> T:
    """A field that must be there. `name`: what it is called in the manifest, if not the same in camelCase."""
    return cast(T, dataclasses.field(metadata={_CHECK: check, NAME: name}))


def optional(check: Check[T], default: D, name: str = "") -> T | D:
    """A field that may be left out, or be null; then it is `default`."""
    metadata = {_CHECK: check, NAME: name, _DEFAULT: default}
    return cast("T | D", dataclasses.field(metadata=metadata))


def struct(
    record: type[T],
    also: Mapping[str, AnyCheck] | None = None,
    given: tuple[Rule[Given], ...] = (),
    rules: tuple[Rule[T], ...] = (),
    closed: bool = True,
) -> Check[T]:
    """A mapping that is read into a `record`.

    `also`: fields that are checked and not kept, or checks that take the place of the record's own. Rules are over what
    is `given`, by the names of the manifest, or over the record. `closed` is that of `fields`.
    """
    declared = {api_name(each): each for each in dataclasses.fields(cast(Any, record))}
    table = {name: each.metadata[_CHECK] for name, each in declared.items()} | dict(also or {})
    shape = fields(table, [name for name, each in declared.items() if _DEFAULT not in each.metadata], (), closed)
    attributes = [(each.name, name, each.metadata.get(_DEFAULT)) for name, each in declared.items()]

    def make(found: Given) -> T:
        return record(**{attribute: found.get(name, default) for attribute, name, default in attributes})

    return _checked(shape, make, given, rules)


def built(
    record: type[T],
    checks: Mapping[str, AnyCheck],
    given: tuple[Rule[Given], ...] = (),
    rules: tuple[Rule[T], ...] = (),
) -> Check[T]:
    """A mapping that is read into a `record` which knows nothing of manifests: `checks` are by the API's names of its
    attributes (`traffic.fields`); those without a default must be there. A check may be for what no attribute keeps.
    """
    declared = {api_name(each): each for each in dataclasses.fields(cast(Any, record))}
    shape = fields(checks, [name for name in checks if name in declared and not _has_default(declared[name])])

    def make(found: Given) -> T:
        known = {name: value for name, value in found.items() if name in declared and value is not None}
        return record(**{declared[name].name: value for name, value in known.items()})

    return _checked(shape, make, given, rules)


def _checked(
    shape: Check[Given], make: Callable[[Given], T], given: tuple[Rule[Given], ...], rules: tuple[Rule[T], ...]
) -> Check[T]:
    """What a mapping of that `shape` is made into, if neither the rules over what is given nor those over what it makes
    find a fault."""

    def check(at: At, value: object) -> T | None:
        found = shape(at, value)
        if found is None:
            return None
        before = at.faults
        for each in given:
            each(at, found)
        made = make(found)
        for rule in rules:
            rule(at, made)
        return made if at.faults == before else None

    return check


def _has_default(attribute: dataclasses.Field[Any]) -> bool:
    return attribute.default is not dataclasses.MISSING or attribute.default_factory is not dataclasses.MISSING
