# One try of a TCP connection on one endpoint; theory in tcp_attempt.pyx.
from proxy.relay.exchange.attempt cimport Attempt

cdef class TcpAttempt(Attempt):
    cdef object timer                   # until when the endpoint may take to answer; None: it is not asked

    cdef bint ask_through(self, bytes target) except -1
    cdef int await_head(self) except -1
    cdef bint go_on_without(self, int status) except -1
