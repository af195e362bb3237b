"""Workers on the scoreboard: connections, and the lease."""

from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.workers import READY


def test_the_lease_goes_to_one_and_on_when_it_dies(board: Scoreboard) -> None:
    for slot in (0, 1):
        board.workers.start(slot, 100 + slot)
        board.workers.set_state(slot, READY)
    assert board.workers.take_lease(0)
    assert not board.workers.take_lease(1)
    board.workers.drop_lease(1)
    assert board.workers.take_lease(0)
    board.workers.reap(0)
    assert board.workers.take_lease(1)
    assert [row.slot for row in board.workers.rows()] == [1]


def test_connections_of_a_reaped_worker_are_gone(board: Scoreboard) -> None:
    for slot in (0, 1):
        board.workers.start(slot, 100 + slot)
        board.workers.set_state(slot, READY)
    assert [board.workers.assign_connection(0) for _ in range(4)] == [0, 1, 0, 1]
    board.workers.reap(1)
    assert board.workers.row(1).connections == 0
    assert board.workers.assign_connection(0) == 0, "only ready workers are given any"
