"""Leases of the fleet's rate limits: when the leader asks, for how many, and what comes of it over a whole fleet, in
made-up time. Replicas are as they are, but for Redis, of which decide.py stands for the script."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import pytest

from proxy.fleet import wiring
from proxy.fleet.keep import LOOK_MS
from proxy.fleet.lease import LAPSE_MS, PRESENT_MS, TURN_MS, Asking, capacity
from proxy.fleet.lending import Lending
from proxy.ipc.snapshot import RateLimitForm
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.views import Lent
from state.errors import StoreUnavailable
from state.rate_limits import decide
from state.rate_limits.decide import Asked, AskedByKey, Lease
from tests.instruments.rate_limits import Taker
from tests.unit.fleet.fleet_fakes import FakeLoop, Told, body

PER_SECOND, BURST = 1000, 200
LIMIT = RateLimitForm(id=7, text="1000/second", interval_ns=1_000_000, burst=BURST, key="none", header="", fleet=True)
START_MS = 1_000_000


class Server:
    """Redis, as far as this goes; `now_ms` is its own clock."""

    def __init__(self) -> None:
        self.arrival_us = 0
        self.now_ms = 77_000_000
        self.seen: dict[str, int] = {}
        self.asked: list[Asked] = []
        self.leased: list[int] = []
        self.away = False
        self.arrivals: dict[int, int] = {}  # by key
        self.calls = 0

    def lease(self, cluster: str, asked: Asked) -> Lease:
        self.asked.append(asked)
        if self.away:
            raise StoreUnavailable("away")
        self.seen[asked.replica] = self.now_ms
        self.arrival_us, count, wait_us = decide.lease(self.arrival_us, self.now_ms * 1000, asked)
        self.leased.append(count)
        return Lease(count, wait_us, sum(self.now_ms - seen <= 5000 for seen in self.seen.values()))

    def lease_by_key(self, cluster: str, asked: AskedByKey) -> tuple[int, dict[int, Lease]]:
        self.calls += 1
        if self.away:
            raise StoreUnavailable("away")
        self.seen[asked.replica] = self.now_ms
        replicas, leases = sum(self.now_ms - seen <= 5000 for seen in self.seen.values()), {}
        for key, (owed, wanted) in asked.keys.items():
            wish = Asked(
                replica=asked.replica,
                limit=asked.limit,
                text=asked.text,
                interval_ns=asked.interval_ns,
                capacity=asked.capacity,
                owed=owed,
                wanted=wanted,
            )
            arrival = self.arrivals.get(key, 0)
            self.arrivals[key], count, wait_us = decide.lease(arrival, self.now_ms * 1000, wish)
            leases[key] = Lease(count, wait_us, replicas)
        return replicas, leases


class Replica:
    """One worker, which leads."""

    def __init__(self, server: Server, name: str = "a", limit: RateLimitForm = LIMIT) -> None:
        self.board = Scoreboard.create()
        self.board.workers.start(0, 1)
        self.board.shared_state = True
        self.loop = FakeLoop(START_MS)
        self.board.tell_time(self.loop.now_ns())
        desk = wiring.desk(self.board, 0, name, self.loop, Told())
        self.leads = True
        self.lending = Lending(desk, server, lambda: self.leads)
        form = body(self.board)
        form["rate_limits"] = [limit]
        self.lending.apply(True, [form], [])
        self.taker = Taker(self.board, limit)
        self.passed = self.refused = 0

    def pass_time(self, ms: int) -> None:
        self.loop.pass_time(ms)
        self.board.tell_time(self.loop.now_ns())

    def ask(self, count: int = 1, key: int = 0) -> int:
        """How many of so many requests are let in."""
        now_ns = self.loop.now_ns()
        take = partial(self.taker.take_by_key, key) if key else self.taker.take
        let_in = sum(take(now_ns) == 0 for _ in range(count))
        self.passed += let_in
        self.refused += count - let_in
        return let_in


def run(server: Server, replicas: Sequence[Replica], rates: Sequence[int], ms: int) -> int:
    """So many requests a second at each, evenly; how many were let in. Leaders look one after the other."""
    before = sum(each.passed for each in replicas)
    owing = [0.0] * len(replicas)
    for now in range(ms):
        for index, (replica, rate) in enumerate(zip(replicas, rates, strict=True)):
            owing[index] += rate / 1000
            replica.ask(int(owing[index]))
            owing[index] %= 1
            if now % LOOK_MS == index * LOOK_MS // len(replicas):
                replica.lending.look()
            replica.pass_time(1)
        server.now_ms += 1
    return sum(each.passed for each in replicas) - before


@pytest.mark.parametrize(
    "rates",
    [
        pytest.param([3000, 500, 500, 100, 100, 100, 50, 0], id="one has most of it"),
        pytest.param([250] * 8, id="all alike"),
        pytest.param([4000, 0, 0, 0, 0, 0, 0, 0], id="one has all of it"),
        pytest.param([1100, 20, 5, 5, 2, 2, 1, 1], id="hardly more than there may be"),
    ],
)
def test_r7_eight_replicas_let_in_what_the_limit_says_within_two_percent(rates: list[int]) -> None:
    server = Server()
    replicas = [Replica(server, name) for name in "abcdefgh"]
    run(server, replicas, rates, 2000)
    calls, seconds = len(server.asked), 10
    let_in = run(server, replicas, rates, 1000 * seconds)
    assert let_in == pytest.approx(PER_SECOND * seconds, rel=0.02)
    assert (len(server.asked) - calls) / seconds < 50


def test_r7_nobody_is_refused_below_the_limit() -> None:
    server = Server()
    replicas = [Replica(server, name) for name in "abc"]
    run(server, replicas, [600, 200, 100], 5000)
    assert [each.refused for each in replicas] == [0, 0, 0]


def test_r7_without_redis_each_lets_in_its_share() -> None:
    server = Server()
    replicas = [Replica(server, name) for name in "abcd"]
    run(server, replicas, [1000] * 4, 2000)
    server.away = True
    run(server, replicas, [1000] * 4, 1000)
    asked = len(server.asked)
    assert run(server, replicas, [1000] * 4, 5000) == pytest.approx(5 * PER_SECOND, rel=0.05)
    assert (len(server.asked) - asked) / 5 <= 4, "once a second each"
    for replica in replicas:
        replica.board.shared_state = False
    asked = len(server.asked)
    assert run(server, replicas, [1000] * 4, 2000) == pytest.approx(2 * PER_SECOND, rel=0.05)
    assert len(server.asked) == asked, "known to be away it is not asked"


def test_who_has_no_requests_says_only_that_it_is_there() -> None:
    server = Server()
    replica = Replica(server)
    run(server, [replica], [0], 10_000)
    assert len(server.asked) == 10_000 // PRESENT_MS
    assert {(each.wanted, each.owed) for each in server.asked} == {(0, 0)}
    replica.leads = False
    run(server, [replica], [100], 1000)
    assert len(server.asked) == 10_000 // PRESENT_MS, "another worker leads"


def test_what_is_not_used_is_given_back() -> None:
    server = Server()
    replica = Replica(server)
    run(server, [replica], [500], 1000)
    assert replica.board.rate_limits.lent(7).left > 0
    run(server, [replica], [0], 2 * PRESENT_MS + LAPSE_MS)
    assert replica.board.rate_limits.lent(7).left == 0
    assert min(each.owed for each in server.asked) < 0
    assert sum(server.leased) + sum(each.owed for each in server.asked) == replica.passed, "every request counts once"


def test_a_replica_without_requests_hears_that_the_fleet_has_no_more() -> None:
    server, slow = Server(), RateLimitForm(**{**LIMIT, "interval_ns": 10**13, "burst": 20})
    one, other = Replica(server, "a", slow), Replica(server, "b", slow)
    run(server, [one, other], [0, 0], 100)
    assert run(server, [one, other], [100, 0], 1000) == 20
    run(server, [one, other], [0, 0], PRESENT_MS)
    assert run(server, [one, other], [100, 100], 1000) == 0


def test_a_limit_of_a_route_is_asked_for_once_for_all_its_rules() -> None:
    server = Server()
    replica = Replica(server, limit={**LIMIT, "fleet": False, "id": 8})
    form = body(replica.board)
    form["route_limits"] = {"HTTPRoute a/b rule 0": [LIMIT], "HTTPRoute a/b rule 1": [LIMIT]}
    replica.lending.apply(True, [form], [])
    replica.lending.look()
    assert [each.limit for each in server.asked] == [LIMIT["id"]]


def test_a_limit_that_is_gone_is_asked_for_no_more() -> None:
    server = Server()
    replica = Replica(server)
    assert replica.lending.look()
    replica.lending.apply(False, [body(replica.board, cluster=0)], [])
    assert not replica.lending.look()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("asking", "lent", "due"),
    [
        (Asking(), Lent(0, 0, 0), True),
        (Asking(START_MS - TURN_MS, 0, 10), Lent(5, 5, 0), True),
        (Asking(START_MS - TURN_MS, 0, 10), Lent(6, 4, 0), False),
        (Asking(START_MS - TURN_MS + 1, 0, 10), Lent(0, 50, 40), False),
        (Asking(START_MS - TURN_MS, 5, 10), Lent(5, 5, 0), False),
        (Asking(START_MS - TURN_MS, 5, 10), Lent(0, 9, 4), True),
        (Asking(START_MS - TURN_MS, 5, 0, START_MS + 1), Lent(0, 9, 0), False),
        (Asking(START_MS - PRESENT_MS, 5, 10), Lent(10, 5, 0), True),
    ],
    ids=["first", "half used", "not half used", "too soon", "idle", "owing", "there is none", "present"],
)
def test_when_it_is_time_to_ask(asking: Asking, lent: Lent, due: bool) -> None:
    assert asking.due(lent, START_MS) is due


def test_how_many_are_asked_for() -> None:
    asking = Asking(START_MS - TURN_MS, 100, 30)
    wanted: Callable[[Lent], int] = lambda lent: asking.wanted(lent, LIMIT, START_MS)  # noqa: E731
    assert wanted(Lent(0, 120, 0)) == 30, "three for every two that have come since"
    assert wanted(Lent(8, 120, 0)) == 22
    assert wanted(Lent(40, 120, 0)) == 0
    assert wanted(Lent(0, 100_000, 0)) == capacity(LIMIT) == 500
    assert capacity(RateLimitForm(**{**LIMIT, "burst": 900})) == 900


# -- by key -----------------------------------------------------------------------------------------------------------

BY_USER = RateLimitForm(**{**LIMIT, "interval_ns": 10_000_000, "burst": 20, "key": "header", "header": "x-user"})


def run_by_key(
    server: Server, replicas: Sequence[Replica], rates: Mapping[int, Sequence[int]], ms: int
) -> dict[int, int]:
    """So many requests a second with each key at each replica; how many of each were let in."""
    let_in = dict.fromkeys(rates, 0)
    owing = {key: [0.0] * len(replicas) for key in rates}
    for now in range(ms):
        for index, replica in enumerate(replicas):
            for key, at in rates.items():
                owing[key][index] += at[index] / 1000
                let_in[key] += replica.ask(int(owing[key][index]), key)
                owing[key][index] %= 1
            if now % LOOK_MS == index * LOOK_MS // len(replicas):
                replica.lending.look()
            replica.pass_time(1)
        server.now_ms += 1
    return let_in


def test_r7_each_key_is_let_in_as_often_as_the_limit_says_over_all_replicas() -> None:
    server = Server()
    replicas = [Replica(server, name, BY_USER) for name in "abcdefgh"]
    rates = {1: [100, 50, 20, 10, 10, 5, 5, 0], 2: [30] * 8, 3: [5] * 8, 4: [400, 0, 0, 0, 0, 0, 0, 0]}
    run_by_key(server, replicas, rates, 2000)
    calls, seconds = server.calls, 10
    let_in = run_by_key(server, replicas, rates, 1000 * seconds)
    for key in (1, 2, 4):
        assert let_in[key] == pytest.approx(100 * seconds, rel=0.03), key
    assert let_in[3] == 40 * seconds, "nobody is refused below the limit"
    assert (server.calls - calls) / seconds <= 40, "whatever the number of keys"


def test_keys_that_nobody_asks_for_any_more_are_forgotten() -> None:
    server = Server()
    replica = Replica(server, "a", BY_USER)
    run_by_key(server, [replica], {key: [10] for key in range(1, 50)}, 500)
    assert len(replica.board.rate_limits.in_use(7, 1000)) == 49
    run_by_key(server, [replica], {}, 3 * PRESENT_MS + LAPSE_MS)
    calls = server.calls
    assert replica.board.rate_limits.in_use(7, 1000) == []
    run_by_key(server, [replica], {}, 2 * PRESENT_MS)
    assert server.calls - calls == 2, "only that it is there"
    replica.lending.apply(False, [], [])
    assert replica.board.rate_limits.in_use(8 << 40, 1000) == [], "of another limit"


def test_without_redis_each_lets_in_its_share_of_each_key() -> None:
    server = Server()
    replicas = [Replica(server, name, BY_USER) for name in "abcd"]
    rates = {1: [100] * 4, 2: [100] * 4}
    run_by_key(server, replicas, rates, 3000)
    server.away = True
    run_by_key(server, replicas, rates, 2000)
    let_in = run_by_key(server, replicas, rates, 5000)
    assert list(let_in.values()) == [pytest.approx(500, rel=0.06)] * 2


def test_a_key_that_is_new_finds_how_many_replicas_there_are() -> None:
    server = Server()
    replicas = [Replica(server, name, BY_USER) for name in "abcd"]
    run_by_key(server, replicas, {}, 3 * PRESENT_MS)
    assert replicas[0].ask(20, key=9) == 5, "its share of the burst, until the fleet has said more"
