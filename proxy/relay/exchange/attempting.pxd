# One attempt of an exchange on one endpoint; theory in attempting.pyx.
from libc.stdint cimport int64_t, uint32_t

from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.context cimport Context
from proxy.wire.http.body cimport Body
from proxy.wire.http.head cimport Head
from proxy.wire.stream cimport RAISED, IdleListener, Stream

cdef enum Attempt:               # how an attempt ended
    ANSWERED, FAILED_ATTEMPT, STALE, GIVEN_UP

cdef enum:
    MALFORMED = -10              # beside the negative Io codes: bytes that are no HTTP

cdef class Attempting(IdleListener):
    cdef Context context
    cdef Stream client, upstream
    cdef Head request, response
    cdef Body request_body, response_body
    cdef Cluster cluster
    cdef Endpoint endpoint
    cdef list tried
    cdef object fault                    # proxy.relay.exchange.faults.Fault, or None
    cdef object pump                     # the greenlet that sends the request body, while there is one
    cdef object pump_fault               # why the body ended early, if the client is to blame
    cdef int retries, status
    cdef int judged                      # the status the answer is judged by: of gRPC, what its own stands for
    cdef bint has_body, idempotent, upgrading, sent, pooled, keep_alive, in_flight
    cdef bint half_closed, left, log_request
    cdef bint raw                        # bytes, not a request
    cdef bint unread                     # the client may still be sending what nobody will read
    cdef int connect_error
    cdef list reasons                    # beside the errno, why there is no connection
    cdef Py_ssize_t body_sent            # of the client's buffer, with the head
    cdef uint32_t generation
    cdef int64_t started_wall, started, sent_at, service_ms
    cdef int64_t first_byte_written
    cdef bytes endpoint_text, endpoint_local
    cdef char request_id[36]             # used when the client sent none

    cdef int dispatch(self, Endpoint endpoint) except -1
    cdef int withdraw(self) except -1
    cdef int attempt(self) except -1
    cdef bint lease(self, bint pooled) except -1
    cdef bint lease_stream(self, bint pooled) except -1
    cdef int not_connected(self) except -1
    cdef int take_back(self) except -1
    cdef int attempt_on(self, bint connected) except -1
    cdef int failed_attempt(self, int result) except -1
    cdef bint exhausted(self) except -1
    cdef bint body_untouched(self) noexcept
    cdef int send_request(self) except? RAISED
    cdef Py_ssize_t hear_client(self) except? RAISED
    cdef int body_ended(self, Py_ssize_t why) except -1
    cdef bint sending(self) except -1
    cdef int stop_pump(self) except -1
    cdef Py_ssize_t await_response(self) except? RAISED
    cdef Py_ssize_t await_head(self) except? RAISED
    cdef Py_ssize_t hear(self) except? RAISED
    cdef int relay_interim(self, Py_ssize_t size) except? RAISED
    cdef int report_failure(self, int status) except -1
    cdef str request_name(self)
    cdef int report_success(self) except -1
    cdef bint turn_to_another(self) except -1
    cdef int64_t count(self) except -1
    cdef int judge_answer(self) except -1
    cdef int judge_leaving(self) except -1
    cdef int drop_upstream(self) except -1

