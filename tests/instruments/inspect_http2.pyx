# distutils: libraries = nghttp2
"""HTTP/2 connections in memory, and their streams, as Python objects: for tests, never on the path of a request."""

import gevent

from libc.stdint cimport int64_t
from libc.string cimport memcpy, memmove

from proxy.wire.http.body cimport Body
from proxy.wire.http.edits cimport Edits
from proxy.wire.http.head cimport BAD, PIECES, UNTIL_CLOSE, Head
from proxy.wire.http.http1 cimport HEAD_ROOM, write_request_lines, write_response_lines
from proxy.wire.http2.http_stream cimport HttpStream
from proxy.wire.http2.client cimport Http2Client
from proxy.wire.http2.server cimport Http2Server, StreamServer
from proxy.wire.http2.session cimport Session
from proxy.wire.message cimport framing_of, goes_on, put_more, take
from proxy.wire.stream cimport (
    CANCELLED,
    DATA_WAITS,
    END,
    FAILED,
    PEER_CLOSED,
    PEER_RESET,
    RAISED,
    READY,
    TIMED_OUT,
    IdleListener,
    Stream,
)

from tests.instruments.memory cimport Memory

from tests.instruments import inspect

RESULTS = {BAD: "bad", END: "end", FAILED: "failed", TIMED_OUT: "timed out", CANCELLED: "cancelled"}
IO = {*RESULTS, READY, RAISED}
EVENTS = {PEER_CLOSED: "closed", PEER_RESET: "reset", DATA_WAITS: "data"}


NAMES = {**RESULTS, END: "ok"}
PLAIN = Edits({b"x-forwarded-proto", b"x-request-id", b"date", b"server", b"x-envoy-upstream-service-time"}, [])


cdef int overwrite_soon(bytearray lines) except -1:
    """As soon as others can run, as a caller may do."""
    def overwrite():
        lines[:] = b"?" * len(lines)
    gevent.get_hub().loop.run_callback(overwrite)
    return 0


cdef class StreamView(IdleListener):
    """A request stream. `events` is what its listener was told, while `listen` is on."""

    cdef HttpStream stream
    cdef bytes text             # what was taken of heads, and of bodies that are text
    cdef Body body              # once the head was taken of a message whose body comes in pieces
    cdef readonly list events
    cdef readonly object head
    cdef readonly bint https

    def __init__(self):
        self.events = []
        self.text = b""

    def listen(self):
        self.stream.listener = self
        self.stream.watch()

    cdef int idle_event(self, Stream stream, int event) except -1:
        self.events.append(EVENTS[event])
        return 0

    def fill(self):
        """A count of bytes, or the name of a result."""
        got = self.stream.fill()
        return got if got > 0 else RESULTS[got]

    def take(self, Py_ssize_t most=-1):
        """What is in the buffer, consumed; pieces as an endpoint over HTTP/1.1 would get them."""
        cdef Py_ssize_t length = self.stream.end - self.stream.start
        self.compare()
        if 0 <= most < length:
            length = most
        if not self.stream.in_pieces:
            return self.consume(length)
        if self.body is not None:
            return self.take_piece()
        text = self.text + self.stream.buffer[self.stream.start:self.stream.start + length]
        if not heads(text):
            return b""
        head = self.consume(heads(text) - len(self.text))
        self.body = Body(lenient=not self.stream.session.server)
        self.body.start(PIECES, 0)
        return head + self.take_piece()

    def consume(self, Py_ssize_t length):
        if length == 0:
            return b""
        data = self.stream.buffer[self.stream.start:self.stream.start + length]
        self.stream.start += length
        self.text += data
        return data

    def take_piece(self):
        cdef Memory peer = Memory()
        cdef Py_ssize_t used, forward = 0
        if self.body.done:
            return b""
        used = take(self.body, self.stream, 0, &forward)
        if used < 0:
            raise inspect.Refused("bad", "trailers")
        put_more(self.stream, peer, self.body, self.body.out, forward, 0)
        self.stream.start += used
        return bytes(peer.output)

    cdef int compare(self) except -1:
        """A head that came in fields is what its text would have been read as."""
        cdef Head head = self.stream.head
        cdef bytes text
        if head is None or not head.whole or self.head is not None or self.stream.end - self.stream.start < head.size:
            return 0
        text = self.stream.buffer[self.stream.start:self.stream.start + head.size]
        self.head, self.https = inspect.outcome(head, text), head.https
        assert self.head == inspect.outcome_of_text(text, -1 if self.stream.session.server else self.stream.method)
        return 0

    def read(self):
        """All there is to come, and how it ended."""
        data = self.take()
        while True:
            got = self.fill()
            if got != "end" and not isinstance(got, int):
                return data, got
            data += self.take()
            if got == "end":
                return data, got

    def extend(self):
        """Its request is to be an extended CONNECT."""
        self.stream.extended = True

    def ask(self, bytes data, bytes lines=b""):
        """Puts a request of which that much came in HTTP/1.1, with these lines besides, without those that we add to all."""
        cdef Head head = Head()
        cdef bytearray text = bytearray(data), ours = bytearray(HEAD_ROOM)
        cdef char* at = ours
        cdef Py_ssize_t scanned = 0, written
        cdef int size = head.scan(text, len(data), &scanned)
        if size <= 0 or head.parse_request(text, size) < 0:
            return "failed"
        written = write_request_lines(at, text, head, b"", PLAIN, None)
        ours[written:written + len(lines)] = lines
        overwrite_soon(ours)
        return NAMES[self.stream.put_request(
            text, head, PLAIN, None, at, written + len(lines), <const char*>data + size, len(data) - size, None, False)]

    def answer(self, bytes data, bytes lines=b""):
        """Puts a response of which that much came in HTTP/1.1, with these lines besides, without those that we add to all."""
        cdef Head head = Head(lenient=True)
        cdef bytearray text = bytearray(data), ours = bytearray(HEAD_ROOM)
        cdef char* at = ours
        cdef Py_ssize_t scanned = 0, written
        cdef int size = head.scan(text, len(data), &scanned)
        if size <= 0 or head.parse_response(text, size, self.stream.method) < 0:
            return "failed"
        written = write_response_lines(at, head, 0, b"", PLAIN)
        ours[written:written + len(lines)] = lines
        overwrite_soon(ours)
        return NAMES[self.stream.put_response(
            text, head, head.framing == UNTIL_CLOSE, PLAIN, at, written + len(lines), <const char*>data + size,
            len(data) - size, None, False)]

    def hand_on(self, StreamView target):
        """The request goes to an endpoint as it comes, as the relay would send it, without what we add to all."""
        cdef Stream stream = self.stream
        cdef Head head = stream.head
        cdef bytearray ours = bytearray(HEAD_ROOM)
        cdef Body body = Body()
        cdef Py_ssize_t forward = 0, got, used, written
        cdef int result
        memmove(stream.buffer, stream.buffer + stream.start, stream.end - stream.start)
        stream.end -= stream.start
        stream.start = stream.pinned = head.size
        body.start(framing_of(stream, head), head.content_length)
        used = take(body, stream, 0, &forward)
        if used < 0:
            return RESULTS[used]
        written = write_request_lines(ours, stream.buffer, head, b"", PLAIN, None)
        result = target.stream.put_request(
            stream.buffer, head, PLAIN, None, ours, written, body.out, forward,
            stream if body.framing == PIECES else None, body.done)
        stream.start += used
        while result == 0 and not body.done:
            got = stream.fill()
            if not goes_on(body, got):
                return RESULTS[got]
            used = take(body, stream, 0, &forward)
            if used < 0:
                return RESULTS[used]
            result = put_more(stream, target.stream, body, body.out, forward, 0)
            stream.start += used
        return NAMES[result]

    def put(self, bytes data):
        return RESULTS[result] if (result := self.stream.put(data, len(data))) else "ok"

    def put_two(self, bytes head, bytes data):
        """The head's bytes are overwritten as soon as others can run, as a caller may do."""
        cdef bytearray scratch = bytearray(head)
        overwrite_soon(scratch)
        result = self.stream.put_two(<char*>scratch, len(head), data, len(data))
        return RESULTS[result] if result else "ok"

    def cancel_read(self):
        self.stream.cancel_read()

    def finish(self):
        return self.stream.finish()

    def close(self):
        self.stream.close()

    @property
    def id(self):
        return self.stream.id

    @property
    def written(self):
        return self.stream.written

    @property
    def was_ignored(self):
        return self.stream.was_ignored()

    @property
    def waiting_bytes(self):
        return self.stream.inbox.end - self.stream.inbox.start

    @property
    def is_alive(self):
        return self.stream.alive()


cdef Py_ssize_t heads(bytes text):
    """How long the final head is that it begins with, and the 1xx before it."""
    cdef Py_ssize_t at = 0, end
    while True:
        end = text.find(b"\r\n\r\n", at) + 4
        if end < 4:
            return 0
        if text[at:at + 10] != b"HTTP/1.1 1":
            return end
        at = end


cdef StreamView view(HttpStream stream):
    cdef StreamView made = StreamView()
    made.stream = stream
    return made


cdef class PythonServer(StreamServer):
    """Serves streams with a Python function that is given a StreamView."""

    cdef object function

    def __init__(self, function, double stall_seconds=0):
        self.function = function
        self.stall_ns = <int64_t>(stall_seconds * 1e9)

    cdef int serve_stream(self, Stream stream) except -1:
        self.function(view(stream))
        return 0


cdef class Connection:
    """A session over a Memory. `done` once it has ended."""

    cdef readonly Memory transport
    cdef Session session
    cdef object greenlet

    def shutdown(self):
        self.session.shutdown()

    def refuse_new(self):
        self.session.refuse_new()

    def stands(self, now):
        """Server role; `now` in ns."""
        return self.session.stands(now)

    def give_up(self, but):
        self.session.give_up(but)

    def new_stream(self):
        """Client role."""
        return view((<Http2Client>self.session).new_stream())

    def takes_extended(self, double seconds):
        """Client role: "ready", or the name of a result."""
        got = (<Http2Client>self.session).takes_extended(seconds)
        return "ready" if got == READY else RESULTS[got]

    @property
    def has_room(self):
        """Client role."""
        return self.session.has_room()

    @property
    def running(self):
        """Server role: greenlets that serve streams."""
        return (<Http2Server>self.session).running

    @property
    def streams(self):
        return len(self.session.streams)

    @property
    def fault(self):
        return self.session.fault.decode() if self.session.fault != NULL else ""

    @property
    def done(self):
        return self.greenlet.dead


cdef Connection connection(Session session, Memory transport):
    cdef Connection made = Connection()
    made.transport, made.session = transport, session
    session.open()
    made.greenlet = gevent.spawn(session.run)
    return made


def server(PythonServer handler):
    """A client's connection, served by `handler`."""
    cdef Memory transport = Memory()
    return connection(Http2Server(transport, handler), transport)


def client():
    """A connection to an endpoint."""
    cdef Memory transport = Memory()
    return connection(Http2Client(transport, None, 0), transport)
