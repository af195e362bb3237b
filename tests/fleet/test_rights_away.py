"""A Redis whose user lacks a right that decisions need: each replica decides by itself, and says what to give it."""

from pathlib import Path

from tests import redis_rig
from tests.fleet.fleet_rig import fail_until_out, fleet, key
from tests.rig import wait_until
from tests.state.test_rights import DOCUMENTED, grant

ALL = DOCUMENTED[0]


def test_before_a_decision_and_not_after_it(tmp_path: Path) -> None:
    with redis_rig.server(tmp_path / "redis") as server, server.client() as admin:
        grant(admin, ALL.replace(" +zadd", ""))
        url = f"redis://waypoint:s3cret@127.0.0.1:{server.port}"
        with fleet(tmp_path, url, count=4, client=admin) as made:
            first, second, *_ = made.members
            wait_until(
                lambda: all("ACL SETUSER waypoint +zadd" in each.waypoint.errors() for each in made.replicas), 5, "told"
            )
            assert fail_until_out(made, first) == 3
            assert [made.mode(which) for which in range(2)] == ["local"] * 2
            assert not list(admin.scan_iter(match="*:eject:*"))
            grant(admin, ALL)
            wait_until(lambda: made.agrees(first), 15, "a fleet, as soon as it may be one")
            assert admin.exists(key(first))
            admin.execute_command("ACL", "SETUSER", "waypoint", "-zadd")
            assert fail_until_out(made, second) == 3
            wait_until(lambda: made.mode(0) == "local", 5, "by itself again")
            assert not admin.exists(key(second)), "nor half a decision"
            assert "Redis does not let us" in made.replicas[0].waypoint.errors()
            grant(admin, ALL)
            wait_until(lambda: made.agrees(first, second), 15, "a fleet again")
