"""The leader's settling where replicas, hands and old data disagree about who is in the cluster and who is out."""

from dataclasses import replace
from typing import Any

import pytest

from proxy.fleet import settle
from proxy.scoreboard.clusters import ClusterLocked
from tests.unit.fleet.fleet_fakes import (
    board,
    ejection,
    known,
    verdict,
)
from tests.unit.fleet.test_settle import FIRST, Setting


def test_S_F1_who_is_in_the_cluster_is_told_with_every_look_while_anything_is_out() -> None:
    with board() as made:
        setting, views = Setting(made), []
        setting.look()
        setting.look(settle.QUIET_VIEW_MS)
        views += [view and view.for_ms for view in setting.store.views]
        assert views == [None, settle.VIEW_HOLDS_MS + settle.LOOKS * settle.QUIET_VIEW_MS]
        setting.own(0, 1000, shared=True)
        setting.view(ejection(FIRST, "pod-0", 29_000), version=1)
        for _ in range(2):
            setting.store.views.clear()
            setting.look()
            assert [view and view.replica for view in setting.store.views] == ["a"]


def test_S_F5_a_hand_is_offered_with_its_reason_and_its_name_after_lost_data() -> None:
    with board() as made:
        setting = Setting(made)
        by_alice = replace(known(generation=4), by="alice", reason="disk full", failures=0)
        setting.ejections.confirm(setting.cluster, setting.endpoint, by_alice, setting.now, setting.now)
        setting.view(version=1, epoch="e2")
        setting.store.answers = [replace(verdict("ejected", left_ms=29_000), by="alice", reason="disk full")]
        setting.look()
        (offered,) = setting.store.offers
        assert (offered.by, offered.reason, offered.workload) == ("alice", "disk full", "")
        state = setting.ejections.state(setting.endpoint)
        assert (state.by, state.reason) == ("alice", "disk full")
        setting.ejections.lift(setting.cluster, setting.endpoint, "by_hand", setting.now)
        assert setting.ejections.state(setting.endpoint).reason == ""


def test_S_F4_a_hand_needs_no_room_here_either() -> None:
    with board() as made:
        setting = Setting(made)
        setting.own(0, 1000, shared=True)
        other = setting.cluster.endpoints["10.0.0.1:80"]
        assert not setting.ejections.has_room(setting.cluster, other, "consecutive_5xx")
        assert setting.ejections.has_room(setting.cluster, other, "disk full")


def test_S_F8_a_cluster_whose_lock_is_not_given_back_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with board() as made:
        setting = Setting(made)

        def locked(*_: Any, **__: Any) -> None:
            raise ClusterLocked("is it stopped?")

        with monkeypatch.context() as patch:
            patch.setattr(setting.ejections, "expire", locked)
            setting.view(ejection(FIRST, "pod-0"))
            setting.look()
            assert [message for message in caplog.messages if "is it stopped" in message]
        assert not setting.out
        setting.look()
        assert setting.out


def test_S_F3_what_older_data_bring_back_is_withdrawn() -> None:
    """And nothing that has begun since, such as what a hand has ejected at once."""
    with board() as made:
        setting = Setting(made)
        lifted, new = setting.endpoint, setting.cluster.endpoints["10.0.0.1:80"]
        for endpoint in (lifted, new):
            setting.ejections.confirm(
                setting.cluster, endpoint, known(generation=3, version=8), setting.now, setting.now, certain=True
            )
            setting.ejections.lift(setting.cluster, endpoint, "by_hand", setting.now + 10, 9)
        made.clusters.set_fleet_version(setting.cluster.slot, 9, "e1")
        setting.loop.pass_time(1000)
        setting.view(ejection(FIRST, "pod-0", 28_000, 3), ejection("10.0.0.1:80", "pod-1", 30_000, 3), version=8)
        setting.look(0)
        assert setting.store.withdrawn == [FIRST]
        assert not setting.out
        assert setting.ejections.state(new).ejected_until_ms


def test_S_F3_older_data_may_have_an_older_epoch() -> None:
    """Redis was emptied, and then an old file was restored."""
    with board() as made:
        setting = Setting(made)
        setting.ejections.confirm(
            setting.cluster, setting.endpoint, known(generation=3, version=8), setting.now, setting.now, certain=True
        )
        setting.ejections.lift(setting.cluster, setting.endpoint, "by_hand", setting.now + 10, 9)
        made.clusters.set_fleet_version(setting.cluster.slot, 1, "e2")
        setting.loop.pass_time(1000)
        setting.view(ejection(FIRST, "pod-0", 28_000, 3), version=8)
        setting.look(0)
        assert setting.store.withdrawn == [FIRST]
        assert not setting.out


def test_S_F5_a_hand_since_older_data_is_offered() -> None:
    with board() as made:
        setting = Setting(made)
        by_alice = replace(known(generation=2, version=2), by="alice", reason="maintenance")
        setting.ejections.confirm(setting.cluster, setting.endpoint, by_alice, setting.now, setting.now, certain=True)
        made.clusters.set_fleet_version(setting.cluster.slot, 2, "e1")
        setting.view(ejection(FIRST, "pod-0", 28_000, 1), version=1)
        setting.store.answers = [verdict("ejected", 0, 2, 30_000, 3)]
        setting.look()
        assert [(offer.by, offer.reason, offer.generation) for offer in setting.store.offers] == [
            ("alice", "maintenance", 2)
        ]


def test_data_that_come_back_are_not_looked_at_for_ever() -> None:
    with board() as made:
        setting = Setting(made)
        setting.loop.luck = 0.4
        made.clusters.set_fleet_version(setting.cluster.slot, 0, "e1")
        setting.view(version=0, epoch="e2")
        setting.look()
        assert setting.settling.due_ms(setting.cluster) == setting.now + 200
        setting.view(version=0, epoch="e1")
        setting.look(200)
        assert setting.settling.due_ms(setting.cluster) > setting.now


def test_S_F2_news_end_what_rightly_differed() -> None:
    with board() as made:
        setting = Setting(made)
        setting.view(ejection(FIRST, "somebody-else", generation=0))
        setting.look()
        setting.view(ejection(FIRST, "pod-0", generation=0))  # the same version: only the name is another
        setting.look()
        assert not setting.out
        setting.settling.look_at_once(setting.cluster)
        setting.look(0)
        assert setting.out


@pytest.mark.parametrize(("replicas", "pause_ms"), [(2, 1000), (50, 1000), (300, 6000), (1000, 10_000)])
def test_while_anything_is_out_a_large_fleet_looks_as_often_together_as_fifty_do(replicas: int, pause_ms: int) -> None:
    """Whoever finds what a hand has done tells the others. Never more seldom than `interval`."""
    with board() as made:
        setting = Setting(made)
        setting.cluster = replace(setting.cluster, policy=replace(setting.cluster.policy, interval_ms=10_000))
        setting.desk.clusters[setting.cluster.name] = setting.cluster
        setting.view(ejection(FIRST))
        setting.store.lefts, setting.store.replicas = {FIRST: 30_000}, replicas
        for pause in (1000, 1000, 10_000):
            setting.look(pause)
        assert setting.settling.due_ms(setting.cluster) == setting.now + pause_ms
        told = setting.store.views[-1]
        assert told is not None
        assert told.for_ms > 2 * pause_ms, "its word holds until it is said again"
