"""`tcp` of a VirtualService, through a whole replica: where connections go, by weight, by who asks, for which address;
and that access rules of the Service that was asked for stand before it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hbone.ztunnel import Refused
from tests.integration.hbone_rig import TCP_LINE, HboneBench, Served, fields, hbone_bench
from tests.integration.http_rig import Peer
from tests.integration.test_access import in_force, policy

Json = dict[str, Any]


def name(peer: Peer) -> None:
    """Speaks first."""
    peer.send(peer.endpoint.name.encode())


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    served = [Served(each, port=9000, port_name="tcp") for each in ("data", "other")] + [
        Served("none", port=9000, port_name="tcp", count=0)
    ]
    with hbone_bench(tmp_path_factory.mktemp("routes"), *served) as running:
        for each in ("data", "other"):
            running.play(each, name)
        yield running


def routes(*rules: Json, host: str = "data") -> Json:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "bytes", "namespace": "httpbin"},
        "spec": {"hosts": [host], "tcp": list(rules)},
    }


def to(host: str, weight: int = 0) -> Json:
    return {"destination": {"host": host}, "weight": weight}


def asked(proxy: HboneBench, service: str = "data", count: int = 1, family: int = 4) -> Counter[str]:
    told: Counter[str] = Counter()
    for _ in range(count):
        with proxy.client(proxy.authority(service, family)) as client:
            told[client.rest().decode()] += 1
    return told


def test_elsewhere_and_the_line_says_so(proxy: HboneBench) -> None:
    with in_force(proxy, routes({"route": [to("other")]})):
        assert asked(proxy) == {"other-1": 1}
        line = fields(
            TCP_LINE, proxy.told('"- - -" 0 ', "|other.").replace("VirtualService httpbin/bytes tcp rule 0", "named")
        )
        assert line["route"] == "named" and line["cluster"].endswith(f"|tcp|{proxy.host('other')}")
        assert line["downstream"] == proxy.authority("data")
    assert asked(proxy) == {"data-1": 1}


def test_by_weight(proxy: HboneBench) -> None:
    with in_force(proxy, routes({"route": [to("other", 50), to("data", 50)]})):
        told = asked(proxy, count=40)
        assert told.keys() == {"other-1", "data-1"} and min(told.values()) >= 6  # 2 in a million fail this by chance


def test_by_who_asks_and_for_which_address(proxy: HboneBench) -> None:
    mine = {"match": [{"sourceNamespace": "httpbin", "destinationSubnets": ["fd00::/8"]}], "route": [to("other")]}
    theirs = {"match": [{"sourceNamespace": "nobody"}], "route": [to("none")]}
    with in_force(proxy, routes(theirs, mine)):
        assert asked(proxy) == {"data-1": 1}  # what none is for goes to the Service itself
        assert asked(proxy, family=6) == {"other-1": 1}


def test_a_service_without_endpoints_of_its_own(proxy: HboneBench) -> None:
    with pytest.raises(Refused):
        asked(proxy, "none")
    with in_force(proxy, routes({"route": [to("other")]}, host="none")):
        assert asked(proxy, "none") == {"other-1": 1}


def test_to_where_nothing_is(proxy: HboneBench) -> None:
    with in_force(proxy, routes({"route": [to("nobody")]})):
        with proxy.client("data") as client, pytest.raises(ConnectionResetError):
            client.rest()
        assert " NC cluster_not_found " in proxy.told('"- - -" 0 NC ')


def test_access_rules_are_those_of_the_service_that_was_asked_for(proxy: HboneBench) -> None:
    made = policy("data", {"from": [{"source": {"namespaces": ["elsewhere"]}}]})
    proxy.manifests.put("routes", routes({"route": [to("other")]}))
    try:
        with in_force(proxy, made), pytest.raises(Refused):
            asked(proxy)
    finally:
        proxy.manifests.remove("routes")
