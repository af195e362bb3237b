# A copy of a request's body; theory in copied.pyx.
cimport cython

from proxy.wire.http.body cimport Body
from proxy.wire.stream cimport Stream


@cython.final
cdef class Copied:
    cdef bytearray text
    cdef readonly bint whole             # all of the body is in it
    cdef object over                     # an Event: it is whole, or never will be

    cdef int begin(self) except -1
    cdef int take(self, Stream source, Py_ssize_t length, Body body) except -1
    cdef bytes chunk_of(self, Stream source, Py_ssize_t length, bint last)
    cdef int add(self, const char* data, Py_ssize_t length, bint last) except -1
    cdef int end(self) except -1
