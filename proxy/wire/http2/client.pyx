# distutils: libraries = nghttp2
"""The client's side of HTTP/2: a request put on a stream opens it, the answer is read as HTTP/1.1.

An answer's head is read as its fields come, and laid out aside until it is whole. 1xx heads, of which there may be many
before anybody looks, are text, and so is what follows them.

`written` counts a request's head as soon as it is in the connection's output. That the peer did nothing with a request
(`was_ignored`) is concluded from three things only: it says so (RFC 9113 8.7: REFUSED_STREAM, or a GOAWAY that leaves the
stream out), nothing of the request had left us when the connection ended, or the peer answered our preface in HTTP/1, so
that it cannot have read what followed. A connection that ends before the peer's SETTINGS says nothing: a server may
read a request, act on it, and die before its first frame. A malformed answer ends as BAD.
"""

from gevent.event import Event

from libc.stdint cimport int32_t
from libc.string cimport memcpy

from proxy.wire.buffers cimport drop, reserve
from proxy.wire.http.edits cimport Edits
from proxy.wire.http.head cimport BAD, M_CONNECT, M_HEAD, MAX_HEAD, PIECES
from proxy.wire.http.heads cimport new_head
from proxy.wire.http.octets cimport is_blank
from proxy.wire.http2.extended cimport extend_fields
from proxy.wire.http2.fields cimport fields, request_fields
from proxy.wire.http2.frames cimport body_of
from proxy.wire.http2.http_stream cimport IN_BYTES, IN_HEAD, IN_NOTHING
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.stream cimport (
    CONNECTION_ENDED,
    END,
    FAILED,
    HEAD_BROKEN,
    NEVER_SPOKE,
    PROTOCOL_BROKEN,
    RAISED,
    READY,
    SPOKE_OTHERWISE,
    STREAM_RESET,
    TIMED_OUT,
    TLS_REFUSED,
)

cdef enum:
    NO_CONTENT = 204
    NOT_MODIFIED = 304


cdef class Http2Client(Session):
    """A connection to an endpoint."""

    def __init__(self, Stream transport, Deadlines patience, int64_t stall_ns):
        self.transport = transport
        self.patience = patience
        self.stall_ns = stall_ns

    cdef HttpClientStream new_stream(self):
        """A stream for one request. It is open once the request's head was put; that fails if there is no room then."""
        cdef HttpClientStream stream = HttpClientStream.__new__(HttpClientStream)
        stream.session = self
        stream.local = self.transport.local
        stream.peer = self.transport.peer
        return stream

    cdef int takes_extended(self, double seconds) except? RAISED:
        """Whether the peer's SETTINGS allow extended CONNECTs (RFC 8441 3): READY or END; TIMED_OUT if they have not come
        in so many seconds, FAILED if the connection has ended before."""
        if not self.settled and self.h2 != NULL:
            if self.settling is None:
                self.settling = Event()
            self.settling.wait(seconds)
        if self.h2 == NULL:
            return FAILED
        if not self.settled:
            return TIMED_OUT
        return READY if nghttp2_session_get_remote_settings(
            self.h2, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1 else END


cdef class HttpClientStream(HttpStream):
    """One request to an endpoint, and its answer."""

    def __cinit__(self):
        self.both_framings = True

    def __dealloc__(self):
        drop(&self.heading)

    # -- the request --------------------------------------------------------------------------------------------------

    cdef bint writable(self) noexcept:
        if self.id == 0:
            return not self.closed and (<Session>self.session).has_room()
        return HttpStream.writable(self)

    cdef bint alive(self) noexcept:
        return self.writable() if self.id == 0 else HttpStream.alive(self)

    cdef int put_request(
            self, const char* source, Head head, Edits edits, bytes path, const char* lines, Py_ssize_t lines_length,
            const char* data, Py_ssize_t length, Stream giver, bint last) except? RAISED:
        cdef size_t count
        cdef int32_t id
        cdef bint ends
        cdef nghttp2_data_provider body = body_of(self)
        if not self.writable() or not self.head_due:
            return FAILED
        self.head_due = False
        self.method = M_CONNECT if self.extended else head.method
        self.trailers_wanted = head.te_trailers
        ends = not self.begin_body(PIECES if giver is not None else head.framing, head.content_length) \
            and not self.open_ended and not self.extended
        count = request_fields(source, head, edits, path, self.scheme(head), lines, lines_length)
        if self.extended:
            count = extend_fields(count)
        self.starts_at = self.session.transport.written + self.session.out.end - self.session.out.start
        id = nghttp2_submit_request(self.session.h2, NULL, fields, count, NULL if ends else &body, <void*>self)
        if id < 0:
            return FAILED
        (<Session>self.session).attach(self, id)
        self.end_wanted = self.end_sent = ends
        self.written += head.size
        return self.session.pull() if self.extended else self.put_begun(data, length, giver, last)

    cdef const char* scheme(self, Head head) noexcept:
        """The client's own, but where we have put TLS around it."""
        return b"https" if head.https or self.session.transport.origin is not None else b"http"

    cdef bint leave_open(self) noexcept:
        self.open_ended = True
        return True

    # -- the answer ---------------------------------------------------------------------------------------------------

    cdef int on_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        while value_length and is_blank(value[0]):
            value += 1
            value_length -= 1
        while value_length and is_blank(value[value_length - 1]):
            value_length -= 1
        return HttpStream.on_field(self, name, name_length, value, value_length)

    cdef char* text_room(self, Py_ssize_t length) except NULL:
        if self.head is None or self.inward != IN_HEAD:
            return HttpStream.text_room(self, length)
        reserve(&self.heading, length)
        self.heading.end += length
        self.head_text = self.heading.bytes + self.heading.start
        return self.heading.bytes + self.heading.end - length

    cdef int head_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        cdef char* at
        if name[0] != c":":         # without a status line it is none, as nghttp2 is about to find
            return self.add_field(name, name_length, value, value_length) if self.text_bytes else 0
        self.status = (value[0] - c"0") * 100 + (value[1] - c"0") * 10 + (value[2] - c"0")      # :status, three digits
        self.by_text = self.by_text or self.status < 200
        if not self.by_text:
            self.head = new_head(True)
        at = self.text_room(15)
        memcpy(at, b"HTTP/1.1 ", 9)
        memcpy(at + 9, value, 3)
        memcpy(at + 12, b" \r\n", 3)
        self.text_bytes = 15
        if self.head is not None:
            self.head.take_status_line(at, 15)
        return 0

    cdef int on_head(self, int category, bint last) except -1:
        cdef bint granted = self.extended and 200 <= self.status < 300
        cdef bint bodiless = self.method == M_HEAD or self.status == NO_CONTENT or self.status == NOT_MODIFIED or granted
        if self.inward != IN_HEAD or self.closed:
            return 0
        if self.status < 200:
            self.add_text(b"\r\n", 2)
            self.text_bytes = 0
            if self.inbox.end - self.inbox.start > MAX_HEAD:
                self.malformed = True   # too many of them
        if self.malformed:
            return self.reset(NGHTTP2_PROTOCOL_ERROR)
        if self.status < 200:
            return 0
        if last and not bodiless and not self.has_length:
            self.add_line(b"content-length", 14, b"0", 1)
        self.end_head(last, bodiless)
        if granted:
            self.piped = True
            self.inward = IN_NOTHING if last else IN_BYTES
        return 0 if self.head is None else self.tell_head()

    cdef int tell_head(self) except -1:
        """The head is whole: what was laid out of it is for the reader now."""
        cdef Py_ssize_t length = self.heading.end - self.heading.start
        self.head.end_response(self.head_text, length, self.method)
        drop(&self.inbox)           # nothing can have come before
        self.inbox, self.inbox_framing = self.heading, length
        self.heading.bytes = NULL
        drop(&self.heading)
        return self.session.touch(self)

    cdef Py_ssize_t fill(self) except? RAISED:
        cdef Py_ssize_t got = HttpStream.fill(self)
        return BAD if got == FAILED and self.malformed and self.inward != IN_BYTES else got

    cdef int on_malformed(self) except -1:
        """Neither heads, pieces nor trailers go on like this. A body of known length is cut."""
        self.malformed = self.inward != IN_NOTHING
        return 0

    cdef int how_it_ended(self) noexcept:
        if self.malformed and self.inward == IN_BYTES:
            return PROTOCOL_BROKEN
        if self.session.h2 != NULL or self.refused:
            return STREAM_RESET
        if self.session.fault != NULL and self.session.fault_code != NGHTTP2_NO_ERROR and not self.session.foreign:
            if self.session.heading != 0:
                return HEAD_BROKEN if self.session.heading == self.id else CONNECTION_ENDED
            return PROTOCOL_BROKEN
        if not self.session.settled and self.session.transport.how_it_ended() == TLS_REFUSED:
            return TLS_REFUSED
        if not self.session.settled and self.was_ignored():
            return SPOKE_OTHERWISE if self.session.foreign else NEVER_SPOKE
        return self.session.transport.how_it_ended()

    cdef bint was_ignored(self) noexcept:
        if self.status != 0:
            return False        # whatever it says afterwards
        return self.refused or self.session.h2 == NULL and (
            self.session.foreign or self.session.transport.was_ignored() or
            self.session.transport.written <= self.starts_at)

    cdef str last_word(self):
        if self.session.transport.how_it_ended() == TLS_REFUSED:
            return self.session.transport.last_word()
        return "HTTP/2: " + (self.session.fault.decode() if self.session.fault != NULL else "connection closed")

    # -- the end ------------------------------------------------------------------------------------------------------

    cdef bint put_away(self) except -1:
        """The END_STREAM may yet be on its way: a reset would look as if the answer had not been wanted."""
        self.whole = True
        self.close()
        return True

    cdef int leave(self) except -1:
        if self.piped:
            return HttpStream.leave(self)
        return 0 if self.end_sent and (self.eof or self.whole) else self.reset(NGHTTP2_CANCEL)
