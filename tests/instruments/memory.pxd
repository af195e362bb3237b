# A transport in memory; see memory.pyx.
from proxy.wire.stream cimport Stream


cdef class Memory(Stream):
    cdef readonly bytearray output
    cdef list incoming
    cdef public object room
