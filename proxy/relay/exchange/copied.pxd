# A copy of a request's body; theory in copied.pyx.
cimport cython


@cython.final
cdef class Copied:
    cdef bytearray text
    cdef readonly bint whole             # all of the body is in it
    cdef object over                     # an Event: it is whole, or never will be

    cdef int begin(self) except -1
    cdef int add(self, const char* data, Py_ssize_t length, bint last) except -1
    cdef int end(self) except -1
