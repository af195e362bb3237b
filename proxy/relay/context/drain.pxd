# A worker's way out; see drain.pyx.
cdef class Drain:
    cdef public bint begun              # answers say `connection: close`; connections without a request end
    cdef readonly set sessions          # HTTP/2 connections of clients, to be told
