"""From `connectionPool` and `retryBudget` of the policy in force to the form that workers go by. Pure."""

from proxy.ipc.snapshot import PoolForm
from proxy.mesh.traffic.policy import EffectivePolicy


def pool_form(policy: EffectivePolicy) -> PoolForm:
    """What the policy says of it: nothing where there is none."""
    tcp, http, budget = policy.connection_pool.tcp, policy.connection_pool.http, policy.retry_budget
    form = PoolForm()
    if tcp.max_connections:
        form["connections"] = tcp.max_connections
    if http.http1_max_pending_requests:
        form["pending"] = http.http1_max_pending_requests
    if http.http2_max_requests:
        form["requests"] = http.http2_max_requests
    if http.max_retries:
        form["retries"] = http.max_retries
    if budget:
        form["budget_percent"], form["budget_min"] = budget.percent, budget.min_retry_concurrency
    return form
