"""The rows of table 2.4 of the reference: how long an ejection lasts, and what of it is left when it is over."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.state.state_rig import SEED, A, Rig

POLICY = replace(
    SEED, consecutive_5xx=1, base_ejection_ms=10_000, interval_ms=10_000, max_ejection_percent=100, endpoints=1
)
TWO = replace(POLICY, consecutive_5xx=2)


def fail(rig: Rig, at_ms: int = 0) -> int:
    """How long the next failure ejects for."""
    rig.advance(at_ms)
    return rig.report("F", policy=POLICY).ejection_ms


def duration(rig: Rig) -> None:
    """min(base*k, max), exactly: a sweep that Envoy waits for there is none."""
    assert fail(rig) == 10_000
    rig.advance(9_999)
    assert rig.report("F", policy=POLICY).outcome == "already_ejected"
    rig.advance(2)
    assert rig.report("S", policy=POLICY).outcome == "clean"


def on_uneject(rig: Rig) -> None:
    """The flag is off, counters are 0, and how often it was out is known."""
    rig.report("FF", policy=TWO)
    rig.advance(10_001)
    assert rig.report("F", policy=TWO).outcome == "counted", "the row begins anew"
    verdict = rig.report("F", policy=TWO)
    assert (verdict.outcome, verdict.ejections) == ("ejected", 2)


def decrease(rig: Rig) -> None:
    """By one for each interval without."""
    assert [fail(rig), fail(rig, 10_001), fail(rig, 20_001)] == [10_000, 20_000, 30_000]
    assert fail(rig, 30_001 + 10_000) == 30_000, "k was 3, is 2, and grows by one"


def closed_form(rig: Rig) -> None:
    """k_now = max(0, k - floor((now - unejected_at) / interval)): no sweep is needed for it."""
    for out in (0, 10_001, 20_001):
        fail(rig, out)
    assert fail(rig, 30_001 + 29_000) == 20_000, "k was 3, and two intervals are over"
    assert fail(rig, 20_001 + 1_000_000) == 10_000


def overshoot(rig: Rig) -> None:
    """k may be one more than max / base, and then needs one interval more."""
    policy = replace(POLICY, base_ejection_ms=150_000, interval_ms=1_000)
    seen = []
    for _ in range(4):
        verdict = rig.report("F", policy=policy)
        seen.append((verdict.ejection_ms, verdict.backoff))
        rig.advance(verdict.ejection_ms + 1)
    assert seen == [(150_000, 1), (300_000, 2), (300_000, 3), (300_000, 3)], "max / base is 2"


def host_again(rig: Rig) -> None:
    """New state, of which nothing is inherited."""
    fail(rig)
    verdict = rig.report("F", policy=POLICY, workload="another pod")
    assert (verdict.outcome, verdict.ejection_ms, verdict.backoff) == ("ejected", 10_000, 1)


def success(rig: Rig) -> None:
    """Late answers of what was under way change nothing."""
    fail(rig)
    rig.report("SSS", policy=POLICY)
    assert rig.ejected() == {A}


def at_once(rig: Rig) -> None:
    """Several changes within a second are not merged."""
    policy = replace(POLICY, endpoints=3)
    rig.report("F", policy=policy)
    rig.report("F", "10.10.0.17:8080", "pod-b", policy=policy)
    assert len(rig.ejected()) == 2


ROWS: dict[str, Callable[[Rig], None]] = {
    "2.4 duration": duration,
    "2.4 on un-eject": on_uneject,
    "2.4 decrease": decrease,
    "2.4 closed form": closed_form,
    "2.4 cap overshoot": overshoot,
    "2.4 host removed and added again": host_again,
    "2.4 success while ejected": success,
    "2.4 spread of the change": at_once,
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_row(row: Callable[[Rig], None], clocked: Rig) -> None:
    row(clocked)
