# The answer to the client; theory in answering.pyx.
from proxy.relay.exchange.attempting cimport Attempting
from proxy.wire.stream cimport RAISED

cdef class Answering(Attempting):
    cdef int reply(self) except -1
    cdef bint skip_body(self) noexcept
    cdef int linger(self) except -1
    cdef int relay_response(self) except -1
    cdef Py_ssize_t write_head(self, bint rechunk) noexcept
    cdef int relay_body(self) except? RAISED
    cdef int relay_chunks(self) except? RAISED
    cdef int client_lost(self, int result) except? RAISED
    cdef int response_broke(self, int result) except -1
    cdef int report_broken_answer(self) except -1
    cdef int after_response(self, bint whole) except -1
    cdef int switch_protocols(self) except -1
