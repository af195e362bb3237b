# What a client asks for and what becomes of it; theory in exchange.pyx.
from libc.stdint cimport int64_t, uint64_t

from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.exchange.attempt cimport Attempt
from proxy.relay.exchange.request cimport Request

cdef class Exchange:
    cdef Context context
    cdef Request request
    cdef Cluster cluster                 # where the request goes; None: nowhere
    cdef Attempt attempt                 # the latest one
    cdef Endpoint wanted                 # that had better be tried first, of the cluster's; None: any
    cdef list tried                      # endpoints, in vain
    cdef int retries
    cdef bint retrying                   # it is one of the retries that the cluster may have at once
    cdef uint64_t key                    # for consistent hashing; 0: none
    cdef object fault                    # proxy.relay.exchange.faults.Fault, or None
    cdef bytes flags                     # response flags besides the fault's; None: there are none

    cdef int forget(self) except -1
    cdef bint make_attempts(self) except -1
    cdef bint try_endpoints(self) except -1
    cdef bint goes_on(self) except -1
    cdef bint answered_in_vain(self) except -1
    cdef Endpoint first_endpoint(self)
    cdef Endpoint next_endpoint(self)
    cdef int add_flag(self, bytes flag) except -1
    cdef int turn_to_another(self) except -1
    cdef int pause(self) except -1
    cdef bint may_retry(self) except -1
    cdef int retry_no_more(self) except -1
    cdef int64_t count(self, int status) except -1
    cdef int64_t count_in_cluster(self, int status) except -1
