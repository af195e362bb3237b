# distutils: libraries = nghttp2
"""The client's side of HTTP/2: an HTTP/1.1 request put on a stream opens it, the answer is read as HTTP/1.1.

`written` counts a request's head as soon as it is in the connection's output. That the peer did nothing with a request
(`was_ignored`) is concluded from three things only: it says so (RFC 9113 8.7: REFUSED_STREAM, or a GOAWAY that leaves the
stream out), nothing of the request had left us when the connection ended, or the peer answered our preface in HTTP/1, so
that it cannot have read what followed. A connection that ends before the peer's SETTINGS says nothing: a server may
read a request, act on it, and die before its first frame. A malformed answer is given to the parser of HTTP/1.1 as one.
"""

from libc.stdint cimport int32_t
from libc.string cimport memcmp, memcpy

from proxy.wire.http.head cimport CHUNKED, M_HEAD, MAX_HEAD, Span
from proxy.wire.http.octets cimport is_blank
from proxy.wire.http2.frames cimport body_of
from proxy.wire.http2.http_stream cimport IN_BYTES, IN_HEAD, IN_NOTHING, collect_fields, fields, scratch, set_field
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.stream cimport (
    CONNECTION_ENDED,
    FAILED,
    HEAD_BROKEN,
    NEVER_SPOKE,
    PROTOCOL_BROKEN,
    RAISED,
    SPOKE_OTHERWISE,
    STREAM_RESET,
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
        cdef HttpClientStream stream = HttpClientStream()
        stream.session = self
        stream.local = self.transport.local
        stream.peer = self.transport.peer
        return stream


cdef class HttpClientStream(HttpStream):
    """One request to an endpoint, and its answer."""

    def __cinit__(self):
        self.both_framings = True

    # -- the request --------------------------------------------------------------------------------------------------

    cdef bint writable(self) noexcept:
        if self.id == 0:
            return not self.closed and (<Session>self.session).has_room()
        return HttpStream.writable(self)

    cdef bint alive(self) noexcept:
        return self.writable() if self.id == 0 else HttpStream.alive(self)

    cdef Py_ssize_t put_head(self, const char* text, Py_ssize_t length) except? RAISED:
        cdef Py_ssize_t scanned = 0
        cdef int size = scratch.scan(text, length, &scanned)
        cdef size_t count
        cdef int32_t id
        cdef bint ends
        cdef nghttp2_data_provider body = body_of(self)
        if size <= 0 or scratch.parse_request(<char*>text, size) < 0:
            return FAILED
        self.head_due = False
        self.method = scratch.method
        self.trailers_wanted = scratch.te_trailers
        self.outward.start(scratch.framing, scratch.content_length)
        set_span(0, b":method", 7, text, scratch.method_text)
        set_field(&fields[1], b":scheme", 7, b"https", 5 if self.session.transport.origin is not None else 4)
        count = 2
        if scratch.authority.length:        # 8.3.1: never an empty one
            set_span(2, b":authority", 10, text, scratch.authority)
            count = 3
        set_span(count, b":path", 5, text, scratch.path)
        count = collect_fields(text, count + 1)
        if scratch.te_trailers:
            set_field(&fields[count], b"te", 2, b"trailers", 8)
            count += 1
        self.starts_at = self.session.transport.written + self.session.out.end - self.session.out.start
        ends = self.outward.done and not self.open_ended
        id = nghttp2_submit_request(self.session.h2, NULL, fields, count, NULL if ends else &body, <void*>self)
        if id < 0:
            return FAILED
        (<Session>self.session).attach(self, id)
        self.end_wanted = self.end_sent = ends
        self.written += size
        return size

    cdef bint leave_open(self) noexcept:
        self.open_ended = True
        return True

    cdef int end_with(self, const char* text, Py_ssize_t length) except? RAISED:
        self.open_ended = False
        self.outward.start(CHUNKED, 0)
        return self.put(text, length)

    # -- the answer ---------------------------------------------------------------------------------------------------

    cdef int on_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        while value_length and is_blank(value[0]):
            value += 1
            value_length -= 1
        while value_length and is_blank(value[value_length - 1]):
            value_length -= 1
        return HttpStream.on_field(self, name, name_length, value, value_length)

    cdef int head_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        cdef char* at
        if name[0] == c":":         # :status, three digits
            at = self.text_room(15)
            memcpy(at, b"HTTP/1.1 ", 9)
            memcpy(at + 9, value, 3)
            memcpy(at + 12, b" \r\n", 3)
            self.status = (value[0] - c"0") * 100 + (value[1] - c"0") * 10 + (value[2] - c"0")
            self.text_bytes = 15
            return 0
        return self.add_field(name, name_length, value, value_length)

    cdef int on_head(self, int category, bint last) except -1:
        cdef bint bodiless = self.method == M_HEAD or self.status == NO_CONTENT or self.status == NOT_MODIFIED
        if self.inward != IN_HEAD or self.closed:
            return 0
        if self.status < 200:
            self.add_text(b"\r\n", 2)
            self.text_bytes = 0
            if self.inbox.end - self.inbox.start > MAX_HEAD:
                self.malformed = True   # too many of them
        if self.malformed:
            self.on_malformed()
            return self.reset(NGHTTP2_PROTOCOL_ERROR)
        if self.status < 200:
            return 0
        if last and not bodiless and not self.has_length:
            self.add_text(b"content-length: 0\r\n", 19)
        return self.end_head(last, bodiless)

    cdef int on_malformed(self) except -1:
        """Neither heads, chunks nor trailers go on like this. (A body of known length is cut, which shows too.)"""
        if not self.closed and self.inward != IN_BYTES and self.inward != IN_NOTHING:
            if self.inward == IN_HEAD and self.text_bytes == 0:
                self.add_text(b"HTTP/", 5)
            self.add_text(b"\0", 1)
            self.inward = IN_NOTHING
        return 0

    cdef int how_it_ended(self) noexcept:
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
        return 0 if self.end_sent and (self.eof or self.whole) else self.reset(NGHTTP2_CANCEL)


cdef inline void set_span(int index, const char* name, size_t name_length, const char* text, Span span) noexcept:
    set_field(&fields[index], name, name_length, text + span.at, span.length)
