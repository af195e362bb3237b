# distutils: libraries = nghttp2
"""What an HTTP/2 connection receives: bytes from the transport to nghttp2, and what that makes of them to the streams.

nghttp2's callbacks (callbacks.pyx) find the object, which moves bytes and takes notes; nothing in them may switch
greenlets. Who has to know that something has come on a stream is woken afterwards (`wake`). What costs a client little
and us much is counted (`charge`), beside the limits nghttp2 has (settings, outbound acks, continuations, header lists):
resets, empty frames, priorities. Frames on a client's streams that are closed already are told from those that were only
on their way (closed.pyx); an endpoint's are passed over, as RFC 9113 5.1 allows. Of what an endpoint sends nothing is
counted: our connection to it carries the requests of many clients, who must not pay for frames that honest servers send
too. RFC 9113 8.1 asks for a RST_STREAM when an upload is answered early. What an endpoint has of its own to send is
bounded by what it was asked.
"""

import logging

from libc.string cimport memcmp

from proxy.clock cimport monotonic_ns
from proxy.wire.http2.closed cimport (
    FRAME_HEAD,
    Late,
    costs_nothing,
    excuse,
    expect_preface,
    find_doubtful,
    is_headers,
    is_open,
    judge,
)
from proxy.wire.http2.flow cimport FIRST_WINDOW, LEAST, first_window, room_of, was_read
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.http2.output cimport Output
from proxy.wire.http2.stream cimport Http2Stream
from proxy.wire.stream cimport Stream

log = logging.getLogger("worker")

cdef enum:
    WASTE = 900                 # useless frames a peer may send at once (nghttp2 itself bears 1000 resets), ...
    WASTE_PER_SECOND = 33       # ... and how many more every second (nghttp2's own rate for resets)


cdef class Input(Output):
    """The receiving half of a Session (session.pyx). Subclasses say what its streams are and who serves them."""

    def __cinit__(self):
        self.streams = {}
        self.woken = []
        self.held = []
        self.queue = []
        self.window = 65535         # until the peer says otherwise (RFC 9113 6.9.2)
        self.prepaid = WASTE
        expect_preface(&self.closed)

    # -- for subclasses -----------------------------------------------------------------------------------------------

    cdef Http2Stream make_stream(self):
        """The object for a stream that the peer opens; None refuses it."""
        return None

    cdef int serve(self, Http2Stream stream) except -1:
        """The head of a stream the peer opened is complete. May not switch."""
        return 0

    # -- reading ------------------------------------------------------------------------------------------------------

    cdef int consume(self, Stream stream) except -1:
        return self.receive()

    cdef int receive(self) except -1:
        """Gives nghttp2 what has come."""
        cdef Stream transport = self.transport
        cdef ssize_t n
        if self.fault != NULL or self.failure is not None:
            transport.start = transport.end     # it is over; nothing more of that is looked at
            return 0
        if not self.settled and not self.server and transport.end - transport.start > 5:
            self.foreign = memcmp(transport.buffer + transport.start, b"HTTP/", 5) == 0
        if self.server:
            n = self.feed_looking(transport.buffer + transport.start, transport.end - transport.start)
        else:
            n = self.feed(transport.buffer + transport.start, transport.end - transport.start)
        transport.start = transport.end
        self.pings = 0
        if n < 0 and self.fault == NULL:
            self.fault, self.fault_code = nghttp2_strerror(<int>n), NGHTTP2_PROTOCOL_ERROR
        if self.failure is not None:
            log.error("an HTTP/2 callback failed", exc_info=self.failure)
        return 0

    cdef ssize_t feed(self, const char* data, Py_ssize_t length) except? -1:
        cdef ssize_t n
        self.busy = True
        n = nghttp2_session_mem_recv(self.h2, <const uint8_t*>data, length)
        self.busy = False
        return n

    cdef ssize_t feed_looking(self, const char* data, Py_ssize_t length) except? -1:
        """What a client has sent, as far as the frames of which nghttp2 cannot tell whether they may be."""
        cdef Py_ssize_t at = 0, fed = 0, upto
        cdef ssize_t n = 0
        cdef bint found = True
        while found and n >= 0 and self.fault == NULL:
            found = find_doubtful(&self.closed, data, length, &at)
            upto = max(at - FRAME_HEAD, fed) if found else length
            if upto > fed:
                n = self.feed(data + fed, upto - fed)
                fed = upto
            if found and n >= 0 and self.fault == NULL:
                self.look_up()
        return n

    cdef int look_up(self) except -1:
        """A frame comes on a stream that may be closed."""
        if nghttp2_session_get_stream_remote_close(self.h2, self.closed.id) >= 0:
            is_open(&self.closed)
            return 0
        self.pull()     # a reset, or the end of the connection, that nghttp2 has not made a frame of yet
        return self.hear_late() if self.fault == NULL else 0

    cdef int hear_late(self) except -1:
        """A frame on a stream that is closed: DATA are an error of the stream, HEADERS of the connection, as what they do to
        the compression of later ones shows that the peers do not agree on what is open (RFC 9113 5.1, 5.1.1)."""
        cdef Late late = judge(&self.closed)
        if late == Late.BEYOND_ITS_WINDOW:
            self.fault, self.fault_code = b"more DATA on closed streams than had room", NGHTTP2_FLOW_CONTROL_ERROR
        elif late == Late.ON_ITS_WAY:
            if costs_nothing(&self.closed):
                self.charge()
        elif late == Late.ON_A_SKIPPED_ID:
            self.fault, self.fault_code = b"a stream opened below a newer one", NGHTTP2_PROTOCOL_ERROR
        elif is_headers(&self.closed):
            self.fault, self.fault_code = b"HEADERS on a closed stream", NGHTTP2_STREAM_CLOSED
        elif self.charge():
            nghttp2_submit_rst_stream(self.h2, NGHTTP2_FLAG_NONE, self.closed.id, NGHTTP2_STREAM_CLOSED)
        return 0

    cdef void note_end(self, int32_t id) noexcept:
        """A stream is ended by us. If its client had not ended it, more of it may be on its way."""
        if self.server:
            excuse(&self.closed, id, max(
                FIRST_WINDOW, nghttp2_session_get_stream_effective_local_window_size(self.h2, id)))

    cdef int wake(self) except -1:
        """Lets those run, soon, on whose streams something has come."""
        cdef Http2Stream stream
        cdef list woken = self.woken
        if woken:
            self.woken = []
            for stream in woken:
                stream.touched = False
            for stream in woken:
                stream.tell()
        return 0

    cdef int touch(self, Stream stream) except -1:
        """Something has come on the stream."""
        cdef Http2Stream touched = stream
        if not touched.touched:
            touched.touched = True
            self.woken.append(touched)
        return 0

    cdef int credit(self, Stream stream, Py_ssize_t length) except -1:
        """The peer may send so much more of this stream, if it is still open."""
        if self.h2 == NULL or length == 0:
            return 0
        was_read(self, <Http2Stream>stream, length)
        return self.pull()

    cdef int go_on(self) except -1:
        cdef Http2Stream stream
        cdef list held = self.held
        self.held = []
        self.thaw = False
        self.looking = True
        for stream in held:
            if stream.live and stream.deferred and room_of(self, stream) < min(
                    stream.first_left + stream.second_left, LEAST):
                self.held.append(stream)
                continue
            stream.held = False
            if stream.live and stream.deferred:
                stream.deferred = False
                nghttp2_session_resume_data(self.h2, stream.id)
        self.looking = self.counted = False
        return 0

    cdef bint charge(self) noexcept:
        """Counts a frame of a client's that only costs; False when it has sent too many."""
        cdef int64_t now
        if not self.server:
            return True
        self.prepaid -= 1
        if self.prepaid > 0:
            return True
        now = monotonic_ns()
        if self.refilled == 0:
            self.refilled = now - 1_000_000_000
        self.prepaid = <int>min((now - self.refilled) // (1_000_000_000 // WASTE_PER_SECOND), WASTE)
        self.refilled = now
        if self.prepaid == 0:
            self.fault, self.fault_code = b"too many frames of no use", NGHTTP2_ENHANCE_YOUR_CALM
        return self.fault == NULL

    cdef int attach(self, Http2Stream stream, int32_t id) except -1:
        """The stream is open under this id."""
        stream.session = self
        stream.id = id
        stream.live = True
        stream.local, stream.peer = self.transport.local, self.transport.peer
        stream.identity, stream.target = self.transport.identity, self.transport.target
        stream.baggage = self.transport.baggage
        stream.stall_ns = self.stall_ns
        stream.window = first_window(self)
        self.streams[id] = stream
        return 0
