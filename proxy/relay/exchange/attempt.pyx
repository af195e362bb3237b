"""One try on one endpoint: dispatched, made, ended. What it says about its endpoint goes to the fleet's door.

An attempt knows the request it is for and nothing of other attempts: whether another follows is the exchange's business
(exchange.pyx). Here is what all have in common, and all that one of a TCP connection is; http_attempt.pyx has the rest.
"""

from libc.string cimport memset

from proxy.policy.cause cimport cause_of, spoke
from proxy.policy.facts cimport (
    ABANDONED,
    ANSWERED,
    CLIENT_FAILED,
    CLOSED,
    CONNECTED,
    CONNECTION_RESET,
    EXTERNAL_FAILURE,
    LOCAL_FAILURE,
    MALFORMED,
    NO_PROTOCOL,
    NOT_CONNECTED,
    NOT_HTTP,
    NOTHING,
    OVERDUE,
    OVERFLOWED,
    REFUSED,
    RESET,
    SHORT_OF,
    SILENT,
    STREAM_ENDED,
    SUCCESS,
    TUNNEL_RESET,
)
from proxy.policy.outlier cimport outcome_of, status_of
from proxy.relay.endpoints.breaker cimport Seat
from proxy.relay.endpoints.pool cimport after, cause_of_error, own_shortage, reach
from proxy.clock cimport monotonic_ns
from proxy.scoreboard.atomics cimport wp_add64, wp_loadu, wp_store64
from proxy.scoreboard.layout cimport CONNECTIONS as LIMIT_OF_CONNECTIONS
from proxy.wire.stream cimport HEAD_BROKEN, PROTOCOL_BROKEN, STREAM_RESET, TUNNEL_ENDED

from proxy.policy.causes import word_of
from proxy.relay.exchange import faults


cdef class Attempt(IdleListener):
    """Reusable: `begin` makes it the next one, `end` takes it from its endpoint."""

    def __init__(self, Context context, Request request):
        self.context = context
        self.request = request

    cdef int forget(self) except -1:
        """Lets go of what was tried."""
        self.cluster = None
        self.endpoint = None
        self.local = None
        return 0

    cdef int begin(self, Cluster cluster, Endpoint endpoint, int retries, bint fresh) except -1:
        """It counts as in flight, and carries the generation that its outcome will be held against. There were
        `retries` before; `fresh`: one of them on this endpoint."""
        self.fresh = fresh
        self.reasons = None
        self.cluster = cluster
        self.endpoint = endpoint
        self.client_fault = None
        memset(&self.ending, 0, sizeof(Ending))
        self.ending.grpc = -1
        self.ending.retries, self.ending.untried = retries, cluster.count - 1 - retries
        self.ending.repeatable = self.request.repeatable
        self.generation = wp_loadu(&endpoint.row.generation)
        cluster.chooser.take(endpoint.row, endpoint.share)
        self.in_flight = True
        return 0

    cdef bint make(self) except -1:
        """Goes as far as the endpoint's answer, of which here the connection is all; whether there is one."""
        if self.cluster.limited and not self.has_seat():
            self.ending.how = OVERFLOWED
        elif self.connect():
            self.local = self.stream.local
            self.ending.how = CONNECTED
        else:
            self.ending.how = self.not_connected()
        self.judge()
        return self.ending.how == CONNECTED

    cdef int end(self) except -1:
        """It is over; nothing if it was before."""
        self.drop_stream()
        if self.in_flight:
            self.in_flight = False
            self.cluster.chooser.drop(self.endpoint.row, self.endpoint.share)
            if self.cluster.limited:
                self.leave_seat()
                self.cluster.breaker.stream_ended(self.endpoint)
        return 0

    cdef bint has_seat(self) except -1:
        """Whether there may be one more connection. Bytes do not wait for that, as with Envoy."""
        self.seat = self.cluster.breaker.take()
        if self.seat is None:
            self.cluster.counters.refused[LIMIT_OF_CONNECTIONS] += 1
        return self.seat is not None

    cdef int leave_seat(self) except -1:
        """There will be no connection for it."""
        cdef Seat seat = self.seat
        if seat is not None:
            self.seat = None
            seat.release()
        return 0

    cdef bint connect(self) except -1:
        """A fresh byte stream to the endpoint. False: it cannot be reached."""
        self.reasons = []
        self.deadline = after(self.cluster.connect_seconds)
        self.stream = reach(self.endpoint, self.cluster, self.context, self.request.client, self.deadline,
                            &self.connect_error, self.reasons, self.alpn)
        return self.be_seated()

    cdef bint be_seated(self) except -1:
        """The connection that has been made is one of the cluster's; False: there is none."""
        cdef Seat seat = self.seat
        if self.stream is None:
            self.leave_seat()
            return False
        self.seat = None
        if seat is None:
            seat = self.endpoint.breaker.seat()
        seat.sit(self.stream)
        return True

    cdef int not_connected(self) noexcept:
        """How it ended: why is in `connect_error` and `reasons`."""
        self.ending.trouble = cause_of_error(self.connect_error)
        return SHORT_OF if own_shortage(self.connect_error) else NOT_CONNECTED

    cdef void note_loss(self) noexcept:
        """The stream has ended before its time: what ended with it is why."""
        cdef int how = self.stream.how_it_ended()
        if how == STREAM_RESET:
            self.ending.trouble = STREAM_ENDED
        elif how == TUNNEL_ENDED:
            self.ending.trouble = TUNNEL_RESET
        else:
            self.ending.trouble = NO_PROTOCOL if how in (PROTOCOL_BROKEN, HEAD_BROKEN) else CONNECTION_RESET

    cdef int drop_stream(self) except -1:
        if self.stream is not None:
            self.stream.close()
            self.stream = None
        return 0

    # -- outcomes -----------------------------------------------------------------------------------------------------

    cdef object judge(self):
        """What it says about its endpoint is told; of a failure, what the fleet is told (None: nothing)."""
        cdef int outcome = outcome_of(&self.cluster.outlier_rule, &self.ending)
        if outcome == SUCCESS:
            self.report_success()
            return None
        self.note_failure(outcome)
        if outcome == NOTHING:
            return None
        if outcome == LOCAL_FAILURE and self.stream is not None and not self.stream.first_loss(self.endpoint.slot):
            return None         # others on the same connection have told of its end
        return self.report_failure(status_of(&self.ending) if outcome == EXTERNAL_FAILURE else 0)

    cdef int note_failure(self, int outcome) except -1:
        """For the log, whatever becomes of the request: where it failed and why. An answer speaks for itself."""
        cdef int how = self.ending.how
        if how not in (ANSWERED, CLIENT_FAILED, OVERFLOWED) and not (how == ABANDONED and outcome == NOTHING):
            self.request.failures.append(f"{word_of(cause_of(&self.ending))}@{self.endpoint.name}")
        return 0

    cdef object report_failure(self, int status):
        """`status` is the endpoint's answer, 0 if there was none."""
        cdef int cause = cause_of(&self.ending)
        wp_add64(&self.endpoint.row.failed, 1)
        if not self.cluster.outlier_on:
            return None
        if self.cluster.rates_on and (status or self.cluster.rates_local):
            wp_add64(&self.endpoint.row.badly, 1)
        return self.context.fleet.attempt_failed(
            self.cluster.name, self.endpoint.slot, self.generation, status, self.request.id(), cause, spoke(cause),
            self.ending.how != NOT_CONNECTED)

    cdef int report_success(self) except -1:
        """Only worth telling while somebody counts failures of this endpoint; should it turn out that somebody did
        already, it is told afterwards (fleet/leader.py): noted first, then looked, as that is done the other way round."""
        if not self.cluster.outlier_on:
            return 0
        wp_store64(&self.endpoint.row.succeeded, monotonic_ns())
        if self.cluster.rates_on:
            wp_add64(&self.endpoint.row.well, 1)
        if wp_loadu(&self.endpoint.row.dirty) or wp_loadu(&self.endpoint.row.witnessed):
            self.context.fleet.attempt_succeeded(self.cluster.name, self.endpoint.slot, self.generation)
        return 0

    cdef object fault(self, bint exhausted):
        """What the client and the log are told of an attempt without an answer. `exhausted`: it would not have been the
        last, were there more to try."""
        cdef int how = self.ending.how
        cdef bint retried = self.ending.retries > 0
        if how == NOT_CONNECTED or how == SHORT_OF:
            return faults.connect_failed(self.connect_error, retried, exhausted, self.reasons)
        if how == CLOSED:
            return faults.endpoint_closed(retried, exhausted)
        if how == RESET or how == REFUSED:
            return faults.endpoint_reset(how == REFUSED, retried, exhausted)
        if how == NOT_HTTP or how == MALFORMED:
            return faults.endpoint_malformed(self.reasons or ())
        if how == OVERFLOWED:
            return faults.OVERFLOW
        if how == OVERDUE:
            return faults.attempt_overdue(exhausted)
        return faults.ENDPOINT_SILENT if how == SILENT and self.client_fault is None else self.client_fault
