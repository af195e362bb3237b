"""Since when endpoints are there that warm up: who asks for it when, and what becomes of the answer."""

from collections.abc import Mapping

from proxy.controller.forms import cluster_form
from proxy.fleet.joining import AGAIN_MS, Joining
from proxy.ipc.snapshot import ClusterForm
from proxy.mesh.model import Cluster, Endpoint
from proxy.mesh.traffic.balancing import LoadBalancer, Warmup
from proxy.mesh.traffic.policy import EffectivePolicy
from proxy.scoreboard.scoreboard import Scoreboard
from state.errors import StoreUnavailable
from state.warmup.decide import TELL_MS
from state.warmup.store import Name
from tests.unit.fleet.fleet_fakes import FakeLoop, desk_of

WARM = EffectivePolicy(load_balancer=LoadBalancer(warmup=Warmup(duration_ms=60_000)))
HOUR_MS = 3_600_000


class Register:
    """Redis, which has seen everything an hour ago."""

    def __init__(self) -> None:
        self.told: list[Mapping[Name, int]] = []
        self.away = False

    def first_seen(self, cluster: str, ages_ms: Mapping[Name, int]) -> dict[Name, int]:
        self.told.append(ages_ms)
        if self.away:
            raise StoreUnavailable("away")
        return dict.fromkeys(ages_ms, HOUR_MS)


class Replica:
    """One worker, which leads."""

    def __init__(self) -> None:
        self.board = Scoreboard.create()
        self.board.workers.start(0, 1)
        self.board.shared_state = True
        self.loop = FakeLoop(50_000_000)
        self.board.tell_time(self.loop.now_ns())
        desk, _ = desk_of(self.board, loop=self.loop)
        self.register = Register()
        self.joining = Joining(desk, self.register, lambda: True)
        self.slot = self.board.clusters.add("c")

    def form(self, *endpoints: Endpoint, policy: EffectivePolicy = WARM) -> ClusterForm:
        places = [self.board.endpoints.add(self.slot, each.ip, each.workload) for each in endpoints]
        return cluster_form(Cluster("c", "c", "c", endpoints, policy), self.slot, places)

    def look(self, after_ms: int = 0) -> int:
        """How many calls it makes."""
        self.loop.pass_time(after_ms)
        self.board.tell_time(self.loop.now_ns())
        before = len(self.register.told)
        self.joining.look()
        return len(self.register.told) - before


A, B = Endpoint("10.0.0.1", 80, "a"), Endpoint("10.0.0.2", 80, "b", joined_ms=1_700_000_000_000)


def test_those_of_which_nothing_says_since_when_are_as_old_as_the_fleet_says() -> None:
    replica = Replica()
    form = replica.form(A, B)
    replica.joining.apply(True, [form], [])
    slots = [each["slot"] for each in form["endpoints"]]
    assert replica.look(2000) == 1
    assert replica.register.told == [{("10.0.0.1:80", "a"): 2000}]
    assert [replica.board.endpoints.age_ms(slot) for slot in slots] == [HOUR_MS, 2000]
    assert (replica.look(), replica.look(TELL_MS - 1), replica.look(1)) == (0, 0, 1)
    replica.joining.apply(False, [form], [])
    assert replica.look() == 1, "others may be there"
    replica.joining.apply(False, [], ["c"])
    assert replica.look(TELL_MS) == 0


def test_while_redis_is_away_they_are_as_old_as_this_replica_knows_them() -> None:
    replica = Replica()
    form = replica.form(A)
    replica.joining.apply(True, [form], [])
    replica.register.away = True
    assert replica.look(10) == 1
    assert replica.board.endpoints.age_ms(form["endpoints"][0]["slot"]) == 10
    assert (replica.look(AGAIN_MS - 1), replica.look(1)) == (0, 1)
    replica.board.leave_shared_state("away")
    assert replica.look(TELL_MS) == 0


def test_where_nobody_warms_up_nobody_asks() -> None:
    replica = Replica()
    replica.joining.apply(True, [replica.form(A, policy=EffectivePolicy())], [])
    assert replica.look() == 0
    replica.joining.apply(True, [replica.form(B)], [])
    assert replica.look() == 0


def test_an_age_makes_nobody_younger() -> None:
    replica = Replica()
    slot = replica.form(A)["endpoints"][0]["slot"]
    replica.loop.pass_time(5000)
    replica.board.tell_time(replica.loop.now_ns())
    replica.board.endpoints.note_age(slot, 1000)
    assert replica.board.endpoints.age_ms(slot) == 5000
