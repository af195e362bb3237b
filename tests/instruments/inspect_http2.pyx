# distutils: libraries = nghttp2
"""HTTP/2 connections in memory, and their streams, as Python objects: for tests, never on the path of a request."""

import gevent

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from proxy.wire.http.edits cimport Edits
from proxy.wire.http.head cimport BAD, UNTIL_CLOSE, Head
from proxy.wire.http.http1 cimport HEAD_ROOM, write_request_lines, write_response_lines
from proxy.wire.http2.http_stream cimport HttpStream
from proxy.wire.http2.client cimport Http2Client
from proxy.wire.http2.server cimport Http2Server, StreamServer
from proxy.wire.http2.session cimport Session
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


cdef class Memory(Stream):
    """The transport: what is fed is read, what is written is in `output`. `room` is how much of that it takes before
    writers wait; None: all."""

    cdef readonly bytearray output
    cdef list incoming
    cdef public object room

    def __init__(self):
        self.output = bytearray()
        self.incoming = []
        self.local, self.peer = b"127.0.0.1:1", b"127.0.0.1:2"

    def feed(self, bytes data):
        self.incoming.append(data)
        self.end_read(READY)

    def end_input(self):
        self.eof = True
        self.end_read(READY)

    @property
    def is_closed(self):
        return self.closed

    cdef Py_ssize_t fill(self) except? RAISED:
        cdef bytes data
        cdef int woken
        while True:
            if self.closed:
                return FAILED
            if self.incoming:
                data = self.incoming.pop(0)
                self.make_room(len(data))
                if data:  # without any there may be no buffer yet
                    memcpy(self.buffer + self.end, <const char*>data, len(data))
                self.end += len(data)
                return len(data)
            if self.eof:
                return END
            woken = self.wait_readable()
            if woken != READY:
                return woken

    cdef int put(self, const char* data, Py_ssize_t length) except? RAISED:
        cdef Py_ssize_t taken
        while length:
            taken = self.put_now(data, length)
            if taken < 0:
                return FAILED
            data += taken
            length -= taken
            if taken == 0:
                gevent.sleep(0.001)
        return 0

    cdef Py_ssize_t put_now(self, const char* data, Py_ssize_t length) except? RAISED:
        if self.closed:
            return FAILED
        if self.room is not None:
            length = min(length, max(0, self.room - len(self.output)))
        self.output += data[:length]
        self.written += length
        return length

    cdef int close(self) except -1:
        if not self.closed:
            self.closed = True
            self.end_read(CANCELLED)
        return 0


cdef class StreamView(IdleListener):
    """A request stream. `events` is what its listener was told, while `listen` is on."""

    cdef HttpStream stream
    cdef readonly list events
    cdef readonly object head
    cdef readonly bint https

    def __init__(self):
        self.events = []

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
        """What is in the buffer, consumed."""
        cdef Py_ssize_t length = self.stream.end - self.stream.start
        self.compare()
        if 0 <= most < length:
            length = most
        if length == 0:
            return b""
        data = self.stream.buffer[self.stream.start:self.stream.start + length]
        self.stream.start += length
        return data

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
            if not isinstance(got, int):
                return data, got
            data += self.take()

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
            text, head, PLAIN, None, at, written + len(lines), <const char*>data + size, len(data) - size)]

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
            len(data) - size)]

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
