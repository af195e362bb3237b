# How long connections to endpoints last; theory in lifetimes.pyx.
from libc.stdint cimport int64_t

from proxy.wire.stream cimport Deadlines
from proxy.wire.tcp cimport TcpStream

cdef class Lifetimes:
    cdef Deadlines idle                 # a connection that waits for a request
    cdef Deadlines bytes_idle           # one that carries bytes; None: as the worker's setting has it
    cdef Deadlines ping, pong           # HTTP/2: silence before a PING, and after it; None: no PINGs
    cdef int64_t duration               # ns that a connection is used; 0: as long as it lasts
    cdef int64_t requests               # on one connection; 0: any number
    cdef Py_ssize_t streams             # the same at once, of HTTP/2
    cdef int probes, probe_after, probe_every   # of TCP; 0: as without a rule

    cdef int tick(self) except -1
    cdef int keep_alive(self, TcpStream stream) except -1
