"""The guide's walk-through again, with clients and endpoints behind ztunnels: same steps, same outcomes."""

from pathlib import Path

import pytest

from state.server.embedded import Embedded
from tests.guide.test_guide import walk
from tests.hbone.replicas import mesh
from tests.rig import endpoints, wait_until


@pytest.mark.parametrize("captured", [True, False], ids=["hbone", "plain"])
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_one_replica(workers: int, captured: bool, valkey: Embedded, tmp_path: Path) -> None:
    with (
        endpoints() as members,
        mesh(tmp_path, members, redis=valkey.url, captured=captured, workers=workers) as (replicas, manifests),
    ):
        walk(replicas, members, manifests, valkey, 3.0)


@pytest.mark.slow
def test_two_replicas(valkey: Embedded, tmp_path: Path) -> None:
    with (
        endpoints() as members,
        mesh(tmp_path, members, captured=True, workers=2, redis=valkey.url, names="ab") as (replicas, manifests),
    ):
        walk(replicas, members, manifests, valkey, 3.0)


def test_an_app_killed_behind_a_live_ztunnel_is_seen_by_no_client(valkey: Embedded, tmp_path: Path) -> None:
    with (
        endpoints() as members,
        mesh(tmp_path, members, captured=True, workers=4, redis=valkey.url) as (replicas, _),
    ):
        order = [member.name[-5:] for member in members]
        assert replicas[0].hostnames(6) == order * 2
        members[1].kill()
        answers = replicas[0].hostnames(20)
        assert set(answers) == {order[0], order[2]}
        (line,) = wait_until(replicas[0].waypoint.ejections, 2, "ejected")
        assert f"endpoint={members[1].address}" in line and "consecutive" in line
