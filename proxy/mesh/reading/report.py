"""Where everything that is wrong with the configuration is gathered, so that all of it can be told at once.

Faults stop a configuration from being used; warnings do not. Both name file, line, object and field.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable

from proxy.mesh.model import Fault
from proxy.mesh.reading.lines import Path, path_text
from proxy.mesh.reading.manifests import Manifest

_LONGEST_SHOWN = 60


class Report:
    """Faults and warnings, in the order they were found, each said once."""

    def __init__(self) -> None:
        self.faults: dict[Fault, None] = {}
        self.warnings: dict[Fault, None] = {}

    def fault(self, manifest: Manifest, path: Path, text: str) -> None:
        self.faults[_remark(manifest, path, text)] = None

    def warn(self, manifest: Manifest, path: Path, text: str) -> None:
        self.warnings[_remark(manifest, path, text)] = None


def _remark(manifest: Manifest, path: Path, text: str) -> Fault:
    return Fault(manifest.path, manifest.lines.line_of(path), manifest.kind, manifest.id, path_text(path), text)


def shown(value: object) -> str:
    """A value as a message quotes it: short, on one line, safe to print."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = json.dumps(value) if isinstance(value, str | int | float) else type(value).__name__
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 4] + '..."'


def suggestion(name: str, known: Iterable[str]) -> str:
    """` (did you mean "interval"?)`, or "" if nothing known is close to `name`."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name[:100].lower(), by_lower, n=1, cutoff=0.6)
    return f' (did you mean "{by_lower[close[0]]}"?)' if close else ""
