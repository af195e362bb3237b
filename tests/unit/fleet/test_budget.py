"""The time limit of a call: kept, and fair to Redis when it is this process that was late."""

import threading
import time
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from proxy.fleet.budget import within
from state.errors import StoreUnavailable
from tests import patience

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    one, other = socket.socketpair()
    yield one, other
    one.close()
    other.close()


def test_a_call_that_is_answered_in_time_is_left_alone(ends: Ends) -> None:
    one, other = ends
    gevent.spawn_later(0.02, other.send, b"x")
    with within(50):
        assert one.recv(1) == b"x"
    gevent.sleep(0.06)


def test_one_that_is_not_is_given_up_in_time(ends: Ends) -> None:
    bound = patience.within(0.1, at_least=0.045)
    with bound, pytest.raises(StoreUnavailable, match="no answer within 50 ms"), within(50):
        ends[0].recv(1)


def test_another_limits_end_is_not_this_ones(ends: Ends) -> None:
    with pytest.raises(StoreUnavailable, match="within 10 ms"), within(10), within(1000):
        ends[0].recv(1)


@pytest.mark.parametrize("turns", [1, 4])
def test_a_busy_loop_does_not_count_against_the_answer(ends: Ends, turns: int) -> None:
    """The answer comes after 10 ms, while nobody looks; and nobody looks for much longer than the limit."""
    one, other = ends

    def stall() -> None:
        for _ in range(turns):
            time.sleep(0.08)  # the whole process, as a long computation does
            gevent.sleep(0.0001)

    threading.Timer(0.01, other.send, (b"x",)).start()
    gevent.spawn(stall)
    with within(50):
        assert one.recv(1) == b"x"


def test_an_answer_that_comes_in_the_very_turn_that_gives_up(ends: Ends) -> None:
    """The loop is late once more after the timer has fired, and the answer comes during that."""
    one, other = ends
    gevent.spawn_later(0.05, time.sleep, 0.08)
    gevent.spawn_later(0.051, time.sleep, 0.08)
    threading.Timer(0.1, other.send, (b"x",)).start()
    with within(50):
        assert one.recv(1) == b"x"


def test_a_hung_redis_is_noticed_by_a_busy_worker_too(ends: Ends) -> None:
    def keep_busy() -> None:
        for _ in range(50):
            time.sleep(0.02)
            gevent.sleep(0.0001)

    stop = gevent.spawn(keep_busy)
    with patience.within(0.3), pytest.raises(StoreUnavailable), within(50):
        ends[0].recv(1)
    stop.kill()
