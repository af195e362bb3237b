"""From the mesh model to what workers are sent: snapshot numbers, scoreboard slots, and bodies with only what changed.

Decides nothing about the mesh and sends nothing. The body's form:

    {"number", "full", "clusters": [...], "removed": [name],
     "listeners": [{"name", "address", "protocol": "HTTP" | "HBONE", "routes": {bytes: cluster},
                    "clusters": [cluster]}],
     "tls": None | {"chain": PEM bytes, "key": PEM bytes, "roots": PEM bytes, "trust_domains": [text]}}
    cluster: {"name", "slot", "envoy_name", "authority", "connect_timeout_ms", "abandoned_ms", "closed", "outlier",
              "destination_rule": "" | "namespace/name",
              "protocol": "http" | "http2" | "tcp" | "undeclared",
              "endpoints": [{"ip", "port", "workload", "hbone", "identity", "slot"}]}

`listeners` and `tls` are always complete; `clusters` and `removed` say what is new since the number the worker has,
unless `full`. The names in a listener are those of clusters in the same body or an earlier one.

`routes` are Hosts (HTTP) or CONNECT authorities (HBONE), see `proxy.mesh.resolving.routes`. `clusters` of a listener
are all it may reach: an HBONE listener looks up a CONNECT authority that is not in `routes` among their endpoints, and
serves it by that endpoint alone. An endpoint with `hbone` is reached through a tunnel to port 15008 of its ip;
`identity` is "" or what its certificate must say after one of `trust_domains`: `spiffe://<trust domain>/` +
"ns/httpbin/sa/in-ambient". Both may change while ip, port, workload and slot stay.
A slot is an index into the scoreboard. It is given back only when no worker can still mean its old owner by it: all
have acknowledged the removal, nothing is in flight on it, and `QUARANTINE_S` have passed (the store may still answer).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import msgpack

from proxy.mesh.model import Cluster, Listener
from proxy.scoreboard.scoreboard import Scoreboard

Wire = dict[str, Any]

QUARANTINE_S = 10.0


class Retired(NamedTuple):
    """Since when a slot is out of use: the first snapshot without it, and when that was (monotonic seconds)."""

    number: int
    at: float


class Snapshots:
    """The snapshot in force, in wire form, and the history needed to tell any worker what it lacks."""

    def __init__(self, board: Scoreboard) -> None:
        self._board = board
        self.number = 0
        """0: there is none yet."""
        self.listeners: list[Wire] = []
        self.tls: Wire | None = None
        """Certificates in wire form, the private key among them: not for the admin pages."""
        self._clusters: dict[str, Wire] = {}
        self._changed: dict[str, int] = {}  # cluster -> number that changed it last
        self._removed: dict[str, int] = {}  # cluster -> number that removed it
        self._history = 0  # what came before this number is not known: a worker that is older gets everything
        self._retired_endpoints: dict[int, Retired] = {}
        self._retired_clusters: dict[int, Retired] = {}

    @property
    def clusters(self) -> Mapping[str, Wire]:
        """Clusters in force by name, in wire form."""
        return self._clusters

    def begin_after(self, number: int) -> None:
        """Number the next snapshot above what workers already have, when there is no body to restore."""
        self.number = max(self.number, number)
        self._history = self.number + 1

    def restore(self, body: bytes) -> None:
        """Continue from a full body that a former controller made."""
        kept: Wire = msgpack.unpackb(body)
        self.number = self._history = kept["number"]
        self.listeners, self.tls = kept["listeners"], kept.get("tls")
        self._clusters = {cluster["name"]: cluster for cluster in kept["clusters"]}
        self._changed = dict.fromkeys(self._clusters, self.number)

    def update(
        self, listeners: Sequence[Wire], clusters: Iterable[Cluster], now: float, tls: Wire | None = None
    ) -> bool:
        """Put a new configuration in force; False when it is the one that is. MemoryError: the scoreboard is full."""
        try:
            wire = self._allocate(clusters)
        except MemoryError:
            self._retire(self.number, now)  # what was added before it was full
            raise
        changed = [name for name, cluster in wire.items() if self._clusters.get(name) != cluster]
        removed = [name for name in self._clusters if name not in wire]
        if self.number and not changed and not removed and (self.listeners, self.tls) == (listeners, tls):
            self._retire(self.number, now)  # what a former controller had not given back yet
            return False
        self.number += 1
        self.listeners, self.tls, self._clusters = list(listeners), tls, wire
        for name in changed:
            self._changed[name] = self.number
            self._removed.pop(name, None)
        for name in removed:
            self._removed[name] = self.number
            del self._changed[name]
        self._retire(self.number, now)
        return True

    def body(self, since: int) -> bytes:
        """What a worker that has snapshot `since` (0: none) needs for the one in force."""
        full = since == 0 or since < self._history
        news = [cluster for name, cluster in self._clusters.items() if full or self._changed[name] > since]
        removed = [] if full else [name for name, number in self._removed.items() if number > since]
        body: bytes = msgpack.packb(
            {
                "number": self.number,
                "full": full,
                "listeners": self.listeners,
                "clusters": news,
                "removed": removed,
                "tls": self.tls,
            }
        )
        return body

    def settle(self, now: float) -> None:
        """Give back the slots, and forget the history, that no worker needs any more."""
        acknowledged = min((row.snapshot for row in self._board.workers.rows()), default=self.number)
        self._removed = {name: number for name, number in self._removed.items() if number > acknowledged}
        if not self._retired_endpoints and not self._retired_clusters:
            return
        owners = {cluster for cluster, _, _ in self._board.endpoints.slots()}
        for slot, retired in list(self._retired_endpoints.items()):
            if _is_over(retired, acknowledged, now) and self._board.endpoints.row(slot).in_flight == 0:
                self._board.endpoints.remove(slot)
                del self._retired_endpoints[slot]
        for slot, retired in list(self._retired_clusters.items()):
            if _is_over(retired, acknowledged, now) and slot not in owners:
                self._board.clusters.remove(slot)
                del self._retired_clusters[slot]

    def _allocate(self, clusters: Iterable[Cluster]) -> dict[str, Wire]:
        cluster_slots, endpoint_slots = self._board.clusters.slots(), self._board.endpoints.slots()
        wire: dict[str, Wire] = {}
        for cluster in clusters:
            slot = cluster_slots.get(cluster.name)
            if slot is None:
                slot = self._board.clusters.add(cluster.name)
            endpoints = []
            for endpoint in cluster.endpoints:
                key = (slot, endpoint.address, endpoint.workload)
                place = endpoint_slots.get(key)
                if place is None:
                    place = endpoint_slots[key] = self._board.endpoints.add(*key)
                endpoints.append(asdict(endpoint) | {"slot": place})
            wire[cluster.name] = _cluster_wire(cluster, slot, endpoints)
        return wire

    def _retire(self, number: int, now: float) -> None:
        """Note which slots have gone out of use, and which are in use again."""
        used_endpoints = {endpoint["slot"] for cluster in self._clusters.values() for endpoint in cluster["endpoints"]}
        used_clusters = {cluster["slot"] for cluster in self._clusters.values()}
        _note(self._retired_endpoints, self._board.endpoints.slots().values(), used_endpoints, Retired(number, now))
        _note(self._retired_clusters, self._board.clusters.slots().values(), used_clusters, Retired(number, now))


def _note(retired: dict[int, Retired], existing: Iterable[int], used: set[int], since: Retired) -> None:
    for slot in used:
        retired.pop(slot, None)
    for slot in existing:
        if slot not in used:
            retired.setdefault(slot, since)


def _is_over(retired: Retired, acknowledged: int, now: float) -> bool:
    return acknowledged >= retired.number and now >= retired.at + QUARANTINE_S


def _cluster_wire(cluster: Cluster, slot: int, endpoints: list[Wire]) -> Wire:
    return {
        "name": cluster.name,
        "slot": slot,
        "envoy_name": cluster.envoy_name,
        "authority": cluster.authority,
        "connect_timeout_ms": cluster.connect_timeout_ms,
        "abandoned_ms": cluster.abandoned_ms,
        "closed": cluster.closed,
        "outlier": asdict(cluster.outlier) if cluster.outlier else None,
        "destination_rule": cluster.destination_rule,
        "protocol": cluster.protocol,
        "endpoints": endpoints,
    }


def listener_wire(listener: Listener, address: str) -> Wire:
    """A listener in wire form; Hosts and authorities as the bytes a request has."""
    routes = {
        name.encode("latin-1"): cluster
        for clusters in listener.services.values()
        for cluster, names in clusters.items()
        for name in names
    }
    return {
        "name": listener.name,
        "address": address,
        "protocol": listener.protocol,
        "routes": routes,
        "clusters": [cluster for clusters in listener.services.values() for cluster in clusters],
    }
