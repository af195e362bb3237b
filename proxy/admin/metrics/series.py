"""Istio's standard metrics, out of the series on the scoreboard."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from proxy.admin.metrics.family import COUNTER, GAUGE, HISTOGRAM, Distribution, Family, Labels
from proxy.observe.series_labels import REQUEST_LABELS, STREAM_LABELS, split
from proxy.scoreboard.buckets import BOUNDS_OF_ISTIO
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.series import CONNECTIONS, LIMIT, MESSAGES, REQUESTS
from proxy.scoreboard.views import Series

_BUCKETS = len(BOUNDS_OF_ISTIO) + 1
_Value = float | Distribution
_Totals = Sequence[int]


class _Metric(NamedTuple):
    """One family of a kind of series; `of` finds its value among the totals of one."""

    name: str
    type: str
    help: str
    of: Callable[[_Totals], _Value]

    def of_all(self, found: Sequence[tuple[Labels, _Totals]]) -> Family:
        """What is found, series by series, when it is asked for."""
        samples = ((labels, self.of(totals)) for labels, totals in found)
        return Family(self.name, self.type, self.help, samples, BOUNDS_OF_ISTIO)


def _histogram(which: int) -> Callable[[_Totals], _Value]:
    """Of RequestTally (scoreboard/layout.pxd): three sums, then three times as many counts as there are buckets."""
    start = 3 + which * _BUCKETS
    return lambda totals: Distribution(totals[start : start + _BUCKETS], totals[which])


def _plain(which: int) -> Callable[[_Totals], _Value]:
    return lambda totals: totals[which]


def _requests(totals: _Totals) -> int:
    return sum(totals[3 : 3 + _BUCKETS])


_METRICS = {
    REQUESTS: (
        _Metric("istio_requests_total", COUNTER, "Requests that are over.", _requests),
        _Metric("istio_request_duration_milliseconds", HISTOGRAM, "How long requests took.", _histogram(0)),
        _Metric("istio_request_bytes", HISTOGRAM, "What clients sent, heads and framing included.", _histogram(1)),
        _Metric(
            "istio_response_bytes", HISTOGRAM, "What clients were sent, heads and framing included.", _histogram(2)
        ),
    ),
    MESSAGES: (
        _Metric("istio_request_messages_total", COUNTER, "gRPC messages of clients.", _plain(0)),
        _Metric("istio_response_messages_total", COUNTER, "gRPC messages of endpoints.", _plain(1)),
    ),
    CONNECTIONS: (
        _Metric("istio_tcp_connections_opened_total", COUNTER, "Connections that carry no HTTP.", _plain(0)),
        _Metric("istio_tcp_connections_closed_total", COUNTER, "Those of them that have ended.", _plain(1)),
        _Metric("istio_tcp_received_bytes_total", COUNTER, "Bytes from clients.", _plain(2)),
        _Metric("istio_tcp_sent_bytes_total", COUNTER, "Bytes to clients.", _plain(3)),
    ),
}


class SeriesFamilies:
    """Keeps how labels are written from one reading to the next."""

    def __init__(self, board: Scoreboard, version: str) -> None:
        self._board = board.series
        self._build = Labels((("component", "proxy"), ("tag", version)))
        self._labels: dict[int, tuple[int, bytes, Labels]] = {}  # slot -> generation, labels, written

    def read(self) -> Iterator[Family]:
        """All of them, as they are now."""
        yield Family("istio_build", GAUGE, "Which version this is.", [(self._build, 1)])
        rows = self._board.rows()
        self._forget(rows)
        totals = {row.slot: self._board.totals(row.slot) for row in rows}
        for kind, metrics in _METRICS.items():
            found = [(self._labels_of(row), totals[row.slot]) for row in rows if row.kind == kind]
            yield from (metric.of_all(found) for metric in metrics)
        yield from self._own(rows, totals)

    def _own(self, rows: Sequence[Series], totals: dict[int, tuple[int, ...]]) -> Iterator[Family]:
        overflowed = _requests(totals[REQUESTS]) if REQUESTS in totals else 0
        overflowed += totals[CONNECTIONS][0] if CONNECTIONS in totals else 0
        told = (
            ("waypointd_metrics_series", GAUGE, "Label sets of Istio's metrics that are kept.", len(rows)),
            ("waypointd_metrics_series_limit", GAUGE, "How many there may be.", LIMIT),
            (
                "waypointd_metrics_overflowed_total",
                COUNTER,
                "What was counted under `unknown` for want of room.",
                overflowed,
            ),
            ("waypointd_metrics_series_expired_total", COUNTER, "Label sets given up.", self._board.expired),
        )
        for name, type_, text, value in told:
            yield Family(name, type_, text, [(Labels(), value)])

    def _labels_of(self, row: Series) -> Labels:
        known = self._labels.get(row.slot)
        if known is None or known[:2] != (row.generation, row.labels):
            names = REQUEST_LABELS if row.kind == REQUESTS else STREAM_LABELS
            pairs = tuple(zip(names, split(row.labels), strict=True))
            known = self._labels[row.slot] = (row.generation, row.labels, Labels(pairs))
        return known[2]

    def _forget(self, rows: Sequence[Series]) -> None:
        for slot in self._labels.keys() - {row.slot for row in rows}:
            del self._labels[slot]
