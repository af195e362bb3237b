# A lease for a request that has bounds; theory in bounded.pyx.
from proxy.relay.exchange.lease cimport Lease

cdef class Bounded(Lease):
    cdef bint counted                   # as one of the requests that the cluster may have at once
    cdef object timer                   # ends it when the client's patience is over; None: it has not said
    cdef object own_timer               # ends it when one attempt has taken as long as it may; None: it may
    cdef bint overdue                   # ... and has

    cdef int keep_times(self) except -1
    cdef int stop_own_timer(self) except -1
    cdef bint may_be_sent(self) except -1
    cdef int count_no_more(self) except -1
