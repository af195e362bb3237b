"""An attempt whose connection, or stream, may become another protocol's: an Upgrade goes on over HTTP/1.1 as it is, one to
WebSocket over HTTP/2 too, if the endpoint takes extended CONNECTs.

An endpoint that does not take them has done nothing wrong: the client is told so by us, and nobody is blamed.
"""

from proxy.policy.facts cimport CLIENT_FAILED, OVERDUE
from proxy.relay.endpoints.pool cimport takes_extended
from proxy.relay.exchange.handshake cimport Handshake
from proxy.wire.http.websocket cimport accepts
from proxy.wire.stream cimport END, TIMED_OUT

from libc.errno cimport ETIMEDOUT

from proxy.relay.exchange import faults


cdef class Switching(Bounded):
    """An attempt as far as what it may become."""

    cdef int agree(self) except -1:
        """Of a request for a WebSocket, on a connection that is there: 0 if it may be put, or how the attempt ended."""
        cdef Handshake handshake = self.request.handshake
        cdef bint over_http2 = self.stream.http2
        if not handshake.prepare(self.request.head, self.request.client, over_http2):
            self.client_fault = faults.NO_WEBSOCKET_KEY
            return CLIENT_FAILED
        self.upgrading = True
        return self.agree_over_http2() if over_http2 else 0

    cdef int agree_over_http2(self) except -1:
        """The same, as far as the endpoint's SETTINGS say so, which come after a connection is there."""
        cdef int said = takes_extended(self.stream, self.cluster.connect_seconds)
        self.stream.extended = True
        if self.client_fault is not None:
            return CLIENT_FAILED
        if self.overdue:
            return OVERDUE
        if said == END:
            self.client_fault = faults.NO_WEBSOCKET
            return CLIENT_FAILED
        if said == TIMED_OUT:
            self.connect_error = ETIMEDOUT
            return self.not_connected()
        return 0

    cdef bint may_switch(self, Head answer, const char* text) except -1:
        """Whether a 101 that came, with its head at `text`, is one that was asked for."""
        cdef Handshake handshake = self.request.handshake
        if not self.upgrading or self.stream.http2:
            return False
        return handshake is None or handshake.key is None or accepts(answer, text, handshake.key)

    cdef bint switches(self, Head answer) noexcept:
        """Whether this final answer, which has been taken, makes a tunnel of the stream."""
        return answer.status == 101 or self.stream.extended and answer.status < 300
