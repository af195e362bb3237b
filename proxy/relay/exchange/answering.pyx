"""The end of an exchange: the client gets the endpoint's answer, or ours.

Bodies stream through the read buffer of the connection they come on. Whoever is written to may be slow; then nobody
reads for it either, and that is all the back-pressure there is. What breaks after the response head has gone can only
be shown to the client by cutting its connection.
"""

from libc.stdint cimport int64_t

from proxy.relay.exchange.attempting cimport MALFORMED
from proxy.relay.pipe cimport run_pipe
from proxy.clock cimport monotonic_ns
from proxy.wire.http.head cimport M_HEAD, UNTIL_CLOSE
from proxy.wire.http.http1 cimport grpc_reply, local_reply, write_chunk_size, write_response
from proxy.wire.stream cimport FAILED, RAISED, TIMED_OUT, Stream

from proxy.relay.exchange import faults

cdef enum:
    MALFORMED_AT_ONCE = -11     # like MALFORMED, and nothing of the response has gone to the client


cdef class Answering(Attempting):
    """Answers the client, and decides what becomes of the two connections."""

    # -- the endpoint's answer ----------------------------------------------------------------------------------------

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
            self.report_broken_answer()
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
            self.service_ms, self.context.date())
        upstream.start += self.response.size
        return length

    cdef int relay_body(self) except? RAISED:
        """A body that says where it ends. 0; FAILED: the endpoint broke off; MALFORMED: its framing is wrong; a client
        that left is in `fault`."""
        cdef Stream upstream = self.upstream
        cdef Py_ssize_t head_length = self.write_head(False)
        cdef Py_ssize_t used, got, forward = 0
        cdef int result
        while True:
            used = self.response_body.gather(upstream.buffer + upstream.start, upstream.end - upstream.start, &forward)
            if used < 0:
                return MALFORMED_AT_ONCE if head_length else MALFORMED
            if head_length:
                result = self.client.put_two(
                    self.context.scratch, head_length, upstream.buffer + upstream.start, forward)
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

    cdef int relay_chunks(self) except? RAISED:
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

    cdef int client_lost(self, int result) except? RAISED:
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
        return self.report_broken_answer()

    cdef int report_broken_answer(self) except -1:
        """A good head with a broken body is a success, then a failure (as with Envoy); a 5xx is one failure already."""
        return 0 if self.judged >= 500 else self.report_failure(0)

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
            run_pipe(self.client, self.upstream, self.context.tunnel, &self.request_body.data_bytes,
                     &self.response_body.data_bytes)
        return self.drop_upstream()

    # -- ours ---------------------------------------------------------------------------------------------------------

    cdef int reply(self) except -1:
        """Our own answer; the connection goes on only if the request was read to its end."""
        cdef object fault = self.fault
        cdef bint whole = self.log_request and self.skip_body()
        cdef bint head_only = self.log_request and (self.request.method == M_HEAD or self.request.grpc)
        self.status = fault.status
        if not whole or fault.owner is faults.Owner.CLIENT and fault.status != 404:
            self.keep_alive = False
        if fault.status == 0:
            return 0
        if self.log_request and self.request.grpc:
            self.status = 200       # gRPC's own status says what happened, in the log too (as with Envoy)
            text = grpc_reply(fault.status, fault.body, not self.keep_alive, self.context.date())
        else:
            text = local_reply(fault.status, fault.body, head_only, not self.keep_alive, self.context.date())
        if self.client.put(text, len(text)) < 0:
            self.keep_alive = False
            return 0
        if not head_only:
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
        """Closes our side and reads on for a moment: closing on unread bytes would take the answer back from the
        client."""
        cdef Stream client = self.client
        cdef Py_ssize_t got = 1
        client.finish()
        client.arm(self.context.linger)
        while got > 0:
            client.start = client.end = client.pinned
            got = client.fill()
        return client.disarm()
