"""ServiceEntries of a real API server are served: static ones, those that select, and those that DNS is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.kubernetes.source import kinds
from tests.cluster.api_rig import GATEWAY, Shop, clusters
from tests.dns_rig import dns_server
from tests.rig import Replica, get, wait_until


def answers(replica: Replica, host: str) -> int:
    return get(replica.port, "/hostname", host)[0]


def put(shop: Shop, name: str, namespace: str = "", labels: dict[str, str] | None = None, **spec: Any) -> None:
    """A ServiceEntry of NAME.test, whose endpoints answer at their port."""
    ports = [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": shop.members[0].port}]
    given = {"hosts": [f"{name}.test"], "ports": ports, **spec}
    shop.api.put(kinds.SERVICE_ENTRIES, name, namespace or shop.namespace, labels=labels, spec=given)


@pytest.mark.api
def test_requests_go_through_service_entries(shop: Shop) -> None:
    first, second, _ = shop.members
    with dns_server(named=[second.ip]) as server, shop.replica("--name-servers", server.address) as replica:
        assert answers(replica, "static.test") == 404
        put(shop, "static", resolution="STATIC", endpoints=[{"address": first.ip}])
        put(shop, "named", resolution="DNS")
        selector = {"labels": {"app": "vm"}}
        put(shop, "selecting", resolution="STATIC", workloadSelector=selector)
        spec = {"address": second.ip, "labels": selector["labels"], "weight": 3}
        shop.api.put(kinds.WORKLOAD_ENTRIES, "vm", shop.namespace, spec=spec)
        for host in ("static.test", "named.test", "selecting.test"):
            wait_until(lambda host=host: answers(replica, host) == 200, 15, host)
        assert clusters(replica)["selecting.test:80"]["endpoints"][0]["workload"] == "vm"
        shop.api.delete(kinds.SERVICE_ENTRIES, "static", shop.namespace)
        wait_until(lambda: answers(replica, "static.test") == 404, 10)
        assert replica.info("/config_dump")["kubernetes"]["refused"] == []


@pytest.mark.api
def test_a_service_entry_of_another_namespace_is_found_by_its_label(shop: Shop) -> None:
    other = f"{shop.namespace}-other"
    shop.api.put(kinds.NAMESPACES, other)
    try:
        bound = {"istio.io/use-waypoint": GATEWAY, "istio.io/use-waypoint-namespace": shop.namespace}
        endpoints = [{"address": shop.members[0].ip}]
        put(shop, "far", other, bound, resolution="STATIC", endpoints=endpoints)
        put(shop, "unbound", other, resolution="STATIC", endpoints=endpoints)
        with shop.replica() as replica:
            assert answers(replica, "far.test") == 404
            shop.put_gateway("All")
            wait_until(lambda: answers(replica, "far.test") == 200, 15)
            assert answers(replica, "unbound.test") == 404
    finally:
        shop.api.delete(kinds.NAMESPACES, other)


@pytest.mark.mesh
def test_the_address_that_istiod_allocates_is_the_entrys(shop: Shop) -> None:
    put(shop, "allocated", resolution="STATIC", endpoints=[{"address": shop.members[0].ip}])

    def allocated() -> list[str]:
        found = shop.api.client.get(kinds.SERVICE_ENTRIES.path(shop.namespace, "allocated"))
        return [each["value"] for each in found.get("status", {}).get("addresses", []) if "." in each["value"]]

    (address,) = wait_until(allocated, 30, "istiod allocates")
    with shop.replica() as replica:
        wait_until(lambda: answers(replica, address) == 200, 15, address)
