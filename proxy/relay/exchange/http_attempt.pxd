# One try of an HTTP request on one endpoint; theory in http_attempt.pyx.
cimport cython
from libc.stdint cimport int64_t

from proxy.relay.exchange.switching cimport Switching
from proxy.wire.http.body cimport Body
from proxy.wire.http.head cimport Head
from proxy.wire.stream cimport RAISED


@cython.final
cdef class HttpAttempt(Switching):
    cdef Head head                      # of the response
    cdef Body body
    cdef object pump                    # the greenlet that sends the request body, while there is one
    cdef bint end_held                  # the end of the request goes by itself: trailers may come with it
    cdef int interim                    # how many 1xx heads came
    cdef int64_t sent_at                # by the fine clock: what the endpoint answers in the same tick is an answer since
    cdef int64_t answered_at            # when the head was here
    cdef int64_t written_before         # on the stream, by others

    cdef int attempt_on(self, bint connected) except -1
    cdef int no_connection(self) except -1
    cdef int no_answer(self, int result) except -1
    cdef int not_http(self) except -1

    cdef int send_request(self) except? RAISED
    cdef int hold_end(self) except -1
    cdef int send_end(self) except? RAISED
    cdef Py_ssize_t hear_client(self) except? RAISED
    cdef int body_ended(self, Py_ssize_t why) except -1
    cdef bint sending(self) except -1
    cdef int stop_pump(self) except -1

    cdef Py_ssize_t await_response(self) except? RAISED
    cdef Py_ssize_t await_head(self) except? RAISED
    cdef int read_head(self, Py_ssize_t size) noexcept
    cdef Py_ssize_t hear(self) except? RAISED
    cdef int relay_interim(self, Py_ssize_t size) except? RAISED

    cdef void note_silence(self) noexcept
