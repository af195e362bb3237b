# What a client asks for; theory in request.pyx.
cimport cython
from libc.stdint cimport int64_t

from proxy.policy.facts cimport RetryRule
from proxy.relay.context.request_ids cimport RequestIds
from proxy.relay.exchange.copied cimport Copied
from proxy.relay.exchange.handshake cimport Handshake
from proxy.wire.http.body cimport Body
from proxy.wire.http.edits cimport Edits
from proxy.wire.http.head cimport Head
from proxy.wire.stream cimport RAISED, Stream


@cython.final
cdef class Request:
    cdef Stream client
    cdef Head head
    cdef Body body
    cdef bint parsed                    # there is a head: else nothing is known but who the client is
    cdef bint has_body, upgrading
    cdef bint repeatable                # sending it twice does what sending it once does
    cdef bint left                      # the client has
    cdef bint kept                      # what has moved of the body is in the client's buffer still
    cdef Py_ssize_t head_size           # where the body begins there
    cdef bint half_closed               # it has ended its side, and may yet want an answer
    cdef readonly list failures         # of attempts without an answer, or with half of one: "refused@10.10.0.16:8080"
    cdef int64_t started_wall, started
    cdef int64_t patience               # ns from then that the client waits (grpc-timeout), or its request may take; 0: no end
    cdef bint bounded                   # ... which is by the cluster's timeout
    cdef char[36] own_id                # used when the client sent none
    cdef Handshake handshake            # it asks for a WebSocket; None: it does not
    cdef bytes told                     # fields that its answer has besides, a cookie for one; or None
    cdef bytes added                    # fields that its head goes on with besides, or None
    cdef const RetryRule* retry_rule    # of the cluster that it goes to, or the route
    cdef Edits edits, answer_edits      # what a route changes of the request's head, and the answer's; None: nothing
    cdef bytes path                     # in place of its own, or None
    cdef Copied copied                  # a copy of its body, that somebody wants; or None
    cdef bytes shadow                   # what policies say of it that have no say, for the log; or None
    cdef bytes route                    # the name of the rule that it is for, or None
    cdef int64_t body_taken             # octets of its body and their framing
    cdef int64_t written_before         # to the client, for others
    cdef str known_as                   # another's, whose id it goes by; None: its own

    cdef int begin(self, Stream client, Py_ssize_t size) except -1
    cdef bint chose_http2(self) noexcept
    cdef int accept(self, RequestIds ids) except? RAISED
    cdef bint normalise_path(self, int mode) noexcept
    cdef object overtime(self)
    cdef int64_t grpc_timeout(self) noexcept
    cdef int read_head(self) noexcept
    cdef int take_upgrade(self) except? RAISED
    cdef int put_head(self, Stream stream, char* scratch, bint upgrade, const char* data, Py_ssize_t length) except? RAISED
    cdef Py_ssize_t write_head(self, char* out, bint upgrade) noexcept
    cdef void bound(self, int64_t timeout) noexcept
    cdef int begin_body(self, bint keep) noexcept
    cdef void moved(self, Py_ssize_t length, Py_ssize_t past) noexcept
    cdef int64_t unread(self) noexcept
    cdef void let_go(self) noexcept
    cdef int rewind(self) noexcept
    cdef void leave_out_trailers(self) noexcept
    cdef bint may_have_trailers(self) noexcept
    cdef int put_end(self, Stream stream) except? RAISED
    cdef int64_t received(self) noexcept
    cdef int64_t sent(self) noexcept
    cdef str id(self)
    cdef int end(self) except -1
