"""Which ejections that were decided elsewhere are taken over: the executable specification of `lua/offer.lua`. Pure, as
decide.py."""

from collections.abc import Mapping, Sequence

from state.outlier.decide import Record, settle, under_cap, verdict
from state.outlier.store import ALREADY_EJECTED, EJECTED, OVERFLOW, STALE, Policy, Verdict


def accept(record: Record, offered: Record, policy: Policy, active: int, now_ms: int) -> tuple[Record, Verdict]:
    """Judge an ejection that was decided elsewhere: the specification of `offer.lua`."""
    record = settle(record, now_ms)
    newer_hand = offered.by_hand and offered.generation > record.generation
    if record.ejected_until_ms and not newer_hand:
        return record, verdict(ALREADY_EJECTED, record, now_ms)
    if offered.generation <= record.generation or offered.ejected_until_ms <= now_ms:
        return record, verdict(STALE, record, now_ms)
    if not offered.by_hand and not under_cap(policy, active):
        return record, verdict(OVERFLOW, record, now_ms)
    record = offered._replace(
        workload=record.workload,
        ejections=max(record.ejections, offered.ejections),
        backoff=max(record.backoff, offered.backoff),
    )
    return record, verdict(EJECTED, record, now_ms)


def giving_way(
    offered: Record, others: Mapping[str, Record], policy: Policy, active: int, now_ms: int
) -> Sequence[str]:
    """Which endpoints come back so that an older ejection fits under the cap: the youngest, as few as will do; none
    when that is not enough. Two halves of a partition may each have used the cap."""
    ages = {
        name: record.begun_ms
        for name, record in others.items()
        if record.ejected_until_ms > now_ms and not record.by_hand
    }
    younger = sorted((name for name in ages if ages[name] > offered.begun_ms), key=lambda name: (ages[name], name))
    excess = active + 1 - min(100, policy.max_ejection_percent) * policy.endpoints // 100
    return younger[-excess:] if 0 < excess <= len(younger) else ()
