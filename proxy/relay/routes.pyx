"""Where a listener's requests go, as the snapshot says: by Host on a plain listener, by CONNECT authority in a tunnel.

A tunnel to the address of an endpoint itself goes to that endpoint and to no other, without any service's policy (Istio:
pod-addressed traffic): its cluster is made when first asked for.

Names on a listener may be `www.example.com:*`, with any port, `*.example.com`, for all that ends so, and `*`: they are
looked for in this order where no other name fits, longest first, and a Host's port does not matter to them.

The table leads to names, and the worker's clusters by name are what they are now: a cluster that changes needs no new
table, and a Service whose names change no other's.
"""

from libc.string cimport memcmp

from proxy.relay.endpoints.addresses cimport Addresses
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint


cdef enum:
    LONGEST_HOST = 255              # a name of DNS is never longer


cdef class Routes:
    """`clusters` are the worker's, which change under it; with `addresses` endpoints may be asked for by their own."""

    def __init__(self, dict clusters=None, Addresses addresses=None):
        self.clusters = {} if clusters is None else clusters
        self.addresses = addresses
        self.services = {}
        self.table = {}
        self.reached = {}
        self.pinned = {}
        self.latest = b""

    def apply(self, dict services, list removed) -> None:
        """Takes over the Services that changed and forgets those removed.

        All old names go before new ones come: one may have moved from a Service to another.
        """
        self.pinned.clear()
        for service in [*removed, *services]:
            self.forget(self.services.pop(service, {}))
        for service, clusters in services.items():
            self.services[service] = clusters
            for cluster, names in clusters.items():
                self.reached[cluster] = service
                for name in names:
                    self.wildcards += name not in self.table and b"*" in name
                    self.table[name] = cluster

    def forget(self, dict clusters) -> None:
        """These routes of one Service."""
        for cluster, names in clusters.items():
            self.reached.pop(cluster, None)
            for name in names:
                self.wildcards -= self.table.pop(name, None) is not None and b"*" in name

    cdef bytes host(self, const char* text, Py_ssize_t length):
        """A Host as an object. The one asked for last is asked for again more often than not, and knows its hash."""
        if len(self.latest) != length or memcmp(<const char*>self.latest, text, length) != 0:
            self.latest = text[:length]
        return self.latest

    cdef Cluster of_host(self, bytes host):
        name = self.table.get(host)
        if name is None:
            host = host.lower()
            name = self.table.get(host)
        if name is None and self.wildcards:
            name = self.by_wildcard(host)
        return self.clusters.get(name)

    cdef bint is_misdirected(self, bytes host) except -1:
        """Whether a Host is another listener's of the same port."""
        return False

    cdef str by_wildcard(self, bytes host):
        """Without its port, and then by what it ends in."""
        cdef bytes bare, port
        cdef Py_ssize_t at
        bare, _, port = host.rpartition(b":")
        if bare and port.isdigit():
            host = bare
        name = self.table.get(host + b":*") if len(host) <= LONGEST_HOST else None
        at = host.find(b".", 1) if len(host) <= LONGEST_HOST else -1
        while name is None and at >= 0:
            name = self.table.get(b"*" + host[at:])
            at = host.find(b".", at + 1)
        return self.table.get(b"*") if name is None else name

    cdef Cluster of_target(self, bytes target):
        """`target` is in lower case."""
        name = self.table.get(target)
        if name is not None:
            return self.clusters.get(name)
        cdef Cluster cluster = self.pinned.get(target)
        return cluster if cluster is not None or self.addresses is None else self.pin(target)

    cdef Cluster pin(self, bytes target):
        """The cluster of the endpoint at this address alone; None if the listener reaches no cluster that has it."""
        cdef str name = self.first_at(target)
        cdef Cluster cluster
        cdef Endpoint endpoint
        if name is None:
            return None
        cluster = self.clusters[name]
        for endpoint in cluster.endpoints:
            if endpoint.text == target:
                cluster = self.pinned[target] = cluster.alone(endpoint)
                return cluster
        return None

    cdef str first_at(self, bytes target):
        """Of the clusters with an endpoint at this address, the first one: by Service, then in the order of its ports."""
        found = None
        for name in self.addresses.clusters_at(target):
            service = self.reached.get(name)
            if service is not None:
                rank = (service, list(self.services[service]).index(name))
                found = min(found, (rank, name)) if found else (rank, name)
        return found[1] if found else None
