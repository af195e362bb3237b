"""The memory that the processes of a replica share, and its flags."""

import os
import time

import pytest

from proxy.scoreboard.scoreboard import Scoreboard


def test_another_process_sees_it(board: Scoreboard) -> None:
    cluster = board.clusters.add("c")
    other = Scoreboard.attach(board.fd)
    other.clusters.set_fleet_version(cluster, 3, "e")
    assert board.clusters.fleet_version(cluster) == (3, "e")
    with pytest.raises(ValueError, match="another version"):
        Scoreboard.attach(os.memfd_create("small"))


def test_another_layout_of_the_same_size_is_refused(board: Scoreboard) -> None:
    size, magic = os.fstat(board.fd).st_size, os.pread(board.fd, 8, 0)
    other = os.memfd_create("other")
    os.ftruncate(other, size)
    with pytest.raises(ValueError, match=f"file descriptor {other} is no scoreboard"):
        Scoreboard.attach(other)
    os.pwrite(other, bytes([magic[0] ^ 1]) + magic[1:], 0)
    with pytest.raises(ValueError, match=r"another version of waypointd.*start the replica anew"):
        Scoreboard.attach(other)
    os.pwrite(other, magic, 0)
    Scoreboard.attach(other)


def test_leaving_shared_state_is_one_callers(board: Scoreboard) -> None:
    assert not board.leave_shared_state()
    board.shared_state = True
    assert board.leave_shared_state()
    assert not board.leave_shared_state()
    assert not board.shared_state


def test_the_mode_says_since_when_and_why(board: Scoreboard) -> None:
    assert board.mode() == (False, 0, "")
    before = time.monotonic() * 1000 // 1
    board.shared_state = True
    shared = board.mode()
    assert (shared.shared, shared.reason) == (True, "")
    assert before <= shared.since_ms <= time.monotonic() * 1000
    board.shared_state = True
    assert board.mode() == shared
    assert board.leave_shared_state("no answer: \u00e9" + "x" * 500)
    local = board.mode()
    assert (local.shared, local.reason[:11]) == (False, "no answer: ")
    assert not board.leave_shared_state("another reason")
    assert board.mode() == local
