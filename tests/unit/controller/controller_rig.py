"""A scoreboard of dictionaries, and small configurations, for tests of what the controller publishes."""

from collections.abc import Callable
from typing import Any, cast

from proxy.ipc.snapshot import TlsForm
from proxy.mesh.model import Cluster, Endpoint, Listener
from proxy.mesh.traffic.outlier import OutlierDetection
from proxy.mesh.traffic.policy import EffectivePolicy
from proxy.scoreboard.scoreboard import Scoreboard

ADDRESS = "127.0.0.1:80"


class Slots:
    """Rows of one kind: whose each is."""

    def __init__(self, most: int, in_flight: Callable[[int], int] = lambda slot: 0) -> None:
        self.taken: dict[Any, int] = {}
        self.most = most
        self._in_flight = in_flight

    def add(self, *key: Any) -> int:
        if len(self.taken) >= self.most:
            raise MemoryError("the scoreboard is full")
        key = key if len(key) > 1 else key[0]
        assert key not in self.taken
        self.taken[key] = next(slot for slot in range(10_000) if slot not in self.taken.values())
        return self.taken[key]

    def remove(self, slot: int) -> None:
        self.taken = {key: each for key, each in self.taken.items() if each != slot}

    def slots(self) -> dict[Any, int]:
        return dict(self.taken)

    def row(self, slot: int) -> "Row":
        return Row(in_flight=self._in_flight(slot))


class Row:
    """Of an endpoint, or of a worker."""

    def __init__(self, in_flight: int = 0, snapshot: int = 0) -> None:
        self.in_flight = in_flight
        self.snapshot = snapshot


class Board:
    """`snapshots` are what workers have acknowledged, `in_flight` is by endpoint."""

    def __init__(self, endpoints: int = 1000) -> None:
        self.snapshots: list[int] = []
        self.in_flight: dict[int, int] = {}
        self.clusters = Slots(1000)
        self.endpoints = Slots(endpoints, lambda slot: self.in_flight.get(slot, 0))
        self.workers = self

    def rows(self) -> list[Row]:
        return [Row(snapshot=number) for number in self.snapshots]


def as_scoreboard(board: Board) -> Scoreboard:
    return cast(Scoreboard, board)


def cluster(name: str, *ips: str, **more: Any) -> Cluster:
    return Cluster(name, f"envoy {name}", name, tuple(Endpoint(ip, 80, f"pod-{ip}") for ip in ips), **more)


def of(*clusters: Cluster) -> dict[str, Cluster]:
    return {each.name: each for each in clusters}


def http(**services: dict[str, tuple[str, ...]]) -> dict[str, Listener]:
    """One HTTP listener with these Services."""
    return {ADDRESS: Listener("http", 80, "HTTP", services)}


EJECTING = EffectivePolicy(outlier_detection=OutlierDetection(3, 10000, 30000, 50))
A = cluster("a", "10.0.0.1", "10.0.0.2", policy=EJECTING)
B = cluster("b", "10.0.0.3")
LISTENERS = http(a={"a": ("a", "a:80")})
TLS = TlsForm(chain=b"chain", key=b"key", roots=b"roots", trust_domains=["cluster.local", "old.local"])
