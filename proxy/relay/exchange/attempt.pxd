# One try on one endpoint; theory in attempt.pyx.
from libc.stdint cimport int64_t, uint32_t

from proxy.policy.facts cimport Ending
from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.breaker cimport Seat
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.exchange.request cimport Request
from proxy.wire.stream cimport IdleListener, Stream

cdef class Attempt(IdleListener):
    cdef Context context
    cdef Request request
    cdef Cluster cluster
    cdef Endpoint endpoint
    cdef Stream stream                  # to the endpoint
    cdef int64_t deadline               # by when there must be a connection
    cdef int connect_error              # the errno or Cause, if there is none ...
    cdef list reasons                   # ... and what else there is to say
    cdef Ending ending                  # how it ended, and all that is decided by
    cdef object client_fault            # proxy.relay.exchange.faults.Fault of the client's, or None
    cdef int alpn                       # what TLS to the endpoint offers, where there is any
    cdef Seat seat                      # for a connection that is yet to be made, where there may be only so many
    cdef bint in_flight
    cdef bint fresh                     # over a connection that is made for it
    cdef uint32_t generation            # of the endpoint's outlier state when this began
    cdef bytes local                    # our end of the connection, "ip:port"

    cdef int forget(self) except -1
    cdef int begin(self, Cluster cluster, Endpoint endpoint, int retries, bint fresh) except -1
    cdef bint make(self) except -1
    cdef int end(self) except -1
    cdef bint has_seat(self) except -1
    cdef int leave_seat(self) except -1
    cdef bint connect(self) except -1
    cdef bint be_seated(self) except -1
    cdef int not_connected(self) noexcept
    cdef int drop_stream(self) except -1
    cdef object judge(self)
    cdef void note_loss(self) noexcept
    cdef int note_failure(self, int outcome) except -1
    cdef object report_failure(self, int status)
    cdef int report_success(self) except -1
    cdef object fault(self, bint exhausted)
