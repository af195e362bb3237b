# distutils: libraries = nghttp2
"""The server's side of HTTP/2: requests of clients, each read as HTTP/1.1 and served in a greenlet of its own.

The request's head is laid out in the stream's own buffer, where the relay finds it; :authority is its Host (RFC 9113
8.3.1), cookie crumbs are one field again (8.2.3), which is the last one: they wait in the inbox for it. A stream is
reset when it is closed: INTERNAL_ERROR if the answer is not whole, NO_ERROR if it is and the request is not (8.1).
"""

import sys

from greenlet import greenlet as Greenlet

from libc.string cimport memcmp, memcpy

from proxy.wire.buffers cimport drop, reserve
from proxy.wire.greenlets cimport PyGreenlet_Import, PyGreenlet_Switch, greenlet
from proxy.wire.http.edits cimport MOST_LINES, Edits
from proxy.wire.http.head cimport CHUNKED, M_CONNECT, M_GET, M_OPTIONS, MAX_FIELDS, PIECES, Head
from proxy.wire.http.heads cimport new_head
from proxy.wire.http.http1 cimport HEAD_ROOM
from proxy.wire.http.names cimport is_token, method_of, span_of
from proxy.wire.http2.extended cimport is_for_http1
from proxy.wire.http2.fields cimport fields, reply_fields, response_fields
from proxy.wire.http2.frames cimport body_of
from proxy.wire.http2.http_stream cimport IN_BYTES, IN_HEAD
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.http.octets cimport TARGET, is_a, same
from proxy.wire.http2.stream cimport Http2Stream
from proxy.wire.http2.session cimport MAX_STREAMS
from proxy.wire.stream cimport CANCELLED, FAILED, PEER_RESET, RAISED, READY, get_hub, run_soon, wake_soon

PyGreenlet_Import()

cdef enum:
    SPARE_RUNNERS = 256

cdef Runner spare = None         # those nobody needs now, one behind the other
cdef int spares = 0
# Of what we have written, or a 1xx; free again before anybody else runs.
cdef Head scratch = Head(MAX_FIELDS + MOST_LINES, HEAD_ROOM)
scratch.both_framings = True


cdef class StreamServer:
    """Who serves the request streams of connections."""

    def __cinit__(self):
        self.sessions = set()

    cdef int serve_stream(self, Stream stream) except -1:
        """Serves the one request on the stream, which is closed afterwards. Runs in a greenlet of its own."""
        raise NotImplementedError

    cdef bint leaving(self) noexcept:
        """Whether new connections are asked at once to go elsewhere."""
        return False


cdef class Runner:
    """A greenlet that serves streams, one after the other: to make one costs more than to serve."""

    cdef greenlet body
    cdef HttpServerStream stream
    cdef Runner following       # while it is spare

    def __call__(self) -> None:
        global spare, spares
        cdef greenlet hub = get_hub()
        while True:
            serve_one(self.stream)
            self.stream = None
            if spares >= SPARE_RUNNERS:
                return
            self.following, spare = spare, self
            spares += 1
            PyGreenlet_Switch(hub, NULL, NULL)


cdef int serve_soon(HttpServerStream stream) except -1:
    global spare, spares
    cdef Runner runner = spare
    if runner is not None:
        spare, runner.following = runner.following, None
        spares -= 1
    else:
        runner = Runner()
        runner.body = Greenlet(runner, get_hub())
    runner.stream = stream
    return wake_soon(runner.body)


cdef int serve_one(HttpServerStream stream) except -1:
    cdef Http2Server session = stream.session
    if stream.inbox.end != stream.inbox.start:
        stream.take_inbox()         # a body that came with its head can go on with it
    try:
        if not stream.lost:         # not reset before anybody looked at it
            session.handler.serve_stream(stream)
    except BaseException:
        get_hub().handle_error(stream, *sys.exc_info())     # without a context the hub would end the process
    finally:
        stream.close()
        session.let_off(stream)
    return 0


cdef class Http2Server(Session):
    """A client's connection. At most MAX_STREAMS of its requests are served at once, also when it resets them: its
    further streams are refused."""

    def __init__(self, Stream transport, StreamServer handler):
        self.transport = transport
        self.handler = handler
        self.patience = handler.patience
        self.stall_ns = handler.stall_ns
        self.idle_ns = handler.idle_ns
        self.server = self.extends = True

    cdef Http2Stream make_stream(self):
        return HttpServerStream.__new__(HttpServerStream) if self.running < MAX_STREAMS else None

    cdef int serve(self, Http2Stream stream) except -1:
        if (<HttpServerStream>stream).malformed:
            return 0
        return self.serve_in_turn(stream)

    cdef int begin_stream(self, Http2Stream stream) except -1:
        return serve_soon(stream)


cdef class HttpServerStream(HttpStream):
    """One request of a client, and its answer."""

    # -- the request --------------------------------------------------------------------------------------------------

    cdef char* text_room(self, Py_ssize_t length) except NULL:
        """The head goes straight into the buffer: nobody reads yet."""
        self.make_room(length)
        self.end += length
        self.head_text = self.buffer + self.start
        return self.buffer + self.end - length

    cdef int head_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        cdef Span span
        if name[0] == c":":         # these come first; nghttp2 sees to it
            memcpy(self.text_room(value_length), value, value_length)
            span = span_of(self.end - value_length, value_length)
            if name_length == 10:
                self.authority = span
            elif name_length == 5:
                self.path = span
            elif name[1] == c"m":
                self.method_text = span
            elif name_length == 9:
                self.protocol = span
            else:
                self.https = value_length == 5 and same(value, b"https", 5)
            return 0
        if not self.begun:
            self.begin_text()
        if name_length == 4 and memcmp(name, b"host", 4) == 0 and self.authority.length:
            return 0
        if self.extended and is_for_http1(name, name_length):
            return 0
        if name_length == 6 and memcmp(name, b"cookie", 6) == 0:
            return self.add_cookie(value, value_length)
        return self.add_field(name, name_length, value, value_length)

    cdef int begin_text(self) except -1:
        """The request line, and Host, behind the pieces they are made of."""
        cdef Span target, authority = self.authority
        cdef Py_ssize_t length
        cdef bint fits = True
        cdef char* at
        self.begun = True
        self.head = new_head(False)
        self.head.https = self.https
        self.method = method_of(self.buffer + self.method_text.at, self.method_text.length)
        if self.protocol.length:
            fits = self.begin_extended()
        target = self.authority if self.method == M_CONNECT else self.path
        length = self.method_text.length + target.length + 12
        self.make_room(length + authority.length + self.protocol.length + 42)   # for all: the pieces stay where they are
        at = self.text_room(length)
        memcpy(at, self.buffer + self.method_text.at, self.method_text.length)
        at += self.method_text.length
        at[0] = c" "
        memcpy(at + 1, self.buffer + target.at, target.length)
        memcpy(at + 1 + target.length, b" HTTP/1.1\r\n", 11)
        self.malformed = not (fits and self.line_fits())
        self.start = self.end - length
        self.text_bytes = length
        self.head.take_request_line(self.method_text.length, target.length, self.method)
        if authority.length and not self.malformed:
            self.add_line(b"host", 4, self.buffer + authority.at, authority.length)
        if self.extended and not self.malformed:
            self.add_line(b"upgrade", 7, self.buffer + self.protocol.at, self.protocol.length)
            self.add_line(b"connection", 10, b"upgrade", 7)
        return 0

    cdef bint begin_extended(self) except -1:
        """It is an extended CONNECT, and goes on as the GET it stands for (extended.pyx); False: it is malformed."""
        cdef bint fits = self.method == M_CONNECT and self.authority.length > 0 and is_token(
            self.buffer + self.protocol.at, self.protocol.length)
        self.extended = True
        self.method = M_GET
        memcpy(self.buffer + self.method_text.at, b"GET", min(self.method_text.length, 3))
        self.method_text.length = min(self.method_text.length, 3)
        return fits

    cdef bint line_fits(self) noexcept:
        """Whether the pieces make one request line: its target a path (8.3.1), or `*` of OPTIONS."""
        cdef const char* path = self.buffer + self.path.at
        cdef const char* authority = self.buffer + self.authority.at
        cdef uint32_t index
        if not is_token(self.buffer + self.method_text.at, self.method_text.length):
            return False
        for index in range(self.authority.length):
            if not is_a(authority[index], TARGET):
                return False
        if self.method == M_CONNECT:
            return self.path.length == 0 and self.authority.length > 0
        for index in range(self.path.length):
            if not is_a(path[index], TARGET):
                return False
        return self.path.length > 0 and (
            path[0] == c"/" or self.path.length == 1 and path[0] == c"*" and self.method == M_OPTIONS)

    cdef int add_cookie(self, const char* value, size_t length) except -1:
        """The crumbs are joined, wherever they came."""
        reserve(&self.inbox, length + 2)
        if self.has_cookies:
            memcpy(self.inbox.bytes + self.inbox.end, b"; ", 2)
            self.inbox.end += 2
            self.text_bytes += 2
        memcpy(self.inbox.bytes + self.inbox.end, value, length)
        self.inbox.end += length
        self.text_bytes += length
        self.has_cookies = True
        return 0

    cdef int add_cookies(self) except -1:
        cdef Py_ssize_t length = self.inbox.end - self.inbox.start
        self.text_bytes -= length
        self.add_line(b"cookie", 6, self.inbox.bytes + self.inbox.start, length)
        drop(&self.inbox)
        return 0

    cdef int on_head(self, int category, bint last) except -1:
        if self.inward != IN_HEAD:
            return self.reset(NGHTTP2_PROTOCOL_ERROR) if self.extended else 0     # RFC 9113 8.5: DATA only
        if not self.begun:
            self.begin_text()
        if self.has_cookies:
            self.add_cookies()
        if self.malformed or self.extended and self.has_length:
            self.malformed = True
            return self.reset(NGHTTP2_PROTOCOL_ERROR)
        self.end_head(last, self.extended or self.method == M_CONNECT)
        if self.extended and not last:
            self.inward = IN_BYTES
        self.head.end_request(self.buffer + self.start, self.end - self.start)
        return 0

    cdef bint may_have_trailers(self) noexcept:
        return not self.extended and not self.in_pieces and (not self.eof or self.tail is not None)

    cdef Py_ssize_t fill(self) except? RAISED:
        if self.end_sent and not self.piped:    # answered: what else comes is of no use to anybody
            return CANCELLED
        return HttpStream.fill(self)

    cdef int tell(self) except -1:
        """A whole message does not mean that the client has left; a reset does."""
        if self.reader is not None:
            return self.end_read(READY)
        if self.listener is not None and self.lost and not self.closed:
            return self.listener.idle_event(self, PEER_RESET)
        return 0

    cdef int watch(self) except -1:
        if self.lost:
            run_soon(self._tell)
        return 0

    # -- the answer ---------------------------------------------------------------------------------------------------

    cdef int put_response(
            self, const char* source, Head head, bint rechunk, Edits edits, const char* lines, Py_ssize_t lines_length,
            const char* data, Py_ssize_t length, Stream giver, bint last) except? RAISED:
        cdef char[3] status
        cdef int framing = CHUNKED if rechunk else PIECES if giver is not None else head.framing
        cdef size_t count
        if not self.writable() or not self.head_due:
            return FAILED
        count = response_fields(source, head, edits, status, lines, lines_length)
        if self.extended and head.status < 300:
            return self.open_pipe(count)
        self.submit(count, framing, head.content_length)
        return self.put_begun(data, length, giver, last)

    cdef int open_pipe(self, size_t count) except -1:
        """The answer to an extended CONNECT that is granted, so many `fields`."""
        cdef nghttp2_data_provider body = body_of(self)
        self.head_due = False
        self.piped = True
        nghttp2_submit_response(self.session.h2, self.id, fields, count, &body)
        return self.session.pull()

    cdef Py_ssize_t put_head(self, const char* text, Py_ssize_t length) except? RAISED:
        cdef Py_ssize_t scanned = 0
        cdef int size = scratch.scan(text, length, &scanned)
        if size <= 0 or scratch.parse_response(<char*>text, size, self.method) < 0:
            return FAILED
        if scratch.status < 200:
            nghttp2_submit_headers(
                self.session.h2, NGHTTP2_FLAG_NONE, self.id, NULL, fields, reply_fields(text, scratch), NULL)
            return size
        if self.extended and scratch.status < 300:      # which would grant it
            return FAILED
        self.submit(reply_fields(text, scratch), scratch.framing, scratch.content_length)
        return size

    cdef int submit(self, size_t count, int framing, int64_t content_length) except -1:
        """The head of the answer, so many `fields`, and how its body will be put."""
        cdef nghttp2_data_provider body = body_of(self)
        cdef bint ends = not self.begin_body(framing, content_length)
        self.head_due = False
        if ends:
            self.end_wanted = self.end_sent = True
        nghttp2_submit_response(self.session.h2, self.id, fields, count, NULL if ends else &body)
        return 0

    cdef int leave(self) except -1:
        if self.piped:
            return HttpStream.leave(self)
        if not self.end_sent:
            return self.reset(NGHTTP2_INTERNAL_ERROR)
        return 0 if self.eof else self.reset(NGHTTP2_NO_ERROR)


cdef int serve_http2(Stream transport, StreamServer handler) except -1:
    """Serves a client's connection to its end, from the preface on, which the transport's buffer may hold."""
    cdef Http2Server session = Http2Server(transport, handler)
    handler.sessions.add(session)
    session.beside = handler.sessions
    try:
        session.open()
        if handler.leaving():
            session.shutdown()
        session.run()
    finally:
        handler.sessions.discard(session)
    return 0
