"""What the leader does where Redis and the scoreboard differ."""

from typing import Any

import pytest
from fleet_fakes import AWAY, FakeStore, board, body, ejection, ejections, group, known, verdict

from proxy.fleet.members import group_of
from proxy.fleet.reporter import Reporter
from proxy.fleet.settle import Settling
from proxy.scoreboard import Scoreboard
from state.store import ClusterView, StoreUnavailable

FIRST = "10.0.0.0:80"


class Setting:
    def __init__(self, made: Scoreboard) -> None:
        self.board, self.group = made, group(made)
        self.groups = {self.group.name: self.group}
        self.store, self.now = FakeStore(), 10_000_000
        self.ejections, self.told = ejections(made)
        self.reporter = Reporter(
            self.store, "a", self.groups, lambda: self.now, lambda *given: None, lambda *given: None
        )
        self.luck = 0.0
        self.settling = Settling(
            made,
            "a",
            self.store,
            self.groups,
            self.ejections,
            self.reporter,
            lambda: self.now,
            lambda: self.luck,
        )
        self.settling.settle(self.group, 1000)

    @property
    def member(self) -> Any:
        return self.group.members[FIRST]

    @property
    def out(self) -> bool:
        return self.ejections.state(self.member).ejected_until_ms > self.now

    def look(self, after: int = 1000) -> None:
        self.now += after
        self.settling.settle(self.group, 1000)

    def view(self, *out: Any, version: int = 2, epoch: str = "e1", **more: Any) -> None:
        self.store.view = ClusterView(version, epoch, out, more.get("dirty", {}), more.get("generations", {}))


def test_looks_are_cheap_and_in_time() -> None:
    with board() as made:
        setting = Setting(made)
        setting.look(999)
        setting.look(1)
        setting.look()
        assert (setting.store.looks, setting.store.syncs) == (2, 1)


def test_out_in_redis_is_out_here_and_gone_there_is_back_here() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(ejection(FIRST))
        setting.look()
        assert setting.out
        setting.view(version=2)
        setting.look()
        assert not setting.out
        assert setting.told.lines == [f"ejecting {FIRST}", f"unejecting {FIRST} by_hand"]


def test_a_deletion_before_the_first_look_is_seen() -> None:
    """Found by a test of whole replicas: the ejection came by push, and its key was gone before anybody looked."""
    with board() as made:
        setting = Setting(made)
        setting.ejections.confirm(setting.group, setting.member, known(version=2), setting.now, setting.now)
        made.set_fleet_version(setting.group.slot, 2, "e1")
        setting.view(version=2)
        setting.look()
        assert not setting.out


def test_lost_data_is_offered_again_in_silence() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(ejection(FIRST, generation=5), version=9)
        setting.look()
        setting.view(version=0, epoch="e2")
        setting.store.answers = [verdict("ejected", 3, 5, 29_000, 1)]
        setting.look()
        ((_, endpoint, workload, left, _, generation, *_),) = setting.store.offers
        assert (endpoint, workload, left, generation) == (FIRST, "pod-0", 29_000, 5)
        assert setting.out
        assert len(setting.told.lines) == 1


@pytest.mark.parametrize(("answer", "stays"), [("ejected", True), ("already_ejected", True), ("overflow", False)])
def test_own_decisions_are_offered(answer: str, stays: bool) -> None:
    with board() as made:
        setting = Setting(made)
        state = setting.ejections.state(setting.member)
        made.set_outlier_state(
            setting.member.slot,
            state._replace(ejected_until_ms=2**42, ejection_ms=30_000, generation=1, logged=True),
        )
        setting.now = 2**42 - 20_000
        setting.view(generations={FIRST: 4})
        setting.store.answers = [verdict(answer, 3, 5, 20_000 if stays else 0, 3)]
        setting.look(0)
        assert setting.store.offers[0][5] == 5, "above whatever the store has counted"
        assert setting.out == stays


def test_a_view_older_than_the_verdict_does_not_lift() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(version=2)

        def meanwhile() -> None:
            setting.ejections.confirm(setting.group, setting.member, known(version=3), setting.now, setting.now)

        setting.store.meanwhile = meanwhile
        setting.look()
        assert setting.out


def test_a_snapshot_while_redis_answers() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(ejection(FIRST))
        setting.store.meanwhile = setting.groups.clear
        setting.look()
        assert not setting.out


def test_another_workloads_ejection_is_not_ours_and_costs_one_look() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(ejection(FIRST, "somebody-else"))
        setting.look()
        setting.look()
        assert not setting.out
        assert setting.store.syncs == 2


def test_removed_endpoints_make_room() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(ejection(FIRST))
        setting.look()
        fewer = group_of(
            body(made, 3, setting.group.slot) | {"endpoints": body(made, 3, setting.group.slot)["endpoints"][1:]}
        )
        assert fewer is not None
        setting.groups[fewer.name] = setting.group = fewer
        setting.settling.settle(fewer, 1000)
        assert setting.store.forgotten == [FIRST]


def test_runs_go_on_after_local_mode() -> None:
    with board() as made:
        setting = Setting(made)
        state = setting.ejections.state(setting.member)
        made.set_outlier_state(setting.member.slot, state._replace(failures=2, dirty=True))
        setting.settling.begin(alone_before=True)
        setting.look(0)
        assert setting.reporter.waiting(setting.member)
        assert setting.ejections.state(setting.member).failures == 2


def test_a_run_ended_elsewhere_ends_here() -> None:
    with board() as made:
        setting = Setting(made)
        state = setting.ejections.state(setting.member)
        made.set_outlier_state(setting.member.slot, state._replace(failures=2, dirty=True))
        setting.view(version=3)
        setting.look()
        assert setting.ejections.state(setting.member).failures == 0


def test_a_lost_store_is_passed_on() -> None:
    with board() as made:
        setting = Setting(made)
        state = setting.ejections.state(setting.member)
        made.set_outlier_state(setting.member.slot, state._replace(ejected_until_ms=2**42, generation=1, logged=True))
        setting.store.answers = [AWAY]
        with pytest.raises(StoreUnavailable):
            setting.look()
        assert setting.out
