"""Endpoints in three zones: whose turn it is while one zone after the other is lost, by requests over two workers."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.metrics_rig import scrape
from tests.manifests import Manifests, rule, service, slice_of
from tests.rig import ROOT, Endpoint, Replica, Traffic, endpoints, manifests_for, replica, wait_until

NODES = {"here": ("eu", "a"), "near": ("eu", "b"), "far": ("us", "c")}
EACH = 2
CLUSTER = "httpbin/in-ambient:8000"
BY_ZONE = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"]


@dataclass
class Zones:
    """A replica in eu/a, and two endpoints on each Node."""

    replica: Replica
    manifests: Manifests
    members: list[Endpoint]

    def on(self, node: str) -> list[Endpoint]:
        first = EACH * list(NODES).index(node)
        return self.members[first : first + EACH]

    def rule(self, **balancer: Any) -> None:
        made = rule(baseEjectionTime="2s", interval="1s", maxEjectionPercent=100)
        made["spec"]["trafficPolicy"]["loadBalancer"] = {"localityLbSetting": balancer}
        self.replica.serve(lambda: self.manifests.put("rule", made))

    def answers(self, count: int = 20) -> Counter[str]:
        """How many of so many requests were answered on each Node."""
        nodes = {member.name: node for node in NODES for member in self.on(node)}
        names = self.replica.hostnames(count)
        return Counter(next((node for name, node in nodes.items() if name.endswith(each)), each) for each in names)

    def only(self, node: str) -> bool:
        return set(self.answers()) == {node}


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zones]:
    with endpoints(EACH * len(NODES)) as members, manifests_for(members) as (manifests, port):
        for name, (region, zone) in NODES.items():
            labels = {"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone}
            metadata = {"name": name, "labels": labels}
            manifests.put(f"node-{name}", {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        made = slice_of(members)
        for at, endpoint in enumerate(made["endpoints"]):
            endpoint["nodeName"] = list(NODES)[at // EACH]
        manifests.put("endpointslice", made)
        folder = tmp_path_factory.mktemp("zones")
        with replica(folder, manifests, port, "--locality", "eu/a", workers=2) as running:
            yield Zones(running, manifests, members)


def test_a_lost_zone_costs_no_request_and_gets_its_own_back(zones: Zones) -> None:
    zones.rule(failoverPriority=BY_ZONE)
    assert zones.only("here")
    with Traffic(zones.replica.port, clients=2) as traffic:
        for member in zones.on("here"):
            member.kill()
        wait_until(lambda: zones.only("near"), 15, "the next zone has everything")
        for member in zones.on("near"):
            member.kill()
        wait_until(lambda: zones.only("far"), 15, "the other region has everything")
        for node in ("here", "near"):
            for member in zones.on(node):
                member.start()
        wait_until(lambda: zones.only("here"), 30, "our own zone has everything again")
    assert traffic.count and traffic.failed == []


def test_distribution(zones: Zones) -> None:
    zones.rule(distribute=[{"from": "eu/a", "to": {"eu/b": 70, "us": 30}}])
    found = zones.answers(200)
    assert set(found) == {"near", "far"}
    assert found["near"] == pytest.approx(140, abs=30)


def test_trafficDistribution_of_a_service(zones: Zones) -> None:
    zones.rule(enabled=False)
    assert set(zones.answers(30)) == set(NODES)
    zones.replica.serve(lambda: zones.manifests.remove("rule"))
    assert set(zones.answers(30)) == set(NODES), "without a rule nothing fails over"
    near = service()
    near["spec"]["trafficDistribution"] = "PreferClose"
    zones.replica.serve(lambda: zones.manifests.put("service", near))
    assert zones.only("here")


def test_the_admin_page_says_who_is_asked_first(zones: Zones) -> None:
    zones.rule(failoverPriority=BY_ZONE)
    told = zones.replica.info(f"/policy?cluster={CLUSTER}")["spread"]
    assert told[0] == "failover by locality, from eu/a: localityLbSetting"
    assert [line.split()[0] for line in told[1:]] == ["2", "2", "2"]


def test_explain_and_metrics_say_who_is_picked_and_who_is_not(zones: Zones) -> None:
    zones.rule(enabled=True)
    assert zones.only("here")
    command = [sys.executable, str(ROOT / "bin" / "waypointctl"), "--admin", f"127.0.0.1:{zones.replica.admin}"]
    done = subprocess.run([*command, "explain", CLUSTER], capture_output=True, text=True, timeout=30, check=True)
    (own,) = [line for line in done.stdout.splitlines() if line.startswith("  group 0, ")]
    assert "2 of 2 in, 100 % of the requests" in own
    rows = [line for line in done.stdout.splitlines() if " in flight, " in line]
    assert len([row for row in rows if "  50 %  in  " in row]) == EACH
    assert len([row for row in rows if "  none  all are taken before it, by: " in row]) == 2 * EACH
    samples = scrape(zones.replica)
    assert samples.total("waypointd_group_picks_total", cluster=CLUSTER, group="0") >= 20
    loads = samples.by("waypointd_group_load_percent", "where")
    assert loads == {(own.partition(", ")[2].partition(":")[0],): 100}
