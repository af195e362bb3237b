"""Who has to go when all places of a port are taken."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from proxy.admin.guests import Guests


class Door:
    """Guests of three places, and those who came."""

    def __init__(self, stack: ExitStack) -> None:
        self._guests = Guests(3)
        self._stack = stack
        self._theirs: list[socket.socket] = []

    def come(self, *hosts: str) -> None:
        """One connection from each of the hosts."""
        for host in hosts:
            ours, theirs = (self._stack.enter_context(sock) for sock in socket.socketpair())
            self._stack.enter_context(self._guests.welcome(ours, host))
            theirs.setblocking(False)
            self._theirs.append(theirs)

    def gone(self) -> list[int]:
        """Which of those who came have been sent away."""
        return [index for index, sock in enumerate(self._theirs) if _ended(sock)]


def _ended(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False


@pytest.fixture
def door() -> Iterator[Door]:
    with ExitStack() as stack:
        yield Door(stack)


def test_the_oldest_goes_when_all_places_are_taken(door: Door) -> None:
    door.come("10.0.0.1", "10.0.0.1", "10.0.0.1")
    assert door.gone() == []
    door.come("10.0.0.1", "10.0.0.1")
    assert door.gone() == [0, 1]


def test_who_holds_most_loses_first(door: Door) -> None:
    door.come("10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.2", "10.0.0.2")
    assert door.gone() == [1, 2]


def test_who_has_left_takes_no_place() -> None:
    guests = Guests(1)
    first, second = socket.socketpair()
    with first, second:
        with guests.welcome(first, "10.0.0.1"):
            pass
        with guests.welcome(second, "10.0.0.1"):
            first.sendall(b"still there")
            assert second.recv(20) == b"still there"
