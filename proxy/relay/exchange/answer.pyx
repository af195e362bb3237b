"""The end of an exchange: the client gets the endpoint's answer, or ours.

Bodies stream through the read buffer of the connection they come on. Whoever is written to may be slow; then nobody
reads for it either, and that is all the back-pressure there is. What breaks after the response head has gone can only
be shown to the client by cutting its connection.
"""

cimport cython

from proxy.policy.facts cimport CUT, MALFORMED
from proxy.relay.exchange.answered cimport judge_answer
from proxy.relay.exchange.handshake cimport Handshake
from proxy.wire.http.body cimport Body
from proxy.wire.http.edits cimport Edits
from proxy.wire.http.head cimport BAD, M_HEAD, PIECES, UNTIL_CLOSE, Head
from proxy.wire.http.http1 cimport (
    add_field, add_line, edited, grpc_reply, grpc_status_for, local_reply, write_chunk_size, write_response,
    write_response_lines,
)
from proxy.wire.message cimport framing_of, goes_on, put_first, put_more, take
from proxy.wire.pipe cimport run_pipe
from proxy.wire.spliced cimport offer, passing, put_and_pour
from proxy.wire.tcp cimport end_follows
from proxy.wire.stream cimport FAILED, HEAD_BROKEN, PROTOCOL_BROKEN, RAISED, TIMED_OUT, Stream

from proxy.relay.exchange import faults


cdef bytes END_OF_HEAD = b"\r\n\r\n"


@cython.final
cdef class Answer:
    """Answers the client, and decides what becomes of the two connections. Reusable."""

    def __init__(self, Context context, Request request, HttpAttempt attempt):
        self.context = context
        self.request = request
        self.attempt = attempt

    cdef int begin(self) except -1:
        self.fault = None
        self.status = 0
        self.grpc_status = self.service_ms = -1
        self.own_bytes = 0
        self.begun = self.keep_alive = self.unread = False
        return 0

    cdef int64_t body_bytes(self) noexcept:
        """How much body the client was sent."""
        return self.own_bytes or self.attempt.body.data_bytes

    # -- the endpoint's answer ----------------------------------------------------------------------------------------

    cdef object relay(self):
        """Head, body, end; the fault if it was cut short. What breaks now can only be shown to the client by cutting
        its connection."""
        cdef HttpAttempt attempt = self.attempt
        cdef Request request = self.request
        self.status = attempt.head.status
        self.service_ms = (attempt.answered_at - request.started) // 1_000_000
        judge_answer(attempt)
        if attempt.switches(attempt.head):
            self.switch_protocols()
            return self.fault
        if request.client.extended and self.status < 300:
            attempt.drop_stream()
            self.give(faults.NOT_SWITCHED)
            return self.fault
        if self.context.drain.saying_close() or request.half_closed and request.client.start == request.client.end \
                or not request.body.done:
            self.keep_alive = False
        attempt.body.of_messages = request.head.grpc
        attempt.body.start(framing_of(attempt.stream, attempt.head), attempt.head.content_length)
        self.grpc_status = attempt.head.grpc_status
        self.relay_whole()
        if attempt.body.grpc_status >= 0:
            self.grpc_status = attempt.body.grpc_status
        return self.fault

    cdef int relay_whole(self) except -1:
        cdef HttpAttempt attempt = self.attempt
        cdef int result = self.relay_chunks() if attempt.head.framing == UNTIL_CLOSE else self.relay_body()
        if result == BAD and not self.begun:
            attempt.stop_pump()
            self.report_broken(MALFORMED)
            return self.give(faults.endpoint_malformed())
        if result < 0:
            self.broke(result)
        return self.after(result == 0)

    cdef int put_head(self, bint rechunk, const char* source, const char* data, Py_ssize_t length) except? RAISED:
        """The response head, which came at `source`, and so much of the body: as Stream.put_two."""
        cdef Stream client = self.request.client
        cdef Head head = self.attempt.head
        cdef Edits edits = self.request.answer_edits
        cdef bytes told = self.request.told
        cdef Body body = self.attempt.body
        cdef char* out = self.context.scratch
        cdef Py_ssize_t written
        self.begun = True
        if client.http2:
            written = write_response_lines(out, head, self.service_ms, self.context.date.line(), edits)
            if told is not None:
                written = add_line(out, written, told)
            return client.put_response(source, head, rechunk, edits, out, written, data, length,
                                       self.attempt.stream if body.framing == PIECES else None, body.done)
        written = write_response(
            out, source, head, rechunk, not self.keep_alive, self.service_ms, self.context.date.line(), edits)
        if told is not None:
            written = add_field(out, written, told)
        return put_first(self.attempt.stream, client, body, out, written, data, length)

    cdef const char* pass_head(self) noexcept:
        """Where the response head came; what is in the buffer from now on is the body."""
        cdef Stream stream = self.attempt.stream
        stream.start += self.attempt.head.size
        return stream.buffer + stream.start - self.attempt.head.size

    cdef int relay_body(self) except? RAISED:
        """A body that says where it ends. 0; FAILED: the endpoint broke off; BAD: its framing is wrong; a client that
        left is in `fault`."""
        cdef HttpAttempt attempt = self.attempt
        cdef Stream stream = attempt.stream
        cdef const char* source = self.pass_head()
        cdef Request request = self.request
        cdef Stream client = request.client
        cdef Py_ssize_t past, used, got, forward = 0
        cdef int result
        while True:
            past = passing(stream)
            used = take(attempt.body, stream, past, &forward)
            if used < 0:
                return BAD
            if attempt.counted and attempt.body.done:
                attempt.count_no_more()     # before the client can send another
            if self.begun:
                result = put_more(stream, client, attempt.body, attempt.body.out, forward, attempt.body.unread())
            else:
                if attempt.body.done and not self.keep_alive and request.body.done and not attempt.sending():
                    end_follows(client)
                result = self.put_head(False, source, attempt.body.out, forward)
            if result < 0:
                return self.client_lost(result)
            stream.start += used - past
            if attempt.body.done:
                return 0
            if stream.start == stream.end:
                offer(stream, client, attempt.body.unread())
                got = attempt.hear()
                if not goes_on(attempt.body, got):
                    return got if got else FAILED

    cdef int relay_chunks(self) except? RAISED:
        """A body that ends with the endpoint's connection, put into chunks so that the client's can go on."""
        cdef HttpAttempt attempt = self.attempt
        cdef Stream client = self.request.client
        cdef Stream stream = attempt.stream
        cdef Py_ssize_t length, size, past, got
        cdef bint first = True
        cdef int result = self.put_head(True, self.pass_head(), NULL, 0)
        while result == 0:
            past = passing(stream)
            size = past or stream.end - stream.start
            if size:
                length = write_chunk_size(self.context.scratch, size, first)
                first = False
                if past:
                    result = put_and_pour(stream, client, self.context.scratch, length)
                else:
                    result = client.put_two(self.context.scratch, length, stream.buffer + stream.start, size)
                if result < 0:
                    break
                attempt.body.data_bytes += size
                stream.start = stream.end
            offer(stream, client, attempt.body.unread())
            got = attempt.hear()
            if got < 0:
                return got
            if got == 0:
                length = write_chunk_size(self.context.scratch, 0, first)
                result = client.put_two(self.context.scratch, length, NULL, 0)
                if result == 0:
                    return 0
        return self.client_lost(result)

    cdef int client_lost(self, int result) except? RAISED:
        self.fault = faults.CLIENT_STALLED if result == TIMED_OUT else faults.CLIENT_LEFT
        return FAILED

    cdef int broke(self, int result) except -1:
        """The rest of the answer will not come, or nobody takes it."""
        self.keep_alive = False
        if self.fault is None and self.request.left:
            self.fault = faults.CLIENT_LEFT
        elif self.fault is None:
            self.fault = self.attempt.client_fault
        if self.fault is None and result == TIMED_OUT:
            self.fault = faults.RESPONSE_STALLED
        if self.fault is not None:
            return 0
        broken = result == BAD or self.attempt.stream.how_it_ended() in (PROTOCOL_BROKEN, HEAD_BROKEN)
        self.fault = faults.RESPONSE_MALFORMED if broken else faults.RESPONSE_CUT
        return self.report_broken(MALFORMED if result == BAD else CUT)

    cdef int report_broken(self, int how) except -1:
        """The answer began well."""
        self.attempt.ending.how = how
        self.attempt.note_loss()
        self.attempt.judge()
        return 0

    cdef int after(self, bint whole) except -1:
        """The connections' future: pooled, kept for the next request, or closed."""
        cdef HttpAttempt attempt = self.attempt
        cdef bint asked = self.request.body.done
        cdef bint reusable = whole and asked and not attempt.sending() and not attempt.head.close \
            and attempt.head.framing != UNTIL_CLOSE
        attempt.stop_pump()
        if reusable:
            attempt.endpoint.give(attempt.stream)
            attempt.stream = None
        attempt.drop_stream()
        if not asked:
            self.keep_alive = False
            self.unread = whole
        return 0

    cdef int switch_protocols(self) except -1:
        """From here on the two connections, or streams, are one byte tunnel. The log says 101, whatever either end did."""
        cdef HttpAttempt attempt = self.attempt
        cdef Stream stream = attempt.stream
        cdef Stream client = self.request.client
        cdef Handshake handshake = self.request.handshake
        self.keep_alive = False
        self.status = 101
        if handshake is not None:
            handshake.take(attempt.head, stream.buffer + stream.start, client, stream)
            if stream.extended and not client.extended:
                self.request.told = handshake.lines() + (self.request.told or b"")
        if self.put_head(False, self.pass_head(), NULL, 0) < 0:
            self.client_lost(FAILED)
        else:
            attempt.stop_pump()
            client.listener = None
            run_pipe(client, attempt.stream, self.context.timeouts.tunnel_idle_timeout,
                     &self.request.body.data_bytes, &attempt.body.data_bytes, NULL, NULL)
        return attempt.drop_stream()

    # -- ours ---------------------------------------------------------------------------------------------------------

    cdef int give(self, object fault) except -1:
        """Our own answer; the connection goes on only if the request was read to its end."""
        cdef Request request = self.request
        cdef bint whole = request.parsed and self.skip_body()
        cdef bint grpc = request.parsed and request.head.grpc and not request.client.extended
        cdef bint head_only = grpc or request.parsed and request.head.method == M_HEAD
        if request.client.extended and 200 <= fault.status < 300:   # which would grant it
            fault = faults.NOT_SWITCHED
        self.fault = fault
        self.status = fault.status
        if not whole or self.context.drain.saying_close() \
                or fault.owner is faults.Owner.CLIENT and fault.status not in (403, 404, 421, 429):
            self.keep_alive = False
        if fault.status == 0:
            return 0
        if grpc:
            self.status = 200       # gRPC's own status says what happened, in the log too (as with Envoy)
            self.grpc_status = grpc_status_for(fault.status, fault.grpc_status)
            text = grpc_reply(self.grpc_status, fault.body, not self.keep_alive, self.context.date.line())
        else:
            text = local_reply(fault.status, fault.body, head_only, not self.keep_alive, self.context.date.line())
        if fault.fields:
            text = text.replace(END_OF_HEAD, b"\r\n" + fault.fields + END_OF_HEAD, 1)
        if request.answer_edits is not None:
            text = edited(text, request.answer_edits)
        if request.client.put(text, len(text)) < 0:
            self.keep_alive = False
            return 0
        if not head_only:
            self.own_bytes = len(fault.body)
        self.unread = not whole
        return 0

    cdef bint skip_body(self) noexcept:
        """Throws away what is here of a body that no endpoint gets; whether that was all of it."""
        cdef Request request = self.request
        cdef Stream client = request.client
        cdef Py_ssize_t used = 1, forward = 0
        while not request.body.done and used > 0:
            used = take(request.body, client, 0, &forward)
            if used < 0:
                break
            client.start += used
            request.body_taken += used
        return request.body.done

    cdef int linger(self) except -1:
        """Closes our side and reads on for a moment: closing on unread bytes would take the answer back from the
        client."""
        cdef Stream client = self.request.client
        cdef Py_ssize_t got = 1
        client.finish()
        client.arm(self.context.timeouts.linger)
        while got > 0:
            client.start = client.end = client.pinned
            got = client.fill()
        return client.disarm()
