"""Endpoints on the scoreboard: slots, outlier state, probes."""

import pytest

from proxy.scoreboard.scoreboard import Scoreboard


def test_slots_are_used_again_and_begin_clean(board: Scoreboard) -> None:
    cluster = board.clusters.add("c")
    slot = board.endpoints.add(cluster, "10.0.0.1:80", "pod-1")
    state = board.outlier.state(slot)._replace(failures=2, generation=3, ejected_until_ms=2**40, held=True, version=9)
    board.outlier.set_state(slot, state)
    assert board.outlier.state(slot) == state
    assert board.outlier.undecided([slot]) == [slot]
    board.outlier.set_state(slot, state._replace(shared=True))
    assert board.outlier.undecided([slot]) == []
    assert board.endpoints.slots() == {(cluster, "10.0.0.1:80", "pod-1"): slot}
    board.endpoints.remove(slot)
    with pytest.raises(KeyError):
        board.outlier.state(slot)
    assert board.endpoints.add(cluster, "10.0.0.1:80", "pod-2") == slot
    fresh = board.outlier.state(slot)
    assert (fresh.failures, fresh.generation, fresh.ejected_until_ms, fresh.version) == (0, 0, 0, 0)
    board.clusters.set_fleet_version(cluster, 7, "epoch")
    board.clusters.remove(cluster)
    assert board.clusters.add("d") == cluster
    assert board.clusters.fleet_version(cluster) == (0, "")
    assert board.clusters.slots() == {"d": cluster}


def test_returns(board: Scoreboard) -> None:
    cluster = board.clusters.add("c")
    slots = [board.endpoints.add(cluster, f"10.0.0.{i}:80", "") for i in range(3)]
    for slot, until in zip(slots, (1, 2**40, 0), strict=True):
        board.outlier.set_state(slot, board.outlier.state(slot)._replace(ejected_until_ms=until))
    over, soonest = board.outlier.returns(slots)
    assert over == [slots[0]]
    assert soonest > 0
    assert board.outlier.count_ejected(slots) == 1


def test_an_overflow_is_noted_once_in_a_while(board: Scoreboard) -> None:
    cluster = board.clusters.add("c")
    slot = board.endpoints.add(cluster, "10.0.0.1:80", "")
    assert [board.outlier.note_overflow(slot, at, 100) for at in (1, 50, 101, 150, 201)] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_full(board: Scoreboard) -> None:
    cluster = board.clusters.add("c")
    for number in range(32768):
        board.endpoints.add(cluster, str(number), "")
    with pytest.raises(MemoryError, match="full"):
        board.endpoints.add(cluster, "one more", "")
    for slot in (20_000, 7):
        board.endpoints.remove(slot)
    assert [board.endpoints.add(cluster, name, "") for name in ("one more", "and one")] == [7, 20_000]


def test_each_step_of_a_probe_is_one_callers(board: Scoreboard) -> None:
    slot = board.endpoints.add(board.clusters.add("c"), "10.0.0.1:80", "")
    assert not board.probes.take(slot), "nothing is offered"
    board.probes.offer(slot)
    assert (board.probes.withdraw(slot), board.probes.withdraw(slot), board.probes.take(slot)) == (True, False, False)
    board.probes.offer(slot)
    assert (board.probes.take(slot), board.probes.take(slot), board.probes.withdraw(slot)) == (True, False, False)
    assert board.probes.pending(slot)
    assert (board.probes.end(slot), board.probes.end(slot), board.probes.pending(slot)) == (True, False, False)


def test_reach_counts_endpoints_that_failed_lately(board: Scoreboard) -> None:
    cluster = board.clusters.add("c")
    slots = [board.endpoints.add(cluster, f"10.0.0.{i}:80", "") for i in range(3)]
    assert board.endpoints.reach(60_000) == (0, 0)
    assert board.endpoints.note_local_failure(slots[0], 60_000)
    assert not board.endpoints.note_local_failure(slots[0], 60_000), "within the window"
    assert board.endpoints.reach(60_000) == (1, 1)
    board.endpoints.remove(slots[0])
    assert board.endpoints.reach(60_000) == (0, 0)


def test_time_may_be_told(board: Scoreboard) -> None:
    board.tell_time(1_000_000_000)
    slot = board.endpoints.add(board.clusters.add("c"), "10.0.0.1:80", "pod-1")
    board.outlier.set_state(slot, board.outlier.state(slot)._replace(ejected_until_ms=1500))
    assert (board.outlier.count_ejected([slot]), board.outlier.returns([slot])) == (1, ([], 501))
    board.tell_time(1_500_000_000)
    assert (board.outlier.count_ejected([slot]), board.outlier.returns([slot])) == (0, ([slot], -1))
    board.tell_time(0)
    assert board.mode().since_ms == 0
    board.note_mode("")
    assert board.mode().since_ms > 1500
