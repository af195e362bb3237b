"""Connections of clients that speak TLS to the Gateway's own listeners (protocol HTTPS).

Listeners that share a port share its socket and its table of hosts, and are told apart by hostname: the name that a
client's TLS asks for says which one a connection belongs to, for good. A request on it whose Host is another one's gets
421 (Gateway API, Listener.hostname), so that a client which puts several names on one connection asks on another
(RFC 9113 9.1.1), where that listener's certificate is shown.
"""

import logging

from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.cluster cimport Cluster
from proxy.relay.relay cimport Connection, Relay
from proxy.relay.routes cimport Routes
from proxy.wire.opening cimport take_over
from proxy.wire.tcp cimport TcpStream
from proxy.wire.tls.serving cimport ServedStream, accept_served

from proxy.observe.refusals import Refusals

log = logging.getLogger("worker")


cdef class HttpsListener(Listener):
    """A listening socket whose connections are TLS."""

    def __init__(self, Relay relay, str name, str address, int fd, object handover):
        Listener.__init__(self, relay, name, address, fd, handover)
        self.refusals = Refusals(log, "listener " + address)
        self.names = ServingNames({})
        self.sections = {}

    def secure(self, ServingNames names) -> None:
        """New connections are told apart, and shown certificates, by these."""
        self.names = names
        for hostname in names.hostnames - self.sections.keys():
            self.sections[hostname] = Section(self.relay, hostname)
        self.lead(self.routes)
        for hostname in self.sections.keys() - names.hostnames:
            del self.sections[hostname]

    def lead(self, Routes routes) -> None:
        cdef Section section
        self.routes = routes
        for section in self.sections.values():      # of one that is no listener's any more nothing is found
            section.routes = SectionRoutes(routes, self.names, section.hostname)

    cdef bint serve(self, Connection connection) except -1:
        cdef Context context = self.relay.context
        cdef TcpStream under = TcpStream()
        cdef ServedStream client
        if connection.client is not None:
            return self.serve_section(<ServedStream>connection.client, True)
        take_over(under, connection.fd, self.local, connection.peer, context.timeouts.stream_idle_seconds)
        connection.client = under
        connection.client = client = accept_served(under, self.names, context.timeouts.handshake_seconds)
        if client.reason:
            self.refusals.tell("TLS refused to", client.peer, None, client.reason)
            return False
        return self.serve_section(client, False)

    cdef bint serve_section(self, ServedStream client, bint rested) except -1:
        section = self.sections.get(client.hostname)
        return False if section is None else self.relay.serve_http(client, section, rested)


cdef class Section(Entrance):
    """The connections of the listener with this hostname."""

    def __init__(self, Relay relay, bytes hostname):
        Entrance.__init__(self, relay)
        self.hostname = hostname


cdef class SectionRoutes(Routes):
    """As far as they are one listener's: what a Host leads to that is not another's."""

    def __init__(self, Routes whole, ServingNames names, bytes hostname):
        Routes.__init__(self, whole.clusters)
        self.whole, self.names, self.hostname = whole, names, hostname
        self.secured = True

    cdef Cluster of_host(self, bytes host):
        return None if self.names.covering(host) != self.hostname else self.whole.of_host(host)

    cdef bint is_misdirected(self, bytes host) except -1:
        cdef bytes found = self.names.covering(host)
        return found is not None and found != self.hostname
