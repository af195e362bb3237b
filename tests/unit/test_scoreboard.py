"""The memory that the processes of a replica share."""

import os
import signal
import subprocess
import sys
import time

import pytest

from proxy.scoreboard import READY, ClusterLocked, Scoreboard

# A process that maps the scoreboard, takes a lock and dies with it in its hand.
DIES = """
import os, signal, sys
from proxy.scoreboard import Scoreboard
board = Scoreboard.attach(int(sys.argv[1]))
board.lock_cluster(int(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def board():
    return Scoreboard.create()


def test_a_lock_whose_holder_was_killed(board) -> None:
    cluster = board.add_cluster("c")
    slot = board.add_endpoint(cluster, "10.0.0.1:80", "pod")
    command = [sys.executable, "-c", DIES, str(board.fd), str(cluster)]
    died = subprocess.run(command, pass_fds=[board.fd], check=False)
    assert died.returncode == -signal.SIGKILL
    for _ in range(2):  # taken over, and whole again
        board.lock_cluster(cluster)
        board.set_outlier_state(slot, board.outlier_state(slot)._replace(failures=1))
        board.unlock_cluster(cluster)
    assert board.outlier_state(slot).failures == 1


def test_slots_are_used_again_and_begin_clean(board) -> None:
    cluster = board.add_cluster("c")
    slot = board.add_endpoint(cluster, "10.0.0.1:80", "pod-1")
    state = board.outlier_state(slot)._replace(failures=2, generation=3, ejected_until_ms=2**40, held=True, version=9)
    board.set_outlier_state(slot, state)
    assert board.outlier_state(slot) == state
    assert board.undecided([slot]) == [slot]
    board.set_outlier_state(slot, state._replace(shared=True))
    assert board.undecided([slot]) == []
    assert board.endpoints() == {(cluster, "10.0.0.1:80", "pod-1"): slot}
    board.remove_endpoint(slot)
    with pytest.raises(KeyError):
        board.outlier_state(slot)
    assert board.add_endpoint(cluster, "10.0.0.1:80", "pod-2") == slot
    fresh = board.outlier_state(slot)
    assert (fresh.failures, fresh.generation, fresh.ejected_until_ms, fresh.version) == (0, 0, 0, 0)
    board.set_fleet_version(cluster, 7, "epoch")
    board.remove_cluster(cluster)
    assert board.add_cluster("d") == cluster
    assert board.fleet_version(cluster) == (0, "")
    assert board.clusters() == {"d": cluster}


def test_another_process_sees_it(board) -> None:
    cluster = board.add_cluster("c")
    other = Scoreboard.attach(board.fd)
    other.set_fleet_version(cluster, 3, "e")
    assert board.fleet_version(cluster) == (3, "e")
    with pytest.raises(ValueError, match="another version"):
        Scoreboard.attach(os.memfd_create("small"))


def test_the_lease_goes_to_one_and_on_when_it_dies(board) -> None:
    for slot in (0, 1):
        board.start_worker(slot, 100 + slot)
        board.set_worker_state(slot, READY)
    assert board.take_lease(0)
    assert not board.take_lease(1)
    board.drop_lease(1)
    assert board.take_lease(0)
    board.reap_worker(0)
    assert board.take_lease(1)
    assert [row.slot for row in board.workers()] == [1]


def test_connections_of_a_reaped_worker_are_gone(board) -> None:
    for slot in (0, 1):
        board.start_worker(slot, 100 + slot)
        board.set_worker_state(slot, READY)
    assert [board.assign_connection(0) for _ in range(4)] == [0, 1, 0, 1]
    board.reap_worker(1)
    assert board.worker(1).connections == 0
    assert board.assign_connection(0) == 0, "only ready workers are given any"


def test_leaving_shared_state_is_one_callers(board) -> None:
    assert not board.leave_shared_state()
    board.shared_state = True
    assert board.leave_shared_state()
    assert not board.leave_shared_state()
    assert not board.shared_state


def test_the_mode_says_since_when_and_why(board) -> None:
    assert board.mode() == (False, 0, "")
    board.shared_state = True
    shared = board.mode()
    assert shared == (True, pytest.approx(time.monotonic() * 1000, abs=50), "")
    board.shared_state = True
    assert board.mode() == shared
    assert board.leave_shared_state("no answer: \u00e9" + "x" * 500)
    local = board.mode()
    assert (local.shared, local.reason[:11]) == (False, "no answer: ")
    assert not board.leave_shared_state("another reason")
    assert board.mode() == local


def test_a_cluster_can_be_decided_alone(board) -> None:
    one, other = board.add_cluster("c"), board.add_cluster("d")
    assert board.set_alone(one, True)
    assert not board.set_alone(one, True), "one caller did it"
    assert (board.alone(one), board.alone(other)) == (True, False)
    assert board.set_alone(one, False)


def test_a_lock_whose_holder_is_stopped_is_not_waited_for(board) -> None:
    cluster = board.add_cluster("c")
    command = [sys.executable, "-c", DIES.replace("SIGKILL", "SIGSTOP"), str(board.fd), str(cluster)]
    stopped = subprocess.Popen(command, pass_fds=[board.fd])
    try:
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED)
        began = time.monotonic()
        with pytest.raises(ClusterLocked, match="is it stopped"):
            board.lock_cluster(cluster)
        assert 0.015 < time.monotonic() - began < 0.2
    finally:
        stopped.kill()
        stopped.wait()
    board.lock_cluster(cluster)
    board.unlock_cluster(cluster)


def test_returns(board) -> None:
    cluster = board.add_cluster("c")
    slots = [board.add_endpoint(cluster, f"10.0.0.{i}:80", "") for i in range(3)]
    for slot, until in zip(slots, (1, 2**40, 0), strict=True):
        board.set_outlier_state(slot, board.outlier_state(slot)._replace(ejected_until_ms=until))
    over, soonest = board.returns(slots)
    assert over == [slots[0]]
    assert soonest > 0
    assert board.count_ejected(slots) == 1


def test_an_overflow_is_noted_once_in_a_while(board) -> None:
    cluster = board.add_cluster("c")
    slot = board.add_endpoint(cluster, "10.0.0.1:80", "")
    assert [board.note_overflow(slot, at, 100) for at in (1, 50, 101, 150, 201)] == [True, False, True, False, True]


def test_full(board) -> None:
    cluster = board.add_cluster("c")
    for number in range(32768):
        board.add_endpoint(cluster, str(number), "")
    with pytest.raises(MemoryError, match="full"):
        board.add_endpoint(cluster, "one more", "")
