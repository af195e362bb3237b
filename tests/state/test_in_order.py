"""Reports sent without waiting for the answers to those before: in order, whatever becomes of the connection."""

import signal
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis

from state.errors import KeysUnusable, StoreUnavailable
from state.outlier.redis_store import RedisStore
from state.outlier.store import Verdict
from state.server.access import Access
from state.server.connect import connect
from state.server.embedded import Embedded
from tests.state.state_rig import KEYS, SEED, A, B, Rig, batch


def send(store: Any, *outcomes: str, endpoint: str = A) -> list[Callable[[], Verdict]]:
    return [store.send(batch(each, endpoint), SEED) for each in outcomes]


def told(answers: Sequence[Callable[[], Verdict]]) -> list[tuple[str, int]]:
    return [(verdict.outcome, verdict.failures) for verdict in (answer() for answer in answers)]


def test_they_are_counted_in_the_order_in_which_they_were_sent(shared: Rig) -> None:
    answers = send(shared.store, "F", "F", "S", "F", "FF")
    assert told(answers) == [("counted", 1), ("counted", 2), ("clean", 0), ("counted", 1), ("ejected", 3)]


def test_they_share_a_connection_that_is_the_pools_again(real: redis.Redis) -> None:
    store = RedisStore(real)
    told(send(store, "F"))
    before = real.client_list()
    told(send(store, "F", "S", "F"))
    assert [each["id"] for each in real.client_list()] == [each["id"] for each in before]


def test_one_that_cannot_be_counted_does_not_concern_the_others(real: redis.Redis) -> None:
    store = RedisStore(real)
    real.set(KEYS.endpoint(B), "a hand wrote this")
    first, second, third = send(store, "F") + send(store, "F", endpoint=B) + send(store, "F")
    assert first().failures == 1
    with pytest.raises(KeysUnusable):
        second()
    assert third().failures == 2


def test_what_finds_no_script_is_counted_in_its_turn_and_nothing_overtakes_it(real: redis.Redis) -> None:
    store = RedisStore(real)
    real.script_flush()
    first, second = send(store, "F", "F")
    assert first().failures == 1, "with the whole script, which is there now"
    (third,) = send(store, "S")
    assert told([second, third]) == [("counted", 2), ("clean", 0)]
    assert told(send(store, "F", "F")) == [("counted", 1), ("counted", 2)]


def test_when_the_connection_ends_none_is_sent_again(start: Callable[..., Embedded]) -> None:
    server = start()
    with connect(Access(server.url), 1.0) as client:
        store = RedisStore(client)
        told(send(store, "F"))
        server.process.send_signal(signal.SIGSTOP)
        answers = send(store, "F", "F", "F")
        server.process.kill()
        server.process.wait()
        for answer in answers:
            with pytest.raises(StoreUnavailable, match="redis: ConnectionError"):
                answer()
        start(int(server.url.rpartition(":")[2]), insist=True)
        assert told(send(store, "F")) == [("counted", 1)]


def test_one_that_is_not_waited_for_ends_the_connection_for_all(start: Callable[..., Embedded]) -> None:
    server = start()
    with connect(Access(server.url), 0.1) as client:
        store = RedisStore(client)
        told(send(store, "F"))
        server.process.send_signal(signal.SIGSTOP)
        first, second = send(store, "F", "F")
        with pytest.raises(StoreUnavailable, match="Timeout"):
            first()
        with pytest.raises(StoreUnavailable, match="ended before the answer"):
            second()
        server.process.send_signal(signal.SIGCONT)
        assert len(told(send(store, "S", "S"))) == 2, "on another one"
