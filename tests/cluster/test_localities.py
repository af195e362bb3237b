"""Failover by locality with Nodes, slices and our own Pod from a real API server, under a waypoint's own rights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.kubernetes.source import kinds
from tests.cluster.api_rig import ACCOUNTS, RULES, SLICES, Api, Shop
from tests.rig import Endpoint, Replica, Traffic, get, wait_until

pytestmark = pytest.mark.api

REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
PLACES = {"here": ("eu", "a"), "near": ("eu", "b"), "far": ("us", "c")}
EACH = 2


class Zones:
    """A Service with two endpoints on each of three Nodes; a rule that fails over by region, then by zone."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.nodes = {place: f"{shop.namespace}-{place}" for place in PLACES}

    def put(self) -> None:
        api, shop = self.shop.api, self.shop
        for place, (region, zone) in PLACES.items():
            api.put(kinds.NODES, self.nodes[place], labels={REGION: region, ZONE: zone})
        endpoints = [
            {"addresses": [each.ip], "conditions": {"ready": True}, "nodeName": self.nodes[place]}
            for place in PLACES
            for each in self.on(place)
        ]
        ports = [{"name": "http", "port": shop.members[0].port, "protocol": "TCP"}]
        labels = {"kubernetes.io/service-name": "pay"}
        fields = {"addressType": "IPv4", "ports": ports, "endpoints": endpoints}
        api.put(SLICES, "pay-1", shop.namespace, labels=labels, **fields)
        outlier = {"consecutive5xxErrors": 3, "baseEjectionTime": "3s", "interval": "1s", "maxEjectionPercent": 100}
        balancer = {"localityLbSetting": {"failoverPriority": [REGION, ZONE]}}
        policy = {"outlierDetection": outlier, "loadBalancer": balancer}
        api.put(RULES, "rule", shop.namespace, spec={"host": "pay", "trafficPolicy": policy})

    def put_own_pod(self) -> None:
        """The Pod that the replica takes itself for, on the Node `here`."""
        self.shop.api.put(ACCOUNTS, "default", self.shop.namespace)  # else it is waited for
        spec = {"containers": [{"name": "way", "image": "none"}], "nodeName": self.nodes["here"]}
        self.shop.api.put(kinds.PODS, "way-1", self.shop.namespace, spec=spec)

    def on(self, place: str) -> list[Endpoint]:
        first = EACH * list(PLACES).index(place)
        return self.shop.members[first : first + EACH]

    def only(self, replica: Replica, place: str, count: int = 20) -> bool:
        before = {each.name: len(each.requests) for each in self.shop.members}
        for _ in range(count):
            get(replica.port, "/hostname", f"pay.{self.shop.namespace}")
        asked = {each.name for each in self.shop.members if len(each.requests) > before[each.name]}
        return asked <= {each.name for each in self.on(place)}


@pytest.fixture
def zones(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zones]:
    with Shop.made(api, f"zones-{os.getpid()}", tmp_path, count=EACH * len(PLACES)) as shop:
        made = Zones(shop)
        monkeypatch.setenv("POD_NAMESPACE", shop.namespace)
        monkeypatch.setenv("POD_NAME", "way-1")
        try:
            made.put()
            made.put_own_pod()
            yield made
        finally:
            for name in made.nodes.values():
                api.delete(kinds.NODES, name)


def test_a_zone_is_lost_to_the_next_by_failoverPriority_and_back(zones: Zones) -> None:
    with zones.shop.replica(workers=2, config=zones.shop.grant()) as replica:
        host = f"pay.{zones.shop.namespace}"
        wait_until(lambda: zones.only(replica, "here"), 20, "our own zone has everything")

        with Traffic(replica.port, clients=2, host=host) as traffic:
            for member in zones.on("here"):
                member.kill()
            wait_until(lambda: zones.only(replica, "near"), 20, "the same region has everything")
            for member in zones.on("here"):
                member.start()
            wait_until(lambda: zones.only(replica, "here"), 30, "our own zone has everything again")
        assert traffic.count and traffic.failed == []
        moved = {REGION: "us", ZONE: "c"}
        zones.shop.api.patch(kinds.NODES, zones.nodes["here"], "", {"metadata": {"labels": moved}})
        wait_until(lambda: not zones.only(replica, "here", 40), 20, "we have moved, and ours are no longer alone")
