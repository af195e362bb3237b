"""ServiceEntries as a ztunnel asks for them: by their addresses and hosts, to endpoints in and outside of the mesh."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.hbone_rig import HboneBench, Served, hbone_bench, serve_name
from tests.integration.http_rig import Peer, Scripted
from tests.rig import ROOT, wait_until

VIP = "240.240.0.7"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    """With apps behind ztunnels (`web`) and apps that are nobody's (`out`)."""
    served = [Served("web", count=1), Served("out", hbone=False, count=2)]
    with hbone_bench(tmp_path_factory.mktemp("entries"), *served) as running:
        yield running


def put(proxy: HboneBench, members: list[Scripted], kind: str = "ServiceEntry", **spec: Any) -> None:
    """A ServiceEntry with these endpoints, in force in all workers; or another object of Istio's."""
    ports = [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": members[0].port}] if members else []
    endpoints = [{"address": each.ip} for each in members]
    own = {"addresses": [VIP], "ports": ports, "resolution": "STATIC", "endpoints": endpoints} if members else {}
    metadata = {"name": "entry", "namespace": "httpbin"}
    body = {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": {**own, **spec}}
    proxy.replica.serve(lambda: proxy.manifests.put(kind.lower(), body))


def names(proxy: HboneBench, authority: str, count: int = 2) -> set[str]:
    return set(proxy.ask(authority, count=count))


@pytest.mark.parametrize("where", ["in the mesh", "outside"])
def test_by_address_and_by_host(proxy: HboneBench, where: str) -> None:
    """The Pod that is captured is reached over HBONE, whoever it says it is; what is outside in plain TCP."""
    inside = where == "in the mesh"
    members = proxy.services["web" if inside else "out"]
    for member in members:
        member.play(serve_name)
    before = len(proxy.destination(members[0]).connects) if inside else 0
    put(proxy, members, hosts=["api.test"])
    expected = {each.name for each in members}
    assert names(proxy, f"{VIP}:80") == names(proxy, "api.test:80") == expected
    assert (len(proxy.destination(members[0]).connects) > before) if inside else not before
    line = proxy.told("|api.test", "inbound-vip|80|http|api.test", members[0].address)
    assert f'"{members[0].address}"' in line


def fail(peer: Peer) -> None:
    while True:
        peer.request()
        peer.send(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.slow
def test_a_wildcard_with_a_rule_is_ejected_from_and_explained(proxy: HboneBench) -> None:
    """Its name, with a star in it, is that of keys in Redis."""
    broken, well = proxy.services["out"]
    broken.play(fail)
    well.play(serve_name)
    put(proxy, [broken, well], hosts=["*.api.test"])
    detection = {"consecutive5xxErrors": 2, "baseEjectionTime": "60s", "maxEjectionPercent": 50}
    put(proxy, [], "DestinationRule", host="*.api.test", trafficPolicy={"outlierDetection": detection})
    wait_until(lambda: "503" in proxy.ask(f"{VIP}:80"), 10)
    wait_until(lambda: names(proxy, f"{VIP}:80", 6) == {well.name}, 20, "one is out")
    cluster = "httpbin/*.api.test:80"
    ctl = [sys.executable, str(ROOT / "bin" / "waypointctl"), "--admin", f"http://127.0.0.1:{proxy.replica.admin}"]

    def said(*arguments: str) -> str:
        return subprocess.run([*ctl, *arguments], check=True, capture_output=True, text=True, timeout=30).stdout

    assert json.loads(said("ejections", "-o", "json"))[0]["cluster"] == cluster
    assert "is ejected" in said("explain", cluster, broken.address)
    said("uneject", cluster, broken.address)
    broken.play(serve_name)
    wait_until(lambda: names(proxy, f"{VIP}:80", 4) == {broken.name, well.name}, 10, "it is back")
