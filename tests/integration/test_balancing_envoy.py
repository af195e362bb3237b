"""Who gets how many of 10,000 requests: the same endpoints, here and in Envoy 1.40."""

import http.client
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy.mesh.model import Group
from proxy.mesh.traffic.balancing import LoadBalancer, Simple, Warmup
from tests.hbone.envoy import Envoy, Json, running
from tests.rig import free_port, wait_until
from tests.unit.relay.test_chooser import Board

pytestmark = pytest.mark.slow

REQUESTS = 10_000
BATCH = 100
PORT = 9  # nobody listens: who is chosen is asked for a connection, and that is counted
EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
POLICIES = {
    Simple.ROUND_ROBIN: "ROUND_ROBIN",
    Simple.LEAST_REQUEST: "LEAST_REQUEST",
    Simple.RANDOM: "RANDOM",
}


@dataclass(frozen=True)
class Case:
    """Groups of endpoints, of which so many are in. `shares`: weights of localities; none: priorities."""

    name: str
    sizes: tuple[int, ...]
    present: tuple[int, ...]
    shares: tuple[int, ...] = ()
    min_health: int = 0
    simple: Simple = Simple.ROUND_ROBIN
    weights: tuple[int, ...] = ()
    tolerance: float = 2.5  # percent of the requests

    def positions(self) -> Iterator[tuple[int, int, bool]]:
        """Each endpoint's group, its number, and whether it is in."""
        number = 0
        for group, (size, present) in enumerate(zip(self.sizes, self.present, strict=True)):
            for at in range(size):
                yield group, number, at < present
                number += 1

    def folded(self, counts: Counter[int]) -> list[float]:
        """Percent of the requests by group; of one group, by endpoint."""
        alone = len(self.sizes) == 1
        by: Counter[int] = Counter()
        for group, number, _ in self.positions():
            by[number if alone else group] += counts[number]
        return [100 * by[at] / REQUESTS for at in range(sum(self.sizes) if alone else len(self.sizes))]


def healthy(percent: int) -> Case:
    return Case(f"3.3 priority load, {percent} % healthy", (100, 10), (percent, 10))


def distributed(percent: int) -> Case:
    return Case(f"3.3 locality load, {percent} % healthy", (100, 10), (percent, 10), shares=(80, 20))


CASES = [
    *(healthy(percent) for percent in (72, 71, 50, 25, 0)),
    *(distributed(percent) for percent in (72, 71, 50, 25, 0)),
    Case("priority arithmetic, three levels", (100, 100, 100), (25, 25, 20)),
    Case("priority arithmetic, less than everything", (100, 100, 100), (10, 20, 10)),
    Case("panic of one level", (100, 20), (10, 11), min_health=50),
    Case("panic of all levels", (30, 10), (3, 1), min_health=50),
    Case("no panic while all can be taken", (10, 10), (1, 10), min_health=90),
    Case("panic under distribution", (30, 10), (3, 1), shares=(50, 50), min_health=50),
    Case("panic, one group", (10,), (4,), min_health=50),
    Case("no panic from 72 % on", (4,), (3,), min_health=80),
    Case("3.1 LEAST_REQUEST", (5,), (5,), simple=Simple.LEAST_REQUEST),
    Case("3.1 LEAST_REQUEST by weight", (4,), (4,), simple=Simple.LEAST_REQUEST, weights=(1, 2, 3, 4)),
    Case("3.1 RANDOM", (5,), (5,), simple=Simple.RANDOM),
    Case("3.1 RANDOM by weight", (4,), (4,), simple=Simple.RANDOM, weights=(1, 2, 3, 4)),
    Case("3.1 ROUND_ROBIN", (5,), (5,), tolerance=0.1),
    Case("3.1 ROUND_ROBIN by weight", (4,), (4,), weights=(1, 2, 3, 4), tolerance=0.3),
]


# -- Envoy ------------------------------------------------------------------------------------------------------------


def _ip(case: int, number: int) -> str:
    return f"127.{60 + case}.{number // 200}.{number % 200 + 1}"


def _endpoint(case: int, number: int, weight: int, is_in: bool) -> Json:
    address = {"socket_address": {"address": _ip(case, number), "port_value": PORT}}
    health = "HEALTHY" if is_in else "UNHEALTHY"
    return {"endpoint": {"address": address}, "health_status": health, "load_balancing_weight": weight}


def _cluster(at: int, case: Case) -> Json:
    groups: list[Json] = [
        {"locality": {"zone": str(group)}, "priority": 0 if case.shares else group, "lb_endpoints": []}
        | ({"load_balancing_weight": case.shares[group]} if case.shares else {})
        for group in range(len(case.sizes))
    ]
    for group, number, is_in in case.positions():
        weight = case.weights[number] if case.weights else 1
        groups[group]["lb_endpoints"].append(_endpoint(at, number, weight, is_in))
    common: Json = {"healthy_panic_threshold": {"value": case.min_health}}
    if case.shares:
        common["locality_weighted_lb_config"] = {}
    return {
        "name": case.name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "lb_policy": POLICIES[case.simple],
        "common_lb_config": common,
        "load_assignment": {"cluster_name": case.name, "endpoints": groups},
    }


def _configuration(port: int, clusters: Sequence[Json]) -> Json:
    manager: Json = {
        "@type": f"{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": str(at),
                    "domains": [f"c{at}"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": each["name"]}}],
                }
                for at, each in enumerate(clusters)
            ]
        },
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{EXTENSIONS}.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "name": "in",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [*clusters]}, "node": {"id": "x", "cluster": "x"}}


@dataclass
class Asked:
    """An Envoy to ask."""

    envoy: Envoy
    port: int

    def ask(self, cluster: int, count: int) -> None:
        """So many requests one after the other; each fails, as nobody listens."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            for _ in range(0, count, BATCH):
                connection.sendall(f"GET / HTTP/1.1\r\nhost: c{cluster}\r\n\r\n".encode() * BATCH)
                answered, rest = 0, b""
                while answered < BATCH:
                    got = connection.recv(1 << 16)
                    assert got, "Envoy has closed the connection"
                    text = rest + got
                    answered += text.count(b"HTTP/1.1 503")
                    rest = text[-11:] if not text.endswith(b"HTTP/1.1 503") else b""

    def counts(self, name: str) -> dict[str, int]:
        """By address, how often it was chosen so far."""
        connection = http.client.HTTPConnection("127.0.0.1", self.envoy.admin, timeout=10)
        connection.request("GET", "/clusters?format=json")
        found: Any = json.loads(connection.getresponse().read())
        connection.close()
        (cluster,) = [each for each in found["cluster_statuses"] if each["name"] == name]
        return {each["address"]["socket_address"]["address"]: _failed(each) for each in cluster["host_statuses"]}


def _failed(host: Any) -> int:
    return sum(int(each.get("value", 0)) for each in host["stats"] if each["name"] == "cx_connect_fail")


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    port = free_port()
    clusters = [_cluster(at, case) for at, case in enumerate(CASES)]
    with running(tmp_path_factory.mktemp("envoy"), "balancing", _configuration(port, clusters)) as started:
        yield Asked(started, port)


def of_envoy(asked: Asked, at: int) -> list[float]:
    asked.ask(at, REQUESTS)
    case = CASES[at]
    counts = asked.counts(case.name)
    return case.folded(Counter({number: counts[_ip(at, number)] for _, number, _ in case.positions()}))


# -- ours -------------------------------------------------------------------------------------------------------------


def of_ours(case: Case) -> list[float]:
    groups = [
        Group(size, str(at), case.shares[at] if case.shares else 0)
        for at, size in enumerate(case.sizes if len(case.sizes) > 1 else ())
    ]
    made = Board(
        sum(case.sizes),
        balancer=LoadBalancer(simple=case.simple),
        weights=case.weights,
        min_health=case.min_health,
        groups=groups,
    )
    for _, number, is_in in case.positions():
        if not is_in:
            made.out(number)
    return case.folded(Counter(number for number in made.turns(REQUESTS) if number is not None))


@pytest.mark.parametrize("at", range(len(CASES)), ids=[case.name for case in CASES])
def test_ten_thousand_requests(envoy: Asked, at: int) -> None:
    theirs, ours = of_envoy(envoy, at), of_ours(CASES[at])
    assert sum(theirs) == pytest.approx(100), "every request has found an endpoint"
    assert ours == pytest.approx(theirs, abs=CASES[at].tolerance)


# -- warm-up ----------------------------------------------------------------------------------------------------------

WINDOW_S = 8.0
OLD = 1
SAMPLE = 1500


def _warming(path: Path) -> Json:
    slow = {"slow_start_window": f"{WINDOW_S:g}s", "min_weight_percent": {"value": 10}}
    source = {"path_config_source": {"path": str(path), "watched_directory": {"path": str(path.parent)}}}
    return {
        "name": "warming",
        "type": "EDS",
        "connect_timeout": "5s",
        "lb_policy": "ROUND_ROBIN",
        "round_robin_lb_config": {"slow_start_config": slow},
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "eds_cluster_config": {"eds_config": {"resource_api_version": "V3", **source}},
    }


def _write(path: Path, count: int) -> None:
    endpoints = [_endpoint(len(CASES), number, 1, True) for number in range(count)]
    resource = {
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": "warming",
        "endpoints": [{"locality": {"zone": "a"}, "lb_endpoints": endpoints}],
    }
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"version_info": str(count), "resources": [resource]}))
    new.rename(path)


def test_3_4_the_curve_of_a_warm_up(tmp_path: Path) -> None:
    """One endpoint joins three that are warm; again and again, what part of the requests it gets."""
    port, path = free_port(), tmp_path / "eds" / "endpoints.json"
    path.parent.mkdir()
    _write(path, 3)
    newcomer = _ip(len(CASES), 3)
    with running(tmp_path, "warming", _configuration(port, [_warming(path)])) as started:
        asked = Asked(started, port)
        time.sleep(WINDOW_S)  # until those that it begins with are warm: Envoy does not say
        _write(path, 4)
        wait_until(lambda: newcomer in asked.counts("warming"), 10, "the fourth is known")
        joined = time.time()
        warm_up = LoadBalancer(warmup=Warmup(duration_ms=int(WINDOW_S * 1000)))
        ours = Board(4, balancer=warm_up, joined_ms=[OLD, OLD, OLD, int(joined * 1000)])
        seen: list[tuple[float, float, float]] = []
        while not seen or seen[-1][0] < WINDOW_S + 1:
            before = asked.counts("warming")
            asked.ask(0, SAMPLE)
            after = asked.counts("warming")
            theirs = 100 * (after[newcomer] - before[newcomer]) / SAMPLE
            seen.append((time.time() - joined, theirs, 100 * ours.turns(SAMPLE).count(3) / SAMPLE))
            time.sleep(0.5)
    assert all(abs(theirs - mine) < 5 for _, theirs, mine in seen), seen
    assert seen[0][2] < 10 and seen[-1][2] == pytest.approx(25, abs=1)
