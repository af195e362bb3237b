from libc.stdint cimport int64_t

from proxy.observe.access_log cimport AccessLog
from proxy.relay.exchange.attempting cimport Attempting
from proxy.wire.stream cimport Stream

cdef int log_line(Attempting exchange, int64_t duration_ms) except -1
cdef int log_refused(AccessLog log, Stream client, bytes method, int status, object fault, int64_t started) except -1
