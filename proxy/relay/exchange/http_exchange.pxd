# One request and its response; theory in http_exchange.pyx.
cimport cython

from proxy.relay.endpoints.cluster cimport Cluster
from proxy.relay.endpoints.tokens cimport Tokens
from proxy.relay.endpoints.verdict cimport Verdict
from proxy.relay.exchange.answer cimport Answer
from proxy.relay.exchange.counting cimport Messages
from proxy.relay.exchange.routed cimport Routed
from proxy.relay.routes cimport Routes
from proxy.wire.stream cimport Stream


@cython.final
cdef class HttpExchange(Routed):
    cdef Answer answer
    cdef Messages messages               # of gRPC requests; made for the first one
    cdef bint counts_messages            # this is one
    cdef HttpExchange following         # of those that nobody uses now, while it is one

    cdef bint run(self, Stream client, Py_ssize_t size, Routes routes) except -1
    cdef int refuse(self, Stream client, int why) except -1
    cdef int begin(self, Stream client, Py_ssize_t size) except -1
    cdef bint accept(self, Routes routes) except -1
    cdef Cluster route(self, Routes routes)
    cdef int count_messages(self) except -1
    cdef bint is_misdirected(self, Routes routes) except -1
    cdef object refusal(self)
    cdef object distrust(self, Tokens tokens)
    cdef bytes realm(self)
    cdef int find_key(self) except -1
    cdef int conclude(self) except -1
    cdef int settle(self) except -1
