"""Who has which slot of the scoreboard. Slots are given out here alone.

One is given back when no worker can mean its old owner by it: all have acknowledged a snapshot without it, nothing is
in flight on it, and `QUARANTINE_S` have passed (the store may still answer). What there is on the board already, a
former controller gave out. A slot that has been given out counts as out of use until a snapshot uses it: so one that is
refused leaves nothing behind, whatever it had been given.
"""

from collections.abc import Iterable
from typing import NamedTuple

from proxy.addresses import split
from proxy.ipc.snapshot import ClusterForm
from proxy.mesh.model import Cluster
from proxy.scoreboard.scoreboard import Scoreboard

QUARANTINE_S = 10.0

# Slot of its cluster, ip, port, workload: what the model has anyway, and no text of its own for each of thousands.
_Endpoint = tuple[int, str, int, str]


class _Retired(NamedTuple):
    """Since when a slot is out of use: the first snapshot without it, and when that was (monotonic seconds)."""

    number: int
    at: float


class Slots:
    """The slots of one scoreboard."""

    def __init__(self, board: Scoreboard) -> None:
        self._board = board
        self._clusters: dict[str, int] = {}
        self._endpoints: dict[_Endpoint, int] = {}
        self._names: dict[int, str] = {}  # the same the other way round
        self._keys: dict[int, _Endpoint] = {}
        self._members: dict[int, int] = {}  # slot of a cluster -> how many endpoints have slots in it
        self._retired_clusters: dict[int, _Retired] = {}
        self._retired_endpoints: dict[int, _Retired] = {}

    def begin(self, number: int, now: float) -> None:
        """Take over what is on the board. Nothing of it is in use from snapshot `number` on, but what is `used`."""
        for name, slot in self._board.clusters.slots().items():
            self._add_cluster(name, slot, _Retired(number, now))
        for (cluster, address, workload), slot in self._board.endpoints.slots().items():
            self._add_endpoint((cluster, *split(address), workload), slot, _Retired(number, now))

    def of(self, cluster: Cluster, number: int, now: float) -> tuple[int, list[int]]:
        """The cluster's slot and those of its endpoints, from `number` on. MemoryError: the scoreboard is full."""
        since = _Retired(number, now)
        slot = self._clusters.get(cluster.name)
        if slot is None:
            slot = self._board.clusters.add(cluster.name)
            self._add_cluster(cluster.name, slot, since)
        places = []
        for endpoint in cluster.endpoints:
            key = (slot, endpoint.ip, endpoint.port, endpoint.workload)
            place = self._endpoints.get(key)
            if place is None:
                place = self._board.endpoints.add(slot, endpoint.address, endpoint.workload)
                self._add_endpoint(key, place, since)
            places.append(place)
        return slot, places

    def used(self, form: ClusterForm) -> None:
        """These are in use."""
        self._retired_clusters.pop(form["slot"], None)
        for endpoint in form["endpoints"]:
            self._retired_endpoints.pop(endpoint["slot"], None)

    def left(self, former: ClusterForm, form: ClusterForm | None, number: int, now: float) -> None:
        """`form` (None: nothing) has taken the place of `former` with snapshot `number`."""
        since, used = _Retired(number, now), _places(form)
        if form is None:
            self._retired_clusters.setdefault(former["slot"], since)
        for slot in _places(former) - used:
            self._retired_endpoints.setdefault(slot, since)

    def give_back(self, acknowledged: int, now: float) -> bool:
        """All workers have the snapshot `acknowledged`. True: there is more room now."""
        before = len(self._names) + len(self._keys)
        for slot in _over(self._retired_clusters, acknowledged, now):
            if not self._members.get(slot):  # else it still names the owner of its endpoints
                self._board.clusters.remove(slot)
                del self._retired_clusters[slot], self._clusters[self._names.pop(slot)]
        for slot in _over(self._retired_endpoints, acknowledged, now):
            if self._board.endpoints.row(slot).in_flight == 0:
                self._board.endpoints.remove(slot)
                key = self._keys.pop(slot)
                self._members[key[0]] -= 1
                del self._retired_endpoints[slot], self._endpoints[key]
        return len(self._names) + len(self._keys) < before

    def _add_cluster(self, name: str, slot: int, since: _Retired) -> None:
        self._clusters[name], self._names[slot], self._members[slot] = slot, name, 0
        self._retired_clusters[slot] = since

    def _add_endpoint(self, key: _Endpoint, slot: int, since: _Retired) -> None:
        self._endpoints[key], self._keys[slot] = slot, key
        self._members[key[0]] = self._members.get(key[0], 0) + 1
        self._retired_endpoints[slot] = since


def _places(form: ClusterForm | None) -> set[int]:
    return {endpoint["slot"] for endpoint in form["endpoints"]} if form else set()


def _over(retired: dict[int, _Retired], acknowledged: int, now: float) -> Iterable[int]:
    return [slot for slot, (number, at) in retired.items() if acknowledged >= number and now >= at + QUARANTINE_S]
