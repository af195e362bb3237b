"""Endpoints that warm up, and of which nothing says since when they are there: the worker that leads asks Redis when
the fleet saw them first, and writes it on the scoreboard, where balancing goes by it (relay/endpoints/chooser.pyx).

Until then, and while Redis is away, they are as old as this replica has known them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from proxy.addresses import join
from proxy.fleet.budget import BUDGET_MS
from proxy.fleet.clusters import take_over
from proxy.fleet.desk import Desk
from proxy.ipc.snapshot import ClusterForm
from state.errors import StoreUnavailable
from state.warmup.decide import TELL_MS
from state.warmup.store import Name, Register

LOOK_SECONDS = 0.25
AGAIN_MS = 1000
"""After a call that failed."""


@dataclass(slots=True)
class _Joined:
    """The endpoints of a cluster, by their slots on the scoreboard."""

    slots: dict[Name, int]
    due_ms: int = 0


def _joined(form: ClusterForm) -> _Joined | None:
    """None: nobody warms up there, or the API says of all when they joined."""
    warmup = form["balance"].get("warmup")
    asked = zip(form["endpoints"], warmup["joined_ms"], strict=True) if warmup else ()
    found = {(join(each["ip"], each["port"]), each["workload"]): each["slot"] for each, ms in asked if not ms}
    return _Joined(found) if found else None


class Joining:
    """One in each worker, at work in the one that leads."""

    def __init__(self, desk: Desk, register: Register, leading: Callable[[], bool]) -> None:
        self._desk = desk
        self._register = register
        self._leading = leading
        self._clusters: dict[str, _Joined] = {}
        self._wakeup = desk.loop.flag()

    def apply(self, full: bool, clusters: Iterable[ClusterForm], removed: Iterable[str]) -> None:
        """Takes over a snapshot's endpoints."""
        take_over(self._clusters, full, clusters, removed, _joined)
        self._wakeup.set()

    def run(self) -> None:
        """Asks whenever there are others, and now and then, for ever; to be spawned."""
        while True:
            self.look()
            self._wakeup.clear()
            self._wakeup.wait(self._desk.loop.together(LOOK_SECONDS) if self._clusters else None)

    def look(self) -> None:
        """Asks for what is due."""
        if not self._leading() or not self._desk.scoreboard.shared_state:
            return
        for name, joined in list(self._clusters.items()):
            if self._desk.loop.now_ms() >= joined.due_ms:
                try:
                    self._ask(name, joined)
                except StoreUnavailable:  # who listens to Redis finds out whether it is away
                    joined.due_ms = self._desk.loop.now_ms() + AGAIN_MS

    def _ask(self, cluster: str, joined: _Joined) -> None:
        endpoints = self._desk.scoreboard.endpoints
        ages_ms = {name: endpoints.age_ms(slot) for name, slot in joined.slots.items()}
        with self._desk.loop.within(BUDGET_MS):
            found = self._register.first_seen(cluster, ages_ms)
        joined.due_ms = self._desk.loop.now_ms() + TELL_MS
        if self._clusters.get(cluster) is joined:  # else a slot may be another's by now
            for name, age_ms in found.items():
                endpoints.note_age(joined.slots[name], age_ms)
