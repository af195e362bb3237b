"""What is out under another prefix is taken over: a fleet that has got an id of its own goes on where it was.

Ejections keep their time, reason and name; a hand's stay a hand's. Doing it again changes nothing: what has been put
back since stays so, for its generation is known. The old keys are left to replicas that still use them, and to their
expiry.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import redis

from state.operating.rule import parse
from state.operating.viewer import Viewer
from state.outlier.redis_store import RedisStore
from state.outlier.store import ALREADY_EJECTED, EJECTED, OVERFLOW, STALE, Policy
from state.server.failures import unavailable

_SAID = {
    EJECTED: "taken over",
    ALREADY_EJECTED: "is out already",
    STALE: "has been put back since",
    OVERFLOW: "maxEjectionPercent leaves no room",
}
# Where no replica has told of a rule: whatever is out stays out.
_ANY = Policy(
    consecutive_5xx=0, interval_ms=10_000, base_ejection_ms=30_000, max_ejection_percent=100, endpoints=1 << 20
)


@dataclass(frozen=True, slots=True)
class Adopted:
    """One endpoint that is out under the old prefix, and what came of it under the new one."""

    cluster: str
    endpoint: str
    outcome: str


def adopt(client: redis.Redis, old: str, new: str) -> Iterator[Adopted]:
    """Offers everything that is out under `old` to the fleet under `new`, oldest first. Raises StoreUnavailable."""
    there, here = RedisStore(client, old), RedisStore(client, new)
    for cluster, endpoints in Viewer(client, old).clusters().items():
        if not endpoints:
            continue
        policy = _policy(client, new, cluster) or _policy(client, old, cluster) or _ANY
        view = there.sync(cluster, sorted(endpoints))
        for ejection in sorted(view.ejections, key=lambda each: each.left_ms - each.ejection_ms):
            verdict = here.offer(cluster, ejection, policy)
            yield Adopted(cluster, ejection.endpoint, _SAID.get(verdict.outcome, verdict.outcome))


def _policy(client: redis.Redis, prefix: str, cluster: str) -> Policy | None:
    with unavailable():
        text = client.get(Viewer(client, prefix).keys(cluster).rule)
    return parse(str(text or "")).policy
