"""How old a run must be before it ejects: as old as the network makes it necessary, as measured."""

from dataclasses import replace
from typing import Any

import pytest

from state.outlier.store import MIN_RUN_MS, Policy, Verdict
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, B, C, Rig, batch

AGED = replace(SEED, min_run_ms=MIN_RUN_MS)


def report(rig: Rig, outcomes: str, round_trip_ms: int, policy: Policy = AGED, by: str = "r1") -> Verdict:
    return rig.store.report(replace(batch(outcomes, A, by=by), round_trip_ms=round_trip_ms), policy)


@pytest.mark.parametrize(("round_trip_ms", "age_ms"), [(0, 2), (1, 2), (5, 10), (15, 30), (20, 40), (500, 100)])
def test_S_F6_a_run_is_two_round_trips_old_before_it_ejects(clocked: Rig, round_trip_ms: int, age_ms: int) -> None:
    verdict = report(clocked, "FFF", round_trip_ms)
    assert (verdict.outcome, verdict.wait_ms) == ("too_soon", age_ms)
    clocked.advance(age_ms - 1)
    assert report(clocked, "", round_trip_ms).wait_ms == 1
    clocked.advance(1)
    assert report(clocked, "", round_trip_ms).outcome == "ejected"


def test_S_F6_a_clock_that_is_put_back_makes_a_run_no_younger(clocked: Rig) -> None:
    """Seed 12336 of the simulator: it had to grow old until the clock was where it had been."""
    assert report(clocked, "FF", 15).outcome == "counted"
    clocked.advance(-30_000)
    assert report(clocked, "F", 15).wait_ms == 30
    clocked.advance(30)
    assert report(clocked, "", 15).outcome == "ejected"


def test_S_F6_a_success_told_meanwhile_breaks_it(rig: Rig) -> None:
    assert report(rig, "FFF", 20).outcome == "too_soon"
    assert report(rig, "S", 20).outcome == "clean"
    assert rig.ejected() == frozenset()


def test_S_F6_what_a_success_has_ended_ejects_nobody_however_it_was_told(rig: Rig) -> None:
    """One worker's failures are in a row in its report; another's successes may lie between them, and be on their
    way."""
    assert report(rig, "FFFS", 1).outcome == "clean"
    assert report(rig, "FFSFF", 1).failures == 2
    assert report(rig, "SFFF", 1).outcome == "too_soon"
    assert report(rig, "S", 1).outcome == "clean"
    assert rig.ejected() == frozenset()


def test_S_F6_the_fleet_hears_how_long_ago_a_run_began(shared: Rig) -> None:
    store: Any = shared.store
    news = store.subscribe([CLUSTER])
    store.report(replace(batch("F", A), age_us=1_500), AGED)
    event = None
    while event is None:
        event = news.next(1)
    assert (event.kind, event.age_us) == ("dirty", 1_500)
    news.close()


def test_S_F6_the_slowest_reporter_of_the_last_minute_counts(shared: Rig) -> None:
    report(shared, "S", 15, by="far")
    assert 25 < report(shared, "FFF", 1, by="near").wait_ms <= 30
    assert shared.client is not None
    assert 0 < int(shared.client.pttl(KEYS.pace)) <= 60_000


def test_S_F6_where_reports_are_quick_nothing_is_kept(shared: Rig) -> None:
    assert report(shared, "FFF", 1).wait_ms <= MIN_RUN_MS
    assert shared.client is not None
    assert not shared.client.exists(KEYS.pace)


def test_S_F6_who_has_seen_all_that_it_counts_need_not_wait(rig: Rig) -> None:
    assert report(rig, "FFF", 20, SEED).outcome == "ejected"


def test_a_run_that_began_while_the_cap_was_full_is_dropped_when_there_is_room(shared: Rig) -> None:
    """Nobody tells of successes meanwhile."""
    aged, client = replace(SEED, min_run_ms=1), shared.client
    assert client is not None

    def age(outcomes: str, endpoint: str) -> str:
        shared.store.report(batch(outcomes, endpoint), aged)
        shared.advance(3)
        return shared.store.report(batch("", endpoint), aged).outcome

    assert age("FFF", A) == "ejected"
    assert age("FFF", B) == "overflow"
    assert client.exists(KEYS.full)
    assert shared.store.report(batch("FF", C), aged).failures == 2
    shared.advance(150)
    client.delete(KEYS.eject(A))
    shared.store.sync(CLUSTER, [A])
    shared.advance(3)
    assert shared.store.report(batch("F", C), aged).failures == 1
    assert shared.store.report(batch("F", B), aged).failures == 1
    assert shared.store.report(batch("F", C), aged).failures == 2
    age("F", C)
    assert shared.ejected() == {C}


def test_that_there_is_no_room_is_told_once(shared: Rig) -> None:
    store: Any = shared.store
    shared.report("FFF", A)
    news = store.subscribe([CLUSTER])
    for _ in range(2):
        shared.report("FFF", B)
    heard = []
    while (event := news.next(0.3)) is not None:
        heard.append((event.kind, event.endpoint))
    assert heard == [("full", B)]
    news.close()


def test_a_run_that_is_dropped_for_that_is_gone_from_the_record_too(shared: Rig) -> None:
    aged, client = replace(SEED, min_run_ms=1), shared.client
    assert client is not None
    shared.store.report(batch("F", B), aged)
    client.set(KEYS.full, int(client.hget(KEYS.endpoint(B), "run_since_ms") or 0) + 200)
    shared.advance(250)
    assert shared.store.report(batch("S", B), aged).outcome == "clean"
    assert client.hget(KEYS.endpoint(B), "failures") == "0"
