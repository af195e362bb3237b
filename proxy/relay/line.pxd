from libc.stdint cimport int64_t

from proxy.relay.attempting cimport Attempting

cdef int log_line(Attempting exchange, int64_t duration_ms) except -1
