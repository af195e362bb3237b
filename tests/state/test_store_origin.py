"""Whose failures count: the age of a run, failures of local origin, the evidence that is kept."""

from dataclasses import replace

import pytest

from state.outlier.redis_store import RedisStore
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, Rig, batch, log_of

TWO = replace(SEED, local_origin_quorum=2)
AGED = replace(SEED, min_run_ms=20)


def test_a_young_run_waits_and_then_ejects(rig: Rig) -> None:
    verdict = rig.report("FFF", policy=AGED)
    assert verdict.outcome == "too_soon"
    assert 0 < verdict.wait_ms <= 20
    assert (verdict.failures, rig.ejected()) == (3, frozenset())
    rig.advance(verdict.wait_ms)
    again = rig.report("", policy=AGED)
    assert (again.outcome, again.failures) == ("ejected", 3)


def test_a_success_while_it_waits_ends_the_run(rig: Rig) -> None:
    wait_ms = rig.report("FFF", policy=AGED).wait_ms
    assert rig.report("S", policy=AGED, by="r2").outcome == "clean"
    rig.advance(wait_ms)
    assert rig.report("", policy=AGED).outcome == "clean"
    assert rig.ejected() == frozenset()


def test_more_failures_while_it_waits_are_of_the_same_run(rig: Rig) -> None:
    rig.report("FF", policy=AGED)
    assert rig.report("F", policy=AGED).outcome == "too_soon"
    verdict = rig.report("F", policy=AGED, by="r2")
    assert (verdict.outcome, verdict.failures) == ("too_soon", 4)
    rig.advance(verdict.wait_ms)
    assert rig.report("", policy=AGED).failures == 4


def test_S_F6_a_run_that_a_success_ended_within_one_report_counts_for_nothing(rig: Rig) -> None:
    """Another worker's success may have come between its failures, and the endpoint answers again anyway."""
    assert rig.report("FFFS", policy=AGED).outcome == "clean"
    assert rig.report("FF", policy=AGED).failures == 2


def test_an_old_run_does_not_wait(rig: Rig) -> None:
    rig.report("FF", policy=AGED)
    rig.advance(25)
    assert rig.report("F", policy=AGED).outcome == "ejected"


def test_without_a_quorum_any_failure_counts(rig: Rig) -> None:
    assert rig.report("LLL").outcome == "ejected"


def test_one_replica_that_reaches_nothing_does_not_eject_for_two(rig: Rig) -> None:
    assert rig.report("LLLLL", policy=TWO, by="r1").outcome == "unconfirmed"
    assert rig.report("L", policy=TWO, by="r1").outcome == "unconfirmed"
    assert rig.ejected() == frozenset()
    verdict = rig.report("L", policy=TWO, by="r2")
    assert verdict.outcome == "ejected"
    assert rig.ejected() == {A}


def test_what_the_endpoint_answers_counts_whoever_saw_it(rig: Rig) -> None:
    assert rig.report("FFF", policy=TWO, by="r1").outcome == "ejected"


def test_the_endpoints_own_failures_count_among_those_of_local_origin(rig: Rig) -> None:
    outcomes = [rig.report(letter, policy=TWO, by="r1").outcome for letter in "LFLFLF"]
    assert outcomes == ["counted", "counted", "unconfirmed", "unconfirmed", "unconfirmed", "ejected"]


def test_a_success_ends_what_one_replica_saw(rig: Rig) -> None:
    rig.report("LL", policy=TWO, by="r1")
    rig.report("S", policy=TWO, by="r2")
    assert rig.report("LL", policy=TWO, by="r2").outcome == "counted"
    assert rig.report("L", policy=TWO, by="r2").outcome == "unconfirmed"


def test_one_reporter_inside_a_batch_does_not_confirm_itself(rig: Rig) -> None:
    assert rig.report("LLLSF", policy=TWO, by="r1").outcome == "unconfirmed"
    assert rig.report("FFFSL", policy=TWO, by="r1").outcome == "ejected"


def test_a_quorum_of_three(rig: Rig) -> None:
    three = replace(SEED, local_origin_quorum=3)
    outcomes = [rig.report("L", policy=three, by=by).outcome for by in ("r1", "r2", "r1", "r2", "r3")]
    assert outcomes == ["counted", "counted", "unconfirmed", "unconfirmed", "ejected"]


def evidence_of(shared: Rig) -> str:
    assert shared.client is not None
    return str(shared.client.hget(KEYS.endpoint(A), "evidence") or "")


def test_the_failures_that_eject_are_kept_with_their_requests(shared: Rig) -> None:
    assert shared.client is not None
    for number, by in enumerate(("r1", "r2", "r3")):
        shared.store.report(replace(batch("F", by=by), evidence=f"503@{by}/id-{number}"), SEED)
    (entry,) = log_of(shared)
    assert entry["evidence"] == "503@r1/id-0,503@r2/id-1,503@r3/id-2"
    assert (entry["kind"], entry["why"], entry["by"], entry["consecutive_5xx"]) == (
        "eject",
        "consecutive_5xx",
        "r3",
        "3",
    )


def test_evidence_is_of_one_run_and_bounded(shared: Rig) -> None:
    never = replace(SEED, consecutive_5xx=1000)
    shared.store.report(replace(batch("F"), evidence="503@r1/old"), never)
    shared.store.report(batch("S"), never)
    for number in range(20):
        shared.store.report(replace(batch("F"), evidence=f"503@r1/{number}"), never)
    assert evidence_of(shared) == ",".join(f"503@r1/{number}" for number in range(12, 20))


def test_reporters_of_a_run_are_kept_apart_by_origin(shared: Rig) -> None:
    assert shared.client is not None
    never = replace(SEED, consecutive_5xx=1000)
    for outcome, by in (("F", "r1"), ("L", "r2"), ("L", "r2"), ("F", "r3")):
        shared.report(outcome, policy=never, by=by)
    kept = shared.client.hgetall(KEYS.endpoint(A))
    assert (kept["reporters"], kept["local_reporters"], kept["local_failures"]) == ("r1,r2,r3", "r2", "2")


@pytest.mark.parametrize("rule", ["", "consecutive_5xx=3 destination_rule=httpbin/web"])
def test_the_rule_in_force_is_written_for_people(shared: Rig, rule: str) -> None:
    assert shared.client is not None
    assert isinstance(shared.store, RedisStore)
    shared.store.sync(CLUSTER, [A], rule=rule)
    assert (shared.client.get(KEYS.rule) or "") == rule
    if rule:
        assert shared.client.pttl(KEYS.rule) > 6 * 86_400_000
