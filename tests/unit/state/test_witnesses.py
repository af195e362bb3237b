"""Who tells of an endpoint's outcomes, and what is asked where only a few do: the rules alone."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from state.constants import ANSWERS_MS, DELIVERIES, WITNESSES, WITNESSES_MS
from state.outlier.decide import Record, decide
from state.outlier.run import FAILURE, SUCCESS, Run
from state.outlier.store import MIN_RUN_MS, Verdict
from state.outlier.witnesses import Hearing, lightened, renewed, turned
from tests.state.state_rig import SEED

AGED = replace(SEED, min_run_ms=MIN_RUN_MS, max_ejection_percent=100)


class Endpoint:
    """One, and a fleet of so many replicas that tell of it."""

    def __init__(self, replicas: int) -> None:
        self.replicas = replicas
        self.now_ms = 1_000_000
        self.record = Record()

    def report(self, run: Run) -> Verdict:
        self.record, verdict = decide(
            self.record, run, self.record.generation, AGED, 0, self.now_ms, "r", 0, self.replicas
        )
        return verdict

    def flap(self, turns: int, every_ms: int) -> None:
        for _ in range(turns // 2):
            for run in (FAILURE, SUCCESS):
                self.report(run)
                self.now_ms += every_ms


def by_witnesses(replicas: int = 300) -> Endpoint:
    endpoint = Endpoint(replicas)
    endpoint.flap(40, 1)
    assert endpoint.record.hearing.by_witnesses
    return endpoint


@pytest.mark.parametrize("replicas", [2, 8, 100, 300, 1000, 5000])
def test_one_that_dies_is_told_of_by_everybody_however_many_there_are(replicas: int) -> None:
    endpoint = Endpoint(replicas)
    for _ in range(2):
        endpoint.report(FAILURE)
    assert endpoint.report(FAILURE).outcome == "too_soon"
    endpoint.now_ms += MIN_RUN_MS
    assert endpoint.report(Run()).outcome == "ejected"
    assert not endpoint.record.hearing.by_witnesses


@pytest.mark.parametrize("replicas", [2, 8, 100, 300, 1000])
def test_failures_alone_call_no_witnesses(replicas: int) -> None:
    """A burst of them is a death, not flapping."""
    endpoint = Endpoint(replicas)
    endpoint.record = Record(hearing=Hearing(load=0))
    for _ in range(50):
        endpoint.report(FAILURE)
    assert not endpoint.record.hearing.by_witnesses


@pytest.mark.parametrize("replicas", [8, 32, 100])
def test_below_so_many_deliveries_a_second_everybody_tells(replicas: int) -> None:
    endpoint = Endpoint(replicas)
    every_ms = 1 + 1000 * replicas // DELIVERIES
    endpoint.flap(600, every_ms)
    assert not endpoint.record.hearing.by_witnesses
    endpoint.flap(600, max(1, every_ms // 4))
    assert endpoint.record.hearing.by_witnesses


def test_in_a_replica_that_is_alone_nobody_is_spared() -> None:
    endpoint = Endpoint(1)
    endpoint.flap(4000, 1)
    assert not endpoint.record.hearing.by_witnesses


def test_a_run_is_asked_about_when_it_is_long_enough_and_ejects_if_nobody_answers() -> None:
    endpoint = by_witnesses()
    for _ in range(2):
        assert endpoint.report(FAILURE).outcome == "counted"
        assert endpoint.record.asked_ms == 0
    verdict = endpoint.report(FAILURE)
    assert (verdict.outcome, verdict.wait_ms) == ("too_soon", MIN_RUN_MS + ANSWERS_MS)
    assert endpoint.record.asked_ms == endpoint.now_ms
    endpoint.now_ms += verdict.wait_ms
    assert endpoint.report(Run()).outcome == "ejected"


def questions(endpoint: Endpoint) -> Iterator[int]:
    """Milliseconds between questions, each of which is answered at once."""
    asked_ms = 0
    while True:
        endpoint.report(Run.of_failures(3))
        if endpoint.record.asked_ms:
            yield endpoint.now_ms - asked_ms
            asked_ms = endpoint.now_ms
            assert endpoint.report(SUCCESS).outcome == "clean"
        endpoint.now_ms += 1


@pytest.mark.parametrize(("replicas", "longest"), [(300, [50, 100, 200, 250, 250]), (1000, [50, 100, 200, 400, 750])])
def test_a_success_that_somebody_has_seen_breaks_it_and_the_next_question_waits_ever_longer(
    replicas: int, longest: list[int]
) -> None:
    asking = questions(by_witnesses(replicas))
    next(asking)
    assert [next(asking) for _ in range(5)] == longest


def test_witnesses_are_named_anew_while_it_flaps_and_let_go_when_it_does_no_more() -> None:
    endpoint = by_witnesses()
    first_ms = endpoint.record.hearing.until_ms
    endpoint.flap(2 * WITNESSES_MS // 50, 50)
    assert endpoint.record.hearing.until_ms > first_ms
    endpoint.now_ms += WITNESSES_MS
    endpoint.report(SUCCESS)
    assert not endpoint.record.hearing.by_witnesses


def test_a_run_that_only_witnesses_told_of_ends_with_their_time() -> None:
    endpoint = by_witnesses()
    endpoint.now_ms += WITNESSES_MS - 600
    endpoint.report(FAILURE)
    endpoint.now_ms += 60_000
    assert endpoint.report(FAILURE).failures == 1


def test_a_clock_that_is_put_back_keeps_nobody_silent_for_longer() -> None:
    hearing = Hearing(load=0, until_ms=900_000_000, replicas=300, load_ms=900_000_000)
    assert renewed(hearing, 300, 1_000).until_ms == 1_000 + WITNESSES_MS
    assert lightened(hearing, 1_000).load == 0


def test_what_witnesses_tell_stands_for_all() -> None:
    hearing = Hearing(until_ms=10_000, replicas=64, load_ms=1_000)
    assert turned(hearing, 64, 1_000).load == 64 * 64 // WITNESSES
