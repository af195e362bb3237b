"""Where a listener's requests go, as the snapshot says: by Host on a plain listener, by CONNECT authority in a tunnel.

A tunnel to the address of an endpoint itself goes to that endpoint and to no other, without any service's policy (Istio:
pod-addressed traffic): its cluster is made when first asked for.
"""

from proxy.relay.endpoints.cluster cimport Cluster, Endpoint


cdef class Routes:
    """`pin(cluster, endpoint)` makes the cluster of one endpoint alone."""

    def __init__(self, dict table=None, list clusters=None, pin=None):
        self.table = table or {}
        self.clusters = clusters or []
        self.pin = pin

    cdef Cluster of_host(self, bytes host):
        cdef Cluster cluster = self.table.get(host)
        return cluster if cluster is not None else self.table.get(host.lower())

    cdef Cluster of_target(self, bytes target):
        """`target` is in lower case."""
        cdef Cluster cluster = self.table.get(target)
        if cluster is None:
            if self.pinned is None:
                self.pinned = self.addresses()
            found = self.pinned.get(target)
            if found is not None:
                cluster = self.table[target] = self.pin(*found)
        return cluster

    def addresses(self) -> dict:
        """Every endpoint's address, with the first cluster that has it."""
        cdef Cluster cluster
        cdef Endpoint endpoint
        found = {}
        for cluster in self.clusters:
            for endpoint in cluster.endpoints:
                found.setdefault(endpoint.text, (cluster, endpoint))
        return found
