# A stream without a peer; theory in recorded.pyx.
cimport cython

from proxy.wire.stream cimport Stream


@cython.final
cdef class Recorded(Stream):
    cdef int hold(self, bytes text, Stream like) except -1
