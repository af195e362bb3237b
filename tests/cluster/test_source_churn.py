"""A thousand Services that never stand still: no request fails, the state is right in the end, memory stays flat."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.kubernetes.source import kinds
from tests.cluster.api_rig import SLICES, Shop, clusters
from tests.cluster.test_source_faults import served_all_the_while
from tests.rig import Background, Replica, stays, wait_until

pytestmark = [pytest.mark.api, pytest.mark.slow, pytest.mark.timeout(600)]

SERVICES, ROUND_S, ROUNDS = 1000, 40.0, 3
PORTS = [{"name": "http", "port": 8080, "protocol": "TCP"}]


def put(shop: Shop, index: int, endpoints: int, **labels: str) -> None:
    """Service `s0`, `s1` ... with so many endpoints, at which nobody listens."""
    ports = [{"name": "http", "port": 8000, "targetPort": 8080}]
    shop.api.put(kinds.SERVICES, f"s{index}", shop.namespace, spec={"ports": ports}, labels=labels)
    ready = [
        {"addresses": [f"10.{100 + index // 250}.{index % 250}.{n + 1}"], "conditions": {"ready": True}}
        for n in range(endpoints)
    ]
    of = {"kubernetes.io/service-name": f"s{index}"}
    fields = {"addressType": "IPv4", "ports": PORTS, "endpoints": ready}
    shop.api.put(SLICES, f"s{index}-1", shop.namespace, labels=of, **fields)


class Churn(Background):
    """Endpoints come and go, Services opt out and in, are deleted and made again; as fast as four clients can."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(self._run)
        self.done = 0
        self._shop = shop
        self._lock = threading.Lock()

    def _run(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._keep_on, range(4)))

    def _keep_on(self, seed: int) -> None:
        """One client: what it changes is its own."""
        chance = random.Random(seed)
        while not self.stopping.is_set():
            index = chance.randrange(SERVICES // 4) * 4 + seed
            chance.choice((self._endpoints, self._endpoints, self._out_and_in, self._again))(index, chance)
            with self._lock:
                self.done += 1

    def _endpoints(self, index: int, chance: random.Random) -> None:
        put(self._shop, index, chance.randint(0, 20))

    def _out_and_in(self, index: int, chance: random.Random) -> None:
        put(self._shop, index, chance.randint(0, 20), **{"istio.io/use-waypoint": chance.choice(("none", "way"))})

    def _again(self, index: int, chance: random.Random) -> None:
        for resource, name in ((SLICES, f"s{index}-1"), (kinds.SERVICES, f"s{index}")):
            self._shop.api.delete(resource, name, self._shop.namespace)
        put(self._shop, index, chance.randint(1, 20))


def test_a_thousand_services_that_never_stand_still(shop: Shop) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: put(shop, index, 10), range(SERVICES)))
    with shop.replica(workers=2) as replica, served_all_the_while(replica, shop):
        sizes = []
        for _ in range(ROUNDS):
            with Churn(shop) as churn:
                stays(replica.ready, ROUND_S, "ready")
            assert churn.done > ROUND_S  # some a second, or it was no churn
            # What it has at the end of each round is as much: the same Services of which others have changed.
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda index: put(shop, index, 10), range(SERVICES)))
            wait_until(lambda: settled(replica), 60, "everything is as it was put")
            sizes.append({who: memory(pid) for who, pid in processes(replica).items()})
            print(churn.done, "changes;", sizes[-1])
        assert not replica.info("/config_dump")["kubernetes"]["troubles"]
    for who, first in sizes[0].items():
        assert sizes[-1][who] < first * 1.15 + 4, (who, sizes)


def settled(replica: Replica) -> bool:
    """All Services with ten endpoints, and `pay` with its three."""
    found = {name: len(each["endpoints"]) for name, each in clusters(replica).items()}
    return found == {f"s{index}:8000": 10 for index in range(SERVICES)} | {"pay:8000": 3}


def processes(replica: Replica) -> dict[str, int]:
    info = replica.info()
    return {"controller": info["controller_pid"], **{f"worker {n}": w["pid"] for n, w in enumerate(info["workers"])}}


def memory(pid: int) -> float:
    """MiB that are the process's own."""
    return int(Path(f"/proc/{pid}/status").read_text().split("RssAnon:")[1].split()[0]) / 1024
