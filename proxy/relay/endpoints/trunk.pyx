"""Trunks: HTTP/2 connections of ours that many greenlets share, a stream each.

A worker keeps few to a place: another is opened when those there are full (the peer's MAX_CONCURRENT_STREAMS, or its
window is taken by streams that nobody reads there) or take no more streams: GOAWAY has come, or our certificate was
renewed. Such a one carries to their end the streams it has. While
a trunk is being made, whoever needs one waits for that instead of making another, and shares its failure. What a trunk
carries, and over what, is the business of pool.pyx.

A pod that vanishes without a word would keep its trunk, and with it its share of the requests, until the kernel gives up
retransmitting (some 15 minutes): the sweep looks at what TCP knows of the peer. No PING is needed for that.
"""

import logging

import gevent
from gevent.event import AsyncResult
from libc.errno cimport ETIMEDOUT
from libc.stdint cimport int64_t

from proxy.clock cimport monotonic_ns
from proxy.wire.http2.stream cimport Http2Stream
from proxy.wire.http2.nghttp2 cimport NGHTTP2_CANCEL, NGHTTP2_NO_ERROR
from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.breaker cimport Breaker
from proxy.wire.http2.session cimport Session
from proxy.wire.stream cimport PEER_CLOSED, UNHEARD_MS

from proxy.observe.refusals import Refusals

refusals = Refusals(logging.getLogger("worker"), "endpoints")

cdef enum:
    MOST_CROWDED = 8        # connections to a place that are given up to those who do not read; then all share them

cdef int64_t SWEEP_NS = 1_000_000_000
# A connection has been crowded for so long before another is opened: one upload may use all of a window for a moment.
cdef int64_t CROWDED_NS = 250_000_000


cdef class Trunk:
    """One connection, run by a greenlet of its own."""

    def run(self) -> None:
        try:
            self.session.run()
            if self.session.fault != NULL:      # many lose by it: they are told who did it, and why
                refusals.tell("HTTP/2 broken off with", self.session.transport.peer, None, self.session.fault.decode())
        finally:
            self.home.open.remove(self)
            self.home.connections.trunks.discard(self)

    def sweep(self, int64_t now) -> None:
        """Closes the connection if it carries nothing and nobody will want it, or has not for too long."""
        cdef int64_t idle_ns = self.home.connections.idle_ns
        cdef bint wanted
        if self.home.breaker is not None:
            idle_ns = self.home.breaker.lifetimes.idle.duration
            if 0 < self.home.breaker.lifetimes.duration <= now - self.begun:
                self.session.shutdown()
        wanted = self.home.users > 0 and not self.session.draining
        if self.session.h2 != NULL and self.session.transport.unheard_ms() > UNHEARD_MS:
            self.session.fault, self.session.fault_code = b"nothing is acknowledged any more", NGHTTP2_NO_ERROR
            self.session.break_off()
            return
        self.tidy(wanted)
        if self.session.streams or self.session.h2 == NULL:
            self.empty_since = 0
        elif self.empty_since == 0:
            self.empty_since = now
        elif not wanted or idle_ns and now - self.empty_since > idle_ns:
            self.session.shutdown()
            self.session.refuse_new()

    cdef int tidy(self, bint wanted) except -1:
        """Resets what we had closed by the sweep before and the peer has not ended since. If the connection is not wanted,
        pooled streams are not to be used any more: whoever keeps one is told as if the peer had ended it."""
        cdef Http2Stream stream
        for stream in list(self.session.streams.values()):
            if stream.overdue:
                stream.reset(NGHTTP2_CANCEL)
            elif stream.closed:
                stream.overdue = True
            elif not wanted and stream.reader is None and stream.listener is not None:
                stream.listener.idle_event(stream, PEER_CLOSED)
        return 0


cdef class Dialer:
    """Makes one more connection to a place."""

    def __cinit__(self):
        self.error, self.reasons = 0, []

    cdef Session dial(self, double seconds):
        """A session that is open, or None with `error` and `reasons`."""
        raise NotImplementedError


cdef class Trunks:
    """The trunks to one place."""

    def __init__(self, Connections connections, object key):
        self.connections = connections
        self.key = key
        self.open = []

    cdef Session take(self, object certificate, int64_t since):
        """A session that takes one more stream, the oldest first so that the others run empty; or None. None that was
        dialled before `since`, nor a crowded one while there are few of those."""
        cdef Trunk trunk
        cdef Session roomiest = None
        cdef int crowds = 0
        for trunk in self.open:
            if trunk.certificate is not certificate:
                trunk.session.shutdown()
            elif trunk.begun >= since and trunk.session.has_room() and self.may_carry_more(trunk):
                if not trunk.session.crowded(CROWDED_NS):
                    return trunk.session
                crowds += 1
                if roomiest is None or trunk.session.left() > roomiest.left():
                    roomiest = trunk.session
            elif trunk.session.settled:
                self.most_streams = trunk.session.most_streams
        return roomiest if crowds >= MOST_CROWDED else None

    cdef bint may_carry_more(self, Trunk trunk) noexcept:
        """Whether `maxConcurrentStreams` allows it."""
        cdef Py_ssize_t most = self.breaker.lifetimes.streams if self.breaker is not None else 0
        return most == 0 or len(trunk.session.streams) < most

    cdef Session get(self, Dialer dialer, int64_t deadline, int64_t since):
        """As `take`, but made if need be; None if that fails or takes until `deadline`."""
        cdef Session session = self.take(dialer.certificate, since)
        cdef double left
        while session is None:
            left = (deadline - monotonic_ns()) / 1e9
            if left <= 0:
                dialer.error = ETIMEDOUT
                return None
            if self.opening is None:
                return self.make(dialer, left)
            error, reasons = self.opening.wait(left) or (0, None)
            if error and error != ETIMEDOUT:        # too slow for one may be in time for another
                dialer.error, dialer.reasons = error, reasons
                return None
            session = self.take(dialer.certificate, since)
        return session

    cdef Session make(self, Dialer dialer, double seconds):
        """One more; those who come meanwhile wait for what comes of it."""
        cdef Session session = None
        cdef object opening = AsyncResult()
        cdef int64_t begun = monotonic_ns()
        self.opening = opening
        dialer.error, dialer.reasons = ETIMEDOUT, []
        try:
            session = dialer.dial(seconds)
            if session is not None:
                self.add(session, dialer.certificate, begun)
        finally:
            self.opening = None
            opening.set((0 if session is not None else dialer.error, dialer.reasons))
        return session

    cdef int drain_one(self) except -1:
        """The oldest takes no more: 1, or 0 if none is open."""
        cdef Trunk trunk
        for trunk in self.open:
            if not trunk.session.draining:
                trunk.session.shutdown()
                self.end_drained()
                return 1
        return 0

    cdef int end_idle(self) except -1:
        """One that carries nothing ends; soon, not at once."""
        cdef Trunk trunk
        for trunk in self.open:
            if not trunk.session.streams and not trunk.session.draining:
                trunk.session.shutdown()
                return trunk.session.refuse_new()
        return 0

    cdef int end_drained(self) except -1:
        """What takes no more and carries nothing ends."""
        cdef Trunk trunk
        for trunk in list(self.open):
            if trunk.session.draining and not trunk.session.streams:
                trunk.session.refuse_new()
        return 0

    cdef Session add(self, Session session, object certificate, int64_t begun):
        cdef Trunk trunk = Trunk()
        trunk.session, trunk.home, trunk.certificate, trunk.begun = session, self, certificate, begun
        if self.most_streams:
            session.most_streams = min(self.most_streams, session.most_streams)
        self.open.append(trunk)
        self.connections.trunks.add(trunk)
        gevent.spawn(trunk.run)
        return session


cdef class Connections:
    """All trunks of a worker. `idle_ns`: how long one that carries nothing is kept; 0: for ever."""

    def __init__(self, int64_t idle_ns):
        self.idle_ns = idle_ns
        self.places, self.breakers = {}, {}
        self.trunks = set()

    cdef Trunks place(self, object key):
        """The trunks to the place of this name, for one more user; None: a place of its own."""
        cdef Trunks trunks = self.places.get(key)
        if trunks is None:
            trunks = Trunks(self, key)
            if key is not None:
                self.places[key] = trunks
        trunks.users += 1
        return trunks

    cdef int leave(self, Trunks trunks) except -1:
        """One user less. What is on its way goes on."""
        trunks.users -= 1
        if trunks.users == 0:
            self.places.pop(trunks.key, None)
        return 0

    cdef Breaker breaker(self, Context context, int slot):
        """The one of the cluster in that slot."""
        cdef Breaker breaker = self.breakers.get(slot)
        if breaker is None:
            breaker = self.breakers[slot] = Breaker(context, slot)
        return breaker

    def make_room(self) -> None:
        """Another worker says that somebody waits there, or that there is room."""
        cdef Breaker breaker
        for breaker in self.breakers.values():
            if breaker.limited:
                breaker.make_room()

    def tick(self) -> None:
        """Closes what is of no more use; to be called now and then."""
        cdef int64_t now = monotonic_ns()
        cdef Trunk trunk
        cdef Breaker breaker
        if now - self.swept >= SWEEP_NS:
            self.swept = now
            for trunk in list(self.trunks):
                trunk.sweep(now)
        for breaker in self.breakers.values():
            if breaker.limited:
                breaker.tick(now)

    def __len__(self) -> int:
        return len(self.trunks)
