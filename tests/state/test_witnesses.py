"""What a server tells a fleet in which only witnesses tell of an endpoint: the messages, which no specification has."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from state.outlier.events import Event
from state.outlier.store import MIN_RUN_MS, News
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, Rig, batch

AGED = replace(SEED, min_run_ms=MIN_RUN_MS, max_ejection_percent=100)
REPLICAS = 300


def report(rig: Rig, outcomes: str, age_us: int = 0) -> str:
    return rig.store.report(replace(batch(outcomes, A), age_us=age_us), AGED).outcome


def heard(news: News) -> list[Event]:
    """Up to when there is no more to come."""
    found: list[Event] = []
    while (event := news.next(0.3)) is not None:
        found.append(event)
    return found


@pytest.fixture
def news(shared: Rig) -> Iterator[News]:
    """Of an endpoint that has flapped until witnesses were called; they have been heard of."""
    client: Any = shared.client
    seconds, _ = client.time()
    told = f"told={1000 * seconds - 1000} for=600000 view=all"
    client.hset(KEYS.replicas, mapping={f"r{each}": told for each in range(REPLICAS)})
    store: Any = shared.store
    news = store.subscribe([CLUSTER])
    for _ in range(20):
        report(shared, "F")
        report(shared, "S")
    (called,) = (each for each in heard(news) if each.kind == "witnesses")
    assert called.of == REPLICAS
    assert called.witnesses == int(client.hget(KEYS.endpoint(A), "witnesses_until_ms"))
    yield news
    news.close()


def test_a_run_is_told_of_when_it_is_as_long_as_the_threshold(shared: Rig, news: News) -> None:
    assert [report(shared, "F", age_us=40_000) for _ in range(2)] == ["counted", "counted"]
    assert heard(news) == []
    assert report(shared, "F") == "too_soon"
    (question,) = heard(news)
    assert (question.kind, question.of) == ("dirty", REPLICAS)
    assert question.age_us >= 40_000, "since the first of its failures happened"


def test_that_somebody_has_answered_is_told_and_a_run_that_nobody_was_told_of_is_over_silently(
    shared: Rig, news: News
) -> None:
    report(shared, "FFF")
    assert report(shared, "S") == "clean"
    assert [each.kind for each in heard(news)] == ["dirty", "clean"]
    report(shared, "FF")
    report(shared, "S")
    assert heard(news) == []


def test_a_run_that_nobody_objects_to_ejects(shared: Rig, news: News) -> None:
    assert report(shared, "FFF") == "too_soon"
    shared.advance(50)
    assert report(shared, "") == "ejected"
    assert [each.kind for each in heard(news)] == ["dirty", "eject"]


def test_who_reads_everything_does_not_take_for_told_what_was_not(shared: Rig, news: News) -> None:
    report(shared, "FF")
    assert shared.store.sync(CLUSTER, [A]).dirty == {}
    report(shared, "F")
    assert shared.store.sync(CLUSTER, [A]).dirty == {A: 3}
