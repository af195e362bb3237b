"""A replica in a cluster of many Services: how long until it knows them, what it weighs, how soon a change is in force.

    scripts/cluster .venv/bin/python -m tests.bench.kubernetes [--services N] [--endpoints N] [--changes N]

Meanwhile five EndpointSlices a second change, and requests go through it, whose slowest are told too.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import operator
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from proxy.kubernetes.source import kinds
from tests.cluster.api_rig import Api, Shop, cluster_of
from tests.cluster.kit.cluster import Cluster
from tests.rig import Background, Replica

NAMESPACE = "bench"
CHURN_PER_S = 5


class Mesh:
    """Services `s0`, `s1` ..., whose endpoints are addresses at which nobody listens."""

    def __init__(self, shop: Shop, services: int, endpoints: int) -> None:
        self._shop = shop
        self.services = services
        self._endpoints = endpoints

    def put(self, index: int) -> None:
        ports = [{"name": "http", "port": 8000, "targetPort": 8080}]
        self._shop.api.put(kinds.SERVICES, f"s{index}", NAMESPACE, spec={"ports": ports})
        self.put_endpoints(index, self._endpoints)

    def put_endpoints(self, index: int, count: int) -> None:
        ports = [{"name": "http", "port": 8080, "protocol": "TCP"}]
        number = index * self._endpoints
        addresses = [f"10.{100 + at // 62500}.{at // 250 % 250}.{at % 250 + 1}" for at in range(number, number + count)]
        ready = [{"addresses": [each], "conditions": {"ready": True}} for each in addresses]
        fields = {"addressType": "IPv4", "ports": ports, "endpoints": ready}
        labels = {"kubernetes.io/service-name": f"s{index}"}
        self._shop.api.put(kinds.OF_SERVED[0], f"s{index}-1", NAMESPACE, labels=labels, **fields)


class Churn(Background):
    """Five EndpointSlices a second change."""

    def __init__(self, mesh: Mesh, endpoints: int) -> None:
        super().__init__(self._run)
        self._mesh, self._endpoints = mesh, endpoints

    def _run(self) -> None:
        chance = random.Random(1)
        while not self.stopping.wait(1 / CHURN_PER_S):
            index = chance.randrange(1, self._mesh.services)
            self._mesh.put_endpoints(index, chance.randint(1, self._endpoints))


class Requests(Background):
    """One after another on one connection; how long each took, in ms."""

    def __init__(self, port: int) -> None:
        super().__init__(self._run)
        self.took: list[float] = []
        self._port = port

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        while not self.stopping.is_set():
            began = time.monotonic()
            connection.request("GET", "/hostname", headers={"host": f"pay.{NAMESPACE}"})
            connection.getresponse().read()
            self.took.append((time.monotonic() - began) * 1000)
            time.sleep(0.002)
        connection.close()


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of them is."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def figures(values: list[float]) -> str:
    """As a line tells them."""
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return "  ".join(f"{name} {percentile(values, share):7.1f} ms" for name, share in shares.items())


def in_force(replica: Replica, holds: Callable[[Any], bool]) -> float:
    """Milliseconds until the cluster of s0 is as asked in every worker."""
    began = time.monotonic()
    while not holds(cluster_of(replica, f"{NAMESPACE}/s0:8000")):
        assert time.monotonic() < began + 30, "not in force"
        time.sleep(0.002)
    wanted = replica.info()["snapshot"]
    while any(worker["snapshot"] < wanted for worker in replica.info()["workers"]):
        time.sleep(0.002)
    return (time.monotonic() - began) * 1000


def changes(shop: Shop, mesh: Mesh, replica: Replica, count: int) -> Iterator[tuple[str, list[float]]]:
    """How long changes of three kinds take from the answer of the API server until all workers have them."""
    took: dict[str, list[float]] = {"DestinationRule": [], "endpoint": [], "label": []}
    for round_ in range(count):
        shop.put_rule("s0", consecutive5xxErrors=round_ + 1)
        took["DestinationRule"].append(in_force(replica, _has_errors(round_ + 1)))
        mesh.put_endpoints(0, 1 + round_ % 2)
        took["endpoint"].append(in_force(replica, _has_endpoints(1 + round_ % 2)))
        labels = {"istio.io/use-waypoint": "none" if round_ % 2 == 0 else "way"}
        shop.api.patch(kinds.SERVICES, "s0", NAMESPACE, {"metadata": {"labels": labels}})
        took["label"].append(in_force(replica, bool if round_ % 2 else operator.not_))
        if round_ % 2 == 0:
            shop.api.patch(kinds.SERVICES, "s0", NAMESPACE, {"metadata": {"labels": {"istio.io/use-waypoint": "way"}}})
            in_force(replica, bool)
    yield from took.items()


def _has_errors(wanted: int) -> Callable[[Any], bool]:
    return lambda found: bool(found and found["outlier"] and found["outlier"]["consecutive_5xx"] == wanted)


def _has_endpoints(wanted: int) -> Callable[[Any], bool]:
    return lambda found: bool(found) and len(found["endpoints"]) == wanted


def memory(pid: int) -> str:
    """What a process holds of memory: PSS (what is shared counts in parts), and of that what no file has; RSS."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    part, own, whole = (int(rollup.split(f"{name}:")[1].split()[0]) / 1024 for name in ("Pss", "Pss_Anon", "Rss"))
    return f"{part:.1f} MiB (PSS), {own:.1f} of them anonymous; RSS {whole:.0f}"


def main() -> None:
    """Prints what it has measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kubernetes", description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--endpoints", type=int, default=20)
    parser.add_argument("--changes", type=int, default=100)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shop = stack.enter_context(Shop.made(Api(Cluster.running()), NAMESPACE, folder))
        mesh = Mesh(shop, options.services, options.endpoints)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(mesh.put, range(options.services)))
        print(f"{options.services} Services of {options.endpoints} endpoints are there", flush=True)
        began = time.monotonic()
        replica = stack.enter_context(shop.replica(workers=2))
        print(f"ready after {time.monotonic() - began:.1f} s", flush=True)
        pid = replica.info()["controller_pid"]
        print(f"controller {memory(pid)}", flush=True)
        requests = Requests(replica.port)
        with requests:
            time.sleep(5)
        print(f"requests, nothing changes:    {figures(requests.took)}", flush=True)
        requests = Requests(replica.port)
        with requests, Churn(mesh, options.endpoints):
            for what, took in changes(shop, mesh, replica, options.changes):
                print(f"{what:16} in force after {figures(took)}", flush=True)
        print(f"requests, {CHURN_PER_S} changes a second: {figures(requests.took)}", flush=True)
        print(f"controller {memory(pid)} in the end", flush=True)


if __name__ == "__main__":
    main()
