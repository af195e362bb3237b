"""The configuration as it was read last: the snapshot in use, and what was wrong with a newer one.

Keeps the last good one. Files that no longer hold the Gateway are for a while not believed, since that is more often a
copy in progress or a lost volume than somebody's wish; a Gateway that was deleted in a cluster was meant. Reads files
through `proxy.mesh.sources`, a cluster through `proxy.kubernetes.source`; what is in them is the business of
`proxy.mesh`.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Protocol

from proxy.controller.listed import listed
from proxy.mesh.model import Snapshot
from proxy.mesh.resolving.here import NOBODY, Own
from proxy.mesh.resolving.live import Live
from proxy.mesh.resolving.load import Loaded, Loader
from proxy.mesh.sources.files import FileSource


class Cluster(Protocol):
    """Where objects come one by one (`KubernetesSource`)."""

    synced: bool

    @property
    def reason(self) -> str: ...

    def troubles(self) -> list[str]: ...

    def take(self) -> Iterable[tuple[Hashable, dict[str, Any] | None]]: ...


class Configuration:
    """What `--manifests` and `cluster` hold. `faults` are of the newest reading, `snapshot` is the last good one."""

    def __init__(
        self,
        paths: Sequence[str],
        gateway: str | None,
        grace_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        cluster: Cluster | None = None,
        own: Own = NOBODY,
        answers: Callable[[], Iterable[tuple[str, Sequence[str]]]] = tuple,
    ) -> None:
        self._grace_s = grace_s
        self._clock = clock
        self._vanished_at: float | None = None
        """Since when the manifests hold no Gateway, though there was one."""
        self._source = FileSource(paths)
        self._loader = Loader(gateway, own)
        self._cluster = cluster
        self._live = Live(self._loader, "kubernetes")
        self._answers = answers
        self._read_at = 0.0
        self.file_readings = 0
        """How often the files were read, or it was asked for."""
        self.is_read = False
        """Whether there ever was a valid reading."""
        self.snapshot: Snapshot | None = None
        self.reason = ""
        """Why there is no snapshot although nothing is wrong."""
        self._faults: tuple[str, ...] = ()
        self._refused = ""
        self.warnings: tuple[str, ...] = ()

    def refresh(self, told_to: bool) -> bool:
        """Look at the files, at what the cluster has told and DNS has answered; True when there was something new, or
        when `told_to` read the files anyway (and believe what they say)."""
        news = self._take_answers() + self._take_from_cluster()
        if self._cluster and not self._cluster.synced:
            self.reason = self._cluster.reason
            return False
        anew = not self._read_at or told_to or self._is_overdue() or self._source.changed()
        if not (anew or news):
            return False
        self.file_readings += anew
        documents, unreadable = self._source.read()
        loaded = self._loader.load(documents)
        self._read_at = time.time()
        self._faults, self._refused = tuple(str(fault) for fault in (*unreadable, *loaded.faults)), ""
        self.warnings = (*self._source.notes, *loaded.warnings, *self._live.refused())
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

    @property
    def names(self) -> set[str]:
        """The host names that DNS is to be asked for. Not while `refresh` runs."""
        return self._loader.names

    def _take_answers(self) -> bool:
        news = False
        for name, addresses in self._answers():
            news = True
            self._loader.answer(name, addresses)
        return news

    def _take_from_cluster(self) -> bool:
        news = False
        for id, body in self._cluster.take() if self._cluster else ():
            news = True
            if body is None:
                self._live.drop(id)
            else:
                self._live.put(id, body)
        return news

    def _vanished(self, loaded: Loaded) -> bool:
        """Whether there was a Gateway and is none any more."""
        return self.snapshot is not None and loaded.snapshot is None and self._cluster is None

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

    def of_cluster(self) -> dict[str, Any] | None:
        """How well the cluster is known, for people; None without one."""
        if self._cluster is None:
            return None
        known = {"synced": self._cluster.synced, "reason": self._cluster.reason, "troubles": self._cluster.troubles()}
        return known | {"refused": self._live.refused()}

    @property
    def refused_count(self) -> int:
        """How many objects of the cluster cannot be used."""
        return self._live.refused_count

    def refusals(self) -> dict[Hashable, str]:
        """What is wrong with objects of the cluster, by their ids. Not while `refresh` runs."""
        return self._live.refusals()

    def listed(self, *kinds: str) -> list[dict[str, Any]]:
        """The valid objects of these kinds by name, for people (`listed`). While `refresh` runs, too."""
        found = map(listed, self._loader.valid(*kinds))
        return sorted(found, key=lambda each: (each["namespace"], each["name"], each["kind"]))

    def refuse(self, fault: str) -> bool:
        """The snapshot is right by itself, but cannot be served here; "" when it can. True: that is new."""
        former, self._refused = self._refused, fault
        return fault != former

    def last_reload(self) -> dict[str, Any]:
        """When the files were read last and what came of it, for people."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._read_at)) if self._read_at else None
        result = "kept the last good snapshot" if self.faults else self.reason or "ok"
        return {"at": at, "result": result if self.is_read else "invalid", "faults": self.faults}
