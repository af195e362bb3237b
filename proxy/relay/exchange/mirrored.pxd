# Copies of requests; theory in mirrored.pyx.
from proxy.relay.exchange.answer cimport Answer
from proxy.relay.exchange.copied cimport Copied
from proxy.relay.exchange.exchange cimport Exchange
from proxy.relay.exchange.request cimport Request
from proxy.wire.http.edits cimport Edits
from proxy.wire.stream cimport Stream

cdef class Mirrored(Exchange):
    cdef Answer answer
    cdef Stream client                   # of the request that is copied
    cdef bytes head                      # the copy's
    cdef Edits edits
    cdef Copied body                     # None: it has none
    cdef bint bare                       # trailers behind that do not go on

    cdef int take(self, Request original) except -1
    cdef int send(self) except -1
    cdef int ask(self, Request request) except -1

cdef int send_copies(Exchange exchange, list mirrors, dict clusters) except -1
