"""Sockets and snapshots that change while an answer is on its way, or that get lost."""

import os
import time
from collections.abc import Iterator, Sequence
from typing import cast

import gevent
import msgpack
import pytest

from proxy.controller.rollout import RESEND_S, Rollout
from proxy.controller.snapshots import Snapshots
from proxy.controller.sockets import Sockets
from proxy.ipc.channel import Channel, read_body

Said = list[tuple[str, str]]


@pytest.fixture
def said() -> Said:
    return []


@pytest.fixture
def sockets(said: Said) -> Iterator[Sockets]:
    made = Sockets(lambda message: said.append((message["op"], message["address"])))
    yield made
    made.close()


def test_one_that_is_no_longer_wanted_when_it_opens_is_closed(said: Said, sockets: Sockets) -> None:
    sockets.want(["127.0.0.1:1"])
    sockets.want([])
    fd = os.open(os.devnull, os.O_RDONLY)
    sockets.answered("127.0.0.1:1", "", fds := [fd])
    assert said == [("bind", "127.0.0.1:1"), ("unbind", "127.0.0.1:1")]
    assert (sockets.open, sockets.asked, fds) == ({}, set(), [fd]), "the caller closes what is left"
    os.close(fd)


def test_what_was_open_before_this_controller_is_kept_until_it_is_known_what_is_wanted(
    said: Said, sockets: Sockets
) -> None:
    sockets.answered("127.0.0.1:1", "", [os.open(os.devnull, os.O_RDONLY)])
    assert list(sockets.open) == ["127.0.0.1:1"]
    sockets.want([])
    assert said == [("unbind", "127.0.0.1:1")]


def test_what_was_refused_is_asked_for_again_by_retry_alone(said: Said, sockets: Sockets) -> None:
    sockets.want(["127.0.0.1:1", "127.0.0.1:2"])
    sockets.answered("127.0.0.1:1", "in use", [])
    for _ in range(3):
        sockets.want(["127.0.0.1:1", "127.0.0.1:2"])
    assert said == [("bind", "127.0.0.1:1"), ("bind", "127.0.0.1:2")]
    sockets.retry()
    assert said[2:] == [("bind", "127.0.0.1:1")]
    assert (sockets.bound.asked, sockets.bound.refused) == ({"127.0.0.1:1", "127.0.0.1:2"}, {"127.0.0.1:1"})


class SnapshotSeven:
    number = 7
    addresses: Sequence[str] = ()

    def body(self, since: int) -> bytes:
        return bytes(msgpack.packb(since))


def test_a_snapshot_that_was_read_and_not_taken_is_sent_again(sockets: Sockets) -> None:
    made, (ours, worker) = Rollout(cast(Snapshots, SnapshotSeven()), sockets), Channel.pair()
    made.add(0, os.dup(ours.fileno()), 0)
    gevent.sleep(0)
    made.see_that_taken({0: 0}, time.monotonic() + 2 * RESEND_S)
    gevent.sleep(0)
    assert taken(worker) == 0
    made.see_that_taken({0: 7}, time.monotonic() + 2 * RESEND_S)
    made.see_that_taken({0: 5}, time.monotonic())
    gevent.sleep(0)
    worker.set_blocking(False)
    with pytest.raises(BlockingIOError):
        worker.receive()
    made.see_that_taken({0: 5}, time.monotonic() + 2 * RESEND_S)
    gevent.sleep(0)
    assert taken(worker) == 5, "what it lacks since the one it has"
    made.remove(0)
    ours.close()
    worker.close()


def taken(worker: Channel) -> int:
    received = worker.receive()
    assert received is not None
    message, (fd,) = received
    assert message["number"] == 7
    body = int(msgpack.unpackb(read_body(fd)))
    os.close(fd)
    return body
