"""Leases of requests: the script as Redis runs it says what decide.py says."""

import fakeredis
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.keys import Keys
from state.rate_limits import decide
from state.rate_limits.decide import Asked, AskedByKey, Lease
from state.rate_limits.store import ALIVE_MS, RateLimitStore
from tests.state.state_rig import CLUSTER, FakeTime

KEY = Keys("waypoint", CLUSTER).rate_limit(7)


def asked(
    replica: str = "a", interval_ns: int = 1_000_000, capacity: int = 500, owed: int = 0, wanted: int = 100
) -> Asked:
    return Asked(
        replica=replica,
        limit=7,
        text="1000/second",
        interval_ns=interval_ns,
        capacity=capacity,
        owed=owed,
        wanted=wanted,
    )


class Server:
    """A fakeredis whose clock stands still."""

    def __init__(self, clock: FakeTime) -> None:
        self.clock = clock
        self.client = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
        self.store = RateLimitStore(self.client)

    def lease(self, wanted: Asked) -> Lease:
        return self.store.lease(CLUSTER, wanted)


@pytest.fixture
def server(fake_time: FakeTime) -> Server:
    return Server(fake_time)


def test_what_is_leased_never_comes_to_more_than_the_limit(server: Server) -> None:
    leased = [server.lease(asked(replica, wanted=200)) for replica in "abc"]
    assert [each.requests for each in leased] == [200, 200, 100], "as much as there may be at once, and not one more"
    assert [each.wait_us for each in leased] == [0, 0, 1000]
    assert [each.replicas for each in leased] == [1, 2, 3]
    server.clock.advance(50)
    assert server.lease(asked("a", wanted=200)) == (50, 1000, 3)


def test_what_is_owed_counts_and_what_is_given_back_is_there_again(server: Server) -> None:
    assert server.lease(asked(owed=450)).requests == 50
    assert server.lease(asked("b", owed=-30)).requests == 30
    assert server.lease(asked("b", owed=100_000)).requests == 0
    server.clock.advance(500)
    assert server.lease(asked("b")).requests == 0
    server.clock.advance(600)
    assert server.lease(asked("b")).requests == 100, "a debt is not remembered for longer than it takes to fill twice"


def test_who_has_not_asked_for_long_is_no_replica_any_more(server: Server) -> None:
    for replica in "abc":
        server.lease(asked(replica))
    server.clock.advance(ALIVE_MS)
    assert server.lease(asked("a")).replicas == 3
    server.clock.advance(1)
    assert server.lease(asked("a")).replicas == 1
    assert sorted(server.client.hgetall(KEY)) == ["arrival", "limit", "replica:a"]
    assert server.client.hget(KEY, "limit") == "1000/second"


def test_the_key_goes_when_nobody_asks(server: Server) -> None:
    server.lease(asked())
    assert ALIVE_MS < server.client.pttl(KEY) <= ALIVE_MS + 2000


def test_a_key_that_a_hand_has_meddled_with_is_as_good_as_none(server: Server) -> None:
    server.client.hset(KEY, mapping={"arrival": "soon", "replica:b": "yesterday"})
    assert server.lease(asked()) == (100, 0, 1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1000, 86_400_000_000_000),
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(-20, 40), st.integers(0, 40), st.integers(0, 100_000_000)), max_size=12),
)
def test_redis_decides_as_python(
    fake_time: FakeTime, interval_ns: int, capacity: int, steps: list[tuple[int, int, int]]
) -> None:
    server, arrival = Server(fake_time), 0
    for owed, wanted, pause in steps:
        fake_time.advance(pause * interval_ns // 10**14)
        wish = asked(interval_ns=interval_ns, capacity=capacity, owed=owed, wanted=wanted)
        arrival, count, wait_us = decide.lease(arrival, fake_time.now_ms * 1000, wish)
        assert server.lease(wish) == (count, wait_us, 1)


def by_key(replica: str = "a", interval_ns: int = 1_000_000, **keys: tuple[int, int]) -> AskedByKey:
    """`keys` by names of one letter."""
    numbers = {ord(name): each for name, each in keys.items()}
    return AskedByKey(replica=replica, limit=7, text="1000/second", interval_ns=interval_ns, capacity=500, keys=numbers)


def test_what_counts_by_a_key_counts_by_itself(server: Server) -> None:
    replicas, leases = server.store.lease_by_key(CLUSTER, by_key(x=(0, 400), y=(0, 600)))
    assert (replicas, leases) == (1, {ord("x"): Lease(400, 0, 1), ord("y"): Lease(500, 1000, 1)})
    replicas, leases = server.store.lease_by_key(CLUSTER, by_key("b", x=(0, 400), z=(0, 1)))
    assert (replicas, leases) == (2, {ord("x"): Lease(100, 1000, 2), ord("z"): Lease(1, 0, 2)})
    assert server.store.lease_by_key(CLUSTER, by_key("b")) == (2, {}), "it says only that it is there"
    server.clock.advance(ALIVE_MS + 1)
    assert server.store.lease_by_key(CLUSTER, by_key("b", x=(0, 400))) == (1, {ord("x"): Lease(400, 0, 1)})


def test_keys_go_by_themselves_when_they_say_nothing_any_more(server: Server) -> None:
    server.store.lease_by_key(CLUSTER, by_key(x=(0, 400)))
    of_x = Keys("waypoint", CLUSTER).rate_limit_of(7, ord("x"))
    assert 0 < server.client.pttl(of_x) <= 400
    assert sorted(server.client.hgetall(KEY)) == ["limit", "replica:a"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1000, 10**12),
    st.lists(st.tuples(st.integers(-20, 600), st.integers(0, 600), st.integers(0, 10**8)), max_size=12),
)
def test_redis_decides_by_key_as_python(
    fake_time: FakeTime, interval_ns: int, steps: list[tuple[int, int, int]]
) -> None:
    server, arrival = Server(fake_time), 0
    for owed, wanted, pause in steps:
        fake_time.advance(pause * interval_ns // 10**14)
        wish = asked(interval_ns=interval_ns, owed=owed, wanted=wanted)
        arrival, count, wait_us = decide.lease(arrival, fake_time.now_ms * 1000, wish)
        told = server.store.lease_by_key(CLUSTER, by_key(interval_ns=interval_ns, x=(owed, wanted)))
        assert told == (1, {ord("x"): (count, wait_us, 1)})


def test_on_every_real_server(real: redis.Redis) -> None:
    store = RateLimitStore(real)
    assert store.lease(CLUSTER, asked("a", interval_ns=10**12, capacity=5, wanted=3)) == (3, 0, 1)
    count, wait_us, replicas = store.lease(CLUSTER, asked("b", interval_ns=10**12, capacity=5, wanted=3))
    assert (count, replicas) == (2, 2)
    assert 0.9e9 < wait_us <= 1e9
    told = store.lease_by_key(CLUSTER, by_key("c", 10**9, x=(0, 3), y=(500, 3)))
    assert told[1][ord("x")] == (3, 0, 3)
    assert told[1][ord("y")].requests == 0
