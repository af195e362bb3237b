"""One try of an HTTP request on one endpoint: from the lease of a connection to the head of the response.

A request body that has not arrived whole with its head is sent by a greenlet of its own (`pump`), so that an endpoint
may answer early, ask for it (100-continue), or refuse it. The client is watched meanwhile: it may leave.

Numbers that are returned are sizes, or negative: an Io of the stream that was waited for, or a Result of the parser.
"""

import gevent

cimport cython
from proxy.clock cimport monotonic_ns
from proxy.policy.facts cimport (
    ABANDONED, ANSWERED, CLIENT_FAILED, CLOSED, CONNECTION_RESET, EXPIRED, MALFORMED, NO_PROTOCOL, NOT_HTTP, OVERDUE,
    OVERFLOWED, REFUSED, RESET, SAME, SILENT, TLS_FAILED,
)
from proxy.policy.retry cimport again
from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.exchange.request cimport Request
from proxy.relay.exchange.switching cimport Switching
from proxy.scoreboard.atomics cimport wp_load64, wp_store64
from proxy.wire.http.head cimport BAD, NO_BODY, NO_HTTP
from proxy.wire.http.heads cimport give_back
from proxy.wire.http.http1 cimport write_interim
from proxy.wire.message cimport goes_on, put_more, take
from proxy.wire.spliced cimport offer, passing
from proxy.wire.stream cimport (
    CANCELLED, DATA_WAITS, END, FAILED, HEAD_BROKEN, NEVER_SPOKE, PEER_CLOSED, PROTOCOL_BROKEN, RAISED,
    SPOKE_OTHERWISE, STREAM_RESET, TIMED_OUT, TLS_REFUSED, Stream,
)

from proxy.relay.exchange import faults

cdef enum:
    MAX_INTERIM = 256           # 1xx heads of one answer: an endpoint has them for nothing, and a client must read them

# A client that ends its side sooner than this after its request has only half closed; later it has left.
cdef int64_t HALF_CLOSE_NS = 1_000_000_000


@cython.final
cdef class HttpAttempt(Switching):
    """Listens to the client from when the request is sent until the exchange has settled."""

    def __init__(self, Context context, Request request):
        Switching.__init__(self, context, request)
        self.head = Head(lenient=True)
        self.body = Body(lenient=True)

    cdef int forget(self) except -1:
        self.pump = None
        self.body.start(NO_BODY, 0)
        return Switching.forget(self)

    cdef bint make(self) except -1:
        """As far as the head of the final response, which is judged when it goes to the client. A pooled connection that
        proves dead is no outcome: a fresh one takes its place."""
        self.upgrading = self.request.upgrading
        self.overdue = False
        if self.request.patience or self.request.retry_rule.attempt:
            self.keep_times()
        self.ending.how = self.attempt_on(self.lease_in_time(not self.fresh))
        while again(self.request.retry_rule, &self.ending) == SAME:
            self.drop_stream()
            self.ending.how = self.attempt_on(self.lease_in_time(False))
        self.stop_own_timer()
        if self.ending.how == ANSWERED:
            return True
        self.judge()
        return False

    # -- the attempt on it --------------------------------------------------------------------------------------------

    cdef int attempt_on(self, bint connected) except -1:
        """How it ended."""
        cdef int result
        self.ending.pooled = False
        if not connected:
            return self.no_connection()
        if self.request.handshake is not None:
            result = self.agree()
            if result:
                return result
        if self.cluster.limited and not self.may_be_sent():
            return OVERFLOWED
        self.local = self.stream.local
        self.written_before = self.stream.written
        self.interim = 0
        result = self.send_request()
        if self.cluster.limited:
            self.cluster.breaker.sent(self.stream)
        self.sent_at = monotonic_ns()
        if result == FAILED and self.stream.written > self.written_before and self.client_fault is None:
            result = 0      # it stopped listening; it may have said why
        if result == 0:
            result = self.await_response()
        return ANSWERED if result > 0 else self.no_answer(result)

    cdef int no_connection(self) except -1:
        """How it ended without one. If there was no room, no endpoint had anything to do with it."""
        if self.overflowed:
            self.end()
            self.endpoint = None
            return OVERFLOWED
        if self.client_fault is not None:
            return CLIENT_FAILED
        return OVERDUE if self.overdue else self.not_connected()

    cdef int begin_to_wait(self) except -1:
        self.sent_at = monotonic_ns()          # from when on leaving is told from half closing
        self.request.client.listener = self
        return self.request.client.watch()

    cdef int no_answer(self, int result) except -1:
        """No response head came: whose doing was it?"""
        cdef Request request = self.request
        cdef int ended
        self.ending.sent = self.stream.written > self.written_before
        self.ending.pooled = self.pooled and self.interim == 0 and self.stream.start == self.stream.end
        self.stop_pump()
        self.ending.whole = request.kept or not request.has_body
        if self.ending.sent and self.stream.was_ignored() and self.ending.whole:
            self.ending.sent = False
        if request.has_body and (self.ending.whole or not self.ending.sent):
            request.rewind()
        if self.client_fault is not None:
            return EXPIRED if self.client_fault is faults.TIMED_OUT else CLIENT_FAILED
        if self.overdue:
            return OVERDUE
        if request.left:
            self.note_silence()
            self.client_fault = faults.CLIENT_LEFT
            return ABANDONED
        if result == NO_HTTP:
            return self.not_http()
        if result <= BAD:
            return MALFORMED
        if result == TIMED_OUT:
            self.note_silence()
            return SILENT
        ended = self.stream.how_it_ended()
        if ended == HEAD_BROKEN:
            self.reasons = [self.stream.last_word()]
            return MALFORMED
        if ended == PROTOCOL_BROKEN:
            self.reasons = [self.stream.last_word()]
            self.ending.pooled = False      # it broke under this request, not before
            return NOT_HTTP
        if ended == NEVER_SPOKE or ended == SPOKE_OTHERWISE:
            self.connect_error = NO_PROTOCOL if ended == SPOKE_OTHERWISE else CONNECTION_RESET
            self.reasons.append(self.stream.last_word())
            return self.not_connected()
        if ended == TLS_REFUSED:
            self.connect_error, self.reasons = TLS_FAILED, [self.stream.last_word()]
            return self.not_connected()
        if ended == STREAM_RESET:
            return REFUSED if self.stream.was_ignored() else RESET
        self.note_loss()
        return CLOSED

    cdef int not_http(self) except -1:
        """What came cannot be the answer. On a connection used before it is what came too much behind an earlier
        one."""
        self.ending.pooled = self.pooled and self.interim == 0
        if self.pooled:
            self.endpoint.distrust()
        return NOT_HTTP

    # -- sending ------------------------------------------------------------------------------------------------------

    cdef int send_request(self) except? RAISED:
        """The head, with as much of the body as is here; the pump brings the rest. 0 or a negative Io."""
        cdef Request request = self.request
        cdef Stream client = request.client
        cdef Py_ssize_t forward = 0, used = 0
        cdef int result
        if request.has_body:
            request.begin_body(self.stream.http2 or self.request.retry_rule.named)
            used = take(request.body, client, 0, &forward)
            if used < 0:
                self.client_fault = faults.BAD_REQUEST
                return FAILED
        self.end_held = False
        self.hold_end()
        result = request.put_head(self.stream, self.context.scratch, self.upgrading, request.body.out, forward)
        if result < 0 and self.stream.written == self.written_before:
            return result
        request.moved(used, 0)
        if result == 0 and (self.end_held or not request.body.done):
            self.pump = gevent.spawn(self.pump_body)
        return result

    def pump_body(self) -> None:
        """Sends the rest of the request body as it comes."""
        cdef Stream client = self.request.client
        cdef Stream stream = self.stream
        cdef Body body = self.request.body
        cdef const char* data
        cdef Py_ssize_t past, used, forward = 0, got
        while self.pump is not None and not body.done:
            if client.start == client.end:
                offer(client, stream, self.request.unread())
                got = self.hear_client()
                if not goes_on(body, got):
                    self.body_ended(got)
                    return
            past = passing(client)
            used = take(body, client, past, &forward)
            if used < 0:
                self.client_fault = faults.BAD_REQUEST
                stream.cancel_read()
                return
            self.hold_end()
            data = body.out
            self.request.moved(used, past)      # nothing else touches the client's buffer while there is a pump
            got = put_more(client, stream, body, data, forward, self.request.unread())
            if got == TIMED_OUT:
                stream.end_read(TIMED_OUT)
            if got < 0:
                return      # the endpoint takes no more; what it has to say about that is read elsewhere
        if self.end_held and self.send_end() < 0:
            return
        self.sent_at = monotonic_ns()
        client.watch()

    cdef int hold_end(self) except -1:
        """The last byte of a body whose length is known does not end the request if trailers may follow it."""
        if self.request.may_have_trailers():
            self.end_held = self.stream.leave_open()
        return 0

    cdef int send_end(self) except? RAISED:
        """The end that was held, once the client has sent it: 0, or it failed."""
        cdef Py_ssize_t got = self.hear_client()
        cdef int result
        if got != END:
            self.body_ended(got)
            return FAILED
        result = self.request.put_end(self.stream)
        if result == BAD:
            self.client_fault = faults.BAD_REQUEST
            self.stream.cancel_read()
        elif result == TIMED_OUT:
            self.stream.end_read(TIMED_OUT)
        self.end_held = result < 0
        return result

    cdef Py_ssize_t hear_client(self) except? RAISED:
        """More of the request's body, unless nothing at all moves for too long: an answer may go on meanwhile. As
        Stream.fill."""
        cdef Stream client = self.request.client
        cdef int64_t moved = -1
        cdef Py_ssize_t got = TIMED_OUT
        while got == TIMED_OUT and moved != self.body.data_bytes:
            moved = self.body.data_bytes
            client.arm(self.context.timeouts.stream_idle_timeout)
            got = client.fill()
            client.disarm()
        return got

    cdef int body_ended(self, Py_ssize_t why) except -1:
        """The client's body stopped short."""
        offer(self.request.client, self.stream, 0)
        if why == CANCELLED:
            return 0
        self.client_fault = faults.BODY_TIMEOUT if why == TIMED_OUT else faults.CLIENT_LEFT
        return self.stream.cancel_read()

    cdef bint sending(self) except -1:
        return self.pump is not None and not self.pump.dead

    cdef int stop_pump(self) except -1:
        """No more of the body is wanted."""
        cdef object pump = self.pump
        if pump is None:
            return 0
        self.pump = None
        if not pump.dead:
            self.request.client.cancel_read()
            self.stream.close()
            pump.join()
        return 0

    # -- the response head --------------------------------------------------------------------------------------------

    cdef Py_ssize_t await_response(self) except? RAISED:
        """Waits for the final response head, passing 1xx heads on: its size, a negative Io (END as FAILED), or a
        negative Result."""
        cdef Stream client = self.request.client
        cdef Py_ssize_t size
        cdef int result
        client.listener = self              # until the exchange has settled
        client.watch()
        while True:
            size = self.await_head()
            if size <= 0:
                return size
            self.answered_at = monotonic_ns()
            wp_store64(&self.endpoint.row.answered, self.answered_at)
            result = self.read_head(size)
            if result < 0:
                return result
            if self.head.status >= 200:
                return size
            if self.head.status == 101:
                return size if self.may_switch(self.head, self.stream.buffer + self.stream.start) else BAD
            self.interim += 1
            result = self.relay_interim(size) if self.interim <= MAX_INTERIM else BAD
            if result < 0:
                return result

    cdef Py_ssize_t await_head(self) except? RAISED:
        cdef Stream stream = self.stream
        cdef Py_ssize_t size, got, scanned = 0
        while True:
            if stream.head is not None:         # it comes in fields
                if stream.head.whole and stream.end - stream.start >= stream.head.size:
                    return stream.head.size
            elif stream.end > stream.start:
                size = self.head.scan(stream.buffer + stream.start, stream.end - stream.start, &scanned)
                if size != 0:
                    return size
            got = self.hear()
            if got <= 0:
                return got if got else FAILED

    cdef int read_head(self, Py_ssize_t size) noexcept:
        """Parses what await_head has found, if that was not done as it came: 0, or a negative Result."""
        cdef Head came = self.stream.head
        if came is None:
            self.head.both_framings = self.stream.http2
            return self.head.parse_response(self.stream.buffer + self.stream.start, size, self.request.head.method)
        give_back(self.head)
        self.head, self.stream.head = came, None
        return came.result

    cdef Py_ssize_t hear(self) except? RAISED:
        """More from the endpoint, unless nothing at all moves for too long. As Stream.fill."""
        cdef Request request = self.request
        cdef int64_t moved = -1
        cdef Py_ssize_t got = TIMED_OUT
        while got == TIMED_OUT and moved != request.body.data_bytes:
            if request.left or self.client_fault is not None:
                return CANCELLED        # told while nobody was waiting here
            moved = request.body.data_bytes
            self.stream.arm(self.context.timeouts.stream_idle_timeout)
            got = self.stream.fill()
            self.stream.disarm()
        return got

    cdef int relay_interim(self, Py_ssize_t size) except? RAISED:
        """A 1xx head goes on to the client at once."""
        cdef Stream stream = self.stream
        cdef Py_ssize_t length = write_interim(self.context.scratch, stream.buffer + stream.start, self.head)
        stream.start += size
        if self.request.client.put_two(self.context.scratch, length, NULL, 0) < 0:
            self.request.left = True
            return FAILED
        gevent.sleep(0)     # an endpoint that has many of them at once does not keep others from their turn
        return 0

    cdef int idle_event(self, Stream client, int event) except -1:
        """The client did something while nobody reads it: pipelined, half closed, or left."""
        if event == DATA_WAITS or event == PEER_CLOSED and self.sending():
            return 0        # the pump will come across it
        if event == PEER_CLOSED and monotonic_ns() - self.sent_at < HALF_CLOSE_NS:
            self.request.half_closed = True
            return 0
        self.request.left = True
        if self.waiter is not None:
            self.waiter.end()
        return self.stream.cancel_read() if self.stream is not None else 0

    # -- outcomes -----------------------------------------------------------------------------------------------------

    cdef void note_silence(self) noexcept:
        """The client left, or is told that it waited too long."""
        self.ending.waited = monotonic_ns() - self.sent_at
        self.ending.answered = wp_load64(&self.endpoint.row.answered) > self.sent_at
        self.ending.waits = self.request.head.grpc or self.upgrading or self.end_held \
            or not self.request.body.done
