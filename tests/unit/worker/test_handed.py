"""Connections given by one worker to another."""

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.workers import READY
from proxy.worker.handed import Handed


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Within, this process cannot have one more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = {int(name) for name in os.listdir("/proc/self/fd")}
    fillers = [os.dup(0) for _ in range(max(used) + 1 - len(used))]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(*used, *fillers) + 1, hard))
    try:
        while True:
            fillers.append(os.dup(0))
    except OSError:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in fillers:
            os.close(fd)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # theirs stay open as long as the process
def test_a_connection_that_cannot_be_taken_is_not_counted() -> None:
    board = Scoreboard.create()
    for slot in (0, 1):
        board.workers.start(slot, os.getpid())
        board.workers.set_state(slot, READY)
    out, into = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    giver = Handed(board, 0, os.dup(out.fileno()), {1: out.detach()})
    taker = Handed(board, 1, into.detach(), {})
    client, connection = socket.socketpair()
    client.settimeout(2)
    board.workers.add_connections(1, 1)
    assert giver.give(connection.detach(), 1, "127.0.0.1:80")
    taken: list[int] = []
    with no_descriptors():
        taker.take_waiting(lambda _, fd: taken.append(fd))
    assert taken == [] and board.workers.row(1).connections == 0
    assert client.recv(1) == b""
    client.close()
