"""Which clusters have the endpoint at an address: a tunnel may be opened to one by its own `ip:port`.

Follows the snapshots cluster by cluster, so that a change costs what it changes.
"""

from proxy.relay.endpoints.cluster cimport Cluster, Endpoint


cdef class Addresses:
    """Of all clusters of a worker."""

    def __init__(self):
        self.names = {}

    cdef int add(self, Cluster cluster) except -1:
        cdef Endpoint endpoint
        cdef tuple alone = (cluster.name,)      # one object for all its endpoints: mostly nobody else has them
        for endpoint in cluster.endpoints:
            others = self.names.get(endpoint.text)
            self.names[endpoint.text] = alone if others is None or others == alone else others + alone
        return 0

    cdef int drop(self, Cluster cluster) except -1:
        cdef Endpoint endpoint
        for endpoint in cluster.endpoints:
            others = tuple([name for name in self.names.get(endpoint.text, ()) if name != cluster.name])
            if others:
                self.names[endpoint.text] = others
            else:
                self.names.pop(endpoint.text, None)
        return 0

    cdef tuple clusters_at(self, bytes address):
        """Their names, in no order."""
        return self.names.get(address, ())
