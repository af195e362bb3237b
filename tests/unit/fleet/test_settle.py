"""What the leader does where Redis and the scoreboard differ."""

from dataclasses import replace
from typing import Any

import pytest

from proxy.fleet.clusters import cluster_of
from proxy.fleet.settle import Settling
from proxy.scoreboard.scoreboard import Scoreboard
from state.errors import KeysUnusable, StoreUnavailable
from state.outlier.store import ClusterView
from tests.unit.fleet.fleet_fakes import (
    AWAY,
    FakeLoop,
    FakeStore,
    a_cluster,
    board,
    body,
    desk_of,
    ejection,
    known,
    verdict,
)

FIRST = "10.0.0.0:80"


class Setting:
    def __init__(self, made: Scoreboard) -> None:
        self.board, self.cluster = made, a_cluster(made)
        self.store, self.loop = FakeStore(), FakeLoop()
        self.loop.pass_time(0)
        self.desk, self.told = desk_of(made, self.cluster, self.loop)
        self.ejections = self.desk.ejections
        self.settling = Settling(self.desk, self.store)
        self.settling.settle(self.cluster)

    @property
    def now(self) -> int:
        return self.loop.now_ms()

    @property
    def endpoint(self) -> Any:
        return self.cluster.endpoints[FIRST]

    @property
    def out(self) -> bool:
        return self.ejections.state(self.endpoint).ejected_until_ms > self.now

    def own(self, which: int, ago_ms: int, generation: int = 1, version: int = 0, shared: bool = False) -> str:
        """An ejection of 30 s that began so long ago, by our own decision or known to the fleet."""
        endpoint = self.cluster.endpoints[f"10.0.0.{which}:80"]
        until = self.now - ago_ms + 30_000
        self.board.outlier.set_state(
            endpoint.slot,
            self.ejections.state(endpoint)._replace(
                ejected_until_ms=until,
                ejection_ms=30_000,
                generation=generation,
                version=version,
                shared=shared,
                logged=True,
            ),
        )
        return endpoint.address

    def look(self, after: int = 1000) -> None:
        self.loop.pass_time(after)
        self.settling.settle(self.cluster)

    def remove_first(self) -> None:
        """A snapshot without the first endpoint."""
        all_of_them = body(self.board, 3, self.cluster.slot)
        fewer = cluster_of(all_of_them | {"endpoints": all_of_them["endpoints"][1:]})
        assert fewer is not None
        self.desk.clusters[fewer.name] = self.cluster = fewer

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
        setting.ejections.confirm(setting.cluster, setting.endpoint, known(version=2), setting.now, setting.now)
        made.clusters.set_fleet_version(setting.cluster.slot, 2, "e1")
        setting.view(version=2)
        setting.look()
        assert not setting.out


def test_offers_after_lost_data_wait_for_their_turn() -> None:
    with board() as made:
        setting = Setting(made)
        setting.loop.luck = 0.4
        endpoint = setting.own(0, 1000, generation=5, version=9, shared=True)
        made.clusters.set_fleet_version(setting.cluster.slot, 9, "e1")
        setting.view(version=0, epoch="e2")
        setting.look()
        assert setting.settling.due_ms(setting.cluster) == setting.now + 200
        setting.look(199)
        assert (setting.store.offers, setting.out) == ([], True)
        setting.store.answers = [verdict("ejected", 3, 5, 27_000, 1)]
        setting.look(1)
        assert [(offer.endpoint, offer.generation) for offer in setting.store.offers] == [(endpoint, 5)]
        setting.view(ejection(FIRST, generation=5), version=1, epoch="e2")
        for _ in range(3):
            setting.look()
        assert (len(setting.store.offers), setting.out, setting.told.lines) == (1, True, [])


def test_what_another_replica_has_offered_is_only_adopted() -> None:
    with board() as made:
        setting = Setting(made)
        setting.loop.luck = 0.4
        setting.own(0, 1000, generation=5, version=9, shared=True)
        made.clusters.set_fleet_version(setting.cluster.slot, 9, "e1")
        setting.view(version=0, epoch="e2")
        setting.look()
        setting.view(ejection(FIRST, generation=5), version=1, epoch="e2")
        setting.look(200)
        assert (setting.store.offers, setting.out, setting.told.lines) == ([], True, [])
        assert made.clusters.fleet_version(setting.cluster.slot) == (1, "e2")


@pytest.mark.parametrize("told_by", ["look", "answer"])
def test_a_version_that_went_back_is_lost_data(told_by: str) -> None:
    """The epoch has survived a failover, the last writes have not. Whoever heard of them knows."""
    with board() as made:
        setting = Setting(made)
        endpoint = setting.own(0, 1000, generation=2, version=9, shared=True)
        made.clusters.set_fleet_version(setting.cluster.slot, 9 if told_by == "look" else 8, "e1")
        setting.view(version=8, generations={endpoint: 1})
        setting.store.answers = [verdict("ejected", 3, 2, 28_000, 9)]
        setting.look()
        assert [(offer.endpoint, offer.generation) for offer in setting.store.offers] == [(endpoint, 2)]
        assert setting.out
        assert made.clusters.fleet_version(setting.cluster.slot)[1] == "e1'", "a new epoch"
        assert setting.told.lines == []


def test_the_oldest_of_our_own_is_offered_first() -> None:
    with board() as made:
        setting = Setting(made)
        younger, older = setting.own(0, 1000), setting.own(1, 5000)
        setting.store.answers = [verdict("ejected", 3, 1, 25_000, 2), verdict("overflow", version=2)]
        setting.look()
        assert [offer.endpoint for offer in setting.store.offers] == [older, younger]
        assert setting.told.lines == [f"unejecting {younger} overflow"]
        assert setting.ejections.state(setting.endpoint).generation == 0, "as Redis counts"


def test_ends_are_kept_when_the_clock_of_redis_is_set() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(ejection(FIRST), version=2)
        setting.look()
        until = setting.ejections.state(setting.endpoint).ejected_until_ms
        for left in (49_000, 9_000):
            setting.view(ejection(FIRST, left_ms=left), version=2)
            made.clusters.set_fleet_version(setting.cluster.slot, 1, "e1")  # something else has changed
            setting.look()
            assert setting.ejections.state(setting.endpoint).ejected_until_ms == until
        changed = replace(ejection(FIRST, left_ms=90_000), ejection_ms=90_000)
        setting.view(changed, version=3)
        setting.look()
        assert setting.ejections.state(setting.endpoint).ejected_until_ms == setting.now + 90_000, "EXPIRE by a hand"


def test_an_end_that_came_late_by_message_is_corrected() -> None:
    with board() as made:
        setting = Setting(made)
        told = known(version=2)
        setting.ejections.confirm(setting.cluster, setting.endpoint, told, setting.now + 500, setting.now + 500)
        setting.settling.told_by_message(setting.cluster, setting.endpoint)
        made.clusters.set_fleet_version(setting.cluster.slot, 2, "e1")
        setting.view(ejection(FIRST, left_ms=29_000), version=2)
        setting.look()
        assert setting.ejections.state(setting.endpoint).ejected_until_ms == setting.now + 29_000


def test_a_clock_put_forward_is_no_hand() -> None:
    with board() as made:
        setting = Setting(made)
        setting.store.view = replace(setting.store.view, time_ms=setting.now)
        made.clusters.set_fleet_version(setting.cluster.slot, 0, "e1")
        setting.look()
        endpoint = setting.own(0, 15_000, version=1, shared=True)
        setting.store.view = replace(setting.store.view, time_ms=setting.now + 20_000)
        for _ in range(3):
            setting.look()
            setting.store.view = replace(setting.store.view, time_ms=setting.now + 20_000)
            assert setting.out
        syncs = setting.store.syncs
        setting.look()
        assert setting.store.syncs == syncs, "and costs no more than a look"
        setting.loop.pass_time(15_000)
        setting.ejections.expire(setting.cluster, setting.endpoint, setting.now)
        setting.own(0, 0, generation=2, version=1, shared=True)
        setting.look()
        assert not setting.out, "the next one is lifted by whoever deletes it"
        assert setting.told.lines == [f"unejecting {endpoint} expired", f"unejecting {endpoint} by_hand"]


def test_a_clock_put_back_ejects_nobody_again() -> None:
    with board() as made:
        setting = Setting(made)
        setting.own(0, 30_000, version=1, shared=True)
        setting.ejections.expire(setting.cluster, setting.endpoint, setting.now)
        setting.view(ejection(FIRST, left_ms=20_000), version=1)
        for _ in range(3):
            setting.look()
        assert not setting.out
        assert setting.store.syncs == 2
        setting.view(ejection(FIRST, generation=2), version=1)
        made.clusters.set_fleet_version(setting.cluster.slot, 0, "e1")
        setting.look()
        assert setting.out


def test_keys_of_no_use_are_one_clusters_affair(caplog: pytest.LogCaptureFixture) -> None:
    with board() as made:
        setting = Setting(made)
        slot = setting.cluster.slot
        setting.store.unusable = KeysUnusable("redis: WRONGTYPE")
        made.clusters.set_fleet_version(slot, 7, "e1")
        for _ in range(3):
            setting.look()
        assert made.clusters.alone(slot)
        (line,) = caplog.messages
        assert "waypoint:{c}:log is a string, not a stream" in line
        assert "redis-cli del" in line
        state = setting.ejections.state(setting.endpoint)
        made.outlier.set_state(setting.endpoint.slot, state._replace(failures=2, dirty=True))
        setting.store.unusable = None
        with caplog.at_level("INFO"):
            setting.look()
        assert not made.clusters.alone(slot)
        assert "usable again" in caplog.messages[-1]
        assert setting.desk.outbox.waiting(setting.endpoint), "the run goes on"


def test_a_worker_that_met_such_keys_has_the_leader_say_so_at_once() -> None:
    with board() as made:
        setting = Setting(made)
        made.clusters.set_alone(setting.cluster.slot, True)
        assert setting.settling.due_ms(setting.cluster) == 0


def test_a_large_cluster_is_read_in_parts() -> None:
    with board() as made:
        setting = Setting(made)
        large = cluster_of(body(made, 1201, setting.cluster.slot))
        assert large is not None
        setting.desk.clusters[large.name] = large
        setting.settling.settle(large)
        assert setting.store.syncs == 1 + 3


def test_lost_data_is_offered_again_in_silence() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(ejection(FIRST, generation=5), version=9)
        setting.look()
        setting.view(version=0, epoch="e2")
        setting.store.answers = [verdict("ejected", 3, 5, 29_000, 1)]
        setting.look()
        (offer,) = setting.store.offers
        assert (offer.endpoint, offer.workload, offer.left_ms, offer.generation) == (FIRST, "pod-0", 29_000, 5)
        assert setting.out
        assert len(setting.told.lines) == 1


@pytest.mark.parametrize(("answer", "stays"), [("ejected", True), ("already_ejected", True), ("overflow", False)])
def test_own_decisions_are_offered(answer: str, stays: bool) -> None:
    with board() as made:
        setting = Setting(made)
        state = setting.ejections.state(setting.endpoint)
        made.outlier.set_state(
            setting.endpoint.slot,
            state._replace(ejected_until_ms=2**42, ejection_ms=30_000, generation=1, logged=True),
        )
        setting.loop.set_ms = 2**42 - 20_000
        setting.view(generations={FIRST: 4})
        setting.store.answers = [verdict(answer, 3, 5, 20_000 if stays else 0, 3)]
        setting.look(0)
        assert setting.store.offers[0].generation == 5, "above whatever the store has counted"
        assert setting.out == stays


def test_a_view_older_than_the_verdict_does_not_lift() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(version=2)

        def meanwhile() -> None:
            setting.ejections.confirm(setting.cluster, setting.endpoint, known(version=3), setting.now, setting.now)

        setting.store.meanwhile = meanwhile
        setting.look()
        assert setting.out


def test_a_snapshot_while_redis_answers() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(ejection(FIRST))
        setting.store.meanwhile = setting.desk.clusters.clear
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
        setting.remove_first()
        setting.settling.settle(setting.cluster)
        assert setting.store.forgotten == [FIRST]


def test_one_removed_while_redis_was_away_makes_room_too() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(ejection(FIRST))
        setting.look()
        setting.settling.begin(alone_before=True)
        setting.remove_first()
        setting.settling.settle(setting.cluster)
        assert setting.store.forgotten == [FIRST]


def test_runs_go_on_after_local_mode() -> None:
    with board() as made:
        setting = Setting(made)
        state = setting.ejections.state(setting.endpoint)
        made.outlier.set_state(setting.endpoint.slot, state._replace(failures=2, dirty=True))
        setting.settling.begin(alone_before=True)
        setting.look(0)
        assert setting.desk.outbox.waiting(setting.endpoint)
        assert setting.ejections.state(setting.endpoint).failures == 2


def test_a_run_ended_elsewhere_ends_here() -> None:
    with board() as made:
        setting = Setting(made)
        state = setting.ejections.state(setting.endpoint)
        made.outlier.set_state(setting.endpoint.slot, state._replace(failures=2, dirty=True))
        setting.view(version=3)
        setting.look()
        assert setting.ejections.state(setting.endpoint).failures == 0


def test_a_lost_store_is_passed_on() -> None:
    with board() as made:
        setting = Setting(made)
        state = setting.ejections.state(setting.endpoint)
        made.outlier.set_state(setting.endpoint.slot, state._replace(ejected_until_ms=2**42, generation=1, logged=True))
        setting.store.answers = [AWAY]
        with pytest.raises(StoreUnavailable):
            setting.look()
        assert setting.out
