"""How an endpoint is reached: a fresh byte stream to it, a TCP connection or an HBONE tunnel.

Tunnels to one pod share a connection to port 15008 of its address (trunk.pyx), whichever clusters and ports they are
for: TLS with the mesh's certificates, HTTP/2, and a CONNECT for each (ztunnel's src/proxy/inbound.rs is the other end).
The pod's ztunnel reaches the app before it answers 200, so any other answer means what a refused TCP connection means.

The cluster's connect timeout is for all of it together. A tunnel asked for on a connection that was there already and
proves dead, or takes no more, is asked for once more on another: that says nothing about the endpoint.
"""

from libc.errno cimport EADDRNOTAVAIL, ECONNREFUSED, ECONNRESET, EMFILE, ENFILE, ENOBUFS, ENOMEM, ETIMEDOUT
from libc.stdint cimport int64_t

from proxy.relay.trunk cimport Dialer
from proxy.scoreboard cimport monotonic_ns
from proxy.wire.session cimport CONNECTION_WINDOW, STREAM_WINDOW, Session
from proxy.wire.stream cimport FAILED, TIMED_OUT
from proxy.wire.tcp cimport connect
from proxy.wire.tls cimport TlsStream, connect_tls
from proxy.wire.tunnel cimport Tunnel, open_tunnel

cdef extern from "errno.h":
    int ENOKEY

# How often a tunnel is asked for when connections take no more, or end, just then.
cdef int ROUNDS = 3


cdef Stream reach(Endpoint endpoint, Cluster cluster, Context context, Stream client, int* error, list reasons):
    """A fresh byte stream to the endpoint for what `client` wants, within the cluster's connect timeout.

    None if it cannot be reached: the errno is in `error` (ETIMEDOUT: too slow; ENOKEY: we have no certificate), and what
    else there is to say, as text for the log, in `reasons`, which faults.connect_failed takes.
    """
    if not endpoint.hbone:
        return connect(endpoint.address, cluster.connect_seconds, context.stall_seconds, error)
    return reach_by_tunnel(endpoint, cluster, context, client, error, reasons)


cdef bint own_shortage(int error) noexcept:
    """Whether a connection was not even tried, for want of descriptors, memory, ports or certificates of our own: that
    says nothing about the endpoint."""
    return error in (EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL, ENOKEY)


# -- tunnels ----------------------------------------------------------------------------------------------------------


cdef class DoorDialer(Dialer):
    """Connects to the HBONE port of an endpoint's pod."""

    cdef Endpoint endpoint
    cdef Context context

    def __init__(self, Endpoint endpoint, Context context):
        self.endpoint = endpoint
        self.context = context
        self.certificate = context.mesh

    cdef Session dial(self, double seconds):
        cdef list reasons = []
        cdef TlsStream stream
        if self.certificate is None:
            self.error, self.reasons = ENOKEY, ["TLS_error: no certificate of our own"]
            return None
        stream = connect_tls(self.endpoint.door, self.certificate, self.endpoint.identity, seconds,
                             self.context.stall_seconds, &self.error, reasons)
        if stream is None:
            self.reasons = ["TLS_error: " + reasons[0]] if reasons else []
            return None
        return begin_session(Session(), stream, self.context)


cdef Session begin_session(Session session, Stream transport, Context context):
    """The client's side of HTTP/2 over `transport`."""
    session.transport = transport
    session.patience = context.patience
    session.stall_ns = <int64_t>(context.stall_seconds * 1e9)
    session.open(STREAM_WINDOW, CONNECTION_WINDOW)
    return session


cdef Stream reach_by_tunnel(
        Endpoint endpoint, Cluster cluster, Context context, Stream client, int* error, list reasons):
    """`reach` for an endpoint with `hbone`."""
    cdef int64_t deadline = monotonic_ns() + <int64_t>(cluster.connect_seconds * 1e9)
    cdef DoorDialer dialer = DoorDialer(endpoint, context)
    cdef Session session
    cdef Tunnel tunnel = None
    cdef int status = FAILED
    cdef int rounds = ROUNDS
    while rounds:
        rounds -= 1
        session = endpoint.tunnels.get(dialer, deadline)
        if session is None:
            error[0] = dialer.error
            reasons.extend(dialer.reasons)
            return None
        tunnel = open_tunnel(session, endpoint.text, forwarded(client, endpoint, cluster))
        if tunnel is None:
            session.draining = True
            continue
        status = tunnel.await_answer(max(deadline - monotonic_ns(), 1_000_000) / 1e9)
        if status == 200:
            return tunnel
        tunnel.close()
        if not may_ask_again(session, tunnel, status):
            rounds = 0
    error[0] = explain(session, tunnel, status, reasons)
    return None


cdef bint may_ask_again(Session session, Tunnel tunnel, int status) except -1:
    """Whether it was the connection's end, not the endpoint's ztunnel, that spoke."""
    return status < 0 and status != TIMED_OUT and (tunnel.refused or session.h2 == NULL and session.settled)


cdef int explain(Session session, Tunnel tunnel, int status, list reasons) except -1:
    """Why there is no tunnel: an errno, and what the log says. A connection that ended before the peer's first frame is
    one whose TLS handshake the peer did not like: in TLS 1.3 that comes after our end of it."""
    if status > 0:
        reasons.append("tunnel_response:%d" % status)
        return ECONNREFUSED
    if status == TIMED_OUT:
        return ETIMEDOUT
    if session.h2 == NULL and not session.settled:
        reasons.append("TLS_error: " + ((<TlsStream>session.transport).reason or "connection closed"))
    elif tunnel is not None and session.h2 != NULL:
        reasons.append("tunnel_reset:%d" % tunnel.reset_code)
    return ECONNRESET


cdef bytes forwarded(Stream client, Endpoint endpoint, Cluster cluster):
    """The `forwarded` field of a CONNECT (RFC 7239), as ztunnel writes it. It names the client the tunnel was opened for;
    others may come to use it."""
    if cluster.authority == endpoint.text:      # asked for by its own address
        return b'for="%s"' % client.peer
    return b'for="%s";host=%s' % (client.peer, cluster.host)
