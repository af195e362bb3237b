"""From `connectionPool` and `retryBudget` of the policy in force to the form that workers go by. Pure."""

from math import ceil

from proxy.ipc.routing import RetryForm
from proxy.ipc.snapshot import PoolForm
from proxy.mesh.traffic.connections import HttpPool, TcpKeepalive, TcpPool
from proxy.mesh.traffic.policy import EffectivePolicy
from proxy.mesh.traffic.retries import RetryPolicy
from proxy.mesh.traffic.scope import Scope

SHORTEST_MS = 10
"""Of `budgetInterval`, which is counted in tenths; less is taken for this."""


def pool_form(policy: EffectivePolicy) -> PoolForm:
    """What the policy says of it: nothing where there is none."""
    tcp, http, budget = policy.connection_pool.tcp, policy.connection_pool.http, policy.retry_budget
    form = _limits(tcp, http)
    if budget:
        form["budget_percent"], form["budget_min"] = budget.percent, budget.min_retry_concurrency
        if budget.budget_interval_ms:
            form["budget_interval_ms"] = max(SHORTEST_MS, budget.budget_interval_ms)
    if form and policy.limits_scope is Scope.FLEET:
        form["fleet"] = True
    return form | _lifetimes(tcp, http)


def _limits(tcp: TcpPool, http: HttpPool) -> PoolForm:
    form = PoolForm()
    if tcp.max_connections:
        form["connections"] = tcp.max_connections
    if http.http1_max_pending_requests:
        form["pending"] = http.http1_max_pending_requests
    if http.http2_max_requests:
        form["requests"] = http.http2_max_requests
    if http.max_retries:
        form["retries"] = http.max_retries
    return form


def _lifetimes(tcp: TcpPool, http: HttpPool) -> PoolForm:
    """Connections for HTTP are idle as long as `tcp` says where `http` does not (Istio's applyConnectionPool)."""
    form = PoolForm()
    idle = tcp.idle_timeout_ms if http.idle_timeout_ms is None else http.idle_timeout_ms
    if idle is not None:
        form["idle_ms"] = idle
    if tcp.idle_timeout_ms is not None:
        form["bytes_idle_ms"] = tcp.idle_timeout_ms
    if tcp.max_connection_duration_ms:
        form["duration_ms"] = tcp.max_connection_duration_ms
    if http.max_requests_per_connection:
        form["requests_per_connection"] = http.max_requests_per_connection
    if http.max_concurrent_streams:
        form["streams"] = http.max_concurrent_streams
    if ping := http.http2_keep_alive:
        form["ping_ms"], form["pong_ms"] = ping.interval_ms, ping.timeout_ms
    if tcp.tcp_keepalive:
        form["keepalive"] = _keepalive(tcp.tcp_keepalive)
    return form


def _keepalive(asked: TcpKeepalive) -> list[int]:
    """The kernel knows whole seconds."""
    return [asked.probes or 0, ceil((asked.time_ms or 0) / 1000), ceil((asked.interval_ms or 0) / 1000)]


def retry_form(policy: RetryPolicy) -> RetryForm:
    """How often and how long requests are tried."""
    form = RetryForm(
        attempts=policy.attempts,
        attempt_ms=policy.attempt_ms or 0,
        timeout_ms=policy.timeout_ms or 0,
        pause_ms=policy.pause_ms,
        longest_pause_ms=policy.longest_pause_ms,
        least_pause_ms=policy.least_pause_ms,
    )
    if policy.codes:
        form["codes"] = list(policy.codes)
    if policy.on:
        form["on"] = list(policy.on)
    return form
