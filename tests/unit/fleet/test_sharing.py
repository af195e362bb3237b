"""Shares of the fleet's limits: when the leader asks, what it says of its replica, and what comes of it over a fleet,
in made-up time. Replicas are as they are, but for Redis, of which decide.py stands for the script."""

import pytest

from proxy.fleet import wiring
from proxy.fleet.keep import LOOK_MS
from proxy.fleet.lease import TURN_MS
from proxy.fleet.share import NONE, Asking, Shared, shared_of, used
from proxy.fleet.sharing import Sharing
from proxy.ipc.snapshot import PoolForm
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.views import InUse
from state.errors import StoreUnavailable
from state.shares import decide
from state.shares.decide import PRESENT_MS, Asked, Claim, Shares, State, slice_of
from tests.instruments.limits import drop, take
from tests.unit.fleet.fleet_fakes import FakeLoop, Told, body

START_MS = 1_000_000
REQUESTS = 2
LIMIT = 16
SHARED = Shared(0, {"requests": LIMIT}, None)
NOTHING = InUse(NONE, NONE, 0)


class Server:
    """Redis, as far as this goes."""

    def __init__(self) -> None:
        self.state, self.now_ms = State(), 77_000_000
        self.asked: list[Asked] = []
        self.away = False

    def share(self, cluster: str, asked: Asked) -> Shares:
        self.asked.append(asked)
        if self.away:
            raise StoreUnavailable("away")
        return decide.share_out(self.state, self.now_ms, asked)


class Replica:
    """One worker, which leads."""

    def __init__(self, server: Server, name: str = "a") -> None:
        self.server = server
        self.board = Scoreboard.create()
        self.board.workers.start(0, 1)
        self.board.shared_state = True
        self.loop = FakeLoop(START_MS)
        desk = wiring.desk(self.board, 0, name, self.loop, Told())
        self.leads = True
        self.sharing = Sharing(desk, server, lambda: self.leads)
        form = body(self.board)
        form["pool"] = PoolForm(requests=LIMIT, fleet=True)
        self.slot = form["slot"]
        self.sharing.apply(True, [form], [])

    @property
    def share(self) -> int:
        return self.board.shares.of(self.slot)[REQUESTS]

    def begin(self, count: int) -> int:
        """How many of so many requests are let in."""
        return sum(take(self.board, 0, self.slot, REQUESTS, self.share) for _ in range(count))

    def end(self, count: int) -> None:
        for _ in range(count):
            drop(self.board, 0, self.slot, REQUESTS)


def turns(server: Server, replicas: list[Replica], count: int = 1) -> None:
    """So many turns go by, in which leaders look as often as they do."""
    for _ in range(count * TURN_MS // LOOK_MS):
        server.now_ms += LOOK_MS
        for each in replicas:
            each.loop.pass_time(LOOK_MS)
            each.sharing.look()
        assert sum(max(0, each.share) for each in replicas) <= LIMIT


def test_a_replica_knows_its_share_after_its_first_look() -> None:
    server = Server()
    one = Replica(server)
    assert (one.share, one.sharing.settled) == (-1, False)
    assert one.sharing.look()
    assert (one.share, one.sharing.settled) == (LIMIT // 2, True)


def test_what_one_gives_back_another_gets() -> None:
    server = Server()
    one, other = Replica(server, "a"), Replica(server, "b")
    turns(server, [one])
    begun = one.begin(LIMIT)
    assert begun == LIMIT // 2
    for _ in range(4):
        turns(server, [one], 2)
        begun += one.begin(LIMIT)
    assert begun >= LIMIT - 1, "nearly all of it, as there is nobody else"
    turns(server, [one, other])
    assert other.share <= LIMIT - begun
    one.end(begun)
    turns(server, [one, other], 12)
    assert (one.share, other.share) == (LIMIT // 4, LIMIT // 4)


def test_without_redis_each_keeps_its_share() -> None:
    server = Server()
    one = Replica(server)
    turns(server, [one])
    asked, server.away = len(server.asked), True
    turns(server, [one], 10)
    assert one.share == LIMIT // 2
    assert len(server.asked) - asked <= 2
    one.board.leave_shared_state("away")
    asked = len(server.asked)
    turns(server, [one], 10)
    assert (one.share, len(server.asked)) == (LIMIT // 2, asked)


def test_who_starts_without_redis_goes_by_a_slice_and_when_nobody_else_can_have_more_by_the_whole_limit() -> None:
    server = Server()
    fresh = Replica(server, "b")
    fresh.board.leave_shared_state("away")
    assert not fresh.sharing.settled, "for a moment nobody has said anything"
    fresh.sharing.look()
    assert (fresh.share, fresh.sharing.settled) == (slice_of(LIMIT), True), "it waits for nothing"
    fresh.loop.pass_time(decide.ALIVE_MS)
    fresh.sharing.look()
    assert (fresh.share, fresh.sharing.settled) == (-1, True), "the whole limit"
    fresh.board.shared_state = True
    fresh.sharing.look()
    assert fresh.share == LIMIT // 2, "Redis is back"


def test_the_first_one_of_a_fleet_does_not_wait_for_others_because_redis_answered_late() -> None:
    """What it has begun with is nobody's share, so none was lost."""
    one = Replica(Server())
    one.board.shared_state = False
    one.sharing.look()
    assert one.share == slice_of(LIMIT)
    one.board.shared_state = True
    one.sharing.look()
    assert (one.share, one.sharing.settled) == (LIMIT // 2, True)


def test_who_starts_while_redis_is_slow_goes_by_a_slice_and_is_not_settled() -> None:
    server = Server()
    one, late = Replica(server, "a"), Replica(server, "b")
    turns(server, [one], 4)
    one.begin(one.share)
    server.away = True
    late.sharing.look()
    assert (late.share, late.sharing.settled) == (slice_of(LIMIT), False)
    server.away = False
    turns(server, [one, late], 4)
    assert late.sharing.settled
    assert late.share + one.share <= LIMIT


def test_limits_that_become_the_fleets_are_whole_until_it_answers() -> None:
    server = Server()
    one = Replica(server)
    one.loop.pass_time(decide.ALIVE_MS)
    server.away = True
    one.sharing.look()
    assert one.share == -1, "nobody is refused for the annotation"


def test_who_leads_next_goes_on_with_what_there_is() -> None:
    server = Server()
    one = Replica(server)
    turns(server, [one], 2)
    one.sharing._asking.clear()
    turns(server, [one], 6)
    assert one.share == LIMIT // 2
    one.leads = False
    asked = len(server.asked)
    turns(server, [one], 6)
    assert len(server.asked) == asked


def test_a_cluster_whose_limits_are_its_replicas_own_is_not_asked_for() -> None:
    server = Server()
    one = Replica(server)
    form = body(one.board, cluster=one.slot)
    one.sharing.apply(False, [form], [])
    assert not one.sharing.look()
    assert server.asked == []


def test_what_is_shared() -> None:
    assert shared_of(3, PoolForm(connections=5)) is None
    assert shared_of(3, PoolForm(connections=5, pending=6, requests=7, retries=8, fleet=True)) == Shared(
        3, {"connections": 5, "pending": 6, "requests": 7, "retries": 8}, None
    )
    assert shared_of(3, PoolForm(retries=8, budget_percent=12.5, budget_min=3, fleet=True)) == Shared(
        3, {"retries": 3}, 1250
    )


def test_what_a_share_is_needed_for() -> None:
    in_use = InUse((10, 2, 8, 4), NONE, 7)
    assert used(in_use, None) == (3, 2, 8, 4)
    assert used(in_use, 2000) == (3, 2, 8, 2), "two of ten requests may be tried again anyway"


@pytest.mark.parametrize(
    ("asking", "share", "in_use", "due"),
    [
        (Asking(), -1, NOTHING, True),
        (Asking(START_MS - TURN_MS + 1), 4, InUse((0, 0, 4, 0), NONE, 0), False),
        (Asking(START_MS - TURN_MS, peak=(0, 0, 4, 0)), 4, NOTHING, True),
        (Asking(START_MS - TURN_MS, peak=(0, 0, 3, 0)), 4, NOTHING, False),
        (Asking(START_MS - TURN_MS, refused=(0, 0, 5, 0)), 4, InUse(NONE, (0, 0, 9, 0), 0), True),
        (Asking(START_MS - TURN_MS, told=(0, 0, 5, 0)), 4, NOTHING, True),
        (Asking(START_MS - PRESENT_MS), 4, NOTHING, True),
    ],
    ids=["first", "too soon", "used up", "not used up", "refused", "to give back", "present"],
)
def test_when_it_is_time_to_ask(asking: Asking, share: int, in_use: InUse, due: bool) -> None:
    assert asking.due(SHARED, (-1, -1, share, -1), in_use, START_MS) is due


def test_what_is_said() -> None:
    asking = Asking(turn=9, peak=(0, 0, 3, 0), refused=(0, 0, 4, 0))
    asked = asking.question("a", SHARED, (-1, -1, 2, -1), InUse((0, 1, 5, 0), (0, 0, 6, 0), 0))
    assert (asked.turn, asked.active, asked.claims) == (9, 6, {"requests": Claim(5, 5)})
