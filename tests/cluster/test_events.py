"""What `kubectl describe` says of ejections and refused objects, told to a real API server."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.identity import dev_mesh
from proxy.identity.dev_mesh import DevMesh, Identity
from proxy.kubernetes.api.events import EVENTS, rule_of
from tests.cluster.api_rig import GATEWAY, RULES, Shop, clusters, in_force_everywhere
from tests.redis_rig import server
from tests.rig import Replica, get, stays, wait_until

pytestmark = pytest.mark.api


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    with server(tmp_path / "redis") as made:
        yield made.url


def events(shop: Shop, reason: str, kind: str) -> list[dict[str, Any]]:
    found = shop.api.client.get(EVENTS.path(shop.namespace), {"fieldSelector": "source=waypointd"})["items"]
    return [each for each in found if each["reason"] == reason and each["involvedObject"]["kind"] == kind]


def described(shop: Shop, *what: str) -> str:
    """As a person sees it: without wrapping and columns."""
    command = ["kubectl", "--kubeconfig", str(shop.api.cluster.kubeconfig), "-n", shop.namespace, "describe", *what]
    return " ".join(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def eject(shop: Shop, replica: Replica) -> str:
    """Have the first Pod fail until it is out. Its name."""
    bad = shop.members[0]
    bad.status = 503
    host = f"pay.{shop.namespace}"

    def out() -> bool:
        get(replica.port, "/hostname", host)
        return any(each["ejected"] and not each["held"] for each in clusters(replica)["pay:8000"]["endpoints"])

    wait_until(out, 20, "it is out")
    bad.status = 200
    return bad.name


def test_an_ejection_and_its_end_are_told_once_by_a_fleet(shop: Shop, redis: str) -> None:
    shop.put_pods()
    shop.put_rule(consecutive5xxErrors=2, interval="1s", baseEjectionTime="6s", maxEjectionPercent=50)
    config = shop.grant()
    with (
        shop.replica("--redis", redis, config=config) as one,
        shop.replica("--redis", redis, config=config, name="two", bind="127.0.0.2") as two,
    ):
        wait_until(lambda: all(each.info()["ejections"] == "shared" for each in (one, two)), 10)
        pod = eject(shop, one)
        for kind in ("Pod", "Service"):
            wait_until(lambda kind=kind: events(shop, "EndpointEjected", kind), 10, f"an event on the {kind}")
        says = described(shop, "pod", pod)
        assert f"It gets no traffic of {shop.namespace}/pay:8000 through waypoint {shop.namespace}/{GATEWAY}" in says
        assert f"2 consecutive failures: 503 (DestinationRule {shop.namespace}/rule), for all replicas" in says
        assert f"Endpoint {pod} ({shop.members[0].address}) gets no traffic" in described(shop, "service", "pay")
        wait_until(lambda: events(shop, "EndpointReturned", "Pod"), 20, "it is told that the Pod is back")
        wait_until(lambda: events(shop, "EndpointReturned", "Service"), 10)
        assert "gets traffic again" in described(shop, "pod", pod)
        # Both have seen both: whoever came second has told nothing, and neither has been refused a right.
        stays(lambda: all(len(told) == 1 and told[0]["count"] == 1 for told in all_told(shop)), 3.0)
        assert not any("event" in each.waypoint.errors() for each in (one, two))


def all_told(shop: Shop) -> list[list[dict[str, Any]]]:
    return [
        events(shop, reason, kind) for reason in ("EndpointEjected", "EndpointReturned") for kind in ("Pod", "Service")
    ]


def test_a_refused_rule_says_so_itself(shop: Shop) -> None:
    shop.put_rule(consecutive5xxErrors=7)
    with shop.replica(config=shop.grant()) as replica:
        shop.api.patch(RULES, "rule", shop.namespace, {"spec": {"host": "*.*"}})
        wait_until(lambda: events(shop, "Refused", "DestinationRule"), 10, "an event")
        says = described(shop, "destinationrule", "rule")
        assert "Warning Refused" in says and "spec.host: must be a host name" in says
        assert "its last good version stays in force" in says
        assert replica.ready()


def test_a_certificate_near_its_end_is_told_on_the_gateway(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, though it is the certificate of both."""
    monkeypatch.setattr(dev_mesh, "_BACK", timedelta(hours=2))
    mesh = DevMesh.open(tmp_path / "tls")
    mesh.issue(Identity("way", shop.namespace, "way"), seconds=600)  # of two hours and more, most of which are over
    config, tls = shop.grant(), ("--tls-dir", str(tmp_path / "tls" / "way"))
    with shop.replica(*tls, config=config), shop.replica(*tls, config=config, name="two", bind="127.0.0.2"):
        wait_until(lambda: events(shop, "CertificateEnding", "Gateway"), 10, "an event")
        says = described(shop, "gateway.gateway.networking.k8s.io", GATEWAY)
        assert "Warning CertificateEnding" in says and "our certificate expires in" in says
        stays(lambda: len(events(shop, "CertificateEnding", "Gateway")) == 1, 2.0)


def test_without_the_right_it_is_said_once_and_traffic_goes_on(shop: Shop) -> None:
    shop.put_pods()
    shop.put_rule(consecutive5xxErrors=2, interval="1s", baseEjectionTime="2s", maxEjectionPercent=50)
    config = shop.grant()
    shop.grant_role("events")
    with shop.replica(config=config) as replica:
        said = f"it takes the rule {rule_of(shop.namespace)}"
        for _ in range(2):
            eject(shop, replica)
            wait_until(lambda: not any(each["ejected"] for each in clusters(replica)["pay:8000"]["endpoints"]), 20)
        wait_until(lambda: said in replica.waypoint.errors(), 10)
        assert replica.waypoint.errors().count(said) == 1
        assert replica.ready() and in_force_everywhere(replica)
        assert get(replica.port, "/hostname", f"pay.{shop.namespace}")[0] == 200
        shop.grant_role()
        wait_until(lambda: _told_after(shop, replica), 60, "an event")
        assert "events are written again" in replica.waypoint.errors()


def _told_after(shop: Shop, replica: Replica) -> bool:
    eject(shop, replica)
    return bool(events(shop, "EndpointEjected", "Service"))


def test_a_server_that_stands_still_is_told_afterwards(shop: Shop) -> None:
    """And neither ejections nor requests wait for it."""
    shop.put_pods()
    shop.put_rule(consecutive5xxErrors=2, interval="1s", baseEjectionTime="2s", maxEjectionPercent=50)
    pid = shop.api.cluster.pid("kube-apiserver")
    assert pid
    with shop.replica(config=shop.grant()) as replica:
        os.kill(pid, signal.SIGSTOP)
        try:
            eject(shop, replica)
            wait_until(lambda: not any(each["ejected"] for each in clusters(replica)["pay:8000"]["endpoints"]), 20)
            assert get(replica.port, "/hostname", f"pay.{shop.namespace}")[0] == 200
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: events(shop, "EndpointReturned", "Pod"), 60, "the end")
        assert len(events(shop, "EndpointEjected", "Pod")) == 1
