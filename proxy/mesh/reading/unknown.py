"""Fields that an object has and its kind has not: told as warnings, each with the field that was probably meant.

As strict as `kubectl --validate=strict`, with one difference. An object that a cluster gave back (it has a
`metadata.uid`) has lost its unknown fields there, so that what is new in it is of a newer version than the table
(`api_fields`). Of such only what is close to a field that is missing is told: somebody has edited it since.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from proxy.mesh.reading.api_fields import FIELDS
from proxy.mesh.reading.lines import Path, path_text
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import is_stored
from proxy.mesh.reading.remarks import suggestion
from proxy.mesh.reading.report import Report

MOST_TOLD = 10
"""Of one object."""
_DEEPER = "+"
_CLOSE = 0.85

Known = Mapping[str, str]
"""The fields of a mapping, each with where what is in it is described, or ""."""


def _known(where: str, names: str) -> Known:
    found = {}
    for name, deeper, _ in (each.partition(_DEEPER) for each in names.split()):
        inside = "metadata" if name == "metadata" else f"{where}.{name}"
        found[name] = inside if deeper else ""
    return found


_TABLE: Mapping[str, Known] = {where: _known(where, names) for where, names in FIELDS.items()}


def unknown_fields(manifest: Manifest, body: Body, report: Report) -> None:
    """Tell of the fields that the object's kind has not. Nothing of what its reader has told as a fault already."""
    if manifest.kind not in _TABLE:
        return
    stored = is_stored(body)
    told: dict[tuple[str | None, ...], tuple[Path, str]] = {}
    more: dict[tuple[str | None, ...], int] = {}
    for path, given, known in _unknown(manifest.kind, body, ()):
        if stored and not _edited(str(path[-1]), given, known):
            continue
        # The same in every item of a list is one mistake.
        shape = tuple(step if isinstance(step, str) else None for step in path)
        told.setdefault(shape, (path, suggestion(str(path[-1]), known)))
        more[shape] = more.get(shape, -1) + 1
    faults = {fault.field for fault in report.faults}
    for shape, (path, hint) in list(told.items())[:MOST_TOLD]:
        if path_text(path) not in faults:
            again = f" (the same in {more[shape]} more places)" if more[shape] else ""
            report.warn(manifest, path, f"is not a known field{hint}, so it does nothing{again}", together=True)


def _unknown(where: str, value: object, path: Path) -> Iterator[tuple[Path, Body, Known]]:
    """Where each unknown field stands, the mapping that it stands in, and what there may be in that."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(where, item, (*path, index))
    elif isinstance(value, dict):
        known = _TABLE[where]
        for name, inner in value.items():
            inside = known.get(name)
            if inside is None:
                yield (*path, name), value, known
            elif inside:
                yield from _unknown(inside, inner, (*path, name))


def _edited(name: str, given: Body, known: Known) -> bool:
    """Whether a field is a slip of the pen, and not a newer one."""
    missing = [each.lower() for each in known if each not in given]
    return bool(difflib.get_close_matches(name[:100].lower(), missing, n=1, cutoff=_CLOSE))
