# How far a body reaches and what goes on of it. Rules in body.pyx.
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t

from proxy.wire.http.trailers cimport Text


@cython.final
cdef class Body:
    cdef bint lenient           # it reads responses
    cdef int framing            # head.Framing
    cdef int64_t remaining      # LENGTH: bytes left; CHUNKED: left of this chunk
    cdef int64_t data_bytes     # body bytes seen, framing excluded
    cdef bint done              # the last byte was consumed; UNTIL_CLOSE never is, only the peer's FIN ends it, PIECES by `end`
    cdef const char* fault      # why it is malformed, a few words for the debug log
    cdef const char* out        # what the last `take` passes on: bytes it was given, or `own`
    cdef int state              # where in the chunked grammar
    cdef int line, digits       # octets of this chunk-size line so far, and digits of the size but for zeros before it
    cdef int fields, trailer_bytes
    cdef bint bare              # trailers behind it do not go on, none of them
    cdef bint of_messages       # it is gRPC's: its messages are counted, and the status in its trailers is read
    cdef int64_t messages       # so many have begun
    cdef int prefix             # octets of the next one's prefix so far
    cdef uint32_t length_so_far # of that, as far as its prefix is here
    cdef int64_t message_left   # of the present one
    cdef int grpc_status        # -1: none, or none that is a number
    cdef Text own               # framing of ours, with the data in it
    cdef Text trailers          # their lines as they came, until the last one is here

    cdef void start(self, int framing, int64_t content_length) noexcept nogil
    cdef Py_ssize_t take(self, const char* data, Py_ssize_t length, Py_ssize_t* forward) noexcept nogil
    cdef void end(self, int grpc_status) noexcept nogil
    cdef int64_t unread(self) noexcept nogil

    cdef Py_ssize_t unframe(
        self, const char* data, Py_ssize_t length, Py_ssize_t* piece, Py_ssize_t* size) noexcept nogil
    cdef bint in_trailers(self) noexcept nogil

    cdef Py_ssize_t as_it_came(self, const char* data, Py_ssize_t length) noexcept nogil
    cdef Py_ssize_t take_line(self, const char* data, Py_ssize_t length) noexcept nogil
    cdef Py_ssize_t anew(
        self, const char* data, Py_ssize_t at, Py_ssize_t length, Py_ssize_t* forward) noexcept nogil
    cdef Py_ssize_t take_text(self, const char* data, Py_ssize_t length) noexcept nogil
    cdef void frame(self, int before, char octet) noexcept nogil
    cdef void count_messages(self, const uint8_t* data, Py_ssize_t length) noexcept nogil
    cdef void add(self, Text* text, const char* data, Py_ssize_t length) noexcept nogil
    cdef Py_ssize_t take_data(self, const char* data, Py_ssize_t length) noexcept nogil
    cdef int bad(self, const char* fault) noexcept nogil
    cdef int step(self, uint8_t octet) noexcept nogil
    cdef int size(self, uint8_t octet) noexcept nogil
    cdef int sized(self) noexcept nogil
    cdef int extension(self, uint8_t octet) noexcept nogil
    cdef int trailer(self, uint8_t octet) noexcept nogil
    cdef int trailer_start(self, uint8_t octet) noexcept nogil
    cdef int trailer_name(self, uint8_t octet) noexcept nogil
