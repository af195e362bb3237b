# The sending half of TLS over any byte stream; theory in sealed.pyx.
from proxy.wire.buffers cimport Buffer
from proxy.wire.stream cimport RAISED, Stream
from proxy.wire.tls.openssl cimport SSL

cdef class SealedStream(Stream):
    cdef SSL* tls
    cdef Stream under                   # what carries it: a TCP connection, or a tunnel
    cdef Buffer held                    # encrypted, and not taken by `under` so far
    cdef bint sending                   # somebody waits for it to take some
    cdef Py_ssize_t owed                # bytes that are in `held` and that the caller was not told of yet
    cdef bint ended                     # `under` has no more to give
    cdef bint answered                  # the peer has said something inside

    cdef int carry(self, Stream under, SSL* tls) except -1
    cdef Py_ssize_t absorb(self) except? RAISED
    cdef Py_ssize_t encrypt(self, const char* data, Py_ssize_t length) noexcept
    cdef int push(self) except? RAISED
    cdef int push_held(self) except? RAISED
