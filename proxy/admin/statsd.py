"""Pushes what Prometheus is told to a statsd server: the same families, as what has been added since the last time.

Plain, under `waypointd.`: every family's name without its prefix, and the values of its labels behind it
(`outlier_overflows.httpbin_in-ambient_8000`); those of PLAIN, which are older, have names of their own. Istio's metrics
are left out: 25 labels make no name, and `cluster.<name>.requests.5xx` says the same of each Service's port. With
DogStatsD tags all of them go, under Prometheus' names, each label as a tag.
Counters are `c`, gauges `g`; a histogram is a timer in milliseconds, with tags `h`: one line for all of about the same
value. A label's value keeps letters, digits, `-`, `_` in a plain name; the rest become `_`.
UDP only, nothing waits for an answer; a name is looked up by the caller's greenlet, never by a request.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator

from statsd.client.udp import Pipeline, StatsClient

from proxy.admin.metrics.family import COUNTER, Distribution, Family, Labels

PREFIX = "waypointd"
Line = tuple[str, str]
"""A statistic's name and its value with type, `12|c`."""
Read = Callable[[], Iterable[Family]]

PLAIN = {
    "waypointd_cluster_requests_total": "cluster.{cluster}.requests.{code_class}",
    "waypointd_cluster_request_duration_seconds": "cluster.{cluster}.request_time",
    "waypointd_retries_total": "cluster.{cluster}.retries",
    "waypointd_outlier_ejections_total": "cluster.{cluster}.ejections",
    "waypointd_outlier_ejected_endpoints": "cluster.{cluster}.ejected",
    "waypointd_fleet_shared_state": "shared_state",
    "waypointd_workers": "workers.{state}",
    "waypointd_certificate_requests_total": "certificate.requests",
    "waypointd_certificate_failures_total": "certificate.failures",
}
_ORDER = (*PLAIN,)
_EXPIRY = "waypointd_certificate_expiry_timestamp_seconds"
_Key = tuple[str, str]


class _Packets(Pipeline):  # type: ignore[misc]  # the package has no types
    """A pipeline that takes lines as they are: the package's own sampling would drop some at random."""

    def add(self, lines: Iterable[Line]) -> None:
        for name, value in lines:
            self._send_stat(name, value, 1)


class Lines:
    """Families as statsd's lines; remembers what it was told, so that counters are told by what was added."""

    def __init__(self, tagged: bool) -> None:
        self._tagged = tagged
        self._before: dict[_Key, float | Distribution] = {}

    def of(self, families: Iterable[Family]) -> Iterator[Line]:
        """What is new in them; first what has always been told, in the same packet if there is room."""
        seen: dict[_Key, float | Distribution] = {}
        if not self._tagged:
            families = sorted((each for each in families if not each.name.startswith("istio_")), key=_rank)
        for family in families:
            yield from self._of_family(family, seen)
        self._before = seen

    def _of_family(self, family: Family, seen: dict[_Key, float | Distribution]) -> Iterator[Line]:
        for labels, value in family.samples:
            key = (family.name, labels.text)
            seen[key] = value
            name, tags = (family.name, _tags(labels)) if self._tagged else (plain_name(family.name, labels), "")
            if isinstance(value, Distribution):
                for line in self._timed(family, value, self._before.get(key)):
                    yield name, line + tags
            elif family.type == COUNTER:
                if grown := value - _former(self._before.get(key), value):
                    yield name, f"{grown:.10g}|c{tags}"
            elif family.name == _EXPIRY and not self._tagged:
                yield from _certificate(value)
            else:
                yield name, f"{value:.10g}|g{tags}"

    def _timed(self, family: Family, now: Distribution, before: object) -> Iterator[str]:
        """One line stands for all of about this value. Without tags they are statsd's timers, of milliseconds."""
        scale = 1000.0 if family.name.endswith("_seconds") and not self._tagged else 1.0
        same = isinstance(before, Distribution) and before.total <= now.total
        former = before.counts if isinstance(before, Distribution) and same else (0,) * len(now.counts)
        lower = 0.0
        for upper, new, old in zip([*family.bounds, family.bounds[-1]], now.counts, former, strict=True):
            if (count := new - old) > 0:
                middle, rate = (lower + upper) / 2 * scale, f"|@{1 / count:.9g}" if count > 1 else ""
                yield f"{middle:g}|{'h' if self._tagged else 'ms'}{rate}"
            lower = upper


class Pusher:
    """Reads and pushes, round by round. `tagged`: with DogStatsD's tags."""

    def __init__(self, read: Read, host: str, port: int, tagged: bool) -> None:
        self._read = read
        self._address = (host, port)
        self._prefix = None if tagged else PREFIX
        self._lines = Lines(tagged)
        self._client: StatsClient | None = None

    def push(self) -> None:
        """Send one round. Raises OSError when the server's name cannot be resolved; nothing is lost then."""
        if self._client is None:
            host, port = self._address
            self._client = StatsClient(host, port, prefix=self._prefix, ipv6=":" in host)
        packets = _Packets(self._client)
        packets.add(self._lines.of(self._read()))
        packets.send()


def plain_name(family: str, labels: Labels) -> str:
    """A sample's name without tags."""
    values = {name: re.sub(r"[^A-Za-z0-9_-]", "_", value) for name, value in labels.pairs}
    if family in PLAIN:
        return PLAIN[family].format(**values)
    name = family.removeprefix("waypointd_").removesuffix("_total")
    return ".".join([name, *values.values()])


def _rank(family: Family) -> int:
    return _ORDER.index(family.name) if family.name in PLAIN else len(_ORDER)


def _tags(labels: Labels) -> str:
    """A tag's value may not have what separates tags and lines."""
    told = (f"{name}:{re.sub(r'[,|#]', '_', value) or 'none'}" for name, value in labels.pairs)
    return "|#" + ",".join(told) if labels.pairs else ""


def _former(before: object, now: float) -> float:
    """A counter that is smaller now is a new one of the same name."""
    return before if isinstance(before, int | float) and before <= now else 0


def _certificate(expiry: float) -> Iterator[Line]:
    left = max(expiry - time.time(), 0)  # a gauge with a sign would be a change
    yield "certificate.seconds_left", f"{left:.0f}|g"
    yield "certificate.days_left", f"{left / 86400:.2f}|g"
