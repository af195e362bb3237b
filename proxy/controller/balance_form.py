"""From `loadBalancer` of the policy in force to the form that workers balance by. Pure."""

from collections.abc import Sequence

from proxy.ipc.snapshot import BalanceForm, GroupsForm, HashForm, WarmupForm
from proxy.mesh.model import Endpoint, Spread
from proxy.mesh.traffic.balancing import ConsistentHash, HttpCookie, LoadBalancer, Simple, Warmup

ALGORITHMS = {
    Simple.ROUND_ROBIN: "round_robin",
    Simple.LEAST_REQUEST: "least_request",
    Simple.LEAST_CONN: "least_request",
    Simple.RANDOM: "random",
    Simple.PASSTHROUGH: "passthrough",
}
DEFAULT = "round_robin"
WARMING = ("round_robin", "least_request")
"""Those that know of warm-up, as Envoy's do."""


def balance_form(
    balancer: LoadBalancer, endpoints: Sequence[Endpoint] = (), spread: Spread | None = None
) -> BalanceForm:
    """How endpoints are chosen. What is not in force (mesh/kinds/in_force.py) is as without a rule."""
    form = _algorithm_form(balancer)
    if spread:
        form["groups"] = _groups_form(spread)
    if balancer.slow_start and form["algorithm"] in WARMING:
        form["warmup"] = _warmup_form(balancer.slow_start, endpoints)
    return form


def _groups_form(spread: Spread) -> GroupsForm:
    weights = [] if spread.failover else [each.weight for each in spread.groups]
    sizes, names = [each.size for each in spread.groups], [each.name for each in spread.groups]
    return GroupsForm(sizes=sizes, weights=weights, names=names)


def _warmup_form(warmup: Warmup, endpoints: Sequence[Endpoint]) -> WarmupForm:
    return WarmupForm(
        window_ms=warmup.duration_ms,
        least_percent=warmup.minimum_percent,
        aggression=warmup.aggression,
        joined_ms=[each.joined_ms for each in endpoints],
    )


def _algorithm_form(balancer: LoadBalancer) -> BalanceForm:
    by_key = balancer.consistent_hash
    if by_key is None:
        return BalanceForm(algorithm=ALGORITHMS.get(balancer.simple, DEFAULT), table_size=0)
    size = by_key.maglev.table_size if by_key.maglev else 0
    form = BalanceForm(algorithm="maglev" if size else "ring_hash", table_size=size)
    hashed = _hash_form(by_key)
    return form | {"hash": hashed} if hashed else form


def _hash_form(by_key: ConsistentHash) -> HashForm | None:
    """What is hashed; None: the rule names nothing, so every request goes to any."""
    if cookie := by_key.http_cookie:
        return HashForm(kind="cookie", name=cookie.name, set_cookie=_attributes(cookie))
    if name := by_key.http_header_name:
        return HashForm(kind="header", name=name.lower(), set_cookie=None)
    if name := by_key.http_query_parameter_name:
        return HashForm(kind="query", name=name, set_cookie=None)
    return HashForm(kind="source_ip", name="", set_cookie=None) if by_key.use_source_ip else None


def _attributes(cookie: HttpCookie) -> str | None:
    """As Envoy writes them (hash_policy.cc, Utility::makeSetCookieValue)."""
    if cookie.ttl_ms is None:
        return None
    parts = [f"Max-Age={cookie.ttl_ms // 1000}"] if cookie.ttl_ms else []
    parts += [f"Path={cookie.path}"] if cookie.path else []
    parts += [f"{each.name}={each.value}" if each.value else each.name for each in cookie.attributes]
    return "".join(f"; {part}" for part in (*parts, "HttpOnly"))
