"""A connection for an attempt: a pooled one, a stream of a connection that others have too, or one that is dialled.

A dial takes as long as the cluster's connect timeout. A client that waits no longer (grpc-timeout) is told so when its
time is up, and the dial goes on aside.
"""

import gevent

from libc.stdint cimport int64_t

from proxy.clock cimport monotonic_ns
from proxy.policy.facts cimport CLIENT_FAILED
from proxy.relay.endpoints.pool cimport HTTP2_DECLINED, after, certificate_of, open_request
from proxy.relay.exchange.request cimport Request
from proxy.scoreboard.atomics cimport wp_add
from proxy.wire.stream cimport Stream
from proxy.wire.tls.origin cimport HTTP1

from proxy.relay.exchange import faults


cdef class Lease(Attempt):
    """An attempt as far as its connection."""

    def __cinit__(self):
        self.alpn = HTTP1

    cdef bint lease_in_time(self, bint pooled) except -1:
        """As `lease`, but no longer than the client waits. What has been begun goes on without it, for others and for what
        it says about the endpoint: callers in a hurry would never find out that it cannot be reached."""
        cdef Lease other
        cdef double left = (self.request.started + self.request.patience - monotonic_ns()) / 1e9
        if self.request.patience == 0 or left >= self.cluster.connect_seconds or self.has_connection(pooled):
            return self.lease(pooled)
        other = self.aside()
        gevent.spawn(other.dial, pooled).join(max(left, 0))
        if not other.over:
            other.go_alone()
            self.client_fault = faults.DEADLINE
            return False
        self.stream, self.pooled, self.upgrading = other.stream, other.pooled, other.upgrading
        self.connect_error, self.reasons = other.connect_error, other.reasons
        return self.stream is not None

    cdef bint has_connection(self, bint pooled) except -1:
        """Whether there is one that needs no dial. One that is pooled is looked at by whoever takes it."""
        return pooled and self.cluster.speaks_http2(self.request.client) and self.endpoint.http2.take(
            certificate_of(self.endpoint, self.context), 0) is not None

    cdef Lease aside(self):
        """The same, as far as a connection is concerned, for nobody."""
        cdef Lease other = Lease(self.context, Request())
        other.request.client, other.request.known_as = self.request.client, self.request.id()
        other.cluster, other.endpoint, other.generation = self.cluster, self.endpoint, self.generation
        other.upgrading = self.upgrading
        other.ending.grpc = -1
        return other

    def dial(self, bint pooled) -> None:
        """Of an attempt aside: a connection, for whoever waits for it; without one it is judged here."""
        try:
            self.lease(pooled)
            self.over = True
            if self.alone:
                self.ending.how = self.not_connected() if self.stream is None else CLIENT_FAILED
                self.judge()
        finally:
            if self.alone:
                self.end()

    cdef int go_alone(self) except -1:
        """Nobody waits for it any more. Now it is in flight by itself: so the endpoint's row becomes nobody else's before it
        has said what it has to say."""
        self.alone = self.in_flight = True
        wp_add(&self.endpoint.row.in_flight, 1)
        self.endpoint.share[0] += 1
        return 0

    cdef bint lease(self, bint pooled) except -1:
        """A connection to the endpoint, pooled if there is one and it is wanted. False: it cannot be reached."""
        cdef Stream stream
        if self.cluster.speaks_http2(self.request.client) and not self.endpoint.only_http1():
            if self.lease_stream(pooled):
                return True
            if self.connect_error != HTTP2_DECLINED:
                return False
            pooled = True       # by that it has left us a connection
        stream = self.endpoint.take() if pooled else None
        self.pooled = stream is not None
        if stream is None:
            return self.connect()
        self.stream = stream
        return True

    cdef bint lease_stream(self, bint pooled) except -1:
        """As `lease`: a stream of HTTP/2, which knows no Upgrade: the request goes without (RFC 9110 7.8 allows it). Not
        pooled is on a connection that was begun from now on: what took one pooled connection may have taken all."""
        cdef bint fresh = False
        cdef int64_t since = 0 if pooled else monotonic_ns()
        self.upgrading = False
        self.reasons = []
        self.deadline = after(self.cluster.connect_seconds)
        self.stream = open_request(self.endpoint, self.cluster, self.context, self.request.client, self.deadline,
                                   since, &fresh, &self.connect_error, self.reasons)
        self.pooled = pooled and not fresh
        return self.stream is not None
