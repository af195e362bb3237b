"""The fleet's store: the scripts of `state/lua` on a Redis or Valkey server (6.2 or later).

All decisions are made inside the server; this module only writes arguments, reads replies, and turns every way in which
a server can fail into StoreUnavailable, once, here. It never retries and never waits longer than the client's timeout.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast
from uuid import uuid4

import redis

from state.constants import ENDLESS_MS
from state.keys import Keys, text_of, word
from state.outlier import packing
from state.outlier.misfits import misfits
from state.outlier.rates import Found, Outcomes, RateRule
from state.outlier.store import Batch, Claim, ClusterView, Ejection, Glance, Policy, Verdict, View
from state.outlier.subscription import Subscription
from state.scripts import source
from state.server.failures import unavailable
from state.server.in_order import InOrder

_SCRIPTS = (
    "report",
    "sync",
    "offer",
    "forget",
    "claim_probe",
    "probed",
    "time_left",
    "withdraw",
    "rule_deleted",
    "tell_rates",
)
for _name in _SCRIPTS:
    source(_name)  # with the module: workers are forked from who has read it, and share them


class RedisStore:
    """A `Store` shared by all replicas that use the same server and prefix. `client` must decode responses."""

    def __init__(self, client: redis.Redis, prefix: str = "waypoint") -> None:
        self._client = client
        self._prefix = prefix
        self._scripts = {name: client.register_script(source(name)) for name in _SCRIPTS}
        self._reports = InOrder(client, self._scripts["report"])

    def report(self, batch: Batch, policy: Policy) -> Verdict:
        """Count a batch and decide."""
        with unavailable():
            keys, arguments = self._of_report(batch, policy)
            return _verdict(self._scripts["report"](keys=keys, args=arguments))

    def send(self, batch: Batch, policy: Policy) -> Callable[[], Verdict]:
        """Count a batch and decide, without waiting; see Reports."""
        with unavailable():
            answer = self._reports.send(*self._of_report(batch, policy))

        def verdict() -> Verdict:
            with unavailable():
                return _verdict(answer())

        return verdict

    def _of_report(self, batch: Batch, policy: Policy) -> tuple[list[str], list[str | int | bytes]]:
        arguments = [packing.batch(batch, several=policy.counts_several), packing.policy(policy)]
        return self._of_endpoint(batch.cluster, batch.endpoint, arguments)

    def tell_rates(self, cluster: str, told: Outcomes, rule: RateRule, policy: Policy) -> Sequence[Found]:
        """Tell counts, and judge if it is time; see Store."""
        keys = Keys(self._prefix, cluster)
        names = [keys.ejected, keys.log, keys.version, keys.rates]
        arguments: list[str | bytes] = [
            keys.events,
            packing.rates(told),
            packing.rate_rule(rule),
            packing.policy(policy),
        ]
        with unavailable():
            rows = cast(list[list[Any]], self._scripts["tell_rates"](keys=names, args=arguments))
            return [
                Found(str(endpoint), str(reason), int(number), str(outcome), int(generation))
                for endpoint, reason, number, outcome, generation in rows
            ]

    def claim_probe(self, cluster: str, endpoint: str, by: str, lease_ms: int) -> Claim:
        """Ask to probe an ejected endpoint; see Store."""
        with unavailable():
            granted, wait_ms = self._on_endpoint(self._scripts["claim_probe"], cluster, endpoint, [word(by), lease_ms])
            return Claim(granted == 1, int(wait_ms))

    def probed(self, batch: Batch, policy: Policy) -> Verdict:
        """Tell what the probe said; see Store."""
        with unavailable():
            arguments = [packing.batch(batch), packing.policy(policy)]
            return _verdict(self._on_endpoint(self._scripts["probed"], batch.cluster, batch.endpoint, arguments))

    def _on_endpoint(self, script: Any, cluster: str, endpoint: str, arguments: Sequence[str | int | bytes]) -> Any:
        keys, all_arguments = self._of_endpoint(cluster, endpoint, arguments)
        return script(keys=keys, args=all_arguments)

    def _of_endpoint(
        self, cluster: str, endpoint: str, arguments: Sequence[str | int | bytes]
    ) -> tuple[list[str], list[str | int | bytes]]:
        """KEYS and ARGV of a script about one endpoint."""
        keys = Keys(self._prefix, cluster)
        names = [keys.ejected, keys.log, keys.version, keys.eject(endpoint), keys.endpoint(endpoint)]
        return names, [keys.events, endpoint, *arguments]

    def glance(self, cluster: str, endpoints: Sequence[str], view: View | None = None) -> Glance:
        """Version, epoch and who of `endpoints` has an eject key, in one MGET; for how long, only if there are any."""
        keys = Keys(self._prefix, cluster)
        with unavailable():
            names = [keys.version, keys.epoch, *map(keys.eject, endpoints)]
            version, epoch, *out = cast(list[str | None], self._client.mget(names))
            ejected = [name for name, text in zip(endpoints, out, strict=True) if text is not None]
            known = int(version) if version and version.isdecimal() else 0
            return Glance(known, epoch or "", frozenset(ejected), *self._left(keys, ejected, view))

    def _left(self, keys: Keys, ejected: Sequence[str], view: View | None) -> tuple[dict[str, int], int]:
        """How long each is out still, those that are back by now left out; how many replicas there are."""
        if not ejected and view is None:
            return {}, 0
        names = [keys.ejected, keys.log, keys.version, *map(keys.eject, ejected)]
        told = (word(view.replica), view.name, view.for_ms) if view else ("", "", 0)
        replicas, *reply = cast(list[int], self._scripts["time_left"](keys=names, args=[keys.events, *told]))
        lefts = {
            name: min(left, ENDLESS_MS) if left != -1 else ENDLESS_MS for name, left in zip(ejected, reply, strict=True)
        }
        return {name: left for name, left in lefts.items() if left >= 0}, replicas

    def sync(
        self,
        cluster: str,
        endpoints: Sequence[str],
        version: int = 0,
        epoch: str = "",
        rule: str = "",
        view: View | None = None,
    ) -> ClusterView:
        """The whole state of `endpoints`; takes note of keys that were set or deleted by hand, creates a missing
        epoch, and a new one if this one has not got as far as `version`."""
        keys = Keys(self._prefix, cluster)
        names = [keys.ejected, keys.log, keys.version, keys.epoch, keys.rule]
        for endpoint in endpoints:
            names += [keys.eject(endpoint), keys.endpoint(endpoint)]
        with unavailable():
            told = packing.view(view, endpoints) if view else b""
            reply = self._scripts["sync"](
                keys=names, args=[keys.events, uuid4().hex, epoch, version, rule, told, *endpoints]
            )
            found, now, time_ms, ejections, dirty, generations, gone_back, before = cast(list[Any], reply)
            return ClusterView(
                version=int(found),
                epoch=str(now),
                time_ms=int(time_ms),
                ejections=tuple(map(_ejection, ejections)),
                dirty={endpoint: int(failures) for endpoint, failures in dirty},
                generations={endpoint: int(generation) for endpoint, generation in generations},
                gone_back=gone_back == 1,
                rule_before=before,
            )

    def offer(self, cluster: str, ejection: Ejection, policy: Policy) -> Verdict:
        """Offer an ejection decided elsewhere; see Store."""
        arguments = [packing.ejection(ejection), packing.policy(policy)]
        with unavailable():
            return _verdict(self._on_endpoint(self._scripts["offer"], cluster, ejection.endpoint, arguments))

    def forget(self, cluster: str, endpoint: str, workload: str, replica: str) -> None:
        """Drop what is known of an endpoint that left the cluster; see Store."""
        with unavailable():
            self._on_endpoint(self._scripts["forget"], cluster, endpoint, [word(workload), word(replica)])

    def rule_deleted(self, cluster: str, by: str) -> None:
        """Tell it in the stream; see Store."""
        keys = Keys(self._prefix, cluster)
        with unavailable():
            self._scripts["rule_deleted"](
                keys=[keys.ejected, keys.log, keys.version, keys.rule], args=[keys.events, word(by)]
            )

    def withdraw(self, cluster: str, ejection: Ejection, by: str) -> None:
        """Lift an ejection that older data have brought back; see Store."""
        with unavailable():
            self._on_endpoint(self._scripts["withdraw"], cluster, ejection.endpoint, [ejection.generation, word(by)])

    def misfits(self, cluster: str, endpoints: Sequence[str]) -> list[str]:
        """After KeysUnusable: the keys it was about, each with what is wrong."""
        with unavailable():
            return misfits(self._client, Keys(self._prefix, cluster), endpoints)

    def subscribe(self, clusters: Sequence[str]) -> Subscription:
        """Hear of changes in `clusters`; to miss none, `sync` after this returns. A server that has just been started
        has no scripts: they are loaded at once, or each would cost its first caller three round trips."""
        self._load_scripts()
        with unavailable():
            subscription = Subscription(self._client.pubsub(), self._prefix)  # type: ignore[no-untyped-call]
        subscription.update(clusters)
        return subscription

    def _load_scripts(self) -> None:
        """Whoever runs one that is missing loads it, as in a Cluster, where each node would have to be asked."""
        if hasattr(self._client, "primaries"):
            return
        with suppress(redis.RedisError, OSError), self._client.pipeline(transaction=False) as loading:
            for name in _SCRIPTS:
                loading.script_load(source(name))
            loading.execute()


def _verdict(reply: list[Any]) -> Verdict:
    outcome, *numbers, by, reason, names, cause = reply
    failures, generation, ejections, backoff, left_ms, ejection_ms, version, wait_ms, probe_in_ms = map(int, numbers)
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
        wait_ms=wait_ms,
        probe_in_ms=probe_in_ms,
        reason=text_of(reason),
        names=tuple(text_of(name) for name in names.split(",") if name),
        cause=text_of(cause),
    )


def _ejection(row: list[Any]) -> Ejection:
    endpoint, workload, *numbers, by, reason, cause = row
    left_ms, ejection_ms, generation, failures, ejections, backoff, probe_in_ms = map(int, numbers)
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
        probe_in_ms=probe_in_ms,
        cause=text_of(cause),
    )
