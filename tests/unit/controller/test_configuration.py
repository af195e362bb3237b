"""The configuration as it was read last: what has vanished all at once is not believed at once (N10)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.controller.configuration import Configuration

DEMO = Path(__file__).parents[3] / "conf" / "demo"
GRACE_S = 30.0


class Rig:
    """A copy of the demo's manifests, and a clock that stands until it is moved."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 100.0
        shutil.copytree(DEMO, path)
        self.configuration = Configuration([str(path)], None, GRACE_S, lambda: self.now)
        assert self.configuration.refresh(False) and self.served

    @property
    def served(self) -> bool:
        return self.configuration.snapshot is not None and bool(self.configuration.snapshot.clusters)

    def without(self, *kinds: str) -> None:
        """The objects of these kinds are taken away; all, if none is given."""
        for file in self.path.glob("*.yaml"):
            parts = file.read_text().split("\n---\n")
            kept = [part for part in parts if kinds and not any(f"\nkind: {kind}\n" in f"\n{part}" for kind in kinds)]
            file.write_text("\n---\n".join(kept)) if kept else file.unlink()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "manifests")


@pytest.mark.parametrize(
    "vanish",
    [lambda rig: rig.without(), lambda rig: rig.without("Gateway"), lambda rig: shutil.rmtree(rig.path)],
    ids=["emptied", "no Gateway", "no directory"],
)
def test_what_has_vanished_closes_nothing_until_the_grace_is_over(rig: Rig, vanish: Callable[[Rig], None]) -> None:
    vanish(rig)
    assert rig.configuration.refresh(False)
    assert rig.served
    (fault,) = rig.configuration.faults
    assert "Gateway httpbin/httpbin-waypoint is gone from the manifests; nothing is closed for 30 s" in fault
    rig.now += GRACE_S - 1
    assert not rig.configuration.refresh(False), "it is told once"
    rig.now += 1
    assert rig.configuration.refresh(False)
    assert (rig.served, rig.configuration.faults) == (False, ())
    assert not rig.configuration.refresh(False)


def test_what_is_back_in_time_was_never_gone(rig: Rig) -> None:
    before = rig.configuration.snapshot
    rig.without()
    assert rig.configuration.refresh(False)
    shutil.copytree(DEMO, rig.path, dirs_exist_ok=True)
    assert rig.configuration.refresh(False)
    assert (rig.configuration.snapshot, rig.configuration.faults) == (before, ())
    rig.now += 2 * GRACE_S
    assert not rig.configuration.refresh(False)
    rig.without()
    assert rig.configuration.refresh(False)
    assert rig.served, "another grace begins"


def test_who_says_so_is_believed_at_once(rig: Rig) -> None:
    rig.without("Gateway")
    assert rig.configuration.refresh(True)
    assert (rig.served, rig.configuration.faults) == (False, ())


def test_what_was_never_there_has_not_vanished(tmp_path: Path) -> None:
    configuration = Configuration([str(tmp_path)], None, GRACE_S, lambda: 0.0)
    assert configuration.refresh(False)
    assert (configuration.faults, configuration.reason) == ((), "no Gateway")
