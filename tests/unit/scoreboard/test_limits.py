"""What there may be only so many of in a cluster, over the workers of a replica."""

import pytest

from proxy.scoreboard.clusters import LIMITS
from proxy.scoreboard.scoreboard import Scoreboard
from tests.instruments.limits import die, drop, take

KINDS = range(len(LIMITS))


@pytest.fixture
def cluster(board: Scoreboard) -> int:
    """The slot of one; there are three workers."""
    for slot in range(3):
        board.workers.start(slot, 100 + slot)
    return board.clusters.add("shop/cart:80")


@pytest.mark.parametrize("kind", KINDS, ids=LIMITS)
def test_there_are_never_more_than_the_limit_in_all_workers(kind: int, board: Scoreboard, cluster: int) -> None:
    assert [take(board, slot % 3, cluster, kind, 4) for slot in range(6)] == [True] * 4 + [False] * 2
    assert board.clusters.held(cluster)[kind] == 4
    drop(board, 0, cluster, kind)
    assert take(board, 2, cluster, kind, 4)
    assert not take(board, 0, cluster, kind, 4)
    assert sum(board.clusters.held(cluster)) == 4, "and of the others nothing"


def test_a_worker_that_is_gone_holds_nothing(board: Scoreboard, cluster: int) -> None:
    for kind in KINDS:
        for slot in (0, 1, 1):
            assert take(board, slot, cluster, kind, 9)
    board.workers.reap(1)
    assert board.clusters.held(cluster) == (1,) * len(LIMITS)
    board.workers.reap(1)
    assert board.clusters.held(cluster) == (1,) * len(LIMITS)


@pytest.mark.parametrize("steps", range(5))
def test_a_worker_may_be_killed_between_any_two_steps(steps: int, board: Scoreboard, cluster: int) -> None:
    for slot in (0, 1, 1, 2):
        assert take(board, slot, cluster, 0, 9)
    die(board, 1, cluster, 0, steps)
    board.workers.reap(1)
    assert board.clusters.held(cluster)[0] == 2


def test_another_worker_that_is_stopped_between_two_steps_keeps_nobody(board: Scoreboard, cluster: int) -> None:
    """Then what the dead one said it held is given back."""
    assert take(board, 1, cluster, 0, 9)
    die(board, 0, cluster, 0, 2)
    die(board, 1, cluster, 0, 1)
    board.workers.reap(1)
    assert board.clusters.held(cluster)[0] == 1


def test_a_slot_that_is_given_out_again_is_empty(board: Scoreboard, cluster: int) -> None:
    assert take(board, 0, cluster, 0, 9)
    board.clusters.remove(cluster)
    assert board.clusters.add("shop/other:80") == cluster
    assert board.clusters.held(cluster) == (0,) * len(LIMITS)
    board.workers.reap(0)
    assert board.clusters.held(cluster) == (0,) * len(LIMITS)
