"""Workers on the scoreboard: connections, and the lease."""

import os
import subprocess
import sys

from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.workers import READY
from tests.patience import within

# A process that is stopped with the lock for connections in its hand; it lies behind the magic number (layout.pxd).
STOPS = """
import ctypes, mmap, os, signal, sys
memory = mmap.mmap(int(sys.argv[1]), 4096)
lock = ctypes.byref(ctypes.c_char.from_buffer(memory, 8))
assert ctypes.CDLL(None).pthread_mutex_lock(lock) == 0
os.kill(os.getpid(), signal.SIGSTOP)
"""


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


def test_S_F8_a_stopped_worker_keeps_the_others_neither_from_connections_nor_from_the_lease(board: Scoreboard) -> None:
    for slot in (0, 1):
        board.workers.start(slot, 100 + slot)
        board.workers.set_state(slot, READY)
    stopped = subprocess.Popen([sys.executable, "-c", STOPS, str(board.fd)], pass_fds=[board.fd])
    try:
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED)
        with within(0.1):  # waiting for each would take twice as long
            assert [board.workers.assign_connection(0) for _ in range(200)] == [0, 1] * 100
        assert board.workers.take_lease(1)
        assert not board.workers.take_lease(0)
        board.workers.reap(1)
        assert board.workers.take_lease(0)
    finally:
        stopped.kill()
        stopped.wait()
    assert board.workers.assign_connection(0) == 0
