"""What a cluster may have at once: connections, requests that wait for one, requests, retries. How long its connections
last is known here too (lifetimes.pyx).

How many there are is counted for all workers of the replica (scoreboard/limits.pyx), so a limit is neither exceeded by
one nor reached before; how many there may be, allowance.pyx knows. Connections are counted whether they are limited or
not: a limit that is set later holds for those that are there. A connection has a `Seat` until it is closed.

Who finds no seat waits. Whatever becomes free in a worker, a seat or a connection that is given back, goes to the one who
has waited there longest (a connection, to who waits for its endpoint, if he came hardly later); but if somebody has
waited longer in another worker, by more than `GRACE`, it is given up, and that worker is told so: a packet without
content on the sockets by which connections are handed over (`Context.nudge`). Since when somebody waits stands on the scoreboard, so
that all go by the same; who comes newly gets in line. So nobody waits for ever while others are served, in whatever
worker. Connections that nobody uses just then are given up for those who wait, in other workers too: they are told when
the first begins to wait.

A packet may be lost, and so may a worker with all it held. Therefore who waits also looks by himself every POLL seconds,
and reminds the others every REMINDER of these; and where somebody is first, but does not come in PATIENCE looks (his
worker is stopped), the next one goes ahead. What a worker held that was killed is free when it has been reaped.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int64_t

from proxy.clock cimport monotonic_ns
from proxy.policy.breaker cimport GRACE, goes_first
from proxy.relay.endpoints.allowance cimport Allowance
from proxy.scoreboard.atomics cimport wp_load, wp_store64
from proxy.scoreboard.layout cimport CONNECTIONS, PENDING
from proxy.scoreboard.memory cimport Memory
from proxy.scoreboard.limits cimport UNLIMITED, count_held, drop_one, first_elsewhere, take_one
from proxy.wire.http2.session cimport Session
from proxy.wire.http2.stream cimport Http2Stream
from proxy.wire.stream cimport get_hub

from gevent.event import Event

cdef double POLL = 0.01
cdef enum:
    REMINDER = 10
    PATIENCE = 3


cdef class Member(IdleListener):
    """What a breaker knows of an endpoint of its cluster."""

    cdef Seat give_up_one(self):
        """The seat of a connection that nobody uses, which is closed; None: there is none."""
        return None

    cdef bint has_room(self):
        """Whether a connection that others have takes one more request."""
        return False

    cdef int drain_one(self) except -1:
        """A connection that others have takes no more requests: 1, or 0 if there is none."""
        return 0

    cdef int end_drained(self) except -1:
        """Ends such connections as have come to their end."""
        return 0

    cdef int end_idle(self, int64_t begun_before) except -1:
        """Closes connections that wait for a request, if they are older."""
        return 0


@cython.final
cdef class Seat(Permit):
    """One of the connections that there may be. It is given back when the connection is closed, or never made."""

    cdef int release(self) except -1:
        return self.breaker.take_back(self) if self.row != NULL else 0

    cdef int sit(self, Stream stream) except -1:
        """For this connection, which has been made."""
        self.begun, self.requests = monotonic_ns(), 0
        stream.permit = self
        return 0

    cdef void drop(self) noexcept:
        """It is nobody's any more."""
        if self.row != NULL:
            drop_one(self.row, self.own, CONNECTIONS)
            self.row = NULL

    def __dealloc__(self):
        if self.row != NULL:
            drop_one(self.row, self.own, CONNECTIONS)


@cython.final
cdef class Waiter:
    """Somebody who waits for a connection."""

    def __init__(self, Member member, bint shared):
        self.member, self.shared = member, shared
        self.event = Event()

    cdef int end(self) except -1:
        """There is no sense in waiting any more."""
        self.event.set()
        return 0

    cdef bint served(self) noexcept:
        return self.stream is not None or self.seat is not None


@cython.final
cdef class Breaker:
    """One cluster's in one worker; the same for all snapshots that have the cluster."""

    def __init__(self, Context context, int slot):
        self.context, self.slot = context, slot
        self.row = context.scoreboard.memory.cluster(slot)
        self.own = context.scoreboard.memory.holding_of(context.worker, slot)
        self.counters = context.scoreboard.memory.counters_of(context.worker, slot)
        self.waiting = []
        self.allowance = Allowance()
        self.allowance.row, self.allowance.own, self.allowance.counters = self.row, self.own, self.counters
        self.pool = None
        self.limit({}, [])

    cdef int limit(self, dict pool, list members) except -1:
        """From now on the cluster has these limits (ipc.snapshot's PoolForm) and endpoints."""
        cdef Member member
        if pool != self.pool:
            for member in self.members or ():
                member.end_idle(INT64_MAX)      # they wait by the rules of before
            self.pool = pool
            self.allowance.set(pool)
            self.lifetimes = Lifetimes(pool, self.context.timeouts.endpoint_idle_timeout)
            self.limited = len(pool) > 0
        self.members = members
        return 0

    cdef int tick(self, int64_t now) except -1:
        """Ends connections whose time is over, and such as wait for requests while there are too many; to be called a few
        times a second."""
        cdef Member member
        if self.allowance.shared:
            self.shrink()
        self.lifetimes.tick()
        if self.lifetimes.duration:
            for member in self.members:
                member.end_idle(now - self.lifetimes.duration)
        return 0

    cdef int shrink(self) except -1:
        """The fleet has taken back a part of this replica's share."""
        cdef Seat seat
        while self.exceeded():
            seat = self.from_idle()
            if seat is None:
                break
            seat.drop()
        return 0

    # -- connections --------------------------------------------------------------------------------------------------

    cdef Seat seat(self):
        """For a connection that is there, whatever the limit."""
        take_one(self.row, self.own, CONNECTIONS, UNLIMITED)
        return self.counted()

    cdef Seat counted(self):
        """The seat that has been taken."""
        cdef Seat seat = Seat()
        seat.breaker, seat.row, seat.own = self, self.row, self.own
        return seat

    cdef Seat take(self):
        """For one more connection; None if there is no room, or somebody waits for it."""
        cdef int64_t since
        if self.waiting or first_elsewhere(self.context.scoreboard.memory, self.context.worker, self.slot, &since) >= 0:
            return None
        return self.free_seat()

    cdef Seat free_seat(self):
        """One that is free, or whose connection nobody uses in this worker."""
        if self.allowance.take(CONNECTIONS):
            return self.counted()
        return self.from_idle()

    cdef Seat from_idle(self):
        cdef Member member
        cdef Seat seat
        for member in self.members:
            seat = member.give_up_one()
            while seat is not None and self.exceeded():
                seat.drop()
                seat = member.give_up_one()
            if seat is not None:
                return seat
        return None

    cdef bint exceeded(self) noexcept:
        """There are more than there may be: the limit has been lowered."""
        return count_held(self.row, CONNECTIONS) > self.allowance.now(CONNECTIONS)

    # -- waiting for one ----------------------------------------------------------------------------------------------

    cdef bint wait(self, Waiter waiter, double seconds) except -1:
        """Until he has what he waits for or is told to end, or for so long (0: for ever). False: too many wait."""
        self.counters.refused[CONNECTIONS] += 1
        if not self.allowance.take(PENDING):
            self.counters.refused[PENDING] += 1
            return False
        self.enter(waiter)
        try:
            waiter.event.wait(seconds or None)
        finally:
            if waiter in self.waiting:
                self.leave(waiter)
        return True

    cdef int enter(self, Waiter waiter) except -1:
        """He is the last in line."""
        waiter.since = monotonic_ns()
        self.waiting.append(waiter)
        if self.timer is None:
            self.looks = self.passed_over = 0
            wp_store64(&self.own.waits_since, waiter.since)
            self.timer = get_hub().loop.timer(POLL, POLL)
            self.timer.start(self.look)
        return self.nudge_all(len(self.waiting) > 1)

    cdef int leave(self, Waiter waiter) except -1:
        """He waits no longer."""
        self.waiting.remove(waiter)
        drop_one(self.row, self.own, PENDING)
        wp_store64(&self.own.waits_since, self.first_here())
        if not self.waiting:
            self.timer.stop()
            self.timer.close()
            self.timer = None
        return 0

    cdef int64_t first_here(self) noexcept:
        return (<Waiter>self.waiting[0]).since if self.waiting else 0

    cdef int hand(self, Waiter waiter, Seat seat) except -1:
        waiter.seat = seat
        self.leave(waiter)
        return waiter.end()

    def look(self) -> None:
        """Now and then, while somebody waits."""
        self.looks += 1
        if self.looks % REMINDER == 0:
            self.nudge_all(False)
        self.serve()

    cdef int serve(self) except -1:
        """Whoever waits gets what is free, unless somebody goes before him who waits elsewhere."""
        cdef int64_t other
        cdef Seat seat
        while self.waiting:
            first_elsewhere(self.context.scoreboard.memory, self.context.worker, self.slot, &other)
            if not goes_first(self.first_here(), other):
                self.passed_over += 1
                if self.passed_over <= PATIENCE:
                    return 0
            seat = self.free_seat()
            if seat is None:
                self.passed_over = 0
                return 0
            self.hand(self.waiting[0], seat)
        return 0

    # -- what becomes free --------------------------------------------------------------------------------------------

    cdef int take_back(self, Seat seat) except -1:
        """The connection is closed."""
        cdef int64_t other = 0
        cdef int who = -1
        if count_held(self.row, PENDING):
            who = first_elsewhere(self.context.scoreboard.memory, self.context.worker, self.slot, &other)
            if not self.exceeded() and goes_first(self.first_here(), other):
                return self.hand(self.waiting[0], seat)
        seat.drop()
        return self.nudge(who)

    cdef bint wants(self, Member member, Stream stream) except -1:
        """Whether a connection that is about to be pooled is somebody's now, or closed for somebody."""
        cdef int64_t other
        cdef Waiter waiter
        if self.worn(<Seat>stream.permit) or self.exceeded():
            stream.close()
            return True
        if count_held(self.row, PENDING) == 0:
            return False
        first_elsewhere(self.context.scoreboard.memory, self.context.worker, self.slot, &other)
        if goes_first(self.first_here(), other):
            for waiter in self.waiting:
                if waiter.since > self.first_here() + GRACE:
                    break
                if waiter.member is member and not waiter.shared:
                    waiter.stream = stream
                    self.leave(waiter)
                    waiter.end()
                    return True
        stream.close()
        return True

    cdef bint worn(self, Seat seat) noexcept:
        """Whether its connection has had one more request, and with that as many, or been for as long, as it may. None: it
        has been closed."""
        if seat is None:
            return True
        seat.requests += 1
        if self.lifetimes.requests and seat.requests >= self.lifetimes.requests:
            return True
        return self.lifetimes.duration and monotonic_ns() - seat.begun >= self.lifetimes.duration

    cdef int sent(self, Stream stream) except -1:
        """A request was sent. One that shares its connection with others may have been the last there."""
        cdef Session session
        if stream.http2:
            session = <Session>(<Http2Stream>stream).session
            if self.worn(<Seat>session.transport.permit):
                session.shutdown()
        return 0

    cdef int stream_ended(self, Member member) except -1:
        """There may be room on a connection to the endpoint that others have, too, or an end to it."""
        cdef Waiter waiter
        member.end_drained()
        for waiter in self.waiting:
            if waiter.shared and waiter.member is member:
                if member.has_room():
                    self.leave(waiter)
                    waiter.end()
                break
        return 0

    cdef int make_room(self) except -1:
        """Somebody in another worker waits: what is not used here is his. If he has waited longer than all here, so is a
        connection that requests share: it takes no more of them."""
        cdef int64_t other, wanted
        cdef int who
        cdef Seat seat
        self.serve()
        who = first_elsewhere(self.context.scoreboard.memory, self.context.worker, self.slot, &other)
        if who < 0 or goes_first(self.first_here(), other):
            return 0
        wanted = count_held(self.row, PENDING) - self.own.held[PENDING]
        wanted -= self.allowance.now(CONNECTIONS) - count_held(self.row, CONNECTIONS)
        while wanted > 0:
            seat = self.from_idle()
            if seat is None:
                return self.drain_one()
            seat.drop()
            wanted -= 1
        return self.nudge(who)

    cdef int drain_one(self) except -1:
        cdef Member member
        for member in self.members:
            if member.drain_one():
                break
        return 0

    cdef int nudge(self, int worker) except -1:
        """Tells a worker, if it is one, that there is something for it to do."""
        if worker >= 0 and self.context.nudge is not None:
            self.context.nudge(worker)
        return 0

    cdef int nudge_all(self, bint idle) except -1:
        """All that have connections, or (`idle`) such as wait for a request."""
        cdef Memory memory = self.context.scoreboard.memory
        cdef int worker
        for worker in range(wp_load(&memory.header.workers_high)):
            if worker == self.context.worker or not wp_load(&memory.holding_of(worker, self.slot).held[CONNECTIONS]):
                continue
            if not idle or memory.counters_of(worker, self.slot).idle:
                self.nudge(worker)
        return 0
