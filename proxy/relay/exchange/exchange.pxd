# One request and its response; theory in exchange.pyx.
from proxy.relay.exchange.answering cimport Answering
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.routes cimport Routes
from proxy.wire.stream cimport Stream

cdef class Exchange(Answering):
    cdef bint run(self, Stream client, Py_ssize_t size, Routes routes) except -1
    cdef int refuse(self, Stream client, object fault) except -1
    cdef int begin(self, Stream client, Py_ssize_t size) except -1
    cdef bint accept(self, Routes routes) except -1
    cdef Cluster route(self, Routes routes)
    cdef int make_attempts(self) except -1
    cdef int conclude(self) except -1
    cdef int settle(self) except -1
