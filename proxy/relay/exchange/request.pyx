"""What a client asks for: its connection, the head of its request, and how far its body has come.

The client's read buffer holds the head, pinned, from `begin` to `end`: whoever tries again sends from it, and the log
reads it. Behind it may be kept what has moved of the body, up to KEPT bytes, until an endpoint answers: an endpoint that
refuses a request after its body began to move refuses nothing that could not be sent to another.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memmove

from proxy.clock cimport monotonic_ns
from proxy.policy.paths cimport normalise
from proxy.relay.context.date cimport wall_ns
from proxy.wire.http.head cimport (
    BAD, M_DELETE, M_GET, M_HEAD, M_OPTIONS, M_PUT, M_TRACE, NO_BODY, PIECES, UNKNOWN_PROTOCOL, UPGRADE, Field, Head, Span,
)
from proxy.wire.http.heads cimport give_back
from proxy.wire.http.http1 cimport REQUEST_ID, add_field, add_line, write_request, write_request_lines
from proxy.wire.http.names cimport grpc_timeout_of, is_text, next_member, span_of
from proxy.wire.http.websocket cimport asks_for_websocket
from proxy.wire.message cimport framing_of, put_first

from proxy.relay.exchange import faults


cdef enum:
    KEPT = 131072       # what a fresh HTTP/2 connection's first window takes, and what is on its way meanwhile


@cython.final
cdef class Request:
    """Reusable: `begin` makes it the next one. A TCP connection is one without a head."""

    def __cinit__(self):
        self.head = Head()
        self.body = Body()
        self.failures = []

    cdef int begin(self, Stream client, Py_ssize_t size) except -1:
        """Moves the head, `size` bytes, to the beginning of the client's buffer and pins it there."""
        self.client = client
        self.parsed = self.has_body = self.repeatable = self.upgrading = self.left = self.half_closed = self.kept = self.bounded = False
        self.started_wall = wall_ns()
        self.started = monotonic_ns()
        self.body_taken, self.written_before = 0, client.written
        if self.failures:
            self.failures.clear()
        self.body.start(NO_BODY, 0)
        self.body.bare = client.bare = False
        if client.start:
            memmove(client.buffer, client.buffer + client.start, client.end - client.start)
            client.end -= client.start
            client.start = 0
        client.pinned = client.start = self.head_size = size
        return 0

    cdef int accept(self, RequestIds ids) except? RAISED:
        """Parses the head, if that was not done as it came: 0, or a negative Result."""
        cdef int result = self.read_head()
        cdef Head head = self.head
        if result < 0:
            return result
        self.parsed = True
        self.body.start(framing_of(self.client, head), head.content_length)
        self.has_body = not self.body.done
        self.body.of_messages = head.grpc
        self.repeatable = not self.has_body and head.method in (M_GET, M_HEAD, M_PUT, M_DELETE, M_OPTIONS, M_TRACE)
        self.patience = self.grpc_timeout() if head.grpc else 0
        if head.request_id.length == 0:
            ids.make(self.own_id)
        return self.take_upgrade() if head.upgrade or self.client.extended else 0

    cdef int take_upgrade(self) except? RAISED:
        """It offers to go on as another protocol; over HTTP/2, where it asks for nothing else, as one that there is."""
        if asks_for_websocket(self.head, self.client.buffer):
            self.handshake = Handshake()
        elif self.client.extended:
            return UNKNOWN_PROTOCOL
        self.upgrading = not offers_h2c(self.head, self.client.buffer)
        return 0

    cdef int read_head(self) noexcept:
        cdef Head came = self.client.head
        if came is None:
            return self.head.parse_request(self.client.buffer, self.client.pinned)
        give_back(self.head)
        self.head, self.client.head = came, None
        return came.result

    cdef bint chose_http2(self) noexcept:
        """Whether its client speaks HTTP/2 of its own accord, so that an endpoint that says nothing will. Under TLS of
        ours it was offered, which says nothing of endpoints; gRPC has nothing else."""
        return self.head.grpc if self.head.secured else self.client.http2

    cdef bint normalise_path(self, int mode) noexcept:
        """Its path is from now on what it will be taken for, by us, the endpoint and the log; False: that cannot be
        told."""
        cdef Span* path = &self.head.path
        cdef int length = normalise(<unsigned char*>self.client.buffer + path.at, path.length, mode)
        if length >= 0:
            path.length = length
        return length >= 0

    cdef int put_head(self, Stream stream, char* scratch, bint upgrade, const char* data, Py_ssize_t length) except? RAISED:
        """The head to an endpoint, and so much of the body: as Stream.put_two. `scratch` has HEAD_ROOM."""
        cdef Py_ssize_t written
        if not stream.http2:
            return put_first(
                self.client, stream, self.body, scratch, self.write_head(scratch, upgrade), data, length)
        written = write_request_lines(scratch, self.client.buffer, self.head, self.own_id, self.edits, self.path)
        if self.added is not None:
            written = add_line(scratch, written, self.added)
        return stream.put_request(
            self.client.buffer, self.head, self.edits, self.path, scratch, written, data, length,
            self.client if self.body.framing == PIECES else None, self.body.done)

    cdef Py_ssize_t write_head(self, char* out, bint upgrade) noexcept:
        """The head for an endpoint as HTTP/1.1 has it; how long it is."""
        cdef Py_ssize_t length = write_request(
            out, self.client.buffer, self.head, upgrade, self.own_id, self.edits, self.path)
        if self.handshake is not None and self.handshake.line is not None:
            length = add_field(out, length, self.handshake.line)
        return length if self.added is None else add_field(out, length, self.added)

    cdef void bound(self, int64_t timeout) noexcept:
        """It may take so long (ns), unless its client waits less."""
        if self.patience == 0 or timeout < self.patience:
            self.patience, self.bounded = timeout, True

    cdef object overtime(self):
        """The fault if it has taken longer than it may."""
        return faults.TIMED_OUT if self.bounded else faults.DEADLINE

    cdef int64_t grpc_timeout(self) noexcept:
        """What its grpc-timeout says."""
        cdef const char* text = self.client.buffer
        cdef Field* field
        cdef int index
        for index in range(self.head.count):
            field = &self.head.fields[index]
            if is_text(text, span_of(field.name, field.name_length), b"grpc-timeout", 12):
                return grpc_timeout_of(text, span_of(field.value, field.value_length))
        return 0

    # -- the body -----------------------------------------------------------------------------------------------------

    cdef int begin_body(self, bint keep) noexcept:
        """It is about to move, from its beginning. `keep`: it may be wanted once more."""
        self.kept = keep
        self.body_taken = 0
        if self.copied is not None:
            self.copied.begin()
        self.body.start(framing_of(self.client, self.head), self.head.content_length)
        return 0

    cdef int64_t unread(self) noexcept:
        """How much of the body that comes next nobody wants to look at, or keep."""
        return 0 if self.kept or self.copied is not None else self.body.unread()

    cdef void moved(self, Py_ssize_t length, Py_ssize_t past) noexcept:
        """So much of it has been taken, of which `past` was never here. What is kept is pinned behind the head."""
        if self.copied is not None:
            self.copied.take(self.client, length, self.body)
        self.client.start += length - past
        self.body_taken += length
        if not self.kept:
            return
        if self.client.start - self.head_size > KEPT:
            self.let_go()
        else:
            self.client.pinned = self.client.start

    cdef void let_go(self) noexcept:
        """The endpoint has answered, or too much has moved: nobody will want the body again."""
        if self.kept:
            self.kept = False
            self.client.pinned = self.head_size

    cdef int rewind(self) noexcept:
        """Back to the beginning of the body, which is all here."""
        if self.kept:
            self.client.start = self.head_size
            self.let_go()
        self.body_taken = 0
        self.body.start(framing_of(self.client, self.head), self.head.content_length)
        return 0

    cdef void leave_out_trailers(self) noexcept:
        """What comes behind the body goes on nowhere."""
        self.body.bare = self.client.bare = True

    cdef bint may_have_trailers(self) noexcept:
        """Whether the body is here, by its length, but not its end yet, or trailers with that: they need not be
        announced (RFC 9110 6.6.2)."""
        return self.body.done and self.client.may_have_trailers()

    cdef int put_end(self, Stream stream) except? RAISED:
        """The end of such a request, which has come, with those trailers that go on: 0, a negative Io, or BAD."""
        cdef Py_ssize_t length
        cdef const char* text
        cdef Head trailers = self.client.trailers(&text, &length)
        if trailers is not None and trailers.result < 0:
            return BAD
        return stream.put_piece(NULL, 0, self.client)

    # -- for whoever counts -------------------------------------------------------------------------------------------

    cdef int64_t received(self) noexcept:
        """Octets that the client has sent of it: head, body and what frames them."""
        return self.client.frames_in if self.client.http2 else self.head_size + self.body_taken

    cdef int64_t sent(self) noexcept:
        """Octets that the client was sent for it."""
        return self.client.frames_out if self.client.http2 else self.client.written - self.written_before

    # -- its name, and its end ----------------------------------------------------------------------------------------

    cdef str id(self):
        """Its x-request-id, '' for what is no request."""
        cdef Span* given = &self.head.request_id
        if self.known_as is not None:
            return self.known_as
        if not self.parsed:
            return ""
        if given.length == 0:
            return self.own_id[:REQUEST_ID].decode("latin-1")
        return (self.client.buffer + given.at)[:given.length].decode("latin-1")

    cdef int end(self) except -1:
        """Lets go of the head; the client may be read by others."""
        self.client.pinned = 0
        self.client.listener = None
        self.told = self.added = self.path = self.route = self.shadow = None
        self.handshake = None
        if self.copied is not None:
            self.copied.end()
            self.copied = None
        self.edits = self.answer_edits = None
        return 0


cdef bint offers_h2c(Head head, const char* text) noexcept:
    """Whether the client offers HTTP/2 in clear text, on whichever line of Upgrade: that is ours to decline, not an
    endpoint's to accept."""
    cdef int index
    cdef uint32_t at, end
    cdef Span protocol
    for index in range(head.count):
        if head.fields[index].kind == UPGRADE:
            at, end = head.fields[index].value, head.fields[index].value + head.fields[index].value_length
            while next_member(text, &at, end, &protocol):
                if is_text(text, protocol, b"h2c", 3):
                    return True
    return False
