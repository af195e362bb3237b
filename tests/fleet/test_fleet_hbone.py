"""A fleet in a mesh: what one replica learns through its tunnels, the others know."""

from pathlib import Path

from state.server.embedded import Embedded
from tests.fleet.fleet_rig import ejected
from tests.hbone.replicas import mesh
from tests.rig import endpoints, wait_until


def test_three_failures_behind_ztunnels_are_three_for_all_replicas(valkey: Embedded, tmp_path: Path) -> None:
    with endpoints() as members, mesh(tmp_path, members, redis=valkey.url, names="ab") as (replicas, _):
        order = [member.name[-5:] for member in members]
        assert [sorted(each.hostnames(3)) for each in replicas] == [order, order]
        members[0].status = 503
        answers = [replicas[number % 2].hostname() for number in range(24)]
        assert answers.count("503") == 3
        for each in replicas:
            wait_until(lambda each=each: ejected(each) == {members[0].address}, 2, "known")
        members[0].status = 200
        wait_until(lambda: not ejected(replicas[0]) and not ejected(replicas[1]), 6, "back")

        members[1].kill()
        assert set(replicas[0].hostnames(12)) == {order[0], order[2]}, "no client sees it"
        for each in replicas:
            wait_until(lambda each=each: ejected(each) == {members[1].address}, 2, "known")
        wait_until(lambda: len(replicas[1].waypoint.ejections()) == 2, 2, "its own line of each")
        assert set(replicas[1].hostnames(6)) == {order[0], order[2]}
