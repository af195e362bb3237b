"""Recovery by probe, in whole fleets: one request in all tries an endpoint whose ejection is over."""

import time
from pathlib import Path
from typing import Any

from state.server.embedded import Embedded
from tests.fleet.fleet_rig import Fleet, fail_until_out, fleet, key
from tests.manifests import RULE, rule
from tests.rig import Endpoint, Replica, stays, wait_until

PROBE = {"waypointd.io/recovery": "probe"}


def by_probe(made: Fleet, **changes: str) -> None:
    """Every replica has the rule with the annotation."""
    for manifests in made.manifests:
        body = rule(interval="1s", maxEjectionPercent=50, **changes)
        body["metadata"]["annotations"] = PROBE
        manifests.put("rule", body)
    for each in made.replicas:
        wait_until(lambda each=each: cluster_of(each)["outlier"]["probe"], 3, "the rule is in force")


def cluster_of(each: Replica) -> dict[str, Any]:
    (cluster,) = each.info("/clusters")
    return dict(cluster)


def requests_of(victim: Endpoint) -> int:
    return len(victim.requests)


def test_one_error_for_the_whole_fleet_and_then_longer(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, replicas=3) as made:
        by_probe(made, baseEjectionTime="1s")
        victim = made.members[0]
        assert fail_until_out(made, victim) == 3
        victim.status = 503
        wait_until(lambda: made.agrees(victim), 1, "out everywhere")
        seen, errors, end = requests_of(victim), 0, time.monotonic() + 2.5
        while time.monotonic() < end:  # its time is over after 1 s; then 2 s more
            errors += made.in_turn(3).count("503")
        assert (errors, requests_of(victim) - seen) == (1, 1)
        wait_until(lambda: made.lines("due to a failed probe") == [1, 1, 1], 1, "one line for each replica")
        assert int(made.client.hget(key(victim, "endpoint"), "ejections")) == 2


def test_a_success_brings_it_back_everywhere(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url) as made:
        by_probe(made, baseEjectionTime="1s")
        victim = made.members[0]
        assert fail_until_out(made, victim) == 3  # and heals it
        wait_until(lambda: made.agrees(victim), 1, "out everywhere")
        stays(lambda: made.agrees(victim), 1.2, "no request, no probe")
        asked = requests_of(victim)
        wait_until(lambda: made.in_turn(2) and made.agrees(), 3, "back everywhere")
        assert requests_of(victim) > asked
        assert not made.client.exists(key(victim))
        wait_until(lambda: made.lines("reason=probe_succeeded") == [1, 1], 1, "and told")
        assert "abc12" in made.replicas[1].hostnames(3)


def test_alone_a_replica_probes_by_itself(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, replicas=1) as made:
        by_probe(made, baseEjectionTime="1s")
        victim, replica = made.members[0], made.replicas[0]
        valkey.process.kill()
        valkey.process.wait()
        assert fail_until_out(made, victim) == 3
        victim.status = 503
        wait_until(lambda: "503" in replica.hostnames(3), 3, "probed")
        assert made.out(0) == {victim.address}
        victim.status = 200
        wait_until(lambda: replica.hostnames(3) and not made.out(0), 5, "back")


def test_an_ejection_that_began_so_ends_so(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, replicas=1) as made:
        by_probe(made, baseEjectionTime="1s")
        victim = made.members[0]
        assert fail_until_out(made, victim) == 3
        made.manifests[0].put("rule", rule(**RULE | {"interval": "1s"}))
        wait_until(lambda: not cluster_of(made.replicas[0])["outlier"]["probe"], 3, "the other rule")
        wait_until(lambda: made.in_turn(3) and not made.out(0), 3, "a request has brought it back")
        wait_until(lambda: made.lines("reason=probe_succeeded") == [1], 1, "and told")
