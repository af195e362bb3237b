# Bytes from one socket to another without a copy; theory in spliced.pyx.
from libc.stdint cimport int64_t

from proxy.wire.stream cimport RAISED, Stream

cdef int offer(Stream source, Stream target, int64_t length) except -1
cdef Py_ssize_t passing(Stream source) noexcept
cdef int put_next(
    Stream source, Stream target, const char* data, Py_ssize_t length, int64_t following) except? RAISED
cdef int put_and_pour(
    Stream source, Stream target, const char* volatile_head, Py_ssize_t head_length) except? RAISED
