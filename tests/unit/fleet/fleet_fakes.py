"""A store that answers from a list, and a clock that stands still: the fleet's code without Redis."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import gevent
from gevent.pool import Group

from proxy.controller.forms import cluster_form
from proxy.fleet import wiring
from proxy.fleet.clusters import Cluster, cluster_of
from proxy.fleet.desk import Desk, Links
from proxy.fleet.ejections import Ejections
from proxy.fleet.gevent_loop import GeventLoop
from proxy.fleet.known import Known
from proxy.fleet.reporter import Reporter
from proxy.ipc.snapshot import ClusterForm
from proxy.mesh import model
from proxy.mesh.traffic.outlier import OutlierDetection
from proxy.mesh.traffic.policy import EffectivePolicy
from proxy.scoreboard.scoreboard import Scoreboard
from state.errors import StoreUnavailable
from state.outlier.events import Event
from state.outlier.rates import Found, Outcomes, RateRule
from state.outlier.store import NO_PROBE, Batch, Claim, ClusterView, Ejection, Glance, Verdict, View
from state.rate_limits.decide import Asked, AskedByKey, Lease
from state.shares.decide import Asked as Wanted
from state.shares.decide import Shares
from state.warmup.store import Name

NAME = "httpbin/in-ambient:8000"


def body(board: Scoreboard, count: int = 3, cluster: int | None = None, **outlier: Any) -> ClusterForm:
    """A cluster's part of a snapshot, with rows of its own on the scoreboard."""
    slot = board.clusters.add(NAME) if cluster is None else cluster
    endpoints = tuple(model.Endpoint(f"10.0.0.{i}", 80, f"pod-{i}") for i in range(count))
    known = board.endpoints.slots()
    keys = [(slot, each.address, each.workload) for each in endpoints]
    places = [known[key] if key in known else board.endpoints.add(*key) for key in keys]
    rule = replace(OutlierDetection(3, 1000, 30_000, 50), **outlier)
    policy = EffectivePolicy(outlier_detection=rule, rule="httpbin/rule")
    made = model.Cluster(NAME, NAME, NAME, endpoints, policy)
    return cluster_form(made, slot, places)


def a_cluster(board: Scoreboard, count: int = 3, **outlier: Any) -> Cluster:
    made = cluster_of(body(board, count, **outlier))
    assert made is not None
    return made


def reporting(reporter: Reporter) -> Group:
    """It sends and takes answers, until that is killed."""
    group = Group()
    for work in (reporter.run, reporter.receive):
        group.spawn(work)
    return group


@contextmanager
def board() -> Iterator[Scoreboard]:
    made = Scoreboard.create()
    made.workers.start(0, 1)
    yield made


class FakeLoop(GeventLoop):
    """gevent's; with a clock that stands still, once it has been set, and loaded dice."""

    def __init__(self, now_ms: int | None = None) -> None:
        self.set_ms = now_ms
        self.luck = 0.0

    def now_ns(self) -> int:
        return super().now_ns() if self.set_ms is None else self.set_ms * 1_000_000

    def pass_time(self, ms: int) -> None:
        self.set_ms = self.now_ms() + ms

    def chance(self) -> float:
        return self.luck


def desk_of(made: Scoreboard, cluster: Cluster | None = None, loop: FakeLoop | None = None) -> tuple[Desk, "Told"]:
    """Worker 0's of replica a, and what is said in its log."""
    told = Told()
    desk = wiring.desk(made, 0, "a", loop or FakeLoop(), told)
    if cluster is not None:
        desk.clusters[cluster.name] = cluster
    return desk, told


class Told:
    """The log: sentences and endpoints."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, event: Any) -> None:
        fields = dict(event.fields)
        self.lines.append(f"{event.text.split()[0]} {fields['endpoint']} {fields.get('reason', '')}".strip())


def ejections(made: Scoreboard) -> tuple[Ejections, Told]:
    desk, told = desk_of(made)
    return desk.ejections, told


def known(left_ms: int = 30_000, generation: int = 1, version: int = 1, ejection_ms: int = 30_000) -> Known:
    return Known(left_ms, ejection_ms, generation, 3, 1, 1, NO_PROBE, "b", "consecutive_5xx", version)


def verdict(outcome: str, failures: int = 0, generation: int = 0, left_ms: int = 0, version: int = 1) -> Verdict:
    return Verdict(outcome, failures, generation, 1, 1, left_ms, left_ms, version, "b" if left_ms else "")


class Silence:
    """News of which there are none."""

    def update(self, clusters: Any) -> None:
        pass

    def next(self, timeout: float) -> Event | None:
        gevent.sleep(timeout)
        return None

    def close(self) -> None:
        pass


class FakeStore:
    """Keeps what it was asked; raises what it finds among its answers."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.offers: list[Ejection] = []
        self.forgotten: list[str] = []
        self.withdrawn: list[str] = []
        self.without_rule: list[str] = []
        self.answers: list[Verdict | Exception] = []
        self.view = ClusterView(1, "e1", (), {}, {})
        self.claim = Claim(True)
        self.claims = 0
        self.lefts: dict[str, int] = {}
        self.looks = 0
        self.replicas = 0
        self.rates: list[Outcomes] = []
        self.views: list[View | None] = []  # told with looks
        self.syncs = 0
        self.meanwhile: Any = lambda: None
        self.unusable: Exception | None = None

    def _answer(self) -> Verdict:
        self.meanwhile()
        answer = self.answers.pop(0) if self.answers else verdict("clean")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def report(self, batch: Batch, policy: Any) -> Verdict:
        self.batches.append(batch)
        return self._answer()

    def send(self, batch: Batch, policy: Any) -> Callable[[], Verdict]:
        self.batches.append(batch)
        return self._answer

    def tell_rates(self, cluster: str, told: Outcomes, rule: RateRule, policy: Any) -> list[Found]:
        self.rates.append(told)
        return []

    def claim_probe(self, cluster: str, endpoint: str, by: str, lease_ms: int) -> Claim:
        self.claims += 1
        return self.claim

    def probed(self, batch: Batch, policy: Any) -> Verdict:
        self.batches.append(batch)
        return self._answer()

    def offer(self, cluster: str, ejection: Ejection, policy: Any) -> Verdict:
        self.offers.append(ejection)
        return self._answer()

    def forget(self, cluster: str, endpoint: str, workload: str, replica: str) -> None:
        self.forgotten.append(endpoint)

    def rule_deleted(self, cluster: str, by: str) -> None:
        self.without_rule.append(cluster)

    def withdraw(self, cluster: str, ejection: Ejection, by: str) -> None:
        self.withdrawn.append(ejection.endpoint)
        kept = tuple(each for each in self.view.ejections if each.endpoint != ejection.endpoint)
        self.view = replace(self.view, ejections=kept, version=self.view.version + 1)

    def glance(self, cluster: str, endpoints: Any, view: View | None = None) -> Glance:
        self.looks += 1
        self.views.append(view)
        out = frozenset(ejection.endpoint for ejection in self.view.ejections)
        return Glance(self.view.version, self.view.epoch, out, self.lefts, self.replicas)

    def sync(
        self,
        cluster: str,
        endpoints: Any,
        version: int = 0,
        epoch: str = "",
        rule: str = "",
        view: View | None = None,
    ) -> ClusterView:
        self.syncs += 1
        self.meanwhile()
        if isinstance(self.unusable, Exception):
            raise self.unusable
        if self.view.epoch == epoch and self.view.version < version:
            self.view = replace(self.view, epoch=f"{epoch}'")
            return replace(self.view, gone_back=True)
        return self.view

    def subscribe(self, clusters: Any) -> Silence:
        return Silence()

    def misfits(self, cluster: str, endpoints: Any) -> list[str]:
        return ["waypoint:{c}:log is a string, not a stream"] if self.unusable else []


class NoLender:
    """There is no rate limit."""

    def lease(self, cluster: str, asked: Asked) -> Lease:
        raise AssertionError("nobody asks for a lease")

    def lease_by_key(self, cluster: str, asked: AskedByKey) -> tuple[int, dict[int, Lease]]:
        raise AssertionError("nobody asks for leases")


class NoSharer:
    """There is no limit of the fleet's."""

    def share(self, cluster: str, asked: Wanted) -> Shares:
        raise AssertionError("nobody asks for a share")


class NoRegister:
    """No endpoint warms up."""

    def first_seen(self, cluster: str, ages_ms: Mapping[Name, int]) -> dict[Name, int]:
        raise AssertionError("nobody asks since when there are endpoints")


def links_of(store: FakeStore, problems: Callable[[], list[Any]] = list) -> Links:
    """To that store, for everything."""
    return Links(store, store, lambda: None, problems, lambda: False, NoLender(), NoSharer(), NoRegister())


def ejection(endpoint: str, workload: str = "", left_ms: int = 30_000, generation: int = 1) -> Ejection:
    return Ejection(endpoint, workload, left_ms, 30_000, generation, 3, 1, 1, "b", "consecutive_5xx")


AWAY = StoreUnavailable("redis: away")
