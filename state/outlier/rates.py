"""Which endpoints succeed less often than the others: the executable specification of `lua/tell_rates.lua`. Pure.

Envoy's success-rate and failure-percentage detection, over the requests of the whole fleet: replicas tell how many
succeeded and failed since they told last, and whoever tells when the interval is over closes it. Of an interval that
has brought too few requests to judge by, the next one still knows; Envoy forgets them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from math import floor, sqrt
from operator import add
from typing import NamedTuple

SUCCESS_RATE = "success_rate"
FAILURE_PERCENTAGE = "failure_percentage"


@dataclass(frozen=True, slots=True)
class RateRule:
    """Envoy's fields; `..._minimum_hosts` 0: that detector is off."""

    interval_ms: int
    success_rate_minimum_hosts: int = 0
    success_rate_request_volume: int = 100
    success_rate_stdev_factor: int = 1900
    enforcing_success_rate: int = 100
    failure_percentage_minimum_hosts: int = 0
    failure_percentage_threshold: int = 85
    failure_percentage_request_volume: int = 50
    enforcing_failure_percentage: int = 100


class Count(NamedTuple):
    """Requests to one endpoint that succeeded and failed; those that said nothing about it are in neither."""

    well: int
    badly: int


Name = tuple[str, str]
"""An endpoint's address, and the workload there."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a replica tells: counts since it told last, and a throw of dice, 0 to 99, for what is enforced in part."""

    by: str
    counts: Mapping[Name, Count]
    dice: int = 0


class Finding(NamedTuple):
    """An outlier. `number`: the percentage that made it one, of successes or of failures; `detail` is for people."""

    name: Name
    reason: str
    number: int
    detail: str


class Found(NamedTuple):
    """What became of it: "ejected", "overflow", or "detected", which nobody enforces."""

    endpoint: str
    reason: str
    number: int
    outcome: str
    generation: int


@dataclass(frozen=True, slots=True)
class Window:
    """What was told in an interval. `carried`: an interval before has brought too few."""

    since_ms: int
    told_ms: int
    counts: Mapping[Name, Count] = field(default_factory=dict)
    carried: bool = False

    def gone(self, rule: RateRule, now_ms: int) -> bool:
        """Nobody has told anything for so long that it says nothing about now."""
        return now_ms >= self.told_ms + 2 * rule.interval_ms

    def over(self, rule: RateRule, now_ms: int) -> bool:
        """It is time to judge."""
        return now_ms - self.since_ms >= rule.interval_ms

    def told(self, counts: Mapping[Name, Count], now_ms: int) -> "Window":
        """With what a replica tells."""
        added = dict(self.counts)
        for name, (well, badly) in counts.items():
            before = added.get(name, Count(0, 0))
            added[name] = Count(before.well + well, before.badly + badly)
        return replace(self, counts=added, told_ms=now_ms)

    def next(self, now_ms: int, *, enough: bool) -> "Window":
        """The one that follows."""
        kept = not enough and not self.carried
        return Window(now_ms, now_ms, self.counts if kept else {}, carried=kept)


def judge(counts: Mapping[Name, Count], rule: RateRule) -> tuple[Sequence[Finding], bool]:
    """The outliers among those endpoints, the worst first, each once; and whether there were enough requests for each
    detector that is on. (Envoy looks at endpoints in no order; the cap may not let all of them go.)"""
    rates = {name: (100.0 * well / (well + badly), well + badly) for name, (well, badly) in sorted(counts.items())}
    findings: dict[Name, Finding] = {}
    enough = True
    for detected in (_by_success_rate(rates, rule), _by_failure_percentage(rates, rule)):
        enough = enough and detected is not None
        for finding in detected or ():
            findings.setdefault(finding.name, finding)
    return sorted(findings.values(), key=lambda each: (rates[each.name][0], each.name)), enough


Rates = Mapping[Name, tuple[float, int]]


def _by_success_rate(rates: Rates, rule: RateRule) -> Sequence[Finding] | None:
    """None: too few endpoints had requests enough."""
    valid = _with_volume(rates, rule.success_rate_request_volume)
    if not rule.success_rate_minimum_hosts:
        return ()
    if len(valid) < rule.success_rate_minimum_hosts:
        return None
    mean = _mean([rate for rate, _ in valid.values()])
    deviation = sqrt(_mean([(rate - mean) * (rate - mean) for rate, _ in valid.values()]))
    threshold = mean - rule.success_rate_stdev_factor / 1000 * deviation
    return [
        Finding(
            name,
            SUCCESS_RATE,
            floor(rate + 0.5),
            f"{rate:.1f} of 100 succeed, mean {mean:.1f}, threshold {threshold:.1f}, requests {volume}",
        )
        for name, (rate, volume) in valid.items()
        if rate < threshold
    ]


def _mean(values: Sequence[float]) -> float:
    """One by one, as Lua adds; `sum` rounds otherwise."""
    return reduce(add, values, 0.0) / len(values)


def _by_failure_percentage(rates: Rates, rule: RateRule) -> Sequence[Finding] | None:
    valid = _with_volume(rates, rule.failure_percentage_request_volume)
    if not rule.failure_percentage_minimum_hosts:
        return ()
    if len(valid) < rule.failure_percentage_minimum_hosts:
        return None
    return [
        Finding(
            name,
            FAILURE_PERCENTAGE,
            floor(100.0 - rate + 0.5),
            f"{100.0 - rate:.1f} of 100 fail, threshold {rule.failure_percentage_threshold}, requests {volume}",
        )
        for name, (rate, volume) in valid.items()
        if 100.0 - rate >= rule.failure_percentage_threshold
    ]


def _with_volume(rates: Rates, requests: int) -> Rates:
    return {name: (rate, volume) for name, (rate, volume) in rates.items() if volume >= max(1, requests)}


def enforced(finding: Finding, rule: RateRule, dice: int) -> bool:
    """Whether it is ejected."""
    by_rate = finding.reason == SUCCESS_RATE
    return dice < (rule.enforcing_success_rate if by_rate else rule.enforcing_failure_percentage)


def words(rule: RateRule) -> Iterator[tuple[str, str]]:
    """The detectors that are on, for people: `success_rate=hosts:5,volume:100,stdev_factor:1900,enforcing:100`."""
    if rule.success_rate_minimum_hosts:
        yield (
            SUCCESS_RATE,
            f"hosts:{rule.success_rate_minimum_hosts},volume:{rule.success_rate_request_volume},"
            f"stdev_factor:{rule.success_rate_stdev_factor},enforcing:{rule.enforcing_success_rate}",
        )
    if rule.failure_percentage_minimum_hosts:
        yield (
            FAILURE_PERCENTAGE,
            f"threshold:{rule.failure_percentage_threshold},hosts:{rule.failure_percentage_minimum_hosts},"
            f"volume:{rule.failure_percentage_request_volume},enforcing:{rule.enforcing_failure_percentage}",
        )
