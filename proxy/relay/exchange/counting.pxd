# What is counted of an exchange; see counting.pyx.
from libc.stdint cimport int64_t

from proxy.relay.context.context cimport Context
from proxy.relay.context.tallies cimport Party
from proxy.relay.endpoints.cluster cimport Cluster
from proxy.relay.exchange.answer cimport Answer
from proxy.relay.exchange.exchange cimport Exchange
from proxy.relay.routing.rule cimport Rule
from proxy.scoreboard.layout cimport ConnectionTally
from proxy.wire.stream cimport Stream

cdef class Messages:                     # of a gRPC request and its answer, as far as they were counted
    cdef Exchange exchange
    cdef Answer answer
    cdef int64_t requests, responses

    cdef int begin(self) except -1
    cdef int count(self, Party source, Party destination, Party service, bytes flags, int64_t now) except -1
    cdef int count_open(self, int64_t now) except -1

cdef int count_request(Exchange exchange, Answer answer, Messages messages, int64_t duration_ms) except -1
cdef int count_open_messages() except -1
cdef int count_route(Context context, Rule rule, int status) except -1
cdef ConnectionTally* count_connection(Exchange exchange) except? NULL
cdef int count_refused(Context context, Stream client, Cluster cluster, object fault) except -1
