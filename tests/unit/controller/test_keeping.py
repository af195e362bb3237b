"""What is kept for the next controller: it gives back the last snapshot, costs what changed, and stays small."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from proxy.controller.keeping import SLACK, Keeping
from proxy.controller.snapshots import Snapshots
from proxy.ipc.channel import Message, read_body
from proxy.ipc.snapshot import unpack, unpack_all
from tests.unit.controller.controller_rig import LISTENERS, TLS, A, B, Board, as_scoreboard, http, of


class Arbiter:
    """Holds what it is given, as the arbiter does, and nothing else."""

    def __init__(self) -> None:
        self.fds: list[int] = []

    def __call__(self, message: Message, fds: tuple[int, ...]) -> None:
        assert message == {"op": "keep"}
        self.fds.append(os.dup(fds[0]))

    @property
    def kept(self) -> bytes:
        return read_body(self.fds[-1])


class Setting:
    def __init__(self) -> None:
        self.board, self.arbiter = Board(), Arbiter()
        self.snapshots = Snapshots(as_scoreboard(self.board))
        self.keeping = Keeping(self.snapshots, self.arbiter)

    def successor(self) -> Snapshots:
        made = Snapshots(as_scoreboard(self.board))
        made.restore(unpack_all(self.arbiter.kept))
        return made


@pytest.fixture
def setting() -> Iterator[Setting]:
    made = Setting()
    yield made
    for fd in made.arbiter.fds:
        os.close(fd)


def test_the_next_controller_has_the_last_snapshot_with_all_that_changed_on_the_way(setting: Setting) -> None:
    snapshots, keeping = setting.snapshots, setting.keeping
    both = http(a={"a": ("a",)}, b={"b": ("b",)})
    for listeners, clusters, tls in [
        (LISTENERS, of(A), None),
        (both, of(A, B), None),
        (both, of(replace(A, closed="why"), B), TLS),
        (http(b={"b": ("b", "b:80")}), of(B), TLS),
        ({}, of(B), TLS),
        (LISTENERS, of(A, B), TLS),
    ]:
        assert snapshots.update(listeners, clusters, 0.0, tls)
        keeping.keep()
        successor = setting.successor()
        assert unpack(successor.body(0)) == unpack(snapshots.body(0))
        assert not successor.update(listeners, clusters, 0.0, tls), "it is the one in force"
    assert len(setting.arbiter.fds) == 1, "the first was given, the others were added to it"


def test_the_next_controller_knows_what_workers_lack_since_the_full_body(setting: Setting) -> None:
    for clusters in (of(A), of(A, B), of(B)):
        setting.snapshots.update(LISTENERS, clusters, 0.0)
        setting.keeping.keep()
    for since in (0, 1, 2, 3):
        assert unpack(setting.successor().body(since)) == unpack(setting.snapshots.body(since))


def test_one_that_was_half_written_counts_for_nothing(setting: Setting) -> None:
    for clusters in (of(A), of(A, B)):
        setting.snapshots.update(LISTENERS, clusters, 0.0)
        setting.keeping.keep()
    successor = Snapshots(as_scoreboard(setting.board))
    successor.restore(unpack_all(setting.arbiter.kept[:-1]))
    assert successor.number == 1
    assert list(successor.clusters) == ["a"]


def test_it_begins_anew_before_it_is_much_larger_than_it_need_be(setting: Setting) -> None:
    setting.snapshots.update(LISTENERS, of(A), 0.0)
    most = 2 * len(setting.snapshots.body(0)) + SLACK
    turns = 0
    while len(setting.arbiter.fds) < 3:
        setting.snapshots.update(LISTENERS, of(replace(A, closed=f"{turns}" * 50)), 0.0)
        setting.keeping.keep()
        assert len(setting.arbiter.kept) < most + 1000
        turns += 1
    assert turns > 2 * SLACK / 2000
    assert setting.successor().number == setting.snapshots.number
