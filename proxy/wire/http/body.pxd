# How far a body reaches and which of its bytes go on. Rules in body.pyx.
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    TRAILER_NAME_KEPT = 32      # longer than any name that trailers may not have


@cython.final
cdef class Body:
    cdef int framing            # head.Framing
    cdef int64_t remaining      # LENGTH: bytes left; CHUNKED: left of this chunk
    cdef int64_t data_bytes     # body bytes seen, framing excluded
    cdef bint done              # the last byte was consumed; UNTIL_CLOSE never is, only the peer's FIN ends it
    cdef const char* fault      # why it is malformed, a few words for the debug log
    cdef int state              # where in the chunked grammar
    cdef int line               # bytes of this chunk-size line so far; digits of the size while they last
    cdef int fields, trailer_bytes
    cdef uint8_t name_length    # of the trailer name so far, at most TRAILER_NAME_KEPT
    cdef char[32] name          # its first bytes in lower case

    cdef void start(self, int framing, int64_t content_length) noexcept nogil
    cdef Py_ssize_t take(self, const char* data, Py_ssize_t length, Py_ssize_t* forward) noexcept nogil
    cdef Py_ssize_t gather(self, char* data, Py_ssize_t length, Py_ssize_t* forward) noexcept nogil

    cdef Py_ssize_t unframe(
        self, const char* data, Py_ssize_t length, Py_ssize_t* piece, Py_ssize_t* size) noexcept nogil
    cdef bint in_trailers(self) noexcept nogil

    cdef Py_ssize_t take_chunked(self, const char* data, Py_ssize_t length, Py_ssize_t* forward) noexcept nogil
    cdef Py_ssize_t take_data(self, Py_ssize_t length) noexcept nogil
    cdef Py_ssize_t drop(self, const char* data, Py_ssize_t at, Py_ssize_t length) noexcept nogil
    cdef int bad(self, const char* fault) noexcept nogil
    cdef int step(self, uint8_t octet) noexcept nogil
    cdef int size(self, uint8_t octet) noexcept nogil
    cdef int extension(self, uint8_t octet) noexcept nogil
    cdef int trailer(self, uint8_t octet) noexcept nogil
    cdef int trailer_name(self, uint8_t octet) noexcept nogil

cdef bint forbidden(const char* name, uint32_t length) noexcept nogil
