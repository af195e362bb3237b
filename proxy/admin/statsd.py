"""Pushes counters to a statsd server, out of the scoreboard: counting costs a request nothing more than it does anyway.

Names, under `waypointd.`: `cluster.<name>.requests.<1xx..5xx|none>`, `.retries` and `.ejections` (counters),
`cluster.<name>.request_time` (timer, ms), `cluster.<name>.ejected` (gauge), and the gauges `shared_state` (of this
replica; 1: the store decides, 0: it decides by itself), `workers.ready` and, with certificates,
`certificate.seconds_left` (0: expired) and `certificate.days_left`; with --ca the counters `certificate.requests` and
`certificate.failures`. A cluster's name keeps letters, digits, `-`, `_`; the rest become `_`.
UDP only, nothing waits for an answer; a name is looked up by the caller's greenlet, never by a request.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from statsd.client.udp import Pipeline, StatsClient

from proxy.scoreboard.buckets import BUCKETS_MS
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.views import ClusterCounters
from proxy.scoreboard.workers import READY

PREFIX = "waypointd"
Line = tuple[str, str]
"""A statistic's name and its value with type, `12|c`."""


def cluster_lines(name: str, now: ClusterCounters, before: ClusterCounters | None) -> Iterator[Line]:
    """What happened in one cluster between two readings; nothing for what did not change."""
    stem = f"cluster.{re.sub(r'[^A-Za-z0-9_-]', '_', name)}"
    for field, label in _COUNTED.items():
        if grown := getattr(now, field) - (getattr(before, field) if before else 0):
            yield f"{stem}.{label}", f"{grown}|c"
    earlier = before.buckets if before else (0,) * len(now.buckets)
    for value, count in zip(_MIDDLES, (new - old for new, old in zip(now.buckets, earlier, strict=True)), strict=True):
        if count:  # one line stands for `count` requests of about this time
            yield f"{stem}.request_time", f"{value:g}|ms" + (f"|@{1 / count:.9g}" if count > 1 else "")


_COUNTED = {
    "requests_0xx": "requests.none",
    "requests_1xx": "requests.1xx",
    "requests_2xx": "requests.2xx",
    "requests_3xx": "requests.3xx",
    "requests_4xx": "requests.4xx",
    "requests_5xx": "requests.5xx",
    "retries": "retries",
    "ejections": "ejections",
}
_MIDDLES: Sequence[float] = [
    *((low + high) / 2 for low, high in zip((0, *BUCKETS_MS), BUCKETS_MS, strict=False)),
    float(BUCKETS_MS[-1]),
]


class _Packets(Pipeline):  # type: ignore[misc]  # the package has no types
    """A pipeline that takes lines as they are: the package's own sampling would drop some at random."""

    def add(self, lines: Iterable[Line]) -> None:
        for name, value in lines:
            self._send_stat(name, value, 1)


class Certified(Protocol):
    """What is told of our certificates."""

    def seconds_left(self) -> float | None:
        """Until ours expires, None without one."""

    def counts(self) -> Mapping[str, int]:
        """What has been counted of getting them, by name."""


class Pusher:
    """Remembers the last reading and pushes what is new."""

    def __init__(self, board: Scoreboard, host: str, port: int, certificates: Certified) -> None:
        self._board = board
        self._address = (host, port)
        self._certificates = certificates
        self._counted: Mapping[str, int] = {}
        self._client: StatsClient | None = None
        self._before: dict[tuple[str, int], ClusterCounters] = {}

    def push(self) -> None:
        """Send one round. Raises OSError when the server's name cannot be resolved; nothing is lost then."""
        if self._client is None:
            host, port = self._address
            self._client = StatsClient(host, port, prefix=PREFIX, ipv6=":" in host)
        packets = _Packets(self._client)
        packets.add(self._lines())
        packets.send()

    def _lines(self) -> Iterator[Line]:
        counters = {key: self._board.clusters.counters(key[1]) for key in self._board.clusters.slots().items()}
        ejected = ejected_by_cluster(self._board)
        for key, now in counters.items():
            before = self._before.get(key)
            if before and now.duration_ms_sum < before.duration_ms_sum:  # a new cluster of the same name
                before = None
            yield from cluster_lines(key[0], now, before)
            name = re.sub(r"[^A-Za-z0-9_-]", "_", key[0])
            yield f"cluster.{name}.ejected", f"{ejected.get(key[1], 0)}|g"
        self._before = counters
        yield "shared_state", f"{int(self._board.shared_state)}|g"
        yield "workers.ready", f"{sum(row.state == READY for row in self._board.workers.rows())}|g"
        yield from self._certificate_lines()

    def _certificate_lines(self) -> Iterator[Line]:
        counted, before = self._certificates.counts(), self._counted
        self._counted = dict(counted)
        for name, count in self._counted.items():
            if grown := count - before.get(name, 0):
                yield f"certificate.{name}", f"{grown}|c"
        if (left := self._certificates.seconds_left()) is not None:
            left = max(left, 0)  # a gauge with a sign would be a change
            yield "certificate.seconds_left", f"{left:.0f}|g"
            yield "certificate.days_left", f"{left / 86400:.2f}|g"


def ejected_by_cluster(board: Scoreboard) -> Mapping[int, int]:
    """How many endpoints are out, by cluster slot."""
    out: dict[int, int] = {}
    for (cluster, _, _), slot in board.endpoints.slots().items():
        if board.endpoints.row(slot).ejected_left_ms > 0:
            out[cluster] = out.get(cluster, 0) + 1
    return out
