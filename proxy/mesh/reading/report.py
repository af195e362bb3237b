"""Where everything that is wrong with objects is gathered, so that all of it can be told at once.

Faults stop a configuration from being used; warnings do not.
"""

from __future__ import annotations

from proxy.mesh.reading.lines import Path, path_text
from proxy.mesh.reading.manifests import Manifest
from proxy.mesh.reading.remarks import Remark


class Report:
    """Faults and warnings, in the order they were found."""

    def __init__(self) -> None:
        self.faults: list[Remark] = []
        self.warnings: list[Remark] = []

    def fault(self, manifest: Manifest, path: Path, text: str) -> None:
        self.faults.append(_remark(manifest, path, text))

    def warn(self, manifest: Manifest, path: Path, text: str, together: bool = False) -> None:
        """`together`: where the same is to be said of several objects, it is said once."""
        self.warnings.append(_remark(manifest, path, text, together))


def _remark(manifest: Manifest, path: Path, text: str, together: bool = False) -> Remark:
    return Remark(manifest.key, manifest.lines.line_of(path), path_text(path), text, together)
