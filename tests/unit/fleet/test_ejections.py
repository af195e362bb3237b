"""Transitions of an endpoint's ejection, and the one line for each."""

import time

import pytest

from proxy.fleet.clusters import batch_of
from proxy.fleet.ejections import PRIVATELY
from proxy.fleet.known import Known
from proxy.fleet.records import ScoreboardRecords
from proxy.scoreboard.views import OutlierState
from state.outlier.local_store import LocalStore
from state.outlier.run import Run
from tests.unit.fleet.fleet_fakes import a_cluster, board, ejections, known

NOW = time.monotonic_ns() // 1_000_000  # the scoreboard has the same clock
FOREVER = 10**15


def test_transitions() -> None:
    with board() as made:
        cluster = a_cluster(made)
        endpoint = cluster.endpoints["10.0.0.0:80"]
        changes, told = ejections(made)
        changes.confirm(cluster, endpoint, known(), NOW, NOW)
        changes.confirm(cluster, endpoint, known(left_ms=29_000), NOW + 1000, NOW + 1000)
        assert told.lines == ["ejecting 10.0.0.0:80"], "the same news twice is one ejection"
        state = changes.state(endpoint)
        assert (state.ejected_until_ms, state.shared, state.held, state.generation) == (NOW + 30_000, True, False, 1)
        changes.learn(cluster, endpoint, 0, dirty=True, asked_ms=NOW, now_ms=NOW)
        assert changes.state(endpoint) == state, "while it is out nothing is learnt of a run"
        changes.expire(cluster, endpoint, NOW + 29_999)
        assert changes.state(endpoint).ejected_until_ms
        changes.expire(cluster, endpoint, NOW + 30_000)
        changes.expire(cluster, endpoint, NOW + 30_000)
        assert told.lines[1:] == ["unejecting 10.0.0.0:80 expired"]
        changes.confirm(cluster, endpoint, known(left_ms=400), NOW + 30_001, NOW + 30_001)
        assert not changes.state(endpoint).ejected_until_ms, "the store's last moments of what is over here"
        changes.confirm(cluster, endpoint, known(generation=2, version=2), NOW + 31_000, NOW + 31_000)
        changes.lift(cluster, endpoint, "by_hand", NOW + 32_000, version=3)
        changes.confirm(cluster, endpoint, known(generation=2, version=2), NOW + 32_001, NOW + 32_001)
        assert told.lines[2:] == ["ejecting 10.0.0.0:80", "unejecting 10.0.0.0:80 by_hand"], "overtaken news"
        changes.confirm(cluster, endpoint, known(generation=1, version=1), NOW + 33_000, NOW + 33_000, certain=True)
        assert changes.state(endpoint).generation == 1, "a store without its data counts from the beginning"


def test_a_run_that_began_while_it_was_out_here_alone_is_remembered() -> None:
    """Seed 9955 of the simulator: its first success here was not told, as nobody was known to count failures."""
    with board() as made:
        cluster = a_cluster(made)
        endpoint = cluster.endpoints["10.0.0.0:80"]
        changes, _ = ejections(made)
        local = LocalStore(ScoreboardRecords(made, {cluster.name: cluster}), lambda: NOW)
        local.report(batch_of(cluster, endpoint, 0, Run.of_failures(3), 503, "a"), cluster.own_policy)
        changes.stand(cluster, endpoint, 1, PRIVATELY)
        until_ms = changes.state(endpoint).ejected_until_ms
        changes.learn(cluster, endpoint, 1, dirty=True, asked_ms=until_ms - 10, now_ms=until_ms - 10)
        assert changes.state(endpoint).ejected_until_ms == until_ms
        changes.expire(cluster, endpoint, until_ms)
        assert (changes.state(endpoint).ejected_until_ms, changes.state(endpoint).dirty) == (0, True)


def test_an_answer_handled_late_says_nothing_of_failures_since() -> None:
    with board() as made:
        cluster = a_cluster(made)
        endpoint = cluster.endpoints["10.0.0.0:80"]
        changes, _ = ejections(made)
        asked_ms = time.monotonic_ns() // 1_000_000 - 20
        made.outlier.set_state(endpoint.slot, changes.state(endpoint)._replace(failures=1, dirty=True))
        changes.learn(cluster, endpoint, 0, dirty=False, asked_ms=asked_ms, now_ms=asked_ms + 20)
        assert (changes.state(endpoint).dirty, changes.state(endpoint).failures) == (True, 1), (
            "there was none, before it"
        )
        changes.learn(cluster, endpoint, 0, dirty=False, asked_ms=asked_ms + 1000, now_ms=asked_ms + 1000)
        assert (changes.state(endpoint).dirty, changes.state(endpoint).failures) == (False, 0)
        changes.learn(cluster, endpoint, 0, dirty=True, asked_ms=asked_ms, now_ms=asked_ms)
        changes.learn(cluster, endpoint, 0, dirty=False, asked_ms=asked_ms, now_ms=asked_ms)
        assert changes.state(endpoint).dirty, "one of another replica, just heard of"
        changes.learn(cluster, endpoint, 1, dirty=False, asked_ms=asked_ms, now_ms=asked_ms)
        assert not changes.state(endpoint).dirty, "whatever it was, an ejection has used it up"


@pytest.mark.parametrize("reason", ["rule_deleted", "removed"])
def test_what_the_configuration_has_lifted_it_takes_out_again(reason: str) -> None:
    """Redis has told of one and the same ejection all the time."""
    with board() as made:
        cluster = a_cluster(made)
        endpoint = cluster.endpoints["10.0.0.0:80"]
        changes, told = ejections(made)
        changes.confirm(cluster, endpoint, known(), NOW, NOW)
        changes.lift(cluster, endpoint, reason, NOW + 1000)
        changes.confirm(cluster, endpoint, known(left_ms=25_000), NOW + 5000, NOW + 5000)
        assert changes.state(endpoint).ejected_until_ms == NOW + 30_000
        assert told.lines == ["ejecting 10.0.0.0:80", f"unejecting 10.0.0.0:80 {reason}", "ejecting 10.0.0.0:80"]


def test_the_end_of_a_known_ejection_is_moved_by_hands_only() -> None:
    with board() as made:
        cluster = a_cluster(made)
        endpoint = cluster.endpoints["10.0.0.0:80"]
        changes, told = ejections(made)

        def until_after(news: Known, at: int, **how: bool) -> int:
            changes.confirm(cluster, endpoint, news, at, at, **how)
            return changes.state(endpoint).ejected_until_ms

        assert until_after(known(), NOW) == NOW + 30_000
        assert until_after(known(left_ms=9_000, version=2), NOW + 1000) == NOW + 30_000, "a clock was set"
        assert until_after(known(left_ms=28_000, version=2), NOW + 1000, correct=True) == NOW + 29_000
        assert until_after(known(left_ms=90_000, ejection_ms=90_000, version=3), NOW) == NOW + 90_000, "EXPIRE"
        changes.expire(cluster, endpoint, NOW + 90_000)
        late = known(left_ms=20_000, ejection_ms=90_000, version=3)
        assert until_after(late, NOW + 91_000) == 0, "over here, whatever the clock of Redis says"
        assert len(told.lines) == 2


def test_an_end_of_our_own_is_no_end_of_the_fleets() -> None:
    """A report that a hung Redis executes late ejects in the same generation; nobody there knew of ours."""
    with board() as made:
        cluster = a_cluster(made)
        endpoint = cluster.endpoints["10.0.0.0:80"]
        changes, _ = ejections(made)
        state = changes.state(endpoint)._replace(ejected_until_ms=NOW, ejection_ms=30_000, generation=1, logged=True)
        made.outlier.set_state(endpoint.slot, state)
        changes.expire(cluster, endpoint, NOW + 1)
        changes.confirm(cluster, endpoint, known(left_ms=29_000), NOW + 500, NOW + 500)
        assert changes.state(endpoint).ejected_until_ms == NOW + 29_500


def test_an_unnoted_end_is_told_before_the_next_ejection() -> None:
    with board() as made:
        cluster = a_cluster(made)
        endpoint = cluster.endpoints["10.0.0.0:80"]
        changes, told = ejections(made)
        changes.confirm(cluster, endpoint, known(), NOW, NOW)
        changes.confirm(cluster, endpoint, known(generation=2, version=2), NOW + 40_000, NOW + 40_000)
        assert [line.split()[0] for line in told.lines] == ["ejecting", "unejecting", "ejecting"]


def test_held_then_stood_released_or_confirmed() -> None:
    with board() as made:
        cluster = a_cluster(made)
        endpoint = cluster.endpoints["10.0.0.0:80"]
        changes, told = ejections(made)
        store = LocalStore(ScoreboardRecords(made, {cluster.name: cluster}), lambda: NOW)

        def hold() -> OutlierState:
            before = changes.state(endpoint)
            generation = before.generation
            batch = batch_of(cluster, endpoint, generation, Run.of_failures(3), 503, "a")
            assert store.report(batch, cluster.own_policy).outcome == "ejected"
            assert changes.state(endpoint).held
            return before

        before = hold()
        assert made.outlier.undecided(cluster.slots) == [] or made.outlier.undecided(cluster.slots) == [endpoint.slot]
        changes.release(cluster, endpoint, before, 7, NOW)
        assert changes.state(endpoint).held, "another generation's answer"
        changes.release(cluster, endpoint, before, 1, NOW)
        assert changes.state(endpoint) == before
        assert told.lines == [], "nobody heard of it"
        hold()
        changes.stand(cluster, endpoint, 1)
        changes.stand(cluster, endpoint, 1)
        changes.confirm(cluster, endpoint, known(), NOW, NOW)
        assert told.lines == ["ejecting 10.0.0.0:80"]
        changes.release(cluster, endpoint, before, 1, NOW)
        assert changes.state(endpoint).shared, "what the fleet knows is not released"


def test_numbers_from_anybodys_texts_fit() -> None:
    with board() as made:
        cluster = a_cluster(made)
        endpoint = cluster.endpoints["10.0.0.0:80"]
        changes, _ = ejections(made)
        changes.confirm(cluster, endpoint, known(FOREVER, 2**70, 1, FOREVER), NOW, NOW)
        assert changes.state(endpoint).ejected_until_ms > NOW


def test_overflow_is_told_once_by_all_workers() -> None:
    with board() as made:
        cluster = a_cluster(made)
        endpoint = cluster.endpoints["10.0.0.0:80"]
        one, told = ejections(made)
        two, other = ejections(made)
        one.overflow(cluster, endpoint, 3, NOW)
        two.overflow(cluster, endpoint, 3, NOW + 59_000)
        two.overflow(cluster, endpoint, 3, NOW + 60_000)
        assert len(told.lines) == len(other.lines) == 1
        assert made.clusters.counters(cluster.slot).overflows == 3
