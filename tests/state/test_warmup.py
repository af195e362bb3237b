"""Since when endpoints are known: the script as Redis runs it says what decide.py says."""

import fakeredis
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.keys import Keys
from state.warmup import decide
from state.warmup.decide import FORGET_MS, TELL_MS, Seen
from state.warmup.store import WarmupStore
from tests.state.state_rig import CLUSTER, FakeTime

KEY = Keys("waypoint", CLUSTER).first_seen
A, B = ("10.0.0.1:80", "pod-a"), ("10.0.0.2:80", "")


class Server:
    """A fakeredis whose clock stands still."""

    def __init__(self, clock: FakeTime) -> None:
        self.clock = clock
        self.client = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
        self.store = WarmupStore(self.client)


@pytest.fixture
def server(fake_time: FakeTime) -> Server:
    return Server(fake_time)


def test_whoever_has_seen_it_first_says_so_for_all(server: Server) -> None:
    assert server.store.first_seen(CLUSTER, {A: 500, B: 0}) == {A: 500, B: 0}
    server.clock.advance(1000)
    assert server.store.first_seen(CLUSTER, {A: 0, B: 0}) == {A: 1500, B: 1000}, "a replica that starts"
    assert server.store.first_seen(CLUSTER, {A: 9000}) == {A: 9000}, "Redis had not heard of that"
    assert sorted(server.client.hgetall(KEY)) == ["10.0.0.1:80 pod-a", "10.0.0.2:80 "]


def test_one_that_nobody_has_told_of_for_long_begins_anew(server: Server) -> None:
    server.store.first_seen(CLUSTER, {A: 0, B: 0})
    for _ in range(FORGET_MS // TELL_MS):
        server.clock.advance(TELL_MS)
        server.store.first_seen(CLUSTER, {A: 0})
    assert server.store.first_seen(CLUSTER, {B: 0}) == {B: FORGET_MS}
    server.clock.advance(FORGET_MS + 1)
    assert server.store.first_seen(CLUSTER, {A: 0}) == {A: 0}
    assert 0 < server.client.pttl(KEY) <= 2 * FORGET_MS


def test_what_a_hand_has_written_is_as_good_as_nothing(server: Server) -> None:
    server.client.hset(KEY, "10.0.0.1:80 pod-a", "yesterday")
    assert server.store.first_seen(CLUSTER, {A: 7}) == {A: 7}


NAMES = ["a b", "c d", "e f"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.dictionaries(st.sampled_from(NAMES), st.integers(0, 10**6)), st.integers(0, 2 * FORGET_MS)),
        max_size=8,
    )
)
def test_redis_decides_as_python(fake_time: FakeTime, steps: list[tuple[dict[str, int], int]]) -> None:
    server = Server(fake_time)
    known: dict[str, Seen] = {}
    for ages, pause in steps:
        fake_time.advance(pause)
        found = server.store.first_seen(CLUSTER, {(n[0], n[2]): age for n, age in ages.items()})
        assert list(found.values()) == list(decide.first_seen(known, fake_time.now_ms, ages).values())


def test_on_every_real_server(real: redis.Redis) -> None:
    store = WarmupStore(real)
    assert store.first_seen(CLUSTER, {A: 60_000}) == {A: 60_000}
    assert store.first_seen(CLUSTER, {A: 0})[A] >= 60_000
    many = {(f"10.0.{at // 250}.{at % 250}:80", "pod"): 5 for at in range(5000)}
    assert len(store.first_seen(CLUSTER, many)) == 5000
