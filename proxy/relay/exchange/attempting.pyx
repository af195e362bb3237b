"""The middle of an exchange: one attempt on one endpoint, from the pick to the head of its response.

An attempt leases a connection, sends the request and waits for a response head; what it says about the endpoint goes to
the fleet's door. A request body that has not arrived whole with its head is sent by a greenlet of its own (`pump`), so
that an endpoint may answer early, ask for it (100-continue), or refuse it. The client is watched meanwhile: it may
leave.
"""

import gevent

from proxy.policy.outlier cimport judge_abandoned, judge_grpc, judge_status
from proxy.policy.retry cimport may_replay, may_retry
from proxy.relay.endpoints.pool cimport never_spoke, open_request, own_shortage, reach, was_ignored, was_reset
from proxy.scoreboard.atomics cimport wp_add, wp_add64, wp_load64, wp_loadu, wp_store64
from proxy.scoreboard.buckets cimport bucket_of
from proxy.clock cimport monotonic_ns
from proxy.wire.http.http1 cimport REQUEST_ID, write_interim, write_request
from proxy.wire.stream cimport CANCELLED, DATA_WAITS, FAILED, PEER_CLOSED, RAISED, TIMED_OUT

from proxy.policy import outlier
from proxy.relay.exchange import faults

cdef int SUCCESS = outlier.SUCCESS
cdef int LOCAL_FAILURE = outlier.LOCAL_FAILURE

# A client that ends its side sooner than this after its request has only half closed; later it has left (design 11).
cdef int64_t HALF_CLOSE_NS = 1_000_000_000


cdef class Attempting(IdleListener):
    """What an exchange is made of, and its attempts. `self.endpoint` is the one that is tried."""

    def __init__(self, Context context):
        self.context = context
        self.request = Head()
        self.response = Head()
        self.request_body = Body()
        self.response_body = Body()

    # -- one attempt --------------------------------------------------------------------------------------------------

    cdef int dispatch(self, Endpoint endpoint) except -1:
        """The attempt begins: it counts as in flight, and carries the generation that its outcome will be held
        against."""
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

    cdef bint turn_to_another(self) except -1:
        """The endpoint has been tried in vain, and another may be: whether there is one."""
        if self.tried is None:
            self.tried = []
        self.tried.append(self.endpoint)
        if len(self.tried) == self.cluster.count:
            return False
        self.retries += 1
        self.cluster.counters.retries += 1
        return True

    cdef int64_t count(self) except -1:
        """All is over: lets go of the endpoint and counts, once; how many milliseconds it took."""
        cdef int64_t duration_ms = (monotonic_ns() - self.started) // 1_000_000
        self.drop_upstream()
        self.withdraw()
        if self.cluster is not None:
            self.cluster.counters.requests[self.status // 100 if self.status < 600 else 5] += 1
            self.cluster.counters.duration_ms += duration_ms
            self.cluster.counters.buckets[bucket_of(duration_ms)] += 1
        self.context.row.requests += 1
        return duration_ms

    cdef int attempt(self) except -1:
        """One try on self.endpoint. A pooled connection that proves dead is no outcome: a fresh one takes its place."""
        cdef int ended = self.attempt_on(self.lease(True))
        while ended == STALE:
            self.drop_upstream()
            ended = self.attempt_on(self.lease(False))
        return ended

    cdef bint lease(self, bint pooled) except -1:
        """A connection to the endpoint, pooled if there is one and it is wanted. False: it cannot be reached."""
        cdef Stream stream
        if self.cluster.speaks_http2(self.client):
            return self.lease_stream(pooled)
        stream = self.endpoint.take() if pooled else None
        while stream is not None and not may_replay(True, self.idempotent, self.has_body) and not stream.alive():
            stream.close()      # a request that cannot be sent twice is worth a look before
            stream = self.endpoint.take()
        self.pooled = stream is not None
        if stream is None:
            self.reasons = []
            stream = reach(self.endpoint, self.cluster, self.context, self.client, &self.connect_error, self.reasons)
        self.upstream = stream
        return stream is not None

    cdef bint lease_stream(self, bint pooled) except -1:
        """As `lease`: a stream of HTTP/2, which knows no Upgrade: the request goes without (RFC 9110 7.8 allows that)."""
        cdef bint fresh = False
        self.upgrading = False
        self.reasons = []
        self.upstream = open_request(self.endpoint, self.cluster, self.context, self.client, &fresh,
                                     &self.connect_error, self.reasons)
        self.pooled = pooled and not fresh
        return self.upstream is not None

    cdef int attempt_on(self, bint connected) except -1:
        cdef int result
        if not connected:
            return self.not_connected()
        self.endpoint_local = self.upstream.local
        self.first_byte_written = self.upstream.written
        result = self.send_request()
        self.sent_at = monotonic_ns()
        if result == FAILED and self.upstream.written > self.first_byte_written and self.pump_fault is None:
            result = 0      # it stopped listening; it may have said why
        if result == 0:
            result = self.await_response()
        if result > 0:
            return ANSWERED
        return self.failed_attempt(result)

    cdef int not_connected(self) except -1:
        if not own_shortage(self.connect_error):
            self.report_failure(0)
        self.fault = faults.connect_failed(self.connect_error, self.retries > 0, self.exhausted(), self.reasons)
        return FAILED_ATTEMPT

    cdef int failed_attempt(self, int result) except -1:
        """No response head came: whose doing was it, and what follows?"""
        self.sent = self.upstream.written > self.first_byte_written
        if self.sent and self.upstream.http2 and was_ignored(self.upstream):
            self.take_back()
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
        if self.upstream.http2 and never_spoke(self.upstream, &self.connect_error, self.reasons):
            return self.not_connected()
        self.report_failure(0)
        if self.upstream.http2 and was_reset(self.upstream):
            self.fault = faults.endpoint_reset(was_ignored(self.upstream), self.retries > 0, self.exhausted())
        else:
            self.fault = faults.endpoint_closed(self.retries > 0, self.exhausted())
        return FAILED_ATTEMPT

    cdef int take_back(self) except -1:
        """The endpoint did nothing with the request: it counts as not sent, if what was sent of its body is still
        here."""
        if not self.has_body:
            self.sent = False
        elif self.pump is None:
            self.client.start -= self.body_sent
            self.sent = False
        return 0

    cdef bint exhausted(self) except -1:
        """Whether the retries, or the endpoints to try, and not the kind of failure, are what ends this."""
        return self.retries > 0 and may_replay(self.sent, self.idempotent, self.has_body) and (
            len(self.tried) + 1 == self.cluster.count or not may_retry(self.retries, False, True, False))

    cdef bint body_untouched(self) noexcept:
        return not self.has_body or not self.sent

    # -- sending ------------------------------------------------------------------------------------------------------

    cdef int send_request(self) except? RAISED:
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
        self.body_sent = used
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
                got = self.hear_client()
                if got <= 0:
                    self.body_ended(got)
                    return
            used = self.request_body.gather(client.buffer + client.start, client.end - client.start, &forward)
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

    cdef Py_ssize_t hear_client(self) except? RAISED:
        """More of the request's body, unless nothing at all moves for too long: an answer may go on meanwhile. As
        Stream.fill."""
        cdef int64_t moved = -1
        cdef Py_ssize_t got = TIMED_OUT
        while got == TIMED_OUT and moved != self.response_body.data_bytes:
            moved = self.response_body.data_bytes
            self.client.arm(self.context.stall)
            got = self.client.fill()
            self.client.disarm()
        return got

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

    cdef Py_ssize_t await_response(self) except? RAISED:
        """Waits for the final response head, passing 1xx heads on: its size, a negative Io (END as FAILED), or
        MALFORMED."""
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

    cdef Py_ssize_t await_head(self) except? RAISED:
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

    cdef Py_ssize_t hear(self) except? RAISED:
        """More from the endpoint, unless nothing at all moves for too long. As Stream.fill."""
        cdef int64_t moved = -1
        cdef Py_ssize_t got = TIMED_OUT
        while got == TIMED_OUT and moved != self.request_body.data_bytes:
            if self.left or self.pump_fault is not None:
                return CANCELLED        # told while nobody was waiting here
            moved = self.request_body.data_bytes
            self.upstream.arm(self.context.stall)
            got = self.upstream.fill()
            self.upstream.disarm()
        return got

    cdef int relay_interim(self, Py_ssize_t size) except? RAISED:
        """A 1xx head goes on to the client at once."""
        cdef Stream upstream = self.upstream
        cdef Py_ssize_t length = write_interim(self.context.scratch, upstream.buffer + upstream.start, self.response)
        upstream.start += size
        if self.client.put_two(self.context.scratch, length, NULL, 0) < 0:
            self.left = True
            return FAILED
        gevent.sleep(0)     # an endpoint that has many of them at once does not keep others from their turn
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
            self.context.fleet.attempt_failed(
                self.cluster.name, self.endpoint.slot, self.generation, status, self.request_name())
        return 0

    cdef str request_name(self):
        """The request's x-request-id, '' for what is no request."""
        cdef Head request = self.request
        if not self.log_request:
            return ""
        if request.request_id.length == 0:
            return self.request_id[:REQUEST_ID].decode("latin-1")
        return (self.client.buffer + request.request_id.at)[:request.request_id.length].decode("latin-1")

    cdef int report_success(self) except -1:
        """Only worth telling while somebody counts failures of this endpoint."""
        if self.cluster.outlier_on and wp_loadu(&self.endpoint.row.dirty):
            self.context.fleet.attempt_succeeded(self.cluster.name, self.endpoint.slot, self.generation)
        return 0

    cdef int judge_answer(self) except -1:
        """The endpoint answered."""
        self.judged = self.response.status
        if self.response.grpc_status >= 0 and (self.request.grpc or self.response.grpc):
            self.judged = judge_grpc(self.response.grpc_status)
        if judge_status(self.judged) != SUCCESS:
            self.report_failure(self.judged)
            if self.cluster.outlier_on:
                self.context.fleet.before_answer()  # the fleet hears of it before the client can act on this answer
        else:
            self.report_success()
        return 0

    cdef int judge_leaving(self) except -1:
        cdef bint answered = wp_load64(&self.endpoint.row.answered) > self.sent_at
        cdef bint exempt = self.request.grpc or self.upgrading or not self.request_body.done
        if judge_abandoned(monotonic_ns() - self.sent_at, self.cluster.abandoned_ns, answered, exempt) == LOCAL_FAILURE:
            self.report_failure(0)
        return 0

    cdef int drop_upstream(self) except -1:
        if self.upstream is not None:
            self.upstream.close()
            self.upstream = None
        return 0
