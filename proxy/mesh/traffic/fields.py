"""How the fields of a record are called in manifests, and what a record says, field by field.

A record's attribute has the API's name in snake_case, times with `_ms` behind it; `named` gives it where it differs.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, TypeVar, cast

T = TypeVar("T")

NAME = "name"
"""What an attribute's name in manifests is kept by, in its metadata."""
MILLISECONDS = "_ms"


_NO_DEFAULT: Any = dataclasses.MISSING


def named(name: str, default: T = _NO_DEFAULT) -> T:
    """An attribute with that default, or none, which manifests call `name`."""
    attribute: object = dataclasses.field(default=default, metadata={NAME: name})
    return cast(T, attribute)


def api_name(attribute: dataclasses.Field[Any]) -> str:
    """What the manifest calls it."""
    return attribute.metadata.get(NAME) or _camel(attribute.name.removesuffix(MILLISECONDS))


def values(record: object, path: str = "") -> Iterator[tuple[str, str, object]]:
    """Every value in the record and those in it, in the order of their declaration: the dotted path below `path`, the
    attribute that has it, and the value. Lists are values; a record that is not there (None) is one, too."""
    for each in dataclasses.fields(cast(Any, record)):
        value, name = getattr(record, each.name), f"{path}{api_name(each)}"
        if dataclasses.is_dataclass(value):
            yield from values(value, f"{name}.")
        else:
            yield name, each.name, value


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)
