"""When names are asked for, and which addresses are in force: with a clock that the test turns."""

import logging

import pytest

from proxy.controller.names import KEPT_S, LONGEST_RETRY_S, LONGEST_S, MOST, SHORTEST_S, Answer, Names

API, PAY = "api.test", "pay.test"


class Rig:
    def __init__(self, chance: float = 0.0) -> None:
        self.now = 1000.0
        self.names = Names(lambda: self.now, lambda: chance)

    def asked(self, after_s: float) -> list[str]:
        """Who is due so much later."""
        self.now += after_s
        return sorted(self.names.due())

    def news(self) -> list[tuple[str, tuple[str, ...]]]:
        return list(self.names.take())


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.names.want([API])
    return made


def test_a_new_name_is_due_at_once_and_once(rig: Rig) -> None:
    assert rig.names.wait_s() == 0
    assert rig.asked(0) == [API]
    assert rig.asked(1000) == [], "it is being asked for"
    assert rig.names.wait_s() is None


@pytest.mark.parametrize(
    ("ttl", "after"), [(0, SHORTEST_S), (0.2, SHORTEST_S), (30, 30), (LONGEST_S + 1, LONGEST_S), (86400, LONGEST_S)]
)
def test_it_is_asked_for_again_when_its_ttl_is_over_within_bounds(rig: Rig, ttl: float, after: float) -> None:
    rig.asked(0)
    rig.names.answered(API, Answer(("192.0.2.1",), ttl))
    assert rig.names.wait_s() == pytest.approx(after)
    assert rig.asked(after - 0.01) == []
    assert rig.asked(0.02) == [API]


def test_names_are_not_asked_for_all_at_once() -> None:
    late = Rig(chance=1.0)
    late.names.want([API])
    late.asked(0)
    late.names.answered(API, Answer(("192.0.2.1",), 100))
    assert late.names.wait_s() == pytest.approx(110)


def test_only_other_addresses_are_news(rig: Rig) -> None:
    assert rig.names.answered(API, Answer(("192.0.2.1", "192.0.2.2"), 1))
    assert rig.news() == [(API, ("192.0.2.1", "192.0.2.2"))]
    assert not rig.names.answered(API, Answer(("192.0.2.2", "192.0.2.1"), 1)), "the order is the server's whim"
    assert rig.names.answered(API, Answer(("192.0.2.2", "192.0.2.3"), 1))
    assert rig.news() == [(API, ("192.0.2.2", "192.0.2.3"))]


def test_a_failure_changes_nothing_is_told_once_and_tried_again_later_and_later(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rig.names.answered(API, Answer(("192.0.2.1",), 1))
    rig.news()
    waits = []
    for _ in range(9):
        rig.names.failed(API, "no answer")
        waits.append(rig.names.wait_s())
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST_RETRY_S, LONGEST_RETRY_S, LONGEST_RETRY_S]
    assert rig.news() == []
    shown = rig.names.shown()[API]
    assert (shown["addresses"], shown["error"], shown["failures"]) == (["192.0.2.1"], "no answer", 9)
    rig.names.answered(API, Answer(("192.0.2.1",), 1))
    assert [each.getMessage() for each in caplog.records] == [
        "api.test: no answer; going on with 192.0.2.1",
        "api.test: answered again",
    ]
    assert rig.names.shown()[API]["error"] == ""


def test_a_name_that_was_never_answered_says_so(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.names.failed(API, "no answer")
    assert caplog.messages == ["api.test: no answer; requests for it get 503 until it is answered"]


def test_a_name_that_is_not_wanted_any_more_is_forgotten(rig: Rig) -> None:
    rig.names.answered(API, Answer(("192.0.2.1",), 1))
    rig.names.want([PAY])
    assert list(rig.names.shown()) == [PAY]
    assert rig.news() == [(API, ("192.0.2.1",))]
    rig.now += KEPT_S
    rig.names.want([PAY])
    assert rig.news() == [(API, ())]
    assert not rig.names.answered(API, Answer(("192.0.2.2",), 1)), "it was on its way"
    rig.names.failed(API, "late")
    assert list(rig.names.shown()) == [PAY]


def test_a_name_that_is_wanted_again_soon_has_its_answer_still(rig: Rig) -> None:
    """Manifests that vanish for a moment, a Gateway that is put there anew."""
    rig.names.answered(API, Answer(("192.0.2.1",), 1))
    rig.news()
    rig.names.want([])
    assert rig.asked(100) == [], "nobody wants to know"
    rig.names.want([API])
    assert rig.asked(0) == [API]
    assert rig.news() == [] and rig.names.shown()[API]["addresses"] == ["192.0.2.1"]


def test_what_a_former_controller_knew_is_in_force_until_there_is_an_answer() -> None:
    rig = Rig()
    rig.names.remember(API, ["192.0.2.1"])
    assert rig.news() == [(API, ("192.0.2.1",))]
    rig.names.want([API])
    assert rig.asked(0) == [API]
    rig.names.failed(API, "no answer")
    assert rig.names.shown()[API]["addresses"] == ["192.0.2.1"]
    assert not rig.names.answered(API, Answer(("192.0.2.1",), 1))


def test_of_very_many_addresses_some_are_used(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.names.answered(API, Answer(tuple(f"10.0.{high}.{low}" for high in range(2) for low in range(200)), 1))
    ((_, found),) = rig.news()
    assert len(found) == MOST
    assert caplog.messages == [f"api.test: 400 addresses, of which {MOST} are used"]
