"""What a seed means: how large the fleet is, by which rule, how endpoints behave, and what goes wrong when."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

from proxy.mesh.traffic.outlier import OutlierDetection, SuccessRate


@dataclass(frozen=True)
class Step:
    """Something goes wrong, or a hand does something, so many seconds after the beginning, for so many seconds."""

    at_s: float
    kind: str
    for_s: float


class Kind(NamedTuple):
    """Something that may go wrong; faults.py has a function for each.

    `often` beside the others. `calm_ms`: so long after it has begun, and after it is mended, nothing is expected to
    happen in time; `grave`: nor in between.
    """

    often: float
    calm_ms: int
    grave: bool = True


AWAY_MS = 6000  # a replica may leave a Redis alone for so long that it could not rely upon

KINDS = {
    "cut": Kind(3, AWAY_MS),
    "half_open": Kind(2, AWAY_MS),
    "loss": Kind(2, AWAY_MS),
    "slow": Kind(3, AWAY_MS),
    "hung": Kind(3, AWAY_MS),
    "restart_empty": Kind(3, AWAY_MS),
    "restart_as_it_was": Kind(1, AWAY_MS),
    "restart_old": Kind(4, AWAY_MS),
    "failover": Kind(3, AWAY_MS),
    "clock_set": Kind(2, 1500),
    "rights": Kind(2, AWAY_MS),
    "flushed": Kind(2, AWAY_MS),
    "junk": Kind(1, AWAY_MS),
    "record_lost": Kind(1, 1500),
    "stopped": Kind(3, 4000),
    "stopped_with_lock": Kind(0.3, 4000),
    "worker_dies": Kind(2, 4000),
    "replica_dies": Kind(2, 1500),
    "replica_comes": Kind(2, 1500),
    "pod_replaced": Kind(3, 1500),
    "pod_replaced_unseen": Kind(3, 500, grave=False),
    "removed": Kind(3, 1500, grave=False),
    "removed_in_one": Kind(3, 700, grave=False),
    "rule_changed": Kind(1, 1500),
    "rule_deleted": Kind(1, 1500),
    "unreachable": Kind(1, AWAY_MS),
    "burst": Kind(2, 0, grave=False),
    "hand_ejects": Kind(5, 700),
    "hand_unejects": Kind(2, 700),
    "key_set": Kind(2, 3000),
    "key_deleted": Kind(2, 3000),
}


@dataclass(frozen=True)
class Plan:
    """All that is decided before the beginning."""

    replicas: int
    workers: int
    endpoints: int
    rule: OutlierDetection
    one_way_ms: float
    per_second: float
    begins_s: float  # from here on things go wrong
    heals_s: float  # until here
    settled_s: float  # by then all is well again; then some endpoints fail once more, and then there is nothing to do
    steps: Sequence[Step]


AFTERMATH_S = 1.2
QUIET_S = 1.5


def plan_of(rng: Random, only: Sequence[str] = ()) -> Plan:
    """The seed's; `only` such things go wrong."""
    rule = OutlierDetection(
        consecutive_5xx=rng.choice((1, 2, 3, 3, 3, 3, 5)),
        interval_ms=rng.choice((500, 1000, 1000, 2000)),
        base_ejection_ms=rng.choice((1000, 2000, 3000, 30_000, 30_000)),
        max_ejection_percent=rng.choice((100, 100, 50, 50, 67, 34, 0)),
        probe=rng.random() < 0.12,
        local_origin_quorum=2 if rng.random() < 0.1 else 1,
    )
    begins_s, lasts_s = 0.5, rng.choice((2.0, 3.0, 5.0))
    heals_s = begins_s + lasts_s
    kinds = only or list(KINDS)
    weights = [KINDS[kind].often for kind in kinds]
    steps = [
        Step(
            begins_s + rng.random() * lasts_s, kind, rng.choice((1.0, 2.0, 3.0) if only else (0.03, 0.2, 0.6, 1.5, 3.0))
        )
        for kind in rng.choices(kinds, weights, k=rng.choice((3, 4, 5) if only else (0, 0, 1, 2, 2, 3, 4, 5)))
    ]
    rule = with_others(rule, Random(repr(steps)))
    return Plan(
        replicas=rng.choice((1, 2, 2, 3, 3, 4)),
        workers=rng.choice((1, 1, 1, 2)),
        endpoints=rng.choice((1, 2, 3, 3, 4, 4, 5, 6)),
        rule=rule,
        one_way_ms=rng.choice((0.1, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)),
        per_second=rng.choice((15, 30, 60, 90)),
        begins_s=begins_s,
        heals_s=heals_s,
        settled_s=heals_s + settling_s(rule, steps),
        steps=sorted(steps, key=lambda step: step.at_s),
    )


def with_others(rule: OutlierDetection, rng: Random) -> OutlierDetection:
    """Other detectors beside that of 5xx, with dice of their own. Every failure is a gateway error here, so these come
    with the same number and are named instead."""
    if rng.random() < 0.15:
        rule = replace(rule, consecutive_gateway=rule.consecutive_5xx)
    if rng.random() < 0.15:
        rule = replace(rule, success_rate=SuccessRate(minimum_hosts=2, request_volume=5, stdev_factor=900))
    return rule


def settling_s(rule: OutlierDetection, steps: Sequence[Step]) -> float:
    """How long the fleet may take after the last fault to be of one mind: an interval, if Redis answered all along, and
    as long as a replica may leave one alone that did not (proxy/fleet/leader.py SICK_PAUSE_SECONDS)."""
    away = any(KINDS[step.kind].calm_ms == AWAY_MS for step in steps)
    return max(rule.interval_ms / 1000, 1.0) + (AWAY_MS / 1000 if away else 1.0)
