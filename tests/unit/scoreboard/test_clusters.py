"""Clusters on the scoreboard: whose lock it is, and who decides."""

import os
import signal
import subprocess
import sys

import pytest

from proxy.scoreboard.clusters import ClusterLocked
from proxy.scoreboard.scoreboard import Scoreboard
from tests.instruments.choosing import changes
from tests.patience import within

# A process that maps the scoreboard, takes a lock and dies with it in its hand.
DIES = """
import os, signal, sys
from proxy.scoreboard.scoreboard import Scoreboard
board = Scoreboard.attach(int(sys.argv[1]))
board.clusters.lock(int(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_lock_whose_holder_was_killed(board: Scoreboard) -> None:
    cluster = board.clusters.add("c")
    slot = board.endpoints.add(cluster, "10.0.0.1:80", "pod")
    command = [sys.executable, "-c", DIES, str(board.fd), str(cluster)]
    died = subprocess.run(command, pass_fds=[board.fd], check=False)
    assert died.returncode == -signal.SIGKILL
    for _ in range(2):  # taken over, and whole again
        board.clusters.lock(cluster)
        board.outlier.set_state(slot, board.outlier.state(slot)._replace(failures=1))
        board.clusters.unlock(cluster)
    assert board.outlier.state(slot).failures == 1


def test_what_a_killed_holder_may_have_changed_is_looked_at_again(board: Scoreboard) -> None:
    """It may have been between taking an endpoint out and saying that something changed."""
    cluster = board.clusters.add("c")
    before = changes(board, cluster)
    command = [sys.executable, "-c", DIES, str(board.fd), str(cluster)]
    subprocess.run(command, pass_fds=[board.fd], check=False)
    for _ in range(2):
        board.clusters.lock(cluster)
        board.clusters.unlock(cluster)
        assert changes(board, cluster) == before + 1, "once"


def test_a_lock_whose_holder_is_stopped_is_not_waited_for(board: Scoreboard) -> None:
    cluster = board.clusters.add("c")
    command = [sys.executable, "-c", DIES.replace("SIGKILL", "SIGSTOP"), str(board.fd), str(cluster)]
    stopped = subprocess.Popen(command, pass_fds=[board.fd])
    try:
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED)
        with within(0.2, at_least=0.015), pytest.raises(ClusterLocked, match="is it stopped"):
            board.clusters.lock(cluster)
    finally:
        stopped.kill()
        stopped.wait()
    board.clusters.lock(cluster)
    board.clusters.unlock(cluster)


def test_S_F8_who_was_waited_for_in_vain_is_not_waited_for_again(board: Scoreboard) -> None:
    cluster, other = board.clusters.add("c"), board.clusters.add("d")
    command = [sys.executable, "-c", DIES.replace("SIGKILL", "SIGSTOP"), str(board.fd), str(cluster)]
    stopped = subprocess.Popen(command, pass_fds=[board.fd])
    try:
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED)
        with pytest.raises(ClusterLocked, match=f"process {stopped.pid}"):
            board.clusters.lock(cluster)
        with within(0.1):  # a tenth of what waiting for it would take
            for _ in range(50):
                with pytest.raises(ClusterLocked):
                    board.clusters.lock(cluster)
        board.clusters.lock(other)
        board.clusters.unlock(other)
    finally:
        stopped.kill()
        stopped.wait()
    board.clusters.lock(cluster)
    board.clusters.unlock(cluster)
    next_one = subprocess.Popen(command, pass_fds=[board.fd])
    try:
        os.waitid(os.P_PID, next_one.pid, os.WSTOPPED)
        with within(0.2, at_least=0.015), pytest.raises(ClusterLocked):  # another one: it may go on
            board.clusters.lock(cluster)
    finally:
        next_one.kill()
        next_one.wait()
