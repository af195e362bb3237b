"""Records of `store` as the scripts take them: maps in msgpack, by the names of the fields, texts as words. Pure.

So a field has one name in both languages, and a new one moves no other.
"""

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgpack

from state.keys import word
from state.outlier.rates import Outcomes, RateRule
from state.outlier.run import Streak
from state.outlier.store import Batch, Ejection, Policy, View

# Rules in force in this process, and those just replaced.
_POLICIES = 1024

_STREAK = tuple(field.name for field in fields(Streak))
_streak_of = attrgetter(*_STREAK)


def batch(told: Batch, *, several: bool = False) -> bytes:
    """`evidence` is made of words already; cluster and endpoint are said by the keys. `several`: the policy that goes
    with it counts more than 5xx."""
    run: dict[str, Any] = _streak(told.run)
    if several:
        run |= {"gateway": _streak(told.run.gateway), "local_origin": _streak(told.run.local_origin)}
    return _packed(
        {
            "workload": word(told.workload),
            "generation": told.generation,
            "run": run,
            "last_status": told.last_status,
            "by": word(told.by),
            "evidence": told.evidence,
            "round_trip_ms": told.round_trip_ms,
            "age_us": told.age_us,
        }
    )


def _streak(streak: Streak) -> dict[str, Any]:
    return dict(zip(_STREAK, _streak_of(streak), strict=True))


@lru_cache(_POLICIES)
def policy(rules: Policy) -> bytes:
    """The same for all of a cluster's reports, so made once."""
    return _packed({field.name: getattr(rules, field.name) for field in fields(rules)})


def rates(told: Outcomes) -> bytes:
    """Counts by name as the key of the store has it."""
    counts = {f"{endpoint} {word(workload)}": count._asdict() for (endpoint, workload), count in told.counts.items()}
    return _packed({"by": word(told.by), "dice": told.dice, "counts": counts})


@lru_cache(_POLICIES)
def rate_rule(rule: RateRule) -> bytes:
    """As `policy`."""
    return _packed({field.name: getattr(rule, field.name) for field in fields(rule)})


def ejection(out: Ejection) -> bytes:
    """The endpoint is said by the keys."""
    return _packed(
        {
            "workload": word(out.workload),
            "left_ms": out.left_ms,
            "ejection_ms": out.ejection_ms,
            "generation": out.generation,
            "failures": out.failures,
            "ejections": out.ejections,
            "backoff": out.backoff,
            "by": word(out.by),
            "reason": word(out.reason),
            "probe_in_ms": out.probe_in_ms,
            "cause": word(out.cause),
        }
    )


def view(told: View, endpoints: Sequence[str]) -> bytes:
    """Of all the workloads those of `endpoints`, the part that goes with it."""
    return _packed(
        {
            "replica": word(told.replica),
            "name": told.name,
            "size": len(told.workloads),
            "for_ms": told.for_ms,
            "workloads": {endpoint: word(told.workloads[endpoint]) for endpoint in endpoints},
        }
    )


def _packed(record: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(record)
    return packed
