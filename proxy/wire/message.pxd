# A body's way from one stream to another; theory in message.pyx.
from libc.stdint cimport int64_t

from proxy.wire.http.body cimport Body
from proxy.wire.http.head cimport Head
from proxy.wire.stream cimport RAISED, Stream

cdef enum:
    BEHIND = 8                  # free bytes behind pieces in a buffer, for what ends a chunk and a body in HTTP/1.1

cdef int framing_of(Stream source, Head head) noexcept
cdef Py_ssize_t take(Body body, Stream source, Py_ssize_t past, Py_ssize_t* forward) except? RAISED
cdef bint goes_on(Body body, Py_ssize_t got) noexcept
cdef int put_first(
    Stream source, Stream target, Body body, char* head, Py_ssize_t head_length, const char* data,
    Py_ssize_t length) except? RAISED
cdef int put_more(
    Stream source, Stream target, Body body, const char* data, Py_ssize_t length, int64_t following) except? RAISED
