# Another path for a request, and where a client is sent instead; rules in rewriting.pyx.
cdef class PathChange:
    cdef str op
    cdef bytes text, matched
    cdef object pattern             # of "like": re2's

cdef class Redirect:
    cdef readonly int status
    cdef bytes scheme, host, own_scheme
    cdef int port, own_port
    cdef PathChange path            # None: as it came
