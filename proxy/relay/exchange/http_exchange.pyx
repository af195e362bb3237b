"""One request and its response, from the head's last byte to the line in the log.

`run` reads top to bottom: it accepts the request, finds its cluster, makes attempts until one is answered, gives the
client the answer, and settles. The parts are objects of their own: request.pyx (what the client asks for), exchange.pyx
(the attempts), http_attempt.pyx (one on an endpoint), answer.pyx (the answer to the client), line.pyx (the line in the
log).
"""

cimport cython

from proxy.policy.facts cimport BY_HOST, BY_TARGET, Facts
from proxy.policy.route cimport place_of
from libc.stdint cimport int64_t

from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.hash_key cimport HashKey
from proxy.relay.endpoints.tokens cimport Tokens
from proxy.relay.endpoints.verdict cimport NOTHING, Verdict
from proxy.relay.exchange.answered cimport is_in_vain
from proxy.relay.exchange.counting cimport Messages, count_request, count_route
from proxy.relay.exchange.http_attempt cimport HttpAttempt
from proxy.relay.exchange.line cimport log_line
from proxy.relay.exchange.request cimport Request
from proxy.relay.exchange.sessions cimport keep_session
from proxy.wire.http.head cimport (
    BAD, LOW_VERSION, M_CONNECT, MAX_FIELDS, MAX_HEAD, NOT_IMPLEMENTED, TOO_LARGE, TOO_MANY_FIELDS, UNKNOWN_PROTOCOL,
    Head, Span,
)
from proxy.wire.stream cimport TIMED_OUT

from proxy.relay.exchange import faults

cdef dict NO_REQUEST = {        # an Io or a Result, and what the client is told
    TIMED_OUT: faults.HEAD_TIMEOUT,
    BAD: faults.BAD_REQUEST,
    TOO_LARGE: faults.HEAD_TOO_LARGE,
    TOO_MANY_FIELDS: faults.TOO_MANY_FIELDS,
    LOW_VERSION: faults.LOW_VERSION,
    NOT_IMPLEMENTED: faults.NOT_IMPLEMENTED,
    UNKNOWN_PROTOCOL: faults.UNKNOWN_PROTOCOL,
}


@cython.final
cdef class HttpExchange(Routed):
    """Reusable: `run` starts it afresh. One at a time for a client connection."""

    def __init__(self, Context context):
        cdef HttpAttempt attempt
        self.context = context
        self.request = Request()
        self.attempt = attempt = HttpAttempt(context, self.request)
        self.answer = Answer(context, self.request, attempt)

    cdef bint run(self, Stream client, Py_ssize_t size, Routes routes) except -1:
        """Serves the request whose head is the first `size` bytes of the client's buffer. True: another may follow."""
        self.begin(client, size)
        try:
            if self.accept(routes):
                self.make_attempts()
            self.conclude()
        finally:
            self.settle()
        return self.answer.keep_alive

    cdef int refuse(self, Stream client, int why) except -1:
        """Answers a client whose request head never became one: TIMED_OUT, or a Result."""
        self.begin(client, 0)
        self.fault = NO_REQUEST[why]
        self.conclude()
        self.settle()
        return 0

    cdef int begin(self, Stream client, Py_ssize_t size) except -1:
        self.request.begin(client, size)
        return self.answer.begin()

    cdef bint accept(self, Routes routes) except -1:
        """Parses and routes; False with the fault if there is nowhere to go with it."""
        cdef Request request = self.request
        cdef int result = request.accept(self.context.request_ids)
        if result < 0:
            self.fault = NO_REQUEST[result]
            return False
        self.answer.keep_alive = not request.head.close and not self.context.drain.saying_close()
        if request.head.grpc and self.context.tallies is not None:
            self.count_messages()
        if routes.secured:
            request.head.secured = request.head.https = True
        self.cluster = self.route(routes)
        if self.cluster is None:
            self.fault = faults.MISDIRECTED if self.is_misdirected(routes) else faults.NO_ROUTE
        else:
            self.fault = self.refusal()
        if self.fault is None and self.cluster.rate_limits is not None:
            self.fault = self.excess(self.cluster.rate_limits, False)
        if self.fault is None and self.cluster.plan is not None:
            self.follow(self.cluster.plan, routes.clusters)
        if self.fault is None and self.cluster.hash_key is not None:
            self.find_key()
        if self.cluster is not None:
            self.keep_retries()
        return self.fault is None

    cdef object refusal(self):
        """Why the request does not get in, or None."""
        cdef bytes rule
        if self.cluster.closed:
            return faults.CLOSED
        if self.cluster.by_path and not self.request.normalise_path(self.context.normalization):
            return faults.PATH_NOT_NORMAL
        if self.cluster.tokens is not None:
            fault = self.distrust(self.cluster.tokens)
            if fault is not None:
                return fault
        if self.cluster.shadows is not None:
            self.request.shadow = self.cluster.shadows.told(
                self.request.head, self.request.client, self.token, self.cluster.counted)
        if self.cluster.gate is None:
            return None
        rule = self.cluster.gate.refuses(self.request.head, self.request.client, self.token)
        self.cluster.counted.access(rule)
        return None if rule is None else faults.denied(rule)

    cdef object distrust(self, Tokens tokens):
        """What is wrong with the request's token; None: nothing, and what endpoints are told of it is put into it. It
        may be as large then as any."""
        cdef Request request = self.request
        cdef Verdict token = tokens.judge(request.head, request.client, request.started_wall / 1e9)
        self.token = token
        if tokens.outputs:
            request.leave_out_trailers()    # what a client says under their names goes on nowhere
        if token is not NOTHING:
            self.cluster.counted.token(token)
        if token.refusal is not None:
            return faults.bad_token(token.refusal, token.status, self.realm())
        if token.lines is not None:
            request.added = token.lines
            if request.head_size + len(token.lines) > MAX_HEAD:
                return faults.HEAD_TOO_LARGE
            if request.head.count + len(token.fields) > MAX_FIELDS:
                return faults.TOO_MANY_FIELDS
        return None

    cdef bytes realm(self):
        """What was asked for, without its query: that may have a token."""
        cdef Head head = self.request.head
        cdef const char* text = self.request.client.buffer
        path = text[head.path.at:head.path.at + head.path.length].partition(b"?")[0]
        return text[head.authority.at:head.authority.at + head.authority.length] + path

    cdef Cluster route(self, Routes routes):
        """The cluster behind the name that says where the request goes."""
        cdef Stream client = self.request.client
        cdef Span* host = &self.request.head.authority
        cdef Facts facts
        facts.tunnelled = client.target is not None
        facts.connect = self.request.head.method == M_CONNECT
        cdef int place = place_of(&facts)
        if place == BY_TARGET:
            return routes.of_target(client.target)
        if place == BY_HOST:
            return routes.of_host(routes.host(client.buffer + host.at, host.length))
        return None

    cdef int count_messages(self) except -1:
        if self.messages is None:
            self.messages = Messages(self, self.answer)
        self.counts_messages = True
        return self.messages.begin()

    cdef bint is_misdirected(self, Routes routes) except -1:
        """Whether another listener of this port is meant by the Host than by the client's TLS."""
        cdef Span* host = &self.request.head.authority
        return routes.secured and routes.is_misdirected(self.request.client.buffer[host.at:host.at + host.length])

    cdef int find_key(self) except -1:
        """What the cluster's consistent hashing goes by. A client without the cookie for it may be given one."""
        cdef HashKey key = self.cluster.hash_key
        self.key = key.of_request(self.request.head, self.request.client)
        if self.key == 0 and key.set_cookie is not None:
            self.request.told = key.new_cookie(&self.key)
        return 0

    cdef bint answered_in_vain(self) except -1:
        return is_in_vain(self, self.answer.attempt)

    cdef int conclude(self) except -1:
        """Relays the endpoint's answer, or gives our own."""
        if self.fault is None:
            if self.rule is not None and self.rule.sessions is not None:
                keep_session(self)
            self.fault = self.answer.relay()
        else:
            self.answer.give(self.fault)
        return 0

    cdef int settle(self) except -1:
        """Counts, writes the log line, and lets go of everything."""
        cdef int64_t duration_ms = self.count(self.answer.status)
        log_line(self, self.answer, self.answer.body_bytes(), duration_ms)
        count_request(self, self.answer, self.messages if self.counts_messages else None, duration_ms)
        self.counts_messages = False
        if self.rule is not None:
            count_route(self.context, self.rule, self.answer.status)
        if self.retries:
            self.cluster.counted.retried(self.fault is None and (self.flags is None or b"URX" not in self.flags))
        self.request.end()
        if self.answer.unread:
            self.answer.linger()
        self.request.client = None
        self.rule = None
        self.backend = None
        self.session = None
        self.token = None
        return self.forget()
