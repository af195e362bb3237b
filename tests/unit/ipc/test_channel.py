"""Channels and bodies: what is sent arrives, descriptors included, and a dead peer is noticed."""

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.ipc.channel import MAX_DESCRIPTORS, MAX_MESSAGE, Channel, read_body, write_body

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = Channel.pair()
    yield left, right
    left.close()
    right.close()


def received(end: Channel) -> tuple[dict[str, Any], list[int]]:
    """The next message, which is there."""
    found = end.receive()
    assert found is not None
    return found


def test_messages_arrive_whole_and_in_order(pair: Pair) -> None:
    left, right = pair
    left.send({"op": "a", "data": b"\x00" * 100_000})
    left.send({"op": "b", "number": 2, "none": None})
    assert right.receive() == ({"op": "a", "data": b"\x00" * 100_000}, [])
    assert right.receive() == ({"op": "b", "number": 2, "none": None}, [])


def test_descriptors_arrive_open_and_close_on_exec(pair: Pair) -> None:
    left, right = pair
    read, write = os.pipe()
    left.send({"op": "fds"}, [read, write])
    _, (read2, write2) = received(right)
    os.write(write2, b"x")
    assert os.read(read, 1) == b"x"
    assert not os.get_inheritable(read2)
    for fd in (read, write, read2, write2):
        os.close(fd)


def test_as_many_descriptors_as_the_kernel_takes(pair: Pair) -> None:
    left, right = pair
    left.send({"op": "many"}, [0] * MAX_DESCRIPTORS)
    _, fds = received(right)
    assert len(fds) == MAX_DESCRIPTORS
    for fd in fds:
        os.close(fd)
    with pytest.raises(ValueError, match="too large"):
        left.send({"op": "many"}, [0] * (MAX_DESCRIPTORS + 1))


def test_a_message_that_fits_no_packet(pair: Pair) -> None:
    with pytest.raises(ValueError, match="too large"):
        pair[0].send({"op": "big", "data": b"x" * MAX_MESSAGE})


def test_a_peer_that_is_gone(pair: Pair) -> None:
    left, right = pair
    left.send({"op": "last"})
    left.close()
    assert right.receive() == ({"op": "last"}, [])
    assert right.receive() is None
    with pytest.raises(BrokenPipeError):
        right.send({"op": "late"})


def test_a_peer_that_died_with_messages_unread(pair: Pair) -> None:
    left, right = pair
    right.send({"op": "unread"})
    left.close()
    assert right.receive() is None


def test_not_blocking(pair: Pair) -> None:
    left, _ = pair
    left.set_blocking(False)
    with pytest.raises(BlockingIOError):
        left.receive()
    with pytest.raises(BlockingIOError):
        for _ in range(10_000):
            left.send({"op": "flood"})


def test_adopted_ends_speak(pair: Pair) -> None:
    left, right = pair
    adopted = Channel.adopt(os.dup(right.fileno()))
    threading.Timer(0.05, left.send, ({"op": "later"},)).start()
    assert adopted.receive() == ({"op": "later"}, [])
    adopted.close()


@pytest.mark.parametrize("body", [b"", b"x", os.urandom(3_000_000)])
def test_bodies_are_sealed_and_read_without_moving_the_offset(body: bytes) -> None:
    fd = write_body(body)
    assert read_body(fd) == body == read_body(fd)
    with pytest.raises(OSError, match="not permitted"):
        os.pwrite(fd, b"y", 0)
    with pytest.raises(OSError, match="not permitted"):
        os.ftruncate(fd, 7)
    os.close(fd)
