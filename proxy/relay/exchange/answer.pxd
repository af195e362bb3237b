# The answer to the client; theory in answer.pyx.
cimport cython
from libc.stdint cimport int64_t

from proxy.relay.context.context cimport Context
from proxy.relay.exchange.http_attempt cimport HttpAttempt
from proxy.relay.exchange.request cimport Request
from proxy.wire.stream cimport RAISED


@cython.final
cdef class Answer:
    cdef Context context
    cdef Request request
    cdef HttpAttempt attempt            # the one that was answered
    cdef object fault                   # proxy.relay.exchange.faults.Fault, or None
    cdef int status
    cdef int grpc_status                # that the client is told; -1: none
    cdef int64_t service_ms
    cdef int64_t own_bytes              # of a body of ours
    cdef bint begun                     # some of it has gone
    cdef bint keep_alive                # the client may send another request
    cdef bint unread                    # it may still be sending what nobody will read

    cdef int begin(self) except -1
    cdef int64_t body_bytes(self) noexcept
    cdef object relay(self)
    cdef int relay_whole(self) except -1
    cdef int put_head(self, bint rechunk, const char* source, const char* data, Py_ssize_t length) except? RAISED
    cdef const char* pass_head(self) noexcept
    cdef int relay_body(self) except? RAISED
    cdef int relay_chunks(self) except? RAISED
    cdef int client_lost(self, int result) except? RAISED
    cdef int broke(self, int result) except -1
    cdef int report_broken(self, int how) except -1
    cdef int after(self, bint whole) except -1
    cdef int switch_protocols(self) except -1
    cdef int give(self, object fault) except -1
    cdef bint skip_body(self) noexcept
    cdef int linger(self) except -1
