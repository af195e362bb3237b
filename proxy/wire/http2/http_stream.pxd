# An HTTP/2 request stream, one message each way; theory in http_stream.pyx.
from libc.stdint cimport int64_t

from proxy.wire.buffers cimport Buffer
from proxy.wire.http.body cimport Body
from proxy.wire.http.head cimport Head
from proxy.wire.http2.stream cimport Http2Stream
from proxy.wire.stream cimport RAISED, Stream

cdef enum Inward:               # what comes next from the peer
    IN_HEAD, IN_BYTES, IN_PIECES, IN_TRAILERS, IN_NOTHING

cdef class HttpStream(Http2Stream):
    # from the peer
    cdef int inward             # Inward
    cdef int method             # head.Method of the request
    cdef Py_ssize_t text_bytes  # of this head, or of the trailers, so far
    cdef bint has_length        # the head has a content-length
    cdef char[20] length        # ... of these digits
    cdef int length_digits
    cdef bint trailers_wanted   # trailers may come that somebody waits for
    cdef bint both_framings     # a body in pieces has its content-length too
    cdef char* head_text        # where the head that comes is laid out, while it does
    cdef bint malformed         # the peer's message is none
    cdef Head tail              # its trailers, of which some have come; None: none has ...
    cdef Buffer tail_text       # ... and where they are laid out
    # to the peer
    cdef bint piped             # an extended CONNECT was granted: its DATA are bytes, both ways
    cdef bint head_due
    cdef Body outward           # of a body that is put as text; None: there is none, or it is put in pieces
    cdef bint open_ended        # what ends the message is put by put_piece, not by the last byte of its length
    cdef Stream ending          # whose end is to be ours; None: nobody's
    cdef char* last_lines       # of a last chunk that is being put: the trailers, field lines and an empty one
    cdef Py_ssize_t last_length

    # a head of the peer's, in parts, for subclasses
    cdef int head_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1
    cdef char* text_room(self, Py_ssize_t length) except NULL
    # a head for the peer, for subclasses
    cdef Py_ssize_t put_head(self, const char* text, Py_ssize_t length) except? RAISED
    cdef bint begin_body(self, int framing, int64_t content_length) except -1
    cdef int put_begun(self, const char* data, Py_ssize_t length, Stream giver, bint last) except? RAISED

    cdef int add_text(self, const char* text, Py_ssize_t length) except -1
    cdef int add_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1
    cdef int add_line(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1
    cdef int end_head(self, bint last, bint bodiless) except -1
    cdef int begin_trailers(self) except -1
    cdef int add_trailer(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1
    cdef int put_body(self, const char* text, Py_ssize_t length) except? RAISED
    cdef Py_ssize_t next_piece(
        self, const char* text, Py_ssize_t length, const char** piece, Py_ssize_t* left) except? RAISED
    cdef int keep_last_lines(self, const char* text, Py_ssize_t length) except -1
    cdef int send(self) except? RAISED
