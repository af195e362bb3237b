"""A connection for an attempt: a pooled one, a stream of a connection that others have too, or one that is dialled.

A dial takes as long as the cluster's connect timeout. A client that waits no longer (grpc-timeout) is told so when its
time is up, and the dial goes on aside.

Where a cluster may have only so many connections, room for one is found first (relay/endpoints/breaker.pyx): a pooled
connection, or a seat for a new one, or the request waits for either.
"""

import gevent

from libc.stdint cimport int64_t

from proxy.clock cimport monotonic_ns
from proxy.policy.facts cimport CLIENT_FAILED
from proxy.relay.endpoints.breaker cimport Seat, Waiter
from proxy.relay.endpoints.pool cimport HTTP2_DECLINED, NO_SEAT, after, open_request
from proxy.relay.exchange.request cimport Request
from proxy.scoreboard.atomics cimport wp_add
from proxy.wire.stream cimport QUIET, Stream
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
        if self.cluster.limited and not self.find_room(pooled):
            return False
        cdef double left = (self.request.started + self.request.patience - monotonic_ns()) / 1e9
        if self.request.patience == 0 or left >= self.cluster.connect_seconds or self.has_connection(pooled):
            return self.lease(pooled)
        other = self.aside()
        gevent.spawn(other.dial, pooled).join(max(left, 0))
        if not other.over:
            other.go_alone()
            self.client_fault = self.request.overtime()
            return False
        self.stream, self.pooled, self.upgrading = other.stream, other.pooled, other.upgrading
        self.connect_error, self.reasons, self.overflowed = other.connect_error, other.reasons, other.overflowed
        return self.stream is not None

    cdef bint has_connection(self, bint pooled) except -1:
        """Whether there is one that needs no dial. One that is pooled is looked at by whoever takes it."""
        if self.lent is not None:
            return True
        return pooled and self.over_http2() and self.endpoint.has_room()

    cdef bint over_http2(self) noexcept:
        """Whether the endpoint is sent HTTP/2 for this client, and has not declined it."""
        return self.cluster.speaks_http2(self.request.chose_http2()) and not self.endpoint.only_http1()

    cdef Lease aside(self):
        """The same, as far as a connection is concerned, for nobody."""
        cdef Lease other = Lease(self.context, Request())
        other.request.client, other.request.known_as = self.request.client, self.request.id()
        other.cluster, other.endpoint, other.generation = self.cluster, self.endpoint, self.generation
        other.upgrading = self.upgrading
        other.seat, self.seat = self.seat, None
        other.ending.grpc = -1
        return other

    def dial(self, bint pooled) -> None:
        """Of an attempt aside: a connection, for whoever waits for it; without one it is judged here."""
        try:
            self.lease(pooled)
            self.over = True
            if self.alone:
                gone = self.stream is not None or self.overflowed
                self.ending.how = CLIENT_FAILED if gone else self.not_connected()
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
        if self.over_http2():
            if self.lease_stream(pooled):
                return True
            if self.connect_error != HTTP2_DECLINED:
                return False
            pooled = True       # by that it has left a connection, if nobody else was first
            if self.cluster.limited and self.lent is None and self.seat is None and not self.find_room(pooled):
                return False
        stream, self.lent = self.lent, None
        if stream is None and pooled and self.seat is None:
            stream = self.endpoint.take()
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
        self.stream = None
        while self.stream is None:
            self.deadline = after(self.cluster.connect_seconds)
            self.stream = open_request(self.endpoint, self.cluster, self.context, self.request.client, self.deadline,
                                       since, &fresh, &self.connect_error, self.reasons, self.seat)
            self.seat = None
            if self.stream is None and not (self.connect_error == NO_SEAT and self.find_room(pooled)):
                return False
            if self.stream is None and not self.over_http2():   # since it waited
                self.connect_error = HTTP2_DECLINED
                return False
        self.pooled = pooled and not fresh
        return True

    # -- where there may be only so many ------------------------------------------------------------------------------

    cdef bint find_room(self, bint pooled) except -1:
        """Finds a connection, or a seat for one, and waits for it if need be. False: `overflowed`, or `client_fault`."""
        cdef Waiter waiter
        self.overflowed = False
        if self.over_http2():
            return self.find_room_for_stream(pooled)
        if pooled:
            self.lent = self.endpoint.take()
            if self.lent is not None:
                return True
        self.seat = self.cluster.breaker.take()
        while self.seat is None and self.lent is None:
            waiter = Waiter(self.endpoint if pooled else None, False)
            if not self.wait(waiter):
                return False
            self.use(waiter)
        return True

    cdef bint find_room_for_stream(self, bint pooled) except -1:
        """As find_room. A connection that is being made will have room, as far as is known."""
        cdef Waiter waiter
        while not (pooled and (self.endpoint.has_room() or self.endpoint.http2.opening is not None)):
            self.seat = self.cluster.breaker.take()
            if self.seat is not None:
                return True
            waiter = Waiter(self.endpoint, pooled)
            if not self.wait(waiter):
                return False
            self.use(waiter)
            if self.seat is not None:
                return True
        return True

    cdef bint wait(self, Waiter waiter) except -1:
        """Until there is something for it; False: that will not be."""
        self.waiter = waiter
        self.begin_to_wait()
        self.overflowed = not self.cluster.breaker.wait(waiter, self.context.timeouts.stream_idle_seconds)
        self.waiter = None
        if self.overflowed:
            return False
        if not self.gave_up() and (waiter.served() or waiter.shared and waiter.event.is_set()):
            return True
        if waiter.seat is not None:
            waiter.seat.release()
        if waiter.stream is not None:
            self.endpoint.give(waiter.stream)
        if not self.gave_up():
            self.client_fault = faults.ENDPOINT_SILENT
        return False

    cdef int begin_to_wait(self) except -1:
        """Whoever wants it may change his mind."""
        return 0

    cdef bint gave_up(self) except -1:
        """Nobody wants it any more."""
        return self.client_fault is not None

    cdef int use(self, Waiter waiter) except -1:
        """What was waited for. A connection on which something has come that nobody asked for leaves a seat."""
        self.seat, self.lent = waiter.seat, waiter.stream
        if self.lent is not None and self.lent.look() != QUIET:
            self.seat, self.lent.permit = <Seat>self.lent.permit, None
            self.lent.close()
            self.lent = None
        return 0
