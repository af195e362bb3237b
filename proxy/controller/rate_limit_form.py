"""From rate limits to the form that workers go by. Pure."""

from hashlib import blake2b

from proxy.ipc.snapshot import RateLimitForm
from proxy.mesh.model import Cluster
from proxy.mesh.traffic.rate_limit import RateLimit
from proxy.mesh.traffic.scope import Scope


def rate_limit_forms(cluster: Cluster) -> list[RateLimitForm]:
    """Those of a cluster."""
    return [_form(cluster.name, limit) for limit in cluster.rate_limits]


def _form(cluster: str, limit: RateLimit) -> RateLimitForm:
    """What counts is known by its name and all of the limit: one that changes begins anew."""
    digest = blake2b(f"{cluster} {limit}".encode(), digest_size=8).digest()
    return RateLimitForm(
        id=int.from_bytes(digest) or 1,
        text=str(limit),
        interval_ns=limit.interval_ns,
        burst=limit.burst,
        key=limit.key,
        header=limit.header,
        fleet=limit.scope is Scope.FLEET,
    )
