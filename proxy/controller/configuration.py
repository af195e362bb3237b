"""The configuration as it was read last: the snapshot in use, and what was wrong with a newer one.

Keeps the last good one. Reads files through `proxy.mesh.sources`; what is in them is the business of `proxy.mesh`.
"""

import time
from collections.abc import Sequence
from typing import Any

from proxy.mesh.model import Snapshot
from proxy.mesh.resolving.load import Loader
from proxy.mesh.sources.files import FileSource


class Configuration:
    """What `--manifests` hold. `faults` are of the newest reading, `snapshot` is the last good one."""

    def __init__(self, paths: Sequence[str], gateway: str | None) -> None:
        self._source = FileSource(paths)
        self._loader = Loader(gateway)
        self._read_at = 0.0
        self.is_read = False
        """Whether there ever was a valid reading."""
        self.snapshot: Snapshot | None = None
        self.reason = ""
        """Why there is no snapshot although nothing is wrong."""
        self._faults: tuple[str, ...] = ()
        self._refused = ""
        self.warnings: tuple[str, ...] = ()

    def refresh(self, told_to: bool) -> bool:
        """Look at the files; True when there was something new in them, or when `told_to` read them anyway."""
        if self._read_at and not told_to and not self._source.changed():
            return False
        documents, unreadable = self._source.read()
        loaded = self._loader.load(documents)
        self._read_at = time.time()
        self._faults, self._refused = tuple(str(fault) for fault in (*unreadable, *loaded.faults)), ""
        self.warnings = loaded.warnings
        if not self._faults:
            self.snapshot, self.reason, self.is_read = loaded.snapshot, loaded.reason, True
        return True

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the newest reading."""
        return self._faults or ((self._refused,) if self._refused else ())

    def refuse(self, fault: str) -> bool:
        """The snapshot is right by itself, but cannot be served here; "" when it can. True: that is new."""
        former, self._refused = self._refused, fault
        return fault != former

    def last_reload(self) -> dict[str, Any]:
        """When the files were read last and what came of it, for people."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._read_at)) if self._read_at else None
        result = "kept the last good snapshot" if self.faults else self.reason or "ok"
        return {"at": at, "result": result if self.is_read else "invalid", "faults": self.faults}
