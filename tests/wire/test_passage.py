"""Pipes of the kernel that bodies pass through: what is in them arrives, there are only so many, and none is lost."""

import errno
import os
import resource
import socket
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.instruments.splicing import Way

MOST = 64
SPARE = 8
ALL = 1 << 40


class Ends(NamedTuple):
    """What goes into `sender` comes in at `source`; what goes out at `target` is read from `receiver`."""

    sender: socket.socket
    source: socket.socket
    target: socket.socket
    receiver: socket.socket


@pytest.fixture
def ends() -> Iterator[Ends]:
    sockets = (*socket.socketpair(), *socket.socketpair())
    for each in sockets:
        each.setblocking(False)
    yield Ends(*sockets)
    for each in sockets:
        each.close()


def pipes() -> int:
    """How many ends of pipes this process has."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("pipe:")
        except FileNotFoundError:
            continue  # it was the listing's own
    return count


def test_what_goes_in_comes_out(ends: Ends) -> None:
    way = Way()
    ends.sender.send(b"abcdef")
    assert way.take_in(ends.source.fileno(), 4) == 4 and way.inside == 4
    assert way.let_out(ends.target.fileno()) == 4 and way.inside == 0
    assert ends.receiver.recv(100) == b"abcd"
    assert ends.source.recv(100) == b"ef", "no more than was offered"


def test_nothing_there_and_the_end(ends: Ends) -> None:
    way = Way()
    with pytest.raises(BlockingIOError):
        way.take_in(ends.source.fileno(), ALL)
    ends.sender.close()
    assert way.take_in(ends.source.fileno(), ALL) == 0


def test_a_target_that_takes_no_more_gets_the_rest_later(ends: Ends) -> None:
    sent = received = b""
    way = Way()
    with pytest.raises(BlockingIOError):
        while True:
            piece = os.urandom(30_000)
            ends.sender.send(piece)
            sent += piece
            assert way.take_in(ends.source.fileno(), ALL) == len(piece)
            while way.inside:
                way.let_out(ends.target.fileno())
    while way.inside:
        received += ends.receiver.recv(1000)
        try:
            way.let_out(ends.target.fileno())
        except BlockingIOError:
            continue
    while len(received) < len(sent):
        received += ends.receiver.recv(1 << 20)
    assert received == sent


def test_there_are_only_so_many(ends: Ends) -> None:
    before = pipes()
    ways = [Way() for _ in range(MOST + 1)]
    ends.sender.send(b"x" * (MOST + 1))
    assert [way.take_in(ends.source.fileno(), 1) for way in ways] == [1] * MOST + [None]
    assert ends.source.recv(10) == b"x", "what found no pipe is still there"
    ends.sender.send(b"y")
    assert ways[0].let_out(ends.target.fileno()) == 1
    assert ways[-1].take_in(ends.source.fileno(), 1) == 1, "one was free again"
    assert pipes() <= before + 2 * MOST
    for way in ways[1:-1]:
        way.let_out(ends.target.fileno())
    assert pipes() <= before + 2 * (SPARE + 1), "some are kept"
    ways.clear()
    assert pipes() <= before + 2 * SPARE


def test_nobody_gets_what_was_given_up(ends: Ends) -> None:
    way = Way()
    ends.sender.send(b"secret")
    assert way.take_in(ends.source.fileno(), ALL) == 6
    had = pipes()
    del way
    assert pipes() == had - 2
    way = Way()
    ends.sender.send(b"mine")
    way.take_in(ends.source.fileno(), ALL)
    way.let_out(ends.target.fileno())
    assert ends.receiver.recv(100) == b"mine"


def test_a_broken_target_keeps_the_pipe_until_its_end(ends: Ends) -> None:
    way = Way()
    ends.sender.send(b"abc")
    way.take_in(ends.source.fileno(), ALL)
    ends.receiver.close()
    with pytest.raises(BrokenPipeError):
        way.let_out(ends.target.fileno())
    assert way.inside == 3


def test_what_the_kernel_does_not_splice_is_copied(ends: Ends) -> None:
    """An eventfd has no splice: who asks is told to read it."""
    counter = os.eventfd(1)
    try:
        assert Way().take_in(counter, ALL) is None
    finally:
        os.close(counter)


def test_no_descriptors_left(ends: Ends) -> None:
    held = [Way() for _ in range(SPARE)]
    ends.sender.send(b"x" * (SPARE + 1))
    assert all(way.take_in(ends.source.fileno(), 1) == 1 for way in held)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(OSError) as refused:
            os.pipe()
        assert refused.value.errno == errno.EMFILE
        assert Way().take_in(ends.source.fileno(), 1) is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert Way().take_in(ends.source.fileno(), 1) == 1
