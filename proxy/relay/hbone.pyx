# distutils: libraries = nghttp2
"""HBONE: connections of ztunnels, and the tunnels in them (HTTP/2 CONNECT in mutual TLS, port 15008).

A CONNECT is answered at once, before any endpoint is picked: a ztunnel sends nothing before it has its 200, and takes any
other answer as the end. What the tunnel was opened to (its authority: VIP:port, hostname:port or pod IP:port) selects
the cluster; what the cluster's port speaks decides how the bytes are read: HTTP by the same code that serves plain
listeners, anything else by exchange/tcp_exchange.pyx.
"""

import logging

from proxy.relay.endpoints.cluster cimport TCP, UNDECLARED, Cluster
from proxy.relay.context.context cimport Context
from proxy.relay.context.date cimport wall_ns
from proxy.relay.detection cimport sniff_http
from proxy.relay.exchange.counting cimport count_refused
from proxy.relay.exchange.line cimport log_refused
from proxy.relay.exchange.tcp_exchange cimport TcpExchange
from proxy.relay.relay cimport Connection, Listener, Relay
from proxy.relay.resting cimport Served
from proxy.wire.http.authority cimport is_authority
from proxy.wire.http2.stream cimport Http2Stream
from proxy.wire.http2.session cimport MAX_STREAMS, Session
from proxy.wire.opening cimport take_over
from proxy.wire.stream cimport Stream, run_soon
from proxy.wire.work cimport spawn
from proxy.wire.tls.stream cimport TlsStream, accept_tls
from proxy.wire.http2.tunnel cimport Tunnel

from proxy.observe.refusals import Refusals
from proxy.relay.exchange import faults

log = logging.getLogger("worker")


cdef class HboneListener(Listener):
    """A listening socket whose connections are HBONE."""

    def __init__(self, Relay relay, str name, str address, int fd, object handover):
        Listener.__init__(self, relay, name, address, fd, handover)
        self.refusals = Refusals(log, "listener " + address)

    cdef bint serve(self, Connection connection) except -1:
        cdef Context context = self.relay.context
        cdef TlsStream client = TlsStream()
        cdef HboneConnection session
        take_over(client, connection.fd, self.local, connection.peer, context.timeouts.stream_idle_seconds)
        connection.client = client
        accept_tls(client, context.mesh, context.timeouts.handshake_seconds)
        if client.reason:
            self.tell("TLS refused to", client, client.reason)
            return False
        session = HboneConnection(self, client)
        context.drain.sessions.add(session)
        session.beside = context.drain.sessions
        try:
            session.run()
        finally:
            context.drain.sessions.discard(session)
        if session.fault != NULL:
            self.tell("HTTP/2 broken off with", client, session.fault.decode())
        return False

    def tell(self, str done, TlsStream client, str reason) -> None:
        self.refusals.tell(done, client.peer, client.identity, reason)


cdef class HboneConnection(Session):
    """One connection of one client pod's ztunnel."""

    def __init__(self, HboneListener listener, TlsStream client):
        cdef Context context = listener.relay.context
        self.listener = listener
        self.relay = listener.relay
        self.transport = client
        self.server = True
        self.patience = context.timeouts.ping_interval
        self.stall_ns = client.stall_ns
        self.idle_ns = context.timeouts.idle_timeout.duration
        self.open()
        if context.drain.begun:
            self.shutdown()

    cdef Http2Stream make_stream(self):
        self.look_whether_crowded()
        return Tunnel() if self.running < 2 * MAX_STREAMS else None

    cdef int serve(self, Http2Stream stream) except -1:
        cdef Tunnel tunnel = <Tunnel>stream
        cdef object fault = self.answer(tunnel)
        if fault is None:
            tunnel.respond(200)
            return self.serve_in_turn(tunnel)
        tunnel.respond(fault.status)
        log_refused(self.relay.context.log, tunnel, tunnel.method or b"", fault.status, fault, wall_ns())
        count_refused(self.relay.context, tunnel, self.listener.routes.of_target(tunnel.target), fault)
        return run_soon(tunnel.let_go)

    cdef int begin_stream(self, Http2Stream stream) except -1:
        cdef TunnelServed served = TunnelServed()
        served.connection, served.tunnel = self, stream
        return spawn(served)

    cdef object answer(self, Tunnel tunnel):
        """None grants the tunnel; a fault says why not, and is told by its status alone."""
        cdef bytes target = tunnel.target, rule
        cdef Cluster cluster
        if tunnel.method != b"CONNECT":
            return faults.NO_ROUTE
        if not is_authority(target, len(target), True):
            return faults.BAD_AUTHORITY
        cluster = self.listener.routes.of_target(target)
        if cluster is None:
            return faults.NO_ROUTE
        if cluster.closed and cluster.protocol == TCP:
            return faults.CLOSED
        if cluster.tcp_gate is not None and cluster.protocol == TCP:
            rule = cluster.tcp_gate.refuses(None, tunnel, None)
            if rule is not None:        # else whoever carries it asks once more, and counts
                cluster.counted.access(rule)
                return faults.denied(rule)
        return faults.NO_HEALTHY_ENDPOINT if cluster.count == 0 and cluster.plan is None else None

    cdef bint serve_tunnel(self, Tunnel tunnel, bint rested) except -1:
        """Serves one tunnel to its end, or until it may rest: true then."""
        cdef Cluster cluster
        cdef bint http
        if rested:
            return self.relay.serve_http(tunnel, self.listener, True)
        cluster = self.listener.routes.of_target(tunnel.target)
        if cluster is None:
            return False        # a snapshot has come in between, without it
        http = cluster.protocol != TCP
        if cluster.protocol == UNDECLARED:
            http = sniff_http(tunnel, self.relay.context.timeouts.protocol_detection_timeout)
        if http:
            return self.relay.serve_http(tunnel, self.listener, False)
        TcpExchange(self.relay.context).carry(tunnel, cluster, self.relay.clusters)
        return False


cdef class TunnelServed(Served):
    """A tunnel of a connection."""

    cdef HboneConnection connection
    cdef Tunnel tunnel
    cdef bint rested

    cdef Stream stream(self):
        return self.tunnel

    cdef Context context(self):
        return self.connection.relay.context

    cdef int serve(self) except -1:
        cdef bint rested = self.rested
        self.rested = True
        return self.connection.serve_tunnel(self.tunnel, rested)

    cdef int leave(self) except -1:
        self.tunnel.close()
        return self.connection.let_off(self.tunnel)
