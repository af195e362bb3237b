"""The door to the store for operators, in the controller: what the fleet knows, with what this replica knows besides.

Values are lists and dictionaries, fit for JSON. While Redis is away looking goes on with this replica's own view, and
nothing is changed.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from proxy.fleet.clusters import Cluster, Endpoint, cluster_of
from proxy.fleet.ejections import PRIVATELY, locked, put_back
from proxy.ipc.snapshot import ClusterForm
from proxy.policy.causes import words_of
from proxy.scoreboard.clusters import ClusterLocked
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.views import OutlierState
from state.constants import ENDLESS_MS
from state.errors import StoreUnavailable
from state.operating.explain import (
    ClusterReport,
    EndpointReport,
    HereFacts,
    Replica,
    as_json,
    cluster_report,
    with_replica,
)
from state.operating.operator import Done, Operator, Order
from state.operating.rule import parse
from state.operating.sight import Out
from state.operating.viewer import Refused, address_of
from state.outlier.store import CONSECUTIVE_5XX, COUNTED_REASONS, is_by_hand
from state.server.access import Access
from state.server.connect import connect

__all__ = ["OperatorDoor", "Refused", "StoreUnavailable"]

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.5


class OperatorDoor:
    """One replica's. `clusters` gives the snapshot's, by name; `started` is the replica's, in monotonic seconds.

    What is asked may be Refused; what is to be changed may meet StoreUnavailable.
    """

    def __init__(
        self,
        scoreboard: Scoreboard,
        replica: str,
        access: Access,
        prefix: str,
        clusters: Callable[[], Mapping[str, ClusterForm]],
        started: float,
    ) -> None:
        self._scoreboard = scoreboard
        self._replica = replica
        self._snapshot = clusters
        self._started = started
        self._operator = Operator(connect(access, TIMEOUT_SECONDS), prefix, self._directory)

    def _clusters(self) -> dict[str, Cluster]:
        made = map(cluster_of, self._snapshot().values())
        return {cluster.name: cluster for cluster in made if cluster is not None}

    def _directory(self) -> dict[str, dict[str, str]]:
        return {
            name: {address: endpoint.workload for address, endpoint in cluster.endpoints.items()}
            for name, cluster in self._clusters().items()
        }

    # -- looking ------------------------------------------------------------------------------------------------------

    def ejections(self) -> dict[str, Any]:
        """What is out for the fleet, and what is out here besides. `fault`: why the fleet's is not known."""
        fault, out = "", []
        try:
            out = self._operator.ejections()
        except StoreUnavailable as error:
            fault = str(error)
        known = {(each.cluster, each.endpoint) for each in out}
        out += [each for each in self._own(bool(fault)) if (each.cluster, each.endpoint) not in known]
        return {"replica": self._replica, "fault": fault, "ejections": [asdict(each) for each in out]}

    def _own(self, all_of_them: bool) -> Iterator[Out]:
        """What the scoreboard has out; of what is the fleet's, only Redis can say whether it still is."""
        now_ms = time.monotonic_ns() // 1_000_000
        for cluster in self._clusters().values():
            for endpoint in cluster.endpoints.values():
                state = self._scoreboard.outlier.state(endpoint.slot)
                if state.ejected_until_ms > now_ms and (all_of_them or not state.shared):
                    yield self._out(cluster, endpoint, state, now_ms)

    def _out(self, cluster: Cluster, endpoint: Endpoint, state: OutlierState, now_ms: int) -> Out:
        left_ms = state.ejected_until_ms - now_ms
        return Out(
            cluster=cluster.name,
            endpoint=endpoint.address,
            workload=endpoint.workload,
            why=PRIVATELY if state.private else _why(state),
            by=state.by or ("-" if state.shared else self._replica),
            left_s=left_ms / 1000 if left_ms < ENDLESS_MS else None,
            key="",
            probe_in_s=max(0, state.probe_at_ms - now_ms) / 1000 if state.probe_at_ms else None,
            only_here=not state.shared,
        )

    def history(self, cluster: str, endpoint: str, limit: int, since_ms: int) -> list[dict[str, Any]]:
        """What happened, oldest first."""
        return [asdict(each) for each in self._operator.history(cluster, endpoint, limit, since_ms)]

    def explain(self, name: str, address: str) -> dict[str, Any]:
        """Why endpoints of that cluster, or the one at that address, are in or out, for the fleet and here."""
        try:
            found = self._operator.explain(name, address)
        except StoreUnavailable as error:
            found = self._explain_alone(name, address, str(error))
        cluster = self._clusters().get(name)
        here = {each: self._here(endpoint) for each, endpoint in cluster.endpoints.items()} if cluster else {}
        return as_json(with_replica(found, self._itself(cluster), here))

    def _explain_alone(self, name: str, address: str, fault: str) -> ClusterReport:
        cluster = self._clusters().get(name)
        address = address_of(address, self._directory().get(name, {}))
        if cluster is None or address not in ("", *cluster.endpoints):
            there_is = ", ".join(cluster.endpoints if cluster else self._clusters())
            raise Refused(f"unknown {'endpoint' if cluster else 'cluster'}; there is: {there_is or 'none'}")
        ejected = self._scoreboard.outlier.count_ejected(cluster.slots)
        found = cluster_report(name, parse(cluster.rule), None, None, ejected, fault)
        endpoints = (cluster.endpoints[address],) if address else cluster.endpoints.values()
        reports = tuple(EndpointReport(each.address, each.workload, None) for each in endpoints)
        return replace(found, reports=reports)

    def _here(self, endpoint: Endpoint) -> HereFacts:
        state, now_ms = self._scoreboard.outlier.state(endpoint.slot), time.monotonic_ns() // 1_000_000
        left_ms = max(0, state.ejected_until_ms - now_ms)
        own = state.run if left_ms and not state.shared else state.failures
        return HereFacts(
            ejected=left_ms > 0,
            left_s=left_ms / 1000 if left_ms < ENDLESS_MS else None,
            only_here=left_ms > 0 and not state.shared,
            private=left_ms > 0 and state.private,
            failures=state.failures,
            generation=state.generation,
            cause=words_of(self._scoreboard.endpoints.causes(endpoint.slot, own)),
        )

    def _itself(self, cluster: Cluster | None) -> Replica:
        mode = self._scoreboard.mode()
        return Replica(
            name=self._replica,
            mode="shared" if mode.shared else "local",
            since_s=round(time.monotonic() - (mode.since_ms / 1000 or self._started), 1),
            why="" if mode.shared else mode.reason or "Redis has not answered yet",
            suspects_itself=self._scoreboard.suspects_itself,
            rule=parse(cluster.rule).text if cluster else "",
        )

    # -- acting -------------------------------------------------------------------------------------------------------

    def eject(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Take an endpoint out: cluster, endpoint, by, why, ejection_ms (0: until it is unejected)."""
        return asdict(self._operator.eject(_order(order)))

    def uneject(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Put an endpoint back: cluster, endpoint, by, why. What is out here alone, or while Redis is away, is put back
        here; should the fleet have it out, until Redis answers."""
        asked = _order(order)
        try:
            return asdict(self._operator.uneject(asked))
        except Refused:
            if not self._put_back(asked, shared=False):
                raise
            return asdict(Done(asked.cluster, asked.endpoint, "unejected", "it was out for this replica alone"))
        except StoreUnavailable as error:
            if not self._put_back(asked, shared=True):
                raise
            warning = f"for this replica alone, and until Redis has an ejection to tell of: {error}"
            return asdict(Done(asked.cluster, asked.endpoint, "unejected", warning))

    def _put_back(self, order: Order, *, shared: bool) -> bool:
        """Whether the endpoint was out here, for this replica alone or (`shared`) for whomever."""
        cluster = self._clusters().get(order.cluster)
        endpoint = cluster.endpoints.get(order.endpoint) if cluster else None
        if cluster is None or endpoint is None:
            return False
        try:
            with locked(self._scoreboard, cluster):
                now_ms = time.monotonic_ns() // 1_000_000
                back = put_back(self._scoreboard, endpoint, now_ms, shared=shared)
        except ClusterLocked as error:
            raise StoreUnavailable(str(error)) from error
        if back:
            log.info("cluster %s: %s is put back here by %s: %s", cluster.name, endpoint.address, order.by, order.why)
        return back


def _why(state: OutlierState) -> str:
    if is_by_hand(state.reason):
        return state.reason
    reason = state.reason or CONSECUTIVE_5XX
    return f"{reason}={state.run}" if reason in COUNTED_REASONS else reason


def _order(given: Mapping[str, Any]) -> Order:
    """Raises Refused for anything but the fields of an order, of their kinds."""
    kinds = {"cluster": str, "endpoint": str, "by": str, "why": str, "ejection_ms": int}
    for name, value in given.items():
        if name not in kinds or type(value) is not kinds[name]:
            kind = "a number" if kinds.get(name) is int else "text"
            raise Refused(f"{name}: must be {kind}" if name in kinds else f"{name}: there is no such field")
    missing = [name for name in ("cluster", "endpoint", "by") if not given.get(name)]
    if missing:
        raise Refused(f"missing: {', '.join(missing)}")
    return Order(**given)
