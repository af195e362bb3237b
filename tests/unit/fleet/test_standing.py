"""The table of standings, by itself, and held against what Ejections makes of real rows."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from proxy.fleet.clusters import Cluster, Endpoint, batch_of
from proxy.fleet.desk import Desk
from proxy.fleet.ejections import PRIVATELY
from proxy.fleet.records import ScoreboardRecords
from proxy.fleet.standing import HELD, IN, MOVES, Move, Standing, standing
from proxy.scoreboard.scoreboard import Scoreboard
from state.outlier.local_store import LocalStore
from state.outlier.run import Run
from tests.unit.fleet.fleet_fakes import FakeLoop, Told, a_cluster, board, desk_of, known

BASE = 30_000
ALL = [(move, before) for move in Move for before in Standing]


class Row:
    """One endpoint of three, in some standing, as Ejections finds it."""

    def __init__(self, made: Scoreboard, before: Standing) -> None:
        loop = FakeLoop()
        loop.pass_time(0)
        self.cluster: Cluster = a_cluster(made, probe=True)
        self.endpoint: Endpoint = self.cluster.endpoints["10.0.0.0:80"]
        self.desk: Desk
        self.told: Told
        self.desk, self.told = desk_of(made, self.cluster, loop)
        self.untouched = self.desk.ejections.state(self.endpoint)
        if before is not IN:
            row = before.on(self.untouched)._replace(
                generation=1,
                ejected_until_ms=self.now + 60_000,
                ejection_ms=BASE,
                unejected_at_ms=self.now + 60_000,
                run=3,
                probe_at_ms=self.now - 1,
            )
            made.outlier.set_state(self.endpoint.slot, row)

    @property
    def now(self) -> int:
        return self.desk.loop.now_ms()

    @property
    def stands(self) -> Standing:
        return standing(self.desk.ejections.state(self.endpoint))

    def decide(self) -> None:
        """A run of failures where it is in, a probe that fails where it is out, and nobody to ask."""
        local = LocalStore(ScoreboardRecords(self.desk.scoreboard, self.desk.clusters), self.desk.loop.now_ms)
        generation = self.desk.ejections.state(self.endpoint).generation
        batch = batch_of(self.cluster, self.endpoint, generation, Run.of_failures(3), 503, "a")
        ask = local.report if self.stands is IN else local.probed
        assert ask(batch, self.cluster.own_policy).outcome == "ejected"

    def stand(self) -> None:
        self.desk.ejections.stand(self.cluster, self.endpoint, 1)

    def keep(self) -> None:
        self.desk.ejections.stand(self.cluster, self.endpoint, 1, PRIVATELY)

    def confirm(self) -> None:
        self.desk.ejections.confirm(self.cluster, self.endpoint, known(generation=2, version=2), self.now, self.now)

    def release(self) -> None:
        self.desk.ejections.release(self.cluster, self.endpoint, self.untouched, 1, self.now)

    def lift(self) -> None:
        self.desk.ejections.lift(self.cluster, self.endpoint, "by_hand", self.now)

    def expire(self) -> None:
        self.desk.ejections.expire(self.cluster, self.endpoint, self.now + 60_000)


WAYS: Mapping[Move, tuple[Callable[[Row], None], ...]] = {
    Move.DECIDE: (Row.decide,),
    Move.STAND: (Row.stand,),
    Move.KEEP: (Row.keep,),
    Move.CONFIRM: (Row.confirm,),
    Move.RELEASE: (Row.release,),
    Move.END: (Row.lift, Row.expire),
}


def lines_of(before: Standing, after: Standing) -> list[str]:
    """One when it is logged from now on, one when it was and is back."""
    if after.logged and not before.logged:
        return ["ejecting"]
    return ["unejecting"] if after is IN and before.logged else []


@pytest.mark.parametrize(("move", "before"), ALL, ids=lambda each: each.name.lower())
def test_a_row_goes_where_the_table_says_with_its_line(move: Move, before: Standing) -> None:
    for way in WAYS[move]:
        with board() as made:
            row = Row(made, before)
            assert row.stands is before
            way(row)
            after = MOVES[move].get(before, before)
            assert row.stands is after
            assert [line.split()[0] for line in row.told.lines] == lines_of(before, after)


def test_only_decisions_lead_out_and_only_these_two_lead_in() -> None:
    ways: list[tuple[Move, Standing, Standing]] = [(m, a, b) for m, row in MOVES.items() for a, b in row.items()]
    assert {move for move, before, after in ways if before is IN and after is not IN} == {Move.DECIDE, Move.CONFIRM}
    assert {move for move, _, after in ways if after is IN} == {Move.RELEASE, Move.END}


def test_every_standing_can_be_reached_and_left() -> None:
    reached = {IN}
    for _ in Standing:
        reached |= {after for row in MOVES.values() for before, after in row.items() if before in reached}
    assert reached == set(Standing)
    assert set(MOVES[Move.END]) == set(Standing) - {IN}, "nothing is out for ever"


def test_what_the_fleet_has_out_is_no_replicas_own_again_but_by_a_new_decision() -> None:
    shared: dict[Move, Any] = {move: row[Standing.SHARED] for move, row in MOVES.items() if Standing.SHARED in row}
    assert shared == {Move.DECIDE: HELD, Move.CONFIRM: Standing.SHARED, Move.END: IN}
