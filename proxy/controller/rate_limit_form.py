"""From rate limits to the form that workers go by. Pure."""

from hashlib import blake2b

from proxy.ipc.snapshot import RateLimitForm
from proxy.mesh.model import Cluster
from proxy.mesh.traffic.rate_limit import RateLimit
from proxy.mesh.traffic.routing import RouteRule
from proxy.mesh.traffic.scope import Scope


def rate_limit_forms(cluster: Cluster) -> list[RateLimitForm]:
    """Those of a cluster."""
    return [_form(cluster.name, str(limit), limit) for limit in cluster.rate_limits]


def route_limit_forms(cluster: Cluster) -> dict[str, list[RateLimitForm]]:
    """Those of the routes of a cluster, by rule; the rules of one route have the same."""
    rules = cluster.routing.rules if cluster.routing else ()
    return {
        rule.name: [_form(cluster.name, of_route(limit, rule), limit) for limit in rule.rate_limits]
        for rule in rules
        if rule.rate_limits
    }


def of_route(limit: RateLimit, rule: RouteRule) -> str:
    """How people are told of it."""
    return f"{limit} of {rule.route}"


def _form(cluster: str, text: str, limit: RateLimit) -> RateLimitForm:
    """What counts is known by its name and all of the limit: one that changes begins anew."""
    digest = blake2b(f"{cluster} {text}".encode(), digest_size=8).digest()
    return RateLimitForm(
        id=int.from_bytes(digest) or 1,
        text=text,
        interval_ns=limit.interval_ns,
        burst=limit.burst,
        key=limit.key,
        header=limit.header,
        fleet=limit.scope is Scope.FLEET,
    )
