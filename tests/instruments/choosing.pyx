"""How a cluster of the request path chooses, for tests and a benchmark: one pick, or how long many of them take."""

from proxy.clock cimport monotonic_ns
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.relay cimport Relay
from proxy.scoreboard.scoreboard cimport Scoreboard


def pick(Relay relay, str name, tried=(), unsigned long long key=0):
    """Whose turn it is in the cluster: the endpoint's ip:port, or None; `tried` are such that were had."""
    cdef Cluster cluster = relay.clusters[name]
    cdef Endpoint endpoint
    endpoints = [endpoint for endpoint in cluster.endpoints if endpoint.name in tried]
    endpoint = cluster.pick(endpoints or None, key)
    return None if endpoint is None else endpoint.name


def picking_ns(Relay relay, str name, int count) -> float:
    """What one pick of `count` took, in nanoseconds."""
    cdef Cluster cluster = relay.clusters[name]
    cdef long long began = monotonic_ns()
    for _ in range(count):
        cluster.pick(None, _)
    return <double>(monotonic_ns() - began) / count


def changes(Scoreboard board, int slot) -> int:
    """How often who is out of the cluster has changed, as the request path sees it."""
    return board.memory.cluster(slot).changes
