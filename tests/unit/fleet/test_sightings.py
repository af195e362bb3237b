"""What is seen of ejections from outside: told once, by whom it should be, in plain words."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.fleet.sightings import AGAIN_MS, EARLY_MS, Sighting, Sightings
from proxy.ipc.snapshot import ClusterForm
from proxy.policy.shapes import CONNECTION_REFUSED
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.views import OutlierState
from state.constants import ENDLESS_MS
from tests.unit.fleet.fleet_fakes import NAME, board, body

NOW = time.monotonic_ns() // 1_000_000  # rows are looked at by this clock
AT = 1_764_000_000.0  # 16:00:00


class Rig:
    """Sightings of one cluster. `out` puts its first endpoint out as Redis, or whoever, has said."""

    def __init__(self, made: Scoreboard) -> None:
        made.tell_time(NOW * 1_000_000)
        self.board = made
        self.form: ClusterForm = body(made)
        self.slot = self.form["endpoints"][0]["slot"]
        self.sightings = Sightings(made, "way-a", "1.0")
        made.clusters.set_fleet_version(self.form["slot"], 1, "ab")

    def out(self, **changed: Any) -> None:
        state = OutlierState(0, 1, 1, 1, NOW + 30_000, 30_000, 0, 5, False, True, True, False, 1)
        self.board.outlier.set_state(
            self.slot, state._replace(by="way-a", reason="consecutive_5xx")._replace(**changed)
        )

    def back(self) -> None:
        self.board.outlier.set_state(self.slot, self.board.outlier.state(self.slot)._replace(ejected_until_ms=0))

    def look(self, after_ms: int = 0) -> list[Sighting]:
        return list(self.sightings.look({NAME: self.form}, NOW + after_ms, AT + after_ms / 1000))


@pytest.fixture
def rig() -> Iterator[Rig]:
    with board() as made:
        yield Rig(made)


def test_an_ejection_and_its_end_are_told_once(rig: Rig) -> None:
    assert rig.look() == []
    for _ in range(5):
        rig.board.endpoints.note_cause(rig.slot, 503)
    rig.out()
    (seen,) = rig.look()
    assert seen[:4] == (NAME, "10.0.0.0:80", "pod-0", True)
    assert seen.text == (
        "until 2025-11-24T16:00:30Z (30s): 5 consecutive failures: 503 (DestinationRule httpbin/rule), for all replicas"
    )
    assert rig.look(1000) == []
    rig.back()
    (back,) = rig.look(30_000)
    assert not back.out and back.text == "its time is over" and back.occurrence == seen.occurrence
    assert rig.look(31_000) == []


def test_all_replicas_call_it_the_same_and_the_next_one_another(rig: Rig) -> None:
    rig.out(by="way-b")
    other = Sightings(rig.board, "way-b", "7.0")
    (theirs,) = other.look({NAME: rig.form}, NOW, AT)
    assert rig.look() == [], "way-b has decided it, and tells"
    assert rig.look(1000) == []
    (ours,) = rig.look(2000)
    assert ours.occurrence == theirs.occurrence
    rig.out(generation=2)
    (again,) = rig.look(2002)
    assert again.occurrence != ours.occurrence
    rig.back()
    rig.look(30_000)
    rig.board.clusters.set_fleet_version(rig.form["slot"], 1, "cd")  # Redis has lost its data
    rig.out(generation=2)
    assert rig.look(1000)[0].occurrence != again.occurrence


def test_one_that_is_put_back_early_and_one_that_never_ends(rig: Rig) -> None:
    rig.out(reason="broken disk", by="ann", ejected_until_ms=NOW + ENDLESS_MS, ejection_ms=ENDLESS_MS)
    rig.look(), rig.look()
    (seen,) = rig.look(1)
    assert seen.text == "until it is put back: by hand (ann: broken disk), for all replicas"
    assert rig.look(AGAIN_MS) == []
    (still,) = rig.look(AGAIN_MS + 1)
    assert still.out and still.occurrence == seen.occurrence
    rig.back()
    (back,) = rig.look(AGAIN_MS + EARLY_MS)
    assert back.text == "it was put back before its time"


def test_one_that_is_still_asked_about_is_not_told(rig: Rig) -> None:
    rig.board.shared_state = True
    rig.out(held=True, shared=False)
    assert not rig.look() and not rig.look(10_000)
    rig.back()
    assert not rig.look(11_000), "released: nobody was told that it was out"


def test_one_that_this_replica_decides_alone_is_its_own(rig: Rig) -> None:
    rig.board.endpoints.note_cause(rig.slot, CONNECTION_REFUSED)
    rig.out(shared=False, run=1, reason="", by="")
    (seen,) = rig.look()
    assert seen.text.endswith("1 consecutive failures: refused (DestinationRule httpbin/rule), for replica way-a alone")
    assert "way-a 1.0" in seen.occurrence, "in another life of the replica it is another one"


def test_one_that_the_fleet_is_to_hear_of_is_told_when_it_has(rig: Rig) -> None:
    rig.board.shared_state = True
    rig.out(shared=False)
    assert rig.look() == []
    rig.out()
    (seen,) = rig.look(1000)
    assert "fleet ab" in seen.occurrence and seen.text.endswith("for all replicas")


def test_one_that_the_fleet_does_not_hear_of_is_told_all_the_same(rig: Rig) -> None:
    rig.board.shared_state = True
    rig.out(shared=False)
    assert [len(rig.look(1000 * look)) for look in range(5)] == [0, 0, 0, 1, 0]


def test_probes_in_words(rig: Rig) -> None:
    rig.out(reason="probe_failed", probe_at_ms=NOW + 30_000, ejected_until_ms=NOW + 600_000)
    (seen,) = rig.look()
    assert seen.text.startswith(
        "until a request succeeds that tries it, from 2025-11-24T16:00:30Z on: the request that tried it failed"
    )

    rig.back()
    (back,) = rig.look(40_000)
    assert back.text == "a request that tried it has succeeded, or somebody has put it back"


def test_an_endpoint_or_cluster_that_is_gone_is_forgotten(rig: Rig) -> None:
    rig.out()
    assert rig.look()
    whole = rig.form
    rig.form = whole | {"endpoints": whole["endpoints"][1:]}
    assert rig.look(1000) == []
    rig.form = whole
    assert rig.look(2000), "it is a new one"
    assert list(rig.sightings.look({}, NOW + 3000, AT)) == []
    assert not rig.sightings._out and not rig.sightings._slots


def test_another_pod_at_the_address_has_not_come_back(rig: Rig) -> None:
    rig.out()
    assert rig.look()
    first = rig.form["endpoints"][0]
    slot = rig.board.endpoints.add(rig.form["slot"], "10.0.0.0:80", "pod-9")
    fresh = first | {"workload": "pod-9", "slot": slot}
    rig.form = rig.form | {"endpoints": [fresh, *rig.form["endpoints"][1:]]}
    assert rig.look(1000) == []
