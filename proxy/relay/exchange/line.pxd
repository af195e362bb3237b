# Lines of the access log; see line.pyx.
from libc.stdint cimport int64_t

from proxy.observe.access_log cimport AccessLog
from proxy.relay.exchange.answer cimport Answer
from proxy.relay.exchange.exchange cimport Exchange
from proxy.wire.stream cimport Stream

cdef int log_line(Exchange exchange, Answer answer, int64_t bytes_sent, int64_t duration_ms) except -1
cdef int log_refused(AccessLog log, Stream client, bytes method, int status, object fault, int64_t started) except -1
