"""Shares of limits that the fleet keeps together: what is promised of them, and that the script says what decide.py
says."""

from dataclasses import replace
from typing import Any

import fakeredis
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.keys import Keys
from state.shares import decide
from state.shares.decide import ALIVE_MS, PRESENT_MS, SETTLE_MS, SILENCE_MS, Asked, Claim, Shares, State, target
from state.shares.store import ShareStore
from tests.state.state_rig import CLUSTER, FakeTime

KEY = Keys("waypoint", CLUSTER).limits
LIMIT = 96


class Replica:
    """One that takes what it is given, and gives back what it is to give back, a turn later."""

    def __init__(self, name: str, limit: int = LIMIT) -> None:
        self.name, self.limit = name, limit
        self.turn = self.share = self.used = 0

    def asked(self, needs: int) -> Asked:
        claims = {"requests": Claim(max(self.share, self.used), needs)}
        return Asked(replica=self.name, turn=self.turn, active=0, limits={"requests": self.limit}, claims=claims)

    def take(self, answer: Shares) -> int:
        self.turn = answer.turn
        if answer.shares is not None:
            self.share = answer.shares["requests"]
        return self.share


class Fleet:
    """Replicas that ask one after the other, in made-up time."""

    def __init__(self, *names: str, limit: int = LIMIT) -> None:
        self.state, self.now_ms = State(), 1_000_000
        self.replicas = {name: Replica(name, limit) for name in names}

    def ask(self, name: str, needs: int = 0) -> int:
        one = self.replicas[name]
        return one.take(decide.share_out(self.state, self.now_ms, one.asked(needs)))

    def turns(self, needs: dict[str, int], count: int = 3) -> dict[str, int]:
        for _ in range(count):
            for name in self.replicas:
                self.ask(name, needs.get(name, 0))
                assert sum(each.share for each in self.replicas.values()) <= next(iter(self.replicas.values())).limit
            self.now_ms += 200
        return {name: each.share for name, each in self.replicas.items()}


@pytest.mark.parametrize(
    ("limit", "needs", "expected"),
    [
        (96, {"a": 0}, {"a": 48}),
        (96, {"a": 0, "b": 0}, {"a": 24, "b": 24}),
        (96, {"a": 80, "b": 0}, {"a": 84, "b": 4}),
        (96, {"a": 96, "b": 0}, {"a": 96, "b": 0}),
        (96, {"a": 96, "b": 10}, {"a": 86, "b": 10}),
        (96, {"a": 500, "b": 500, "c": 500}, {"a": 32, "b": 32, "c": 32}),
        (10, {"a": 9, "b": 9, "c": 2, "d": 1}, {"a": 4, "b": 3, "c": 2, "d": 1}),
        (3, {"a": 0, "b": 0, "c": 0, "d": 0}, {"a": 1, "b": 1, "c": 1, "d": 0}),
        (1, {"a": 0, "b": 1}, {"a": 0, "b": 1}),
    ],
)
def test_who_needs_more_gets_more_and_half_of_the_rest_is_shared_evenly(
    limit: int, needs: dict[str, int], expected: dict[str, int]
) -> None:
    assert {name: target(limit, needs, name) for name in needs} == expected


@given(st.integers(0, 60), st.lists(st.integers(0, 80), min_size=1, max_size=9))
def test_targets_come_to_the_limit_at_most_and_nobody_goes_short_while_another_has_more(
    limit: int, given_needs: list[int]
) -> None:
    needs = {f"r{index}": need for index, need in enumerate(given_needs)}
    found = {name: target(limit, needs, name) for name in needs}
    assert sum(found.values()) <= limit
    if sum(given_needs) <= limit:
        assert all(found[name] >= need for name, need in needs.items())
    else:
        assert sum(found.values()) == limit
        short = [found[name] for name, need in needs.items() if found[name] < need]
        assert max(found.values()) <= min(short) + 1


def test_shares_never_come_to_more_than_the_limit_while_replicas_come() -> None:
    fleet = Fleet("a", "b")
    assert sum(fleet.turns({"a": 90, "b": 90}).values()) == LIMIT
    for name in "cdefgh":
        fleet.replicas[name] = Replica(name)
    assert fleet.turns(dict.fromkeys("abcdefgh", 90), 4) == dict.fromkeys("abcdefgh", LIMIT // 8)


def test_who_comes_finds_something_at_once_as_long_as_not_all_is_in_use() -> None:
    fleet = Fleet("a", "b")
    fleet.turns({"a": 40, "b": 20})
    fleet.replicas["c"] = Replica("c")
    assert fleet.ask("c") > 0


def test_what_is_in_use_stays_a_share_until_it_is_given_back() -> None:
    fleet = Fleet("a", "b")
    fleet.turns({"a": LIMIT})
    fleet.replicas["a"].used = LIMIT
    assert fleet.ask("b", 50) == 0
    assert fleet.ask("a", LIMIT) == LIMIT - 48, "it is to go down"
    assert fleet.ask("b", 50) == 0, "but has not yet"
    fleet.replicas["a"].used = 60
    fleet.ask("a", LIMIT)
    assert fleet.ask("b", 50) == LIMIT - 60


def test_who_is_gone_has_no_share_any_more_and_who_was_cut_off_with_all_others_keeps_his() -> None:
    fleet = Fleet("a", "b")
    fleet.turns({"a": 60, "b": 0})
    share = fleet.replicas["a"].share
    fleet.now_ms += 60_000
    assert fleet.ask("b", 90) == LIMIT - share, "nobody could ask for a minute"
    for _ in range(ALIVE_MS // PRESENT_MS + 1):
        assert fleet.ask("b", 90) == LIMIT - share
        fleet.now_ms += PRESENT_MS
    assert fleet.ask("b", 90) >= 90, "a has not come back"


def test_shares_that_redis_has_lost_are_what_replicas_say_that_they_have() -> None:
    fleet = Fleet("a", "b", "c")
    fleet.turns({"a": 60, "b": 30})
    fleet.state = State()
    assert fleet.ask("a", 96) == fleet.replicas["a"].share
    assert fleet.ask("c", 96) <= max(fleet.replicas["c"].share, LIMIT // decide.SLICES)
    fleet.now_ms += PRESENT_MS
    fleet.ask("b", 30)
    fleet.now_ms += SETTLE_MS
    assert sum(fleet.turns({"a": 96, "b": 30}).values()) == LIMIT


def test_a_call_that_comes_late_takes_nothing_away() -> None:
    fleet = Fleet("a", "b")
    one = fleet.replicas["a"]
    fleet.ask("a", 30)
    late = one.asked(10)
    fleet.ask("a", 60)
    decide.share_out(fleet.state, fleet.now_ms, late)
    assert fleet.ask("b", 96) <= LIMIT - one.share
    assert fleet.ask("a", 60) == one.share, "which it learns that it may have missed a turn, and asks again"
    assert fleet.ask("a", 60) == LIMIT // 2


def test_of_a_retry_budget_only_what_requests_do_not_allow_by_themselves_is_shared() -> None:
    state = State()

    def ask(name: str, active: int, needs: int, turn: int = 0) -> int:
        asked = Asked(
            replica=name,
            turn=turn,
            active=active,
            limits={"retries": 3},
            claims={"retries": Claim(0, needs)},
            budget=2000,
        )
        found = decide.share_out(state, 1_000_000, asked).shares
        assert found is not None
        return found["retries"]

    assert ask("a", 4, 3) == 3, "3 at least"
    assert ask("b", 9, 3) == 0, "a has them all"
    assert ask("c", 100, 5) == 0, "22 in all, of which c and b have 21 by themselves"


# -- the script ------------------------------------------------------------------------------------------------------


class Server:
    """A fakeredis whose clock stands still."""

    def __init__(self, clock: FakeTime) -> None:
        self.clock = clock
        self.client = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
        self.store = ShareStore(self.client)


KINDS = ("connections", "pending", "requests", "retries")
claims = st.builds(Claim, st.integers(0, 30), st.integers(0, 40))
steps = st.tuples(
    st.sampled_from(["a", "b", "c d"]),
    st.integers(0, 20),
    st.dictionaries(st.sampled_from(KINDS), claims, min_size=1),
    st.sampled_from([0, 0, 0, 200, PRESENT_MS, SILENCE_MS + 1, ALIVE_MS + 1]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 40), st.none() | st.integers(0, 5000), st.lists(steps, max_size=10))
def test_redis_decides_as_python(
    fake_time: FakeTime,
    limit: int,
    budget: int | None,
    history: list[tuple[str, int, dict[str, Claim], int, bool]],
) -> None:
    server, state = Server(fake_time), State()
    turns: dict[str, int] = {}
    for replica, active, given_claims, pause_ms, misses in history:
        fake_time.advance(pause_ms)
        asked = Asked(
            replica=replica,
            turn=0 if misses else turns.get(replica, 0),
            active=active,
            limits=dict.fromkeys(given_claims, limit),
            claims=given_claims,
            budget=budget,
        )
        expected = decide.share_out(state, fake_time.now_ms, replace(asked, replica=replica.replace(" ", "_")))
        assert server.store.share(CLUSTER, asked) == expected
        turns[replica] = expected.turn


def test_what_people_see(fake_time: FakeTime) -> None:
    server = Server(fake_time)
    claims = {"connections": Claim(0, 3), "requests": Claim(0, 7)}
    limits = {"connections": 20, "requests": 40}
    server.store.share(CLUSTER, Asked(replica="a", turn=0, active=7, limits=limits, claims=claims))
    found: Any = server.client.hgetall(KEY)
    assert found["replica:a"] == f"at={found['asked']} turn=1 active=7 connections=11/3 requests=23/7"
    assert 0 < server.client.pttl(KEY) <= 6 * ALIVE_MS


def test_on_every_real_server(real: redis.Redis) -> None:
    store = ShareStore(real)
    asked = Asked(replica="a", turn=0, active=0, limits={"requests": 8}, claims={"requests": Claim(0, 0)})
    assert store.share(CLUSTER, asked) == Shares(1, 1, {"requests": 4})
    assert store.share(CLUSTER, replace(asked, replica="b")) == Shares(1, 2, {"requests": 2})
    assert store.share(CLUSTER, asked) == Shares(2, 2, None), "it has missed an answer"
