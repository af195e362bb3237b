"""One request and its response, from the head's last byte to the line in the log.

Reads top to bottom: `run` accepts the request, finds its cluster, makes attempts until one is answered, relays the answer,
and settles. An attempt picks an endpoint, leases a connection, sends the request and waits for a response head; what it
says about the endpoint goes to the fleet's door. Bodies stream both ways through the read buffers of the two connections;
a request body that has not arrived whole with its head is sent by a greenlet of its own (`pump`), so that an endpoint may
answer early, ask for it (100-continue), or refuse it.

The client's read buffer holds the request head, pinned, until the exchange has settled: retries send from it, and the log
reads it. Whoever is written to may be slow; then nobody reads for it either, and that is all the back-pressure there is.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memmove, memset

import gevent

from proxy.observe.access_log cimport Entry, Text
from proxy.policy.outlier cimport judge_abandoned, judge_status
from proxy.policy.retry cimport may_replay, may_retry
from proxy.relay.context cimport wall_ns
from proxy.relay.tunnel cimport run_tunnel
from proxy.scoreboard cimport bucket_of, monotonic_ns, wp_add, wp_add64, wp_load64, wp_loadu, wp_store64
from proxy.wire.head cimport (
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
    UNTIL_CLOSE,
    Span,
)
from proxy.wire.http1 cimport local_reply, write_chunk_size, write_interim, write_request, write_response
from proxy.wire.names cimport is_text, next_member
from proxy.wire.stream cimport CANCELLED, DATA_WAITS, FAILED, PEER_CLOSED, TIMED_OUT
from proxy.wire.tcp cimport connect

from proxy.policy import outlier
from proxy.relay import faults

# Like the negative Io codes, but for bytes that are no HTTP.
cdef enum:
    MALFORMED = -10
    MALFORMED_AT_ONCE = -11     # ... and nothing of the response has gone to the client

cdef int SUCCESS = outlier.SUCCESS
cdef int LOCAL_FAILURE = outlier.LOCAL_FAILURE

# A client that ends its side sooner than this after its request has only half closed; later it has left (design 11).
cdef int64_t HALF_CLOSE_NS = 1_000_000_000

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


cdef class Exchange(IdleListener):
    """Reusable: `run` starts it afresh. One at a time for a client connection."""

    def __init__(self, Context context):
        self.context = context
        self.request = Head()
        self.response = Head()
        self.request_body = Body()
        self.response_body = Body()

    cdef bint run(self, Stream client, Py_ssize_t size, dict routes) except -1:
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

    cdef bint accept(self, dict routes) except -1:
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

    cdef Cluster route(self, dict routes):
        cdef Span* host = &self.request.authority
        cdef bytes key = self.client.buffer[host.at:host.at + host.length]
        cdef Cluster cluster = routes.get(key)
        return cluster if cluster is not None else routes.get(key.lower())

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
            if ended == GIVEN_UP or not may_retry(self.retries, self.sent, self.idempotent, self.has_body):
                return 0
            if self.tried is None:
                self.tried = []
            self.tried.append(endpoint)
            if len(self.tried) == self.cluster.count:
                return 0
            self.retries += 1
            self.cluster.counters.retries += 1

    cdef int dispatch(self, Endpoint endpoint) except -1:
        """The attempt begins: it counts as in flight, and carries the generation that its outcome will be held against."""
        self.endpoint = endpoint
        self.endpoint_text = endpoint.text
        self.generation = wp_loadu(&endpoint.row.generation)
        wp_add(&endpoint.row.in_flight, 1)
        endpoint.share[0] += 1
        wp_add64(&endpoint.row.requests, 1)
        self.in_flight = True
        return 0

    cdef int withdraw(self) except -1:
        """The attempt is over."""
        if self.in_flight:
            self.in_flight = False
            self.endpoint.share[0] -= 1
            wp_add(&self.endpoint.row.in_flight, -1)
        return 0

    cdef int attempt(self) except -1:
        """One try on self.endpoint. A pooled connection that proves dead is no outcome: a fresh one takes its place."""
        cdef int ended = self.attempt_on(self.lease(True))
        while ended == STALE:
            self.drop_upstream()
            ended = self.attempt_on(self.lease(False))
        return ended

    cdef bint lease(self, bint pooled) except -1:
        """A connection to the endpoint, pooled if there is one and it is wanted. False: it cannot be reached."""
        cdef Stream stream = self.endpoint.take() if pooled else None
        while stream is not None and not may_replay(True, self.idempotent, self.has_body) and not stream.alive():
            stream.close()      # a request that cannot be sent twice is worth a look before
            stream = self.endpoint.take()
        self.pooled = stream is not None
        if stream is None:
            stream = connect(self.endpoint.address, self.cluster.connect_seconds, self.context.stall_seconds,
                             &self.connect_error)
        self.upstream = stream
        return stream is not None

    cdef int attempt_on(self, bint connected) except -1:
        cdef int result
        if not connected:
            self.report_failure(0)
            self.fault = faults.connect_failed(self.connect_error, self.retries > 0, self.exhausted())
            return FAILED_ATTEMPT
        self.endpoint_local = self.upstream.local
        self.first_byte_written = self.upstream.written
        result = self.send_request()
        self.sent_at = monotonic_ns()
        if result == 0 or (result == FAILED and self.upstream.written > self.first_byte_written and self.pump_fault is None):
            result = self.await_response()      # even one that stopped listening may have said why
        if result > 0:
            return ANSWERED
        return self.failed_attempt(result)

    cdef int failed_attempt(self, int result) except -1:
        """No response head came: whose doing was it, and what follows?"""
        self.sent = self.upstream.written > self.first_byte_written
        self.stop_pump()
        if self.has_body and not self.sent:     # the body is still where it was
            self.request_body.start(self.request.framing, self.request.content_length)
        if self.pump_fault is not None:
            self.fault = self.pump_fault
            return GIVEN_UP
        if self.left:
            self.judge_leaving()
            self.fault = faults.CLIENT_LEFT
            return GIVEN_UP
        if result == MALFORMED:
            self.report_failure(0)
            self.fault = faults.endpoint_malformed()
            return GIVEN_UP
        if result == TIMED_OUT:
            self.judge_leaving()
            self.fault = faults.ENDPOINT_SILENT
            return GIVEN_UP
        if self.pooled and self.upstream.start == self.upstream.end and self.body_untouched() and \
                may_replay(self.sent, self.idempotent, self.has_body):
            return STALE
        self.report_failure(0)
        self.fault = faults.endpoint_closed(self.retries > 0, self.exhausted())
        return FAILED_ATTEMPT

    cdef bint exhausted(self) except -1:
        """Whether the retries, or the endpoints to try, and not the kind of failure, are what ends this."""
        return self.retries > 0 and may_replay(self.sent, self.idempotent, self.has_body) and (
            len(self.tried) + 1 == self.cluster.count or not may_retry(self.retries, False, True, False))

    cdef bint body_untouched(self) noexcept:
        return not self.has_body or not self.sent

    # -- sending ------------------------------------------------------------------------------------------------------

    cdef int send_request(self) except? -100:
        """The head, with as much of the body as is here; the pump brings the rest. 0 or a negative Io."""
        cdef Py_ssize_t head_length, forward = 0, used = 0
        cdef Stream client = self.client
        cdef int result
        head_length = write_request(self.context.scratch, client.buffer, self.request, self.upgrading, self.request_id)
        if self.has_body:
            self.request_body.start(self.request.framing, self.request.content_length)
            used = self.request_body.take(client.buffer + client.start, client.end - client.start, &forward)
            if used < 0:
                self.pump_fault = faults.BAD_REQUEST
                return FAILED
        result = self.upstream.put_two(self.context.scratch, head_length, client.buffer + client.start, forward)
        if result < 0 and self.upstream.written == self.first_byte_written:
            return result
        client.start += used
        if result == 0 and not self.request_body.done:
            self.pump = gevent.spawn(self.pump_body)
        return result

    def pump_body(self):
        """Sends the rest of the request body as it comes."""
        cdef Stream client = self.client
        cdef Stream upstream = self.upstream
        cdef const char* data
        cdef Py_ssize_t used, forward = 0, got
        while self.pump is not None and not self.request_body.done:
            if client.start == client.end:
                client.arm(self.context.stall)
                got = client.fill()
                client.disarm()
                if got <= 0:
                    self.body_ended(got)
                    return
            used = self.request_body.take(client.buffer + client.start, client.end - client.start, &forward)
            if used < 0:
                self.pump_fault = faults.BAD_REQUEST
                upstream.cancel_read()
                return
            data = client.buffer + client.start
            client.start += used        # nothing else touches the client's buffer while there is a pump
            got = upstream.put(data, forward)
            if got == TIMED_OUT:
                upstream.end_read(TIMED_OUT)
            if got < 0:
                return      # the endpoint takes no more; what it has to say about that is read elsewhere
        self.sent_at = monotonic_ns()
        client.watch()

    cdef int body_ended(self, Py_ssize_t why) except -1:
        """The client's body stopped short."""
        if why == CANCELLED:
            return 0
        self.pump_fault = faults.BODY_TIMEOUT if why == TIMED_OUT else faults.CLIENT_LEFT
        return self.upstream.cancel_read()

    cdef bint sending(self) except -1:
        return self.pump is not None and not self.pump.dead

    cdef int stop_pump(self) except -1:
        """No more of the body is wanted."""
        cdef object pump = self.pump
        if pump is None:
            return 0
        self.pump = None
        if not pump.dead:
            self.client.cancel_read()
            self.upstream.close()
            pump.join()
        return 0

    # -- the response head --------------------------------------------------------------------------------------------

    cdef Py_ssize_t await_response(self) except? -100:
        """Waits for the final response head, passing 1xx heads on: its size, a negative Io (END as FAILED), or MALFORMED."""
        cdef Py_ssize_t size
        cdef int result
        self.client.listener = self         # until the exchange has settled
        self.client.watch()
        while True:
            size = self.await_head()
            if size <= 0:
                return size
            wp_store64(&self.endpoint.row.answered, monotonic_ns())
            result = self.response.parse_response(self.upstream.buffer + self.upstream.start, size, self.request.method)
            if result < 0:
                return MALFORMED
            if self.response.status >= 200:
                return size
            if self.response.status == 101:
                return size if self.upgrading else MALFORMED
            result = self.relay_interim(size)
            if result < 0:
                return result

    cdef Py_ssize_t await_head(self) except? -100:
        cdef Stream upstream = self.upstream
        cdef Py_ssize_t size, got, scanned = 0
        while True:
            if upstream.end > upstream.start:
                size = self.response.scan(upstream.buffer + upstream.start, upstream.end - upstream.start, &scanned)
                if size > 0:
                    return size
                if size < 0:
                    return MALFORMED
            got = self.hear()
            if got <= 0:
                return got if got else FAILED

    cdef Py_ssize_t hear(self) except? -100:
        """More from the endpoint, unless nothing at all moves for too long. As Stream.fill."""
        cdef int64_t moved = -1
        cdef Py_ssize_t got = TIMED_OUT
        while got == TIMED_OUT and moved != self.request_body.data_bytes:
            if self.left:
                return CANCELLED
            moved = self.request_body.data_bytes
            self.upstream.arm(self.context.stall)
            got = self.upstream.fill()
            self.upstream.disarm()
        return got

    cdef int relay_interim(self, Py_ssize_t size) except? -100:
        """A 1xx head goes on to the client at once."""
        cdef Stream upstream = self.upstream
        cdef Py_ssize_t length = write_interim(self.context.scratch, upstream.buffer + upstream.start, self.response)
        upstream.start += size
        if self.client.put_two(self.context.scratch, length, NULL, 0) < 0:
            self.left = True
            return FAILED
        return 0

    cdef int idle_event(self, Stream stream, int event) except -1:
        """The client did something while nobody reads it: pipelined, half closed, or left."""
        if event == DATA_WAITS or event == PEER_CLOSED and self.sending():
            return 0        # the pump will come across it
        if event == PEER_CLOSED and monotonic_ns() - self.sent_at < HALF_CLOSE_NS:
            self.half_closed = True
            return 0
        self.left = True
        return self.upstream.cancel_read() if self.upstream is not None else 0

    # -- outcomes -----------------------------------------------------------------------------------------------------

    cdef int report_failure(self, int status) except -1:
        """`status` is the endpoint's answer, 0 if there was none."""
        wp_add64(&self.endpoint.row.failed, 1)
        if self.cluster.outlier_on:
            self.context.fleet.attempt_failed(self.cluster.name, self.endpoint.slot, self.generation, status)
        return 0

    cdef int judge_answer(self) except -1:
        """The endpoint answered. Success is only worth telling while somebody counts failures of this endpoint."""
        if judge_status(self.response.status) != SUCCESS:
            self.report_failure(self.response.status)
            if self.cluster.outlier_on:
                self.context.fleet.before_answer()  # the fleet hears of it before the client can act on this answer
        elif self.cluster.outlier_on and wp_loadu(&self.endpoint.row.dirty):
            self.context.fleet.attempt_succeeded(self.cluster.name, self.endpoint.slot, self.generation)
        return 0

    cdef int judge_leaving(self) except -1:
        cdef bint answered = wp_load64(&self.endpoint.row.answered) > self.sent_at
        cdef bint exempt = self.request.grpc or self.upgrading or not self.request_body.done
        if judge_abandoned(monotonic_ns() - self.sent_at, self.cluster.abandoned_ns, answered, exempt) == LOCAL_FAILURE:
            self.report_failure(0)
        return 0

    # -- the answer ---------------------------------------------------------------------------------------------------

    cdef int conclude(self) except -1:
        """Relays the endpoint's answer, or gives our own."""
        if self.fault is None:
            return self.relay_response()
        return self.reply()

    cdef int reply(self) except -1:
        """Our own answer; the connection goes on only if the request was read to its end."""
        cdef object fault = self.fault
        cdef bint whole = self.log_request and self.skip_body()
        self.status = fault.status
        if not whole or fault.owner is faults.Owner.CLIENT and fault.status != 404:
            self.keep_alive = False
        if fault.status == 0:
            return 0
        text = local_reply(fault.status, fault.body, self.log_request and self.request.method == M_HEAD,
                           not self.keep_alive, self.context.date(self.started_wall))
        if self.client.put(text, len(text)) < 0:
            self.keep_alive = False
            return 0
        if not (self.log_request and self.request.method == M_HEAD):
            self.response_body.data_bytes = len(fault.body)
        self.unread = not whole
        return 0

    cdef bint skip_body(self) noexcept:
        """Throws away what is here of a body that no endpoint gets; whether that was all of it."""
        cdef Stream client = self.client
        cdef Py_ssize_t used, forward = 0
        while not self.request_body.done and client.start < client.end:
            used = self.request_body.take(client.buffer + client.start, client.end - client.start, &forward)
            if used < 0:
                break
            client.start += used
        return self.request_body.done

    cdef int linger(self) except -1:
        """Closes our side and reads on for a moment: closing on unread bytes would take the answer back from the client."""
        cdef Stream client = self.client
        cdef Py_ssize_t got = 1
        client.finish()
        client.arm(self.context.linger)
        while got > 0:
            client.start = client.end = client.pinned
            got = client.fill()
        return client.disarm()

    cdef int relay_response(self) except -1:
        """Head, body, end. What breaks now can only be shown to the client by cutting its connection."""
        cdef int64_t now = monotonic_ns()
        cdef int result
        self.status = self.response.status
        self.service_ms = (now - self.started) // 1_000_000
        self.judge_answer()
        if self.status == 101:
            return self.switch_protocols()
        if self.context.draining or self.half_closed and self.client.start == self.client.end \
                or not self.request_body.done:
            self.keep_alive = False
        self.response_body.start(self.response.framing, self.response.content_length)
        result = self.relay_chunks() if self.response.framing == UNTIL_CLOSE else self.relay_body()
        if result == MALFORMED_AT_ONCE:
            self.stop_pump()
            self.report_failure(0)
            self.fault = faults.endpoint_malformed()
            return self.reply()
        if result < 0:
            self.response_broke(result)
        self.after_response(result == 0)
        return 0

    cdef Py_ssize_t write_head(self, bint rechunk) noexcept:
        """The response head into the scratch buffer; it is consumed upstream."""
        cdef Stream upstream = self.upstream
        cdef Py_ssize_t length = write_response(
            self.context.scratch, upstream.buffer + upstream.start, self.response, rechunk, not self.keep_alive,
            self.service_ms, self.context.date(self.started_wall))
        upstream.start += self.response.size
        return length

    cdef int relay_body(self) except? -100:
        """A body that says where it ends. 0; FAILED: the endpoint broke off; MALFORMED: its framing is wrong; a client that
        left is in `fault`."""
        cdef Stream upstream = self.upstream
        cdef Py_ssize_t head_length = self.write_head(False)
        cdef Py_ssize_t used, got, forward = 0
        cdef int result
        while True:
            used = self.response_body.take(upstream.buffer + upstream.start, upstream.end - upstream.start, &forward)
            if used < 0:
                return MALFORMED_AT_ONCE if head_length else MALFORMED
            if head_length:
                result = self.client.put_two(self.context.scratch, head_length, upstream.buffer + upstream.start, forward)
                head_length = 0
            else:
                result = self.client.put(upstream.buffer + upstream.start, forward)
            if result < 0:
                return self.client_lost(result)
            upstream.start += used
            if self.response_body.done:
                return 0
            if upstream.start == upstream.end:
                got = self.hear()
                if got <= 0:
                    return got if got else FAILED

    cdef int relay_chunks(self) except? -100:
        """A body that ends with the endpoint's connection, put into chunks so that the client's can go on."""
        cdef Stream upstream = self.upstream
        cdef Py_ssize_t length = self.write_head(True)
        cdef Py_ssize_t size, got
        cdef bint first = True
        cdef int result = self.client.put_two(self.context.scratch, length, NULL, 0)
        while result == 0:
            size = upstream.end - upstream.start
            if size:
                length = write_chunk_size(self.context.scratch, size, first)
                first = False
                result = self.client.put_two(self.context.scratch, length, upstream.buffer + upstream.start, size)
                if result < 0:
                    break
                self.response_body.data_bytes += size
                upstream.start = upstream.end
            got = self.hear()
            if got < 0:
                return got
            if got == 0:
                length = write_chunk_size(self.context.scratch, 0, first)
                result = self.client.put_two(self.context.scratch, length, NULL, 0)
                if result == 0:
                    return 0
        return self.client_lost(result)

    cdef int client_lost(self, int result) except? -100:
        self.fault = faults.CLIENT_STALLED if result == TIMED_OUT else faults.CLIENT_LEFT
        return FAILED

    cdef int response_broke(self, int result) except -1:
        """The rest of the answer will not come, or nobody takes it."""
        self.keep_alive = False
        if self.fault is None and (self.left or self.pump_fault is not None):
            self.fault = faults.CLIENT_LEFT if self.left else self.pump_fault
        elif self.fault is None and result == TIMED_OUT:
            self.fault = faults.RESPONSE_STALLED
        if self.fault is not None:
            return 0
        self.fault = faults.RESPONSE_MALFORMED if result == MALFORMED else faults.RESPONSE_CUT
        return self.report_failure(0)

    cdef int after_response(self, bint whole) except -1:
        """The connections' future: pooled, kept for the next request, or closed."""
        cdef bint reusable = whole and self.request_body.done and not self.sending() and not self.response.close \
            and self.response.framing != UNTIL_CLOSE
        self.stop_pump()
        if reusable:
            self.endpoint.give(self.upstream)
            self.upstream = None
        self.drop_upstream()
        if not self.request_body.done:
            self.keep_alive = False
            self.unread = whole
        return 0

    cdef int switch_protocols(self) except -1:
        """101: from here on the two connections are one byte tunnel."""
        cdef Py_ssize_t length = self.write_head(False)
        self.keep_alive = False
        if self.client.put_two(self.context.scratch, length, NULL, 0) < 0:
            self.client_lost(FAILED)
        else:
            self.stop_pump()
            self.client.listener = None
            run_tunnel(self.client, self.upstream, self.context.tunnel, &self.request_body.data_bytes,
                       &self.response_body.data_bytes)
        return self.drop_upstream()

    cdef int drop_upstream(self) except -1:
        if self.upstream is not None:
            self.upstream.close()
            self.upstream = None
        return 0

    # -- settling -----------------------------------------------------------------------------------------------------

    cdef int settle(self) except -1:
        """Counts, writes the log line, and lets go of everything."""
        cdef int64_t duration_ms = (monotonic_ns() - self.started) // 1_000_000
        self.drop_upstream()
        self.withdraw()
        if self.cluster is not None:
            self.cluster.counters.requests[self.status // 100 if self.status < 600 else 5] += 1
            self.cluster.counters.duration_ms += duration_ms
            self.cluster.counters.buckets[bucket_of(duration_ms)] += 1
        self.context.row.requests += 1
        self.log_line(duration_ms)
        self.client.pinned = 0
        self.client.listener = None
        if self.unread:
            self.linger()
        self.client = None
        self.cluster = None
        self.endpoint = None
        self.tried = None
        return 0

    cdef int log_line(self, int64_t duration_ms) except -1:
        cdef Entry entry
        cdef Head request = self.request
        cdef const char* head = self.client.buffer
        memset(&entry, 0, sizeof(entry))
        entry.started = self.started_wall
        entry.status = self.status
        entry.bytes_received = self.request_body.data_bytes
        entry.bytes_sent = self.response_body.data_bytes
        entry.duration_ms = duration_ms
        entry.service_ms = self.service_ms
        if self.log_request:
            entry.method = text_of(head, &request.method_text)
            entry.path = text_of(head, &request.original_path if request.original_path.length else &request.path)
            entry.protocol = text(b"HTTP/1.1", 8)
            entry.forwarded_for = text_of(head, &request.forwarded_for)
            entry.user_agent = text_of(head, &request.user_agent)
            entry.request_id = text_of(head, &request.request_id) if request.request_id.length else text(self.request_id, 36)
            entry.host = entry.authority = text_of(head, &request.authority)
        if self.cluster is not None:
            entry.authority = text(self.cluster.authority, len(self.cluster.authority))
            entry.cluster = text(self.cluster.envoy_name, len(self.cluster.envoy_name))
        if self.endpoint_text is not None:
            entry.endpoint = text(self.endpoint_text, len(self.endpoint_text))
        if self.endpoint_local is not None:
            entry.endpoint_local = text(self.endpoint_local, len(self.endpoint_local))
        entry.local = text(self.client.local, len(self.client.local))
        entry.peer = text(self.client.peer, len(self.client.peer))
        entry.details = text(b"via_upstream", 12)
        if self.fault is not None:
            set_fault(&entry, self.fault)
        return self.context.log.add(&entry)


cdef inline Text text(const char* at, Py_ssize_t length) noexcept:
    cdef Text piece
    piece.at = at
    piece.length = length
    return piece


cdef inline Text text_of(const char* head, Span* span) noexcept:
    return text(head + span.at, span.length)


cdef int set_fault(Entry* entry, object fault) except -1:
    """The texts live as long as the fault, which the exchange holds."""
    cdef bytes flags = fault.flags, details = fault.details, transport = fault.transport_failure
    entry.flags = text(flags, len(flags))
    entry.details = text(details, len(details))
    entry.transport_failure = text(transport, len(transport))
    return 0


cdef bint is_h2c(const char* head, Span* upgrade_to) noexcept:
    """Whether the client offers HTTP/2 in clear text, which is ours to decline, not an endpoint's to accept."""
    cdef uint32_t at = upgrade_to.at
    cdef Span protocol
    while next_member(head, &at, upgrade_to.at + upgrade_to.length, &protocol):
        if is_text(head, protocol, b"h2c", 3):
            return True
    return False
