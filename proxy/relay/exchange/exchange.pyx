"""One request and its response, from the head's last byte to the line in the log.

`run` reads top to bottom: it accepts the request, finds its cluster, makes attempts until one is answered, gives the
client the answer, and settles. The parts are in files of their own, each a layer under this one: attempting.pyx (an
attempt on an endpoint), answering.pyx (the answer to the client), line.pyx (the line in the log).

The client's read buffer holds the request head, pinned, until the exchange has settled: retries send from it, and the
log reads it.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memmove

from proxy.policy.retry cimport may_retry
from proxy.relay.exchange.attempting cimport ANSWERED, GIVEN_UP
from proxy.relay.context cimport wall_ns
from proxy.relay.exchange.line cimport log_line
from proxy.relay.routes cimport Routes
from proxy.clock cimport monotonic_ns
from proxy.wire.http.head cimport (
    BAD,
    LOW_VERSION,
    M_CONNECT,
    M_DELETE,
    M_GET,
    M_HEAD,
    M_OPTIONS,
    M_PUT,
    M_TRACE,
    NO_BODY,
    NOT_IMPLEMENTED,
    TOO_LARGE,
    TOO_MANY_FIELDS,
    Head,
    Span,
)
from proxy.wire.http.names cimport is_text, next_member

from proxy.relay.exchange import faults

cdef dict FAULT_OF_RESULT = {
    BAD: faults.BAD_REQUEST,
    TOO_LARGE: faults.HEAD_TOO_LARGE,
    TOO_MANY_FIELDS: faults.TOO_MANY_FIELDS,
    LOW_VERSION: faults.LOW_VERSION,
    NOT_IMPLEMENTED: faults.NOT_IMPLEMENTED,
}


def fault_of(int result):
    """The fault behind a negative Result of the head parser."""
    return FAULT_OF_RESULT[result]


cdef class Exchange(Answering):
    """Reusable: `run` starts it afresh. One at a time for a client connection."""

    cdef bint run(self, Stream client, Py_ssize_t size, Routes routes) except -1:
        """Serves the request whose head is the first `size` bytes of the client's buffer. True: another may follow."""
        self.begin(client, size)
        try:
            if self.accept(routes):
                self.make_attempts()
            self.conclude()
        finally:
            self.settle()
        return self.keep_alive

    cdef int refuse(self, Stream client, object fault) except -1:
        """Answers a client whose request head never became one."""
        self.begin(client, 0)
        self.fault = fault
        self.conclude()
        self.settle()
        return 0

    # -- the request --------------------------------------------------------------------------------------------------

    cdef int begin(self, Stream client, Py_ssize_t size) except -1:
        """Forgets the exchange before; moves the head to the buffer's beginning and pins it there."""
        self.client = client
        self.upstream = None
        self.cluster = None
        self.endpoint = None
        self.tried = None
        self.fault = self.pump = self.pump_fault = None
        self.retries = self.status = 0
        self.sent = self.pooled = self.in_flight = self.upgrading = False
        self.half_closed = self.left = self.unread = False
        self.keep_alive = False
        self.service_ms = -1
        self.endpoint_text = self.endpoint_local = None
        self.started_wall = wall_ns()
        self.started = monotonic_ns()
        self.request_body.start(NO_BODY, 0)
        self.response_body.start(NO_BODY, 0)
        if client.start:
            memmove(client.buffer, client.buffer + client.start, client.end - client.start)
            client.end -= client.start
            client.start = 0
        client.pinned = client.start = size
        self.log_request = size > 0
        return 0

    cdef bint accept(self, Routes routes) except -1:
        """Parses and routes; False with the fault if there is nowhere to go with it."""
        cdef Head request = self.request
        cdef int result = request.parse_request(self.client.buffer, self.client.pinned)
        if result < 0:
            self.fault = FAULT_OF_RESULT[result]
            self.log_request = False
            return False
        self.request_body.start(request.framing, request.content_length)
        self.has_body = not self.request_body.done
        self.keep_alive = not request.close and not self.context.draining
        self.idempotent = request.method in (M_GET, M_HEAD, M_PUT, M_DELETE, M_OPTIONS, M_TRACE)
        self.upgrading = request.upgrade and not is_h2c(self.client.buffer, &request.upgrade_to)
        if request.request_id.length == 0:
            self.context.make_request_id(self.request_id)
        self.cluster = self.route(routes)
        if self.cluster is None or request.method == M_CONNECT:
            self.fault = faults.NO_ROUTE
        elif self.cluster.closed:
            self.fault = faults.CLOSED
        return self.fault is None

    cdef Cluster route(self, Routes routes):
        """By what the tunnel was opened to, where there is one: the Host in it selects nothing."""
        cdef Span* host = &self.request.authority
        if self.client.target is not None:
            return routes.of_target(self.client.target)
        return routes.of_host(self.client.buffer[host.at:host.at + host.length])

    # -- attempts -----------------------------------------------------------------------------------------------------

    cdef int make_attempts(self) except -1:
        """Tries endpoints until one answers or there is no sense in going on; leaves a fault unless one answered."""
        cdef int ended
        cdef Endpoint endpoint
        while True:
            endpoint = self.cluster.pick(self.tried)
            if endpoint is None:
                if self.fault is None:
                    self.fault = faults.NO_HEALTHY_ENDPOINT
                return 0
            self.dispatch(endpoint)
            ended = self.attempt()
            if ended == ANSWERED:
                self.fault = None
                return 0
            self.drop_upstream()
            self.withdraw()
            if ended == GIVEN_UP or not may_retry(self.retries, self.sent, self.idempotent, self.has_body) \
                    or not self.turn_to_another():
                return 0

    # -- the end ------------------------------------------------------------------------------------------------------

    cdef int conclude(self) except -1:
        """Relays the endpoint's answer, or gives our own."""
        if self.fault is None:
            return self.relay_response()
        return self.reply()

    cdef int settle(self) except -1:
        """Counts, writes the log line, and lets go of everything."""
        log_line(self, self.count())
        self.client.pinned = 0
        self.client.listener = None
        if self.unread:
            self.linger()
        self.client = None
        self.cluster = None
        self.endpoint = None
        self.tried = None
        return 0


cdef bint is_h2c(const char* head, Span* upgrade_to) noexcept:
    """Whether the client offers HTTP/2 in clear text, which is ours to decline, not an endpoint's to accept."""
    cdef uint32_t at = upgrade_to.at
    cdef Span protocol
    while next_member(head, &at, upgrade_to.at + upgrade_to.length, &protocol):
        if is_text(head, protocol, b"h2c", 3):
            return True
    return False
