"""How an endpoint is reached: a fresh byte stream to it, a TCP connection or an HBONE tunnel; or a stream of HTTP/2 over
either.

Tunnels to one pod share a connection to port 15008 of its address (trunk.pyx), whichever clusters and ports they are
for: TLS with the mesh's certificates, HTTP/2, and a CONNECT for each (ztunnel's src/proxy/inbound.rs is the other end).
The pod's ztunnel reaches the app before it answers 200, so any other answer means what a refused TCP connection means.

The cluster's connect timeout is for all of it together: a deadline. A tunnel asked for on a connection that was there
already and proves dead, or takes no more, is asked for once more on another: that says nothing about the endpoint.

TLS to an endpoint (`trafficPolicy.tls`) is put over whatever leads there, inside the tunnel where there is one. What it
cannot be begun with, credentials that are missing, is as a certificate of our own that is: nothing is sent, and it says
nothing about the endpoint.

HTTP/2 to an endpoint (clear text, prior knowledge; or TLS, if it agrees) is a trunk too, over a TCP connection or a tunnel. Whether the peer
speaks HTTP/2 at all shows only when it answers: one that answers in HTTP/1 was not reached.
"""

from libc.errno cimport EADDRNOTAVAIL, ECONNREFUSED, ECONNRESET, EMFILE, ENFILE, ENOBUFS, ENOMEM, ETIMEDOUT
from libc.stdint cimport int64_t

from proxy.relay.endpoints.breaker cimport Seat
from proxy.relay.endpoints.trunk cimport Dialer, Trunks
from proxy.clock cimport monotonic_ns
from proxy.policy.facts cimport (
    CONNECT_TIMEOUT,
    CONNECTION_REFUSED,
    CONNECTION_RESET,
    NO_PROTOCOL,
    TLS_FAILED,
    TUNNEL_RESET,
    TUNNEL_STATUS,
    UNREACHABLE,
)
from proxy.wire.http2.client cimport Http2Client, HttpClientStream
from proxy.wire.http2.nghttp2 cimport NGHTTP2_NO_ERROR
from proxy.wire.http2.session cimport Session
from proxy.wire.opening cimport connect
from proxy.wire.stream cimport FAILED, RAISED, TIMED_OUT
from proxy.wire.tcp cimport TcpStream
from proxy.wire.tls.origin cimport HTTP1_OR_2, NOTHING_NAMED
from proxy.wire.tls.secured cimport SecuredStream, secure
from proxy.wire.tls.stream cimport TlsStream, connect_tls
from proxy.wire.http2.tunnel cimport Tunnel, open_tunnel

from proxy.relay.endpoints.trunk import refusals
from proxy.wire.preamble import preamble

cdef extern from "errno.h":
    int ENOKEY

# How often a tunnel is asked for when connections take no more, or end, just then.
cdef int ROUNDS = 3


cdef Stream reach(
        Endpoint endpoint, Cluster cluster, Context context, Stream client, int64_t deadline, int* error, list reasons,
        int alpn=NOTHING_NAMED):
    """A fresh byte stream to the endpoint for what `client` wants, by the deadline. `alpn`: what TLS, if there is any,
    offers.

    None if it cannot be reached: the errno is in `error` (ETIMEDOUT: too slow; ENOKEY: we have no certificate), or what
    says more, a Cause, and then as text for the log in `reasons`, which faults.connect_failed takes.
    """
    cdef Stream stream = None
    if endpoint.origination is not None and endpoint.origination.context is None:
        error[0] = ENOKEY
        reasons.append("TLS_error: " + endpoint.origination.problem)
    elif endpoint.hbone:
        stream = reach_by_tunnel(endpoint, cluster, context, client, deadline, error, reasons)
    else:
        stream = connect(endpoint.address, seconds_until(deadline), context.timeouts.stream_idle_seconds, error)
        if stream is not None and endpoint.breaker.limited:
            endpoint.breaker.lifetimes.keep_alive(<TcpStream>stream)
    if stream is not None and endpoint.proxy_protocol:
        stream = introduce(stream, endpoint, client, error)
    if stream is not None and endpoint.origination is not None:
        stream = reach_inside(stream, endpoint, alpn, deadline, error, reasons)
    if stream is None:
        endpoint.counters.unopened += 1
    else:
        endpoint.counters.opened += 1
    return stream


cdef inline double seconds_until(int64_t deadline) noexcept:
    """Never 0, which would be for ever."""
    return max(deadline - monotonic_ns(), 1_000_000) / 1e9


cdef int64_t after(double seconds) noexcept:
    """The time in so many seconds: a deadline."""
    return monotonic_ns() + <int64_t>(seconds * 1e9)


cdef bint own_shortage(int error) noexcept:
    """Whether a connection was not even tried, for want of descriptors, memory, ports or certificates of our own: that
    says nothing about the endpoint."""
    return error in (EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL, ENOKEY)


cdef int cause_of_error(int error) noexcept:
    """The Cause that `reach` means."""
    if error >= TUNNEL_STATUS:
        return error
    if error == ETIMEDOUT:
        return CONNECT_TIMEOUT
    if error == ECONNREFUSED:
        return CONNECTION_REFUSED
    return CONNECTION_RESET if error == ECONNRESET else UNREACHABLE


cdef Stream introduce(Stream stream, Endpoint endpoint, Stream client, int* error):
    """The stream, on which the endpoint is told first who the client is."""
    cdef bytes said = preamble(endpoint.proxy_protocol, client.peer, client.local, endpoint.text)
    if stream.put_now(said, len(said)) == len(said):    # there is room for that, or nobody reads there
        return stream
    error[0] = stream.error or ECONNRESET
    stream.close()
    return None


cdef Stream reach_inside(
        Stream stream, Endpoint endpoint, int alpn, int64_t deadline, int* error, list reasons):
    """TLS over a stream to the endpoint; None if there is none, and the stream is closed."""
    cdef SecuredStream secured = secure(stream, endpoint.origination, alpn, seconds_until(deadline), reasons)
    if secured is None:
        error[0] = ETIMEDOUT if reasons[0] == "timeout" else TLS_FAILED
        reasons[0] = "TLS_error: " + reasons[0]
        refusals.tell("no TLS with", endpoint.text, None, reasons[0])
    return secured


# -- tunnels ----------------------------------------------------------------------------------------------------------


cdef class HboneDialer(Dialer):
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
        cdef Session session
        if self.certificate is None:
            self.error, self.reasons = ENOKEY, ["TLS_error: no certificate of our own"]
            return None
        stream = connect_tls(self.endpoint.hbone_address, self.certificate, self.endpoint.identity, seconds,
                             self.context.timeouts.stream_idle_seconds, &self.error, reasons)
        if stream is None:
            if reasons:
                self.reasons = ["TLS_error: " + reasons[0]]
                self.error = self.error if self.error == ETIMEDOUT else TLS_FAILED
            return None
        if self.endpoint.breaker.limited:
            self.endpoint.breaker.lifetimes.keep_alive(stream)
        session = Session()
        session.transport = stream
        session.patience = self.context.timeouts.ping_interval
        session.stall_ns = self.context.timeouts.stream_idle_timeout.duration
        session.open()
        return session


cdef Stream reach_by_tunnel(
        Endpoint endpoint, Cluster cluster, Context context, Stream client, int64_t deadline, int* error, list reasons):
    cdef HboneDialer dialer = HboneDialer(endpoint, context)
    cdef Session session
    cdef Tunnel tunnel = None
    cdef int status = FAILED
    cdef int rounds = ROUNDS
    while rounds:
        rounds -= 1
        session = endpoint.tunnels.get(dialer, deadline, 0)
        if session is None:
            error[0] = dialer.error
            reasons.extend(dialer.reasons)
            return tell_of_tls(endpoint, reasons)
        tunnel = open_tunnel(session, endpoint.text, forwarded(client, endpoint, cluster))
        if tunnel is None:
            session.draining = True
            continue
        status = tunnel.await_answer(seconds_until(deadline))
        if status == 200:
            return tunnel
        tunnel.close()
        if not may_ask_again(session, tunnel, status):
            rounds = 0
    error[0] = explain(session, tunnel, status, reasons)
    return tell_of_tls(endpoint, reasons)


cdef Stream tell_of_tls(Endpoint endpoint, list reasons):
    """A certificate that is not accepted is nothing a retry should hide. None, for whom calls this at the end."""
    if reasons and reasons[0].startswith("TLS_error"):
        refusals.tell("no tunnel to", endpoint.hbone_address.text, None, reasons[0])
    return None


cdef bint may_ask_again(Session session, Tunnel tunnel, int status) except -1:
    """Whether it was the connection's end, not the endpoint's ztunnel, that spoke."""
    return status < 0 and status != TIMED_OUT and (tunnel.refused or session.h2 == NULL and session.settled)


cdef int explain(Session session, Tunnel tunnel, int status, list reasons) except -1:
    """Why there is no tunnel: an errno or a Cause, and what the log says. A connection that ended before the peer's first frame is
    one whose TLS handshake the peer did not like: in TLS 1.3 that comes after our end of it."""
    if status > 0:
        reasons.append("tunnel_response:%d" % status)
        return TUNNEL_STATUS + status
    if status == TIMED_OUT:
        return ETIMEDOUT
    if session.h2 == NULL and not session.settled:
        reasons.append("TLS_error: " + ((<TlsStream>session.transport).reason or "connection closed"))
        return TLS_FAILED
    if tunnel is not None and session.h2 != NULL:
        reasons.append("tunnel_reset:%d" % tunnel.reset_code)
        return TUNNEL_RESET
    if session.fault != NULL and session.fault_code != NGHTTP2_NO_ERROR:
        reasons.append("HTTP/2: " + session.fault.decode())
        return NO_PROTOCOL
    return ECONNRESET


cdef bytes forwarded(Stream client, Endpoint endpoint, Cluster cluster):
    """The `forwarded` field of a CONNECT (RFC 7239), as ztunnel writes it. It names the client the tunnel was opened for;
    others may come to use it."""
    if cluster.authority == endpoint.text:      # asked for by its own address
        return b'for="%s"' % client.peer
    return b'for="%s";host=%s' % (client.peer, cluster.host)


# -- requests over HTTP/2 ---------------------------------------------------------------------------------------------


cdef class RequestDialer(Dialer):
    """Begins HTTP/2 with an endpoint."""

    cdef Endpoint endpoint
    cdef Cluster cluster
    cdef Context context
    cdef Stream client
    cdef Seat seat                  # the one who asks has it, or None

    cdef Session dial(self, double seconds):
        cdef Stream stream
        cdef Http2Client session
        cdef Seat seat = self.take_seat()
        if seat is None:
            self.error = NO_SEAT
            return None
        stream = reach(self.endpoint, self.cluster, self.context, self.client, after(seconds), &self.error,
                       self.reasons, HTTP1_OR_2)
        if stream is None:
            seat.release()
            return None
        seat.sit(stream)
        if stream.origin is not None and (<SecuredStream>stream).protocol() != "h2":
            self.endpoint.declines_http2(stream)
            self.error = HTTP2_DECLINED
            return None
        # No PINGs, if nobody asks for them: gRPC servers take them for an attack and end the connection ("too many pings").
        # Envoy sends none.
        session = Http2Client(stream, self.endpoint.breaker.lifetimes.ping, self.context.timeouts.stream_idle_timeout.duration)
        session.last_patience = self.endpoint.breaker.lifetimes.pong
        session.open()
        return session

    cdef Seat take_seat(self):
        """For the connection; None: the cluster has as many as it may."""
        cdef Seat seat = self.seat
        self.seat = None
        if seat is not None:
            return seat
        return self.cluster.breaker.take() if self.cluster.limited else self.endpoint.breaker.seat()


cdef Stream open_request(
        Endpoint endpoint, Cluster cluster, Context context, Stream client, int64_t deadline, int64_t since, bint* fresh,
        int* error, list reasons, Seat seat):
    """A stream for one request, which is opened when the request is put; None as with `reach`, or for NO_SEAT. The
    connection is none that was begun before `since`. `fresh`: it was made for this. `seat`: for it, if need be."""
    cdef object certificate = endpoint.certificate()
    cdef Trunks trunks = endpoint.http2
    cdef Session session = trunks.take(certificate, since)
    cdef RequestDialer dialer
    while session is not None and endpoint.hbone and session.transport.leaving():
        session.draining = True
        session = trunks.take(certificate, since)
    if session is None:
        fresh[0] = True
        if endpoint.proxy_protocol:     # a connection for this client alone
            trunks = endpoint.connections.place(None)
            trunks.breaker = endpoint.breaker
        dialer = RequestDialer()
        dialer.endpoint, dialer.cluster, dialer.context, dialer.client = endpoint, cluster, context, client
        dialer.certificate, dialer.seat = certificate, seat
        session = trunks.get(dialer, deadline, since)
        seat = dialer.seat
        if trunks is not endpoint.http2:
            endpoint.connections.leave(trunks)      # it ends with its stream
        if session is None:
            error[0] = dialer.error
            reasons.extend(dialer.reasons)
    if seat is not None:
        seat.release()      # somebody else's connection will do
    if session is None:
        return None
    return (<Http2Client>session).new_stream()


cdef int takes_extended(Stream stream, double seconds) except? RAISED:
    """Whether such a stream's connection takes extended CONNECTs: as Http2Client.takes_extended."""
    return (<Http2Client>(<HttpClientStream>stream).session).takes_extended(seconds)
