"""Manifests that change under a running replica: in force within 2 s, no request fails, nothing is lost on faults."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import rig
from tests.manifests import Manifests, gateway, namespace, rule, service, slice_of
from tests.rig import Endpoint, Replica, Traffic, answer, get, wait_until

SECONDS = 2.0


@pytest.fixture(scope="module")
def members() -> Iterator[list[Endpoint]]:
    with rig.endpoints(4) as made:
        yield made


@pytest.fixture(scope="module")
def running(
    members: list[Endpoint], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Replica, Manifests, int]]:
    with (
        rig.manifests_for(members[:3]) as (manifests, port),
        rig.replica(tmp_path_factory.mktemp("replica"), manifests, port, workers=2) as made,
    ):
        yield made, manifests, port


@pytest.fixture
def served(
    running: tuple[Replica, Manifests, int], members: list[Endpoint]
) -> Iterator[tuple[Replica, Manifests, int]]:
    """The replica with the guide's manifests, put back afterwards."""
    made, manifests, port = running
    yield running
    for name, body in (
        ("namespace", namespace()),
        ("gateway", gateway(port)),
        ("service", service()),
        ("endpointslice", slice_of(members[:3])),
        ("rule", rule()),
    ):
        manifests.put(name, body)
    for name in ("broken", "policy"):
        (manifests.path / f"{name}.json").unlink(missing_ok=True)
    wait_until(lambda: made.ready() and answered(made) == 200 and set(made.hostnames(3)) == names(members[:3]), 5)


def names(members: list[Endpoint]) -> set[str]:
    return {member.name[-5:] for member in members}


def answered(made: Replica) -> int:
    return answer(made.port)


def test_endpoints_come_and_go_without_a_failed_request(
    served: tuple[Replica, Manifests, int], members: list[Endpoint]
) -> None:
    made, manifests, _ = served
    with Traffic(made.port) as traffic:
        for chosen in (members, members[1:], members[:2], members[2:]):
            manifests.put("endpointslice", slice_of(chosen))
            wait_until(lambda c=chosen: set(made.hostnames(2 * len(c))) == names(c), SECONDS, "the new endpoints")
    assert traffic.failed == []
    assert traffic.count > 100


def test_no_endpoints_is_503(served: tuple[Replica, Manifests, int]) -> None:
    made, manifests, _ = served
    manifests.put("endpointslice", slice_of([]))
    wait_until(lambda: answered(made) == 503, SECONDS)
    wait_until(lambda: made.waypoint.lines(" 503 UH no_healthy_upstream "), 1)


def test_service_and_its_labels(served: tuple[Replica, Manifests, int]) -> None:
    made, manifests, _ = served
    opted_out = service()
    opted_out["metadata"]["labels"] = {"istio.io/use-waypoint": "none"}
    manifests.put("service", opted_out)
    wait_until(lambda: answered(made) == 404, SECONDS)
    manifests.put("service", service())
    wait_until(lambda: answered(made) == 200, SECONDS)
    manifests.remove("service")
    wait_until(lambda: answered(made) == 404, SECONDS)
    wait_until(lambda: made.waypoint.lines(" 404 NR route_not_found "), 1)


def test_broken_manifests_keep_the_last_good_ones(
    served: tuple[Replica, Manifests, int], members: list[Endpoint]
) -> None:
    made, manifests, _ = served
    before = made.info()["snapshot"]
    bad = rule(maxEjectionPercent=150)
    manifests.put("rule", bad)
    manifests.put("endpointslice", slice_of(members[:1]))
    (manifests.path / "broken.json").write_text("{")
    wait_until(lambda: "maxEjectionPercent" in made.waypoint.errors(), SECONDS, "the fault in the log")
    told = made.waypoint.errors()
    assert "DestinationRule httpbin/in-ambient-failover: " in told
    assert "broken.json" in told
    assert made.ready(), "the last good snapshot serves"
    assert set(made.hostnames(6)) == names(members[:3])
    assert made.info()["snapshot"] == before
    assert made.info()["last_reload"]["faults"]
    (manifests.path / "broken.json").unlink()
    manifests.put("rule", rule())
    wait_until(lambda: set(made.hostnames(4)) == names(members[:1]), SECONDS, "the mended ones")
    wait_until(lambda: "the manifests are right again, and in force" in made.waypoint.errors(), SECONDS, "N19")


def test_gateway_deleted_and_back(served: tuple[Replica, Manifests, int]) -> None:
    made, manifests, port = served
    manifests.remove("gateway")
    wait_until(lambda: "is gone from the manifests" in made.waypoint.errors(), SECONDS, "it is told loudly")
    assert answered(made) == 200 and made.ready(), "N10: nothing is closed yet"
    os.kill(made.waypoint.pid, signal.SIGHUP)
    wait_until(lambda: answered(made) == 0, SECONDS, "the listener is closed")
    status, reason = made.readiness()
    assert status == 503 and "no Gateway" in reason
    manifests.put("gateway", gateway(port))
    wait_until(lambda: answered(made) == 200, SECONDS)
    wait_until(made.ready, SECONDS)


def test_a_listener_moves(served: tuple[Replica, Manifests, int]) -> None:
    made, manifests, _ = served
    other = rig.free_port()
    manifests.put("gateway", gateway(other))
    wait_until(lambda: answer(other) == 200, SECONDS)
    assert answered(made) == 0


def test_targets_of_authorization_policies_are_closed(served: tuple[Replica, Manifests, int]) -> None:
    made, manifests, _ = served
    manifests.put(
        "policy",
        {
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": {"name": "viewers", "namespace": "httpbin"},
            "spec": {"targetRefs": [{"kind": "Service", "group": "", "name": "in-ambient"}], "action": "ALLOW"},
        },
    )
    wait_until(lambda: get(made.port, "/", "in-ambient") == (403, "RBAC: access denied"), SECONDS)
    manifests.remove("policy")
    wait_until(lambda: answered(made) == 200, SECONDS)


def test_hup_reloads_at_once(served: tuple[Replica, Manifests, int], members: list[Endpoint]) -> None:
    made, manifests, _ = served
    time.sleep(1.1)
    manifests.put("endpointslice", slice_of(members[:1]))
    made.waypoint.process.send_signal(1)
    wait_until(lambda: set(made.hostnames(2)) == names(members[:1]), 0.6)


def test_invalid_at_start_is_exit_status_1(members: list[Endpoint], tmp_path: Path) -> None:
    with rig.manifests_for(members[:3], interval="never") as (manifests, _):
        waypoint = rig.Waypoint(tmp_path, "--manifests", str(manifests.path), "--admin", "127.0.0.1:0")
        waypoint.start("--status", "127.0.0.1:0")
        assert waypoint.ended(10) == 1
        assert "rule.json:" in waypoint.errors() and "interval" in waypoint.errors()
        waypoint.start("--check")
        assert waypoint.ended(10) == 1
