"""The fleet's store: the scripts of `state/lua` on a Redis or Valkey server (6.2 or later).

All decisions are made inside the server; this module only writes arguments, reads replies, and turns every way in which
a server can fail into StoreUnavailable, once, here. It never retries and never waits longer than the client's timeout.
"""

from collections.abc import Sequence
from typing import Any, cast
from uuid import uuid4

import redis

from state.failures import unavailable
from state.keys import Keys, text_of, word
from state.scripts import source
from state.store import Batch, ClusterView, Ejection, Glance, Policy, Verdict
from state.subscription import Subscription


class RedisStore:
    """A `Store` shared by all replicas that use the same server and prefix. `client` must decode responses."""

    def __init__(self, client: redis.Redis, prefix: str = "waypoint") -> None:
        self._client = client
        self._prefix = prefix
        self._report, self._sync, self._offer, self._forget = (
            client.register_script(source(name)) for name in ("report", "sync", "offer", "forget")
        )

    def report(self, batch: Batch, policy: Policy) -> Verdict:
        """Count a batch and decide."""
        arguments: list[str | int] = [
            word(batch.workload),
            batch.generation,
            batch.lead,
            int(batch.any_success),
            batch.trail,
            batch.best_run,
            batch.last_status,
            word(batch.by),
            policy.consecutive_5xx,
            policy.interval_ms,
            policy.base_ejection_ms,
            policy.max_ejection_percent,
            policy.endpoints,
        ]
        with unavailable():
            return _verdict(self._on_endpoint(self._report, batch.cluster, batch.endpoint, arguments))

    def _on_endpoint(self, script: Any, cluster: str, endpoint: str, arguments: list[str | int]) -> Any:
        keys = Keys(self._prefix, cluster)
        names = [keys.ejected, keys.log, keys.version, keys.eject(endpoint), keys.endpoint(endpoint)]
        return script(keys=names, args=[keys.events, endpoint, *arguments])

    def glance(self, cluster: str, endpoints: Sequence[str]) -> Glance:
        """Version, epoch and who of `endpoints` has an eject key, in one MGET."""
        keys = Keys(self._prefix, cluster)
        with unavailable():
            names = [keys.version, keys.epoch, *map(keys.eject, endpoints)]
            version, epoch, *out = cast(list[str | None], self._client.mget(names))
            ejected = frozenset(name for name, text in zip(endpoints, out, strict=True) if text is not None)
            return Glance(int(version or 0), epoch or "", ejected)

    def sync(self, cluster: str, endpoints: Sequence[str]) -> ClusterView:
        """The whole state of `endpoints`; takes note of keys that were set or deleted by hand, creates a missing
        epoch."""
        keys = Keys(self._prefix, cluster)
        names = [keys.ejected, keys.log, keys.version, keys.epoch]
        for endpoint in endpoints:
            names += [keys.eject(endpoint), keys.endpoint(endpoint)]
        with unavailable():
            reply = self._sync(keys=names, args=[keys.events, uuid4().hex, *endpoints])
            version, epoch, ejections, dirty, generations = cast(list[Any], reply)
            return ClusterView(
                version=int(version),
                epoch=str(epoch),
                ejections=tuple(map(_ejection, ejections)),
                dirty={endpoint: int(failures) for endpoint, failures in dirty},
                generations={endpoint: int(generation) for endpoint, generation in generations},
            )

    def offer(
        self,
        cluster: str,
        endpoint: str,
        workload: str,
        left_ms: int,
        ejection_ms: int,
        generation: int,
        failures: int,
        ejections: int,
        backoff: int,
        policy: Policy,
        by: str,
    ) -> Verdict:
        """Offer an ejection decided elsewhere; see Store."""
        arguments: list[str | int] = [
            word(workload),
            left_ms,
            ejection_ms,
            generation,
            failures,
            ejections,
            backoff,
            policy.max_ejection_percent,
            policy.endpoints,
            word(by),
        ]
        with unavailable():
            return _verdict(self._on_endpoint(self._offer, cluster, endpoint, arguments))

    def forget(self, cluster: str, endpoint: str, workload: str) -> None:
        """Drop what is known of an endpoint that left the cluster."""
        with unavailable():
            self._on_endpoint(self._forget, cluster, endpoint, [word(workload)])

    def subscribe(self, clusters: Sequence[str]) -> Subscription:
        """Hear of changes in `clusters`; to miss none, `sync` after this returns."""
        with unavailable():
            subscription = Subscription(self._client.pubsub(), self._prefix)  # type: ignore[no-untyped-call]
        subscription.update(clusters)
        return subscription


def _verdict(reply: list[Any]) -> Verdict:
    outcome, *numbers, by = reply
    failures, generation, ejections, backoff, left_ms, ejection_ms, version = map(int, numbers)
    return Verdict(
        outcome=str(outcome),
        failures=failures,
        generation=generation,
        ejections=ejections,
        backoff=backoff,
        left_ms=left_ms,
        ejection_ms=ejection_ms,
        version=version,
        by=text_of(by),
    )


def _ejection(row: list[Any]) -> Ejection:
    endpoint, workload, *numbers, by, reason = row
    left_ms, ejection_ms, generation, failures, ejections, backoff = map(int, numbers)
    return Ejection(
        endpoint=str(endpoint),
        workload=text_of(workload),
        left_ms=left_ms,
        ejection_ms=ejection_ms,
        generation=generation,
        failures=failures,
        ejections=ejections,
        backoff=backoff,
        by=text_of(by),
        reason=text_of(reason),
    )
