"""Clusters and endpoints as the fleet's code sees them. Pure.

The request path has its own, compiled objects (relay/endpoints/cluster.pyx), made from the same part of a snapshot.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TypeVar

from proxy.addresses import join
from proxy.ipc.snapshot import ClusterForm, OutlierForm
from state.operating.rule import text_for
from state.outlier.rates import RateRule
from state.outlier.run import Run
from state.outlier.store import MIN_RUN_MS, Batch, Policy, View

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of a cluster."""

    address: str
    workload: str
    slot: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster with outlier detection on."""

    name: str
    slot: int
    policy: Policy  # the fleet's
    own_policy: Policy  # what this replica goes by when it decides alone: it has seen all that it counts
    rule: str  # the same for people, with where it came from
    endpoints: Mapping[str, Endpoint]  # by address
    by_slot: Mapping[int, Endpoint]
    slots: tuple[int, ...]  # the scoreboard rows of all endpoints
    rates: RateRule | None  # by which shares of successes are judged, if by any
    view: str  # short for who these are: replicas that have the same say so by this name


def cluster_of(body: ClusterForm) -> Cluster | None:
    """Made of its part of a snapshot; None if nothing is to be ejected there."""
    outlier = body["outlier"]
    if outlier is None:
        return None
    endpoints = {}
    for entry in body["endpoints"]:
        address = join(entry["ip"], entry["port"])
        endpoints[address] = Endpoint(address, entry["workload"], entry["slot"])
    policy = Policy(
        consecutive_5xx=outlier["consecutive_5xx"],
        interval_ms=outlier["interval_ms"],
        base_ejection_ms=outlier["base_ejection_ms"],
        max_ejection_percent=outlier["max_ejection_percent"],
        endpoints=len(endpoints),
        min_run_ms=MIN_RUN_MS,
        local_origin_quorum=outlier["local_origin_quorum"],
        probe=outlier["probe"],
        consecutive_gateway_failure=outlier["consecutive_gateway"],
        split_local_origin=outlier["split_local_origin"],
        consecutive_local_origin_failure=outlier["consecutive_local_origin"] if outlier["split_local_origin"] else 0,
    )
    rates = _rates(outlier)
    by_slot = {endpoint.slot: endpoint for endpoint in endpoints.values()}
    return Cluster(
        name=body["name"],
        slot=body["slot"],
        policy=policy,
        own_policy=replace(policy, min_run_ms=0, local_origin_quorum=1),
        rule=text_for(
            policy,
            body["destination_rule"],
            {endpoint.address: endpoint.workload for endpoint in endpoints.values()},
            rates,
        ),
        endpoints=endpoints,
        by_slot=by_slot,
        slots=tuple(by_slot),
        rates=rates,
        view=_view(endpoints.values()),
    )


def _rates(outlier: OutlierForm) -> RateRule | None:
    by_rate, by_percentage = outlier["success_rate"], outlier["failure_percentage"]
    rule = RateRule(outlier["interval_ms"])
    if by_rate:
        rule = replace(
            rule,
            success_rate_minimum_hosts=by_rate["minimum_hosts"],
            success_rate_request_volume=by_rate["request_volume"],
            success_rate_stdev_factor=by_rate["stdev_factor"],
            enforcing_success_rate=by_rate["enforcing"],
        )
    if by_percentage:
        rule = replace(
            rule,
            failure_percentage_threshold=by_percentage["threshold"],
            failure_percentage_minimum_hosts=by_percentage["minimum_hosts"],
            failure_percentage_request_volume=by_percentage["request_volume"],
            enforcing_failure_percentage=by_percentage["enforcing"],
        )
    return rule if by_rate or by_percentage else None


def _view(endpoints: Iterable[Endpoint]) -> str:
    lines = sorted(f"{endpoint.address} {endpoint.workload}" for endpoint in endpoints)
    return blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def view_of(cluster: Cluster, replica: str, for_ms: int) -> View:
    """What the replica says the cluster consists of."""
    workloads = {endpoint.address: endpoint.workload for endpoint in cluster.endpoints.values()}
    return View(replica, cluster.view, workloads, for_ms)


def batch_of(
    cluster: Cluster,
    endpoint: Endpoint,
    generation: int,
    run: Run,
    status: int,
    by: str,
    evidence: str = "",
) -> Batch:
    """What a store is told of outcomes on an endpoint."""
    return Batch(cluster.name, endpoint.address, endpoint.workload, generation, run, status, by, evidence)


def take_over(
    known: dict[str, T],
    full: bool,
    clusters: Iterable[ClusterForm],
    removed: Iterable[str],
    of: Callable[[ClusterForm], T | None],
) -> None:
    """Brings what is known of clusters, by name, up to a snapshot's part. `of`: what of one is to be known; nothing of
    those for which it is empty or None."""
    if full:
        known.clear()
    for name in removed:
        known.pop(name, None)
    for form in clusters:
        known.pop(form["name"], None)
        if found := of(form):
            known[form["name"]] = found
