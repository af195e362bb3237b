"""One try on one endpoint: dispatched, made, ended. What it says about its endpoint goes to the fleet's door.

An attempt knows the request it is for and nothing of other attempts: whether another follows is the exchange's business
(exchange.pyx). Here is what all have in common, and all that one of a TCP connection is; http_attempt.pyx has the rest.
"""

from proxy.relay.endpoints.pool cimport after, own_shortage, reach
from proxy.scoreboard.atomics cimport wp_add, wp_add64, wp_loadu

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

    cdef int begin(self, Cluster cluster, Endpoint endpoint) except -1:
        """It counts as in flight, and carries the generation that its outcome will be held against."""
        self.cluster = cluster
        self.endpoint = endpoint
        self.client_fault = None
        self.sent = False
        self.generation = wp_loadu(&endpoint.row.generation)
        wp_add(&endpoint.row.in_flight, 1)
        endpoint.share[0] += 1
        wp_add64(&endpoint.row.requests, 1)
        self.in_flight = True
        return 0

    cdef int make(self) except -1:
        """Goes as far as the endpoint's answer, of which here the connection is all: an Ended, which is kept."""
        if self.connect():
            self.local = self.stream.local
            self.report_success()
            self.ended = ANSWERED
        else:
            self.ended = self.not_connected()
        return self.ended

    cdef int end(self) except -1:
        """It is over; nothing if it was before."""
        self.drop_stream()
        if self.in_flight:
            self.in_flight = False
            self.endpoint.share[0] -= 1
            wp_add(&self.endpoint.row.in_flight, -1)
        return 0

    cdef bint connect(self) except -1:
        """A fresh byte stream to the endpoint. False: it cannot be reached."""
        self.reasons = []
        self.deadline = after(self.cluster.connect_seconds)
        self.stream = reach(self.endpoint, self.cluster, self.context, self.request.client, self.deadline,
                            &self.connect_error, self.reasons)
        return self.stream is not None

    cdef int not_connected(self) except -1:
        if not own_shortage(self.connect_error):
            self.report_failure(0)
        return NOT_CONNECTED

    cdef int drop_stream(self) except -1:
        if self.stream is not None:
            self.stream.close()
            self.stream = None
        return 0

    # -- outcomes -----------------------------------------------------------------------------------------------------

    cdef int report_failure(self, int status) except -1:
        """`status` is the endpoint's answer, 0 if there was none."""
        wp_add64(&self.endpoint.row.failed, 1)
        if self.cluster.outlier_on:
            self.context.fleet.attempt_failed(
                self.cluster.name, self.endpoint.slot, self.generation, status, self.request.id())
        return 0

    cdef int report_success(self) except -1:
        """Only worth telling while somebody counts failures of this endpoint."""
        if self.cluster.outlier_on and wp_loadu(&self.endpoint.row.dirty):
            self.context.fleet.attempt_succeeded(self.cluster.name, self.endpoint.slot, self.generation)
        return 0

    cdef object fault(self, bint retried, bint exhausted):
        """What the client and the log are told of an attempt without an answer. `retried`: it was not the first one;
        `exhausted`: and would not have been the last, were there more to try."""
        if self.ended == NOT_CONNECTED:
            return faults.connect_failed(self.connect_error, retried, exhausted, self.reasons)
        if self.ended == CLOSED:
            return faults.endpoint_closed(retried, exhausted)
        if self.ended == RESET or self.ended == REFUSED:
            return faults.endpoint_reset(self.ended == REFUSED, retried, exhausted)
        if self.ended == MALFORMED:
            return faults.endpoint_malformed()
        return faults.ENDPOINT_SILENT if self.ended == SILENT else self.client_fault
