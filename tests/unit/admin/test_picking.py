"""Why endpoints are picked, or are not, is what workers do: the same scoreboard is asked both ways."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from proxy.admin.picking import picking, whole_of
from proxy.controller.compact import Endpoints
from proxy.ipc.snapshot import EndpointForm, PoolForm
from proxy.mesh.model import Group
from proxy.mesh.traffic.balancing import ConsistentHash, LoadBalancer, Simple, Warmup
from tests.unit.relay.test_chooser import Board

COUNT = 3000
GROUPS = (Group(2, "near"), Group(2, "far"))


def percents(made: Board) -> list[float]:
    return [each["percent"] for each in picking(made.board, made.body)["endpoints"]]


def drawn(made: Board) -> list[float]:
    """Percent of so many picks."""
    counts = Counter(made.turns(COUNT))
    if made.body["balance"]["algorithm"] == "ring_hash" and None not in counts:
        dice = random.Random(7)
        counts = Counter[int | None](made.of_keys([dice.getrandbits(64) for _ in range(COUNT)]))
    return [100 * counts[position] / COUNT for position in range(len(made.names))]


@pytest.mark.parametrize(
    "balancer",
    [
        LoadBalancer(),
        LoadBalancer(simple=Simple.LEAST_REQUEST),
        LoadBalancer(simple=Simple.RANDOM),
        LoadBalancer(simple=Simple.PASSTHROUGH),
        LoadBalancer(consistent_hash=ConsistentHash(http_header_name="x-user")),
    ],
    ids=["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "PASSTHROUGH", "ringHash"],
)
@pytest.mark.parametrize(
    ("weights", "min_health", "groups", "out"),
    [
        ((), 0, (), ()),
        ((1, 2, 3, 4), 0, (), (1,)),
        ((), 80, (), (0, 1, 2)),
        ((), 0, GROUPS, ()),
        ((), 0, GROUPS, (0,)),
        ((1, 2, 3, 4), 0, GROUPS, (0, 1)),
        ((), 80, GROUPS, (0, 1, 2)),
        ((), 0, (Group(1, "a", 70), Group(2, "b", 30), Group(1, "c", 0)), (0,)),
        ((), 0, GROUPS, (0, 1, 2, 3)),
    ],
    ids=["alike", "by weight", "panic", "first group", "half", "second group", "panic of both", "distribute", "nobody"],
)
def test_what_is_told_is_what_is_done(
    balancer: LoadBalancer, weights: tuple[int, ...], min_health: int, groups: Sequence[Group], out: Sequence[int]
) -> None:
    if groups and balancer.simple is Simple.PASSTHROUGH:
        groups = ()  # which place an endpoint has does not matter to it
    made = Board(4, balancer=balancer, weights=weights, min_health=min_health, groups=groups)
    for position in out:
        made.out(position)
    assert percents(made) == pytest.approx(drawn(made), abs=5)


def test_each_endpoint_has_its_reason() -> None:
    made = Board(4, groups=GROUPS)
    made.out(0)
    found = picking(made.board, made.body)
    assert [each["why"] for each in found["endpoints"]] == [
        "ejected",
        "in",
        "what groups before it cannot take",
        "what groups before it cannot take",
    ]
    made.out(0, 0)
    found = picking(made.board, made.body)
    assert [each["why"] for each in found["endpoints"][2:]] == ["all are taken before it, by: near"] * 2
    made.board.workers.start(0, 1)
    made.turns(5)
    assert [each["picks"] for each in picking(made.board, made.body)["groups"]] == [5, 0]


def test_who_is_ejected_and_picked_all_the_same() -> None:
    panicking, passing = Board(2, min_health=60), Board(2, balancer=LoadBalancer(simple=Simple.PASSTHROUGH))
    for made in (panicking, passing):
        made.out(1)
    assert picking(panicking.board, panicking.body)["groups"][0]["panicking"]
    whys = [picking(made.board, made.body)["endpoints"][1]["why"] for made in (panicking, passing)]
    assert whys == ["ejected, but fewer than minHealthPercent are in", "ejected, for which PASSTHROUGH does not ask"]


def test_who_warms_up_has_a_part_of_its_weight() -> None:
    now_ms = int(time.time() * 1000)
    balancer = LoadBalancer(warmup=Warmup(duration_ms=600_000))
    made = Board(2, balancer=balancer, joined_ms=(now_ms - 300_000, now_ms - 900_000))
    young, old = picking(made.board, made.body)["endpoints"]
    assert (young["warmth"], old["warmth"]) == (pytest.approx(0.5, abs=0.01), 1)
    assert young["why"].startswith("warms up, at 50 %")
    assert young["percent"] == pytest.approx(100 / 3, abs=0.5)


def test_limits_with_the_share_that_this_replica_has() -> None:
    made = Board(1)
    made.body["pool"] = PoolForm(requests=16, budget_percent=20.0, budget_min=3, fleet=True)
    requests, retries = picking(made.board, made.body)["limits"]
    assert (requests["most"], requests["share"], requests["told"]) == (16, None, False)
    made.board.shares.give(made.slot, 2, 1, told=False)
    made.board.shares.give(made.slot, 3, 0)
    requests, retries = picking(made.board, made.body)["limits"]
    assert (requests["share"], requests["told"]) == (1, False)
    assert (retries["most"], retries["share"], retries["told"], retries["budget_percent"]) == (3, 0, True, 20.0)


def test_endpoints_outside_of_a_subset() -> None:
    whole, part = Board(3), Board(1)
    assert picking(part.board, part.body, whole.body)["outside"] == whole.names[1:]
    assert (whole_of("shop/cart:80/v1"), whole_of("shop/cart:80"), whole_of("cart")) == ("shop/cart:80", "", "")


def test_packed_endpoints_are_read_as_often_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = list[int]()
    unpacked = Endpoints.__iter__

    def counted(self: Endpoints) -> Iterator[EndpointForm]:
        reads.append(len(self))
        return unpacked(self)

    monkeypatch.setattr(Endpoints, "__iter__", counted)
    for count in (2, 40):
        made = Board(count)
        made.body["endpoints"] = Endpoints(made.body["endpoints"])
        picking(made.board, made.body)
    assert reads.count(2) == reads.count(40) > 0
