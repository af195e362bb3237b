"""Sockets and snapshots that change while an answer is on its way, or that get lost."""

import os

import gevent
import msgpack
import pytest

from proxy.controller import rollout
from proxy.controller.rollout import Rollout
from proxy.controller.sockets import Sockets
from proxy.ipc.channel import Channel, read_body


@pytest.fixture
def said():
    return []


@pytest.fixture
def sockets(said):
    made = Sockets(lambda message: said.append((message["op"], message["address"])))
    yield made
    made.close()


def test_one_that_is_no_longer_wanted_when_it_opens_is_closed(said, sockets):
    sockets.want(["127.0.0.1:1"])
    sockets.want([])
    fd = os.open(os.devnull, os.O_RDONLY)
    sockets.answered("127.0.0.1:1", "", fds := [fd])
    assert said == [("bind", "127.0.0.1:1"), ("unbind", "127.0.0.1:1")]
    assert (sockets.open, sockets.asked, fds) == ({}, set(), [fd]), "the caller closes what is left"
    os.close(fd)


def test_what_was_open_before_this_controller_is_kept_until_it_is_known_what_is_wanted(said, sockets):
    sockets.answered("127.0.0.1:1", "", [os.open(os.devnull, os.O_RDONLY)])
    assert list(sockets.open) == ["127.0.0.1:1"]
    sockets.want([])
    assert said == [("unbind", "127.0.0.1:1")]


def test_what_was_refused_is_asked_for_again_by_retry_alone(said, sockets):
    sockets.want(["127.0.0.1:1", "127.0.0.1:2"])
    sockets.answered("127.0.0.1:1", "in use", [])
    for _ in range(3):
        sockets.want(["127.0.0.1:1", "127.0.0.1:2"])
    assert said == [("bind", "127.0.0.1:1"), ("bind", "127.0.0.1:2")]
    sockets.retry()
    assert said[2:] == [("bind", "127.0.0.1:1")]
    assert (sockets.bound.asked, sockets.bound.refused) == ({"127.0.0.1:1", "127.0.0.1:2"}, {"127.0.0.1:1"})


class Snapshots:
    number = 7
    addresses = ()

    def body(self, since):
        return msgpack.packb(since)


def test_a_snapshot_that_was_read_and_not_taken_is_sent_again(sockets):
    made, (ours, worker) = Rollout(Snapshots(), sockets), Channel.pair()
    made.add(0, os.dup(ours.fileno()), 0)
    gevent.sleep(0)
    made.see_that_taken({0: 0}, rollout.time.monotonic() + 2 * rollout.RESEND_S)
    gevent.sleep(0)
    assert taken(worker) == 0
    made.see_that_taken({0: 7}, rollout.time.monotonic() + 2 * rollout.RESEND_S)
    made.see_that_taken({0: 5}, rollout.time.monotonic())
    gevent.sleep(0)
    worker.set_blocking(False)
    with pytest.raises(BlockingIOError):
        worker.receive()
    made.see_that_taken({0: 5}, rollout.time.monotonic() + 2 * rollout.RESEND_S)
    gevent.sleep(0)
    assert taken(worker) == 5, "what it lacks since the one it has"
    made.remove(0)
    ours.close()
    worker.close()


def taken(worker):
    message, (fd,) = worker.receive()
    assert message["number"] == 7
    body = msgpack.unpackb(read_body(fd))
    os.close(fd)
    return body
