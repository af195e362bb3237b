"""The configuration as it was read last: the snapshot in use, and what was wrong with a newer one.

Keeps the last good one, and for a while the last one at all: manifests that are gone all at once are more often a copy
in progress or a lost volume than somebody's wish. Reads files through `proxy.mesh.sources`; what is in them is the
business of `proxy.mesh`.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from proxy.mesh.model import Snapshot
from proxy.mesh.resolving.load import Loaded, Loader
from proxy.mesh.sources.files import FileSource


class Configuration:
    """What `--manifests` hold. `faults` are of the newest reading, `snapshot` is the last good one."""

    def __init__(
        self,
        paths: Sequence[str],
        gateway: str | None,
        grace_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._grace_s = grace_s
        self._clock = clock
        self._vanished_at: float | None = None
        """Since when the manifests hold no Gateway, though there was one."""
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
        """Look at the files; True when there was something new in them, or when `told_to` read them anyway (and believe
        what they say)."""
        if self._read_at and not told_to and not self._is_overdue() and not self._source.changed():
            return False
        documents, unreadable = self._source.read()
        loaded = self._loader.load(documents)
        self._read_at = time.time()
        self._faults, self._refused = tuple(str(fault) for fault in (*unreadable, *loaded.faults)), ""
        self.warnings = (*self._source.notes, *loaded.warnings)
        if self._faults or told_to or not self._vanished(loaded):
            self._vanished_at = None
        elif self._vanished_at is None:
            self._vanished_at = self._clock()
        if self._vanished_at is not None and not self._is_overdue():
            self._faults = (self._said_of_vanished(),)
        if not self._faults:
            self._vanished_at = None
            self.snapshot, self.reason, self.is_read = loaded.snapshot, loaded.reason, True
        return True

    def _vanished(self, loaded: Loaded) -> bool:
        """Whether there was a Gateway and is none any more."""
        return self.snapshot is not None and loaded.snapshot is None

    def _is_overdue(self) -> bool:
        """Whether what has vanished has been gone for long enough to be believed."""
        return self._vanished_at is not None and self._clock() >= self._vanished_at + self._grace_s

    def _said_of_vanished(self) -> str:
        assert self.snapshot
        return (
            f"Gateway {self.snapshot.gateway} is gone from the manifests; nothing is closed for {self._grace_s:g} s "
            "(--vanished-manifests-grace): put the manifests back, or send HUP if it is meant"
        )

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
