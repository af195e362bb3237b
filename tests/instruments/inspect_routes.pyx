"""Where a worker's requests would go, as text: for tests, never on the path of a request."""

from proxy.relay.endpoints.cluster cimport Cluster
from proxy.relay.routes cimport Routes


def of_host(Routes routes, bytes host) -> str:
    """The cluster's name; "" for none."""
    cdef Cluster cluster = routes.of_host(host)
    return "" if cluster is None else cluster.name


def of_target(Routes routes, bytes target) -> str:
    """The cluster's name, and the endpoint's if it is one alone that was asked for: "" for none."""
    cdef Cluster cluster = routes.of_target(target)
    if cluster is None:
        return ""
    return f"{cluster.name} alone {cluster.endpoints[0].name}" if cluster.envoy_name == b"encap" else cluster.name
